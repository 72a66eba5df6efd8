"""DNS messages to another unit's private listener: over TLS with pins, each exchange on its own connection.

For updates, transfers and notices, of which there are a few a day; questions have ``resolver_client``.
Nothing is raised and nothing waits beyond the limit.
"""

import asyncio
from collections.abc import Callable

from ptt.boot import Peer, Peers
from ptt.net.tls import link_client_context
from ptt.net.unit import Unit
from ptt.net.world import ConnectFailed, Endpoint, TlsFailed, TlsRole
from ptt.protocol.dns.framing import MessageCutter, framed

CONNECT_TIMEOUT_S = 4.0  # the private network is one machine or one rack
HANDSHAKE_TIMEOUT_S = 8.0
EXCHANGE_LIMIT_S = 30.0  # a change waits until it is pushed to Git

IsLast = Callable[[bytes], bool]
"""Whether a message is the last of an answer."""


def only_one(_message: bytes) -> bool:
    """An answer of one message."""
    return True


class DnsLink:
    """Calls to one unit, to the newest generation that the host has named."""

    def __init__(self, unit: Unit, callee: str = "dns_primary") -> None:
        self._unit = unit
        self._callee = callee
        self._newest: Peer | None = None

    @property
    def has_callee(self) -> bool:
        """Whether there is somebody to call."""
        return self._newest is not None

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        ours = [peer for peer in peers.callees if peer.unit == self._callee]
        self._newest = max(ours, key=lambda peer: peer.generation, default=None)

    async def exchange(
        self, message: bytes, is_last: IsLast = only_one, limit_s: float = EXCHANGE_LIMIT_S
    ) -> ConnectFailed | None:
        """Send a message and hear its answer by ``is_last``; None: the last one was heard."""
        peer = self._newest
        if peer is None:
            return ConnectFailed(f"{self._callee} is not there")
        conversation = _Conversation(is_last)
        try:
            async with asyncio.timeout(limit_s):
                failed = await self._open(peer, conversation)
                if failed is not None:
                    return failed
                conversation.transport.write(framed(message))
                if await conversation.ended:
                    return None
                return ConnectFailed(f"{self._callee} hung up before it answered")
        except TimeoutError:
            return ConnectFailed(f"{self._callee} did not answer within {limit_s:g} s")
        finally:
            conversation.close()

    async def _open(self, peer: Peer, conversation: "_Conversation") -> ConnectFailed | None:
        world, identity = self._unit.world, self._unit.identity
        opened = await world.connect(Endpoint(peer.host, peer.port), lambda: conversation, CONNECT_TIMEOUT_S)
        if isinstance(opened, ConnectFailed):
            return opened
        context = link_client_context(identity, peer.certificate)
        role = TlsRole(server_side=False, context=context, own_certificate=identity.certificate)
        upgraded = await world.start_tls(conversation.transport, conversation, role, HANDSHAKE_TIMEOUT_S)
        if isinstance(upgraded, TlsFailed):
            return ConnectFailed(f"{self._callee}: {upgraded.reason}")
        conversation.transport, facts = upgraded
        if facts.peer_certificate != peer.certificate:
            return ConnectFailed(f"{self._callee} shows another certificate than the host has named")
        return None


class _Conversation(asyncio.Protocol):
    """One request and the messages of its answer."""

    def __init__(self, is_last: IsLast) -> None:
        self.transport: asyncio.Transport
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._is_last = is_last
        self._cutter = MessageCutter()
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's are none by inheritance
        self._is_open = True

    def data_received(self, data: bytes) -> None:
        for message in self._cutter.feed(data):
            if not self.ended.done() and self._is_last(message):
                self.ended.set_result(True)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        self._is_open = False
        if not self.ended.done():
            self.ended.set_result(False)

    def close(self) -> None:
        """Hang up."""
        if self._is_open:
            self.transport.abort()
