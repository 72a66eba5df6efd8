"""DNS over connections, the server's side: TCP (RFC 7766), and TLS with pinned callers (RFC 7858).

Messages are pipelined and answered in whatever order answers come (RFC 7766 §7). A handler is given the
message, who asks, and what to call with the answer, once or, for a transfer, several times. Reading stops
while too many answers are owed or the peer does not read them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ptt.net.unit import Unit
from ptt.net.world import Acceptor, Endpoint, TlsFacts, TlsFailed, TlsRole
from ptt.protocol.dns.framing import MessageCutter, framed

TLS_TIMEOUT_S = 15.0
IDLE_TIMEOUT_S = 30.0  # RFC 7766 §6.2.3: some seconds; of the Internet's clients
MAX_OWED = 1000  # answers; a unit's bursts (SPF of a large mail) are some tens
MAX_CONNECTIONS = 500
DRAIN_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: where from, and the certificate (DER) shown, empty without TLS."""

    endpoint: Endpoint
    certificate: bytes = b""


Handler = Callable[[bytes, Caller, Callable[[list[bytes]], None]], None]
"""Gets a message, its sender and what to call, once, with the messages that answer it."""


class DnsStreams:
    """All connections of one listener; ``tls_role`` None: plain TCP, where idle connections are closed."""

    def __init__(
        self,
        unit: Unit,
        handler: Handler,
        tls_role: Callable[[], TlsRole] | None = None,
        is_welcome: Callable[[TlsFacts], bool] = lambda _facts: True,
        count: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.unit = unit
        self.handler = handler
        self.tls_role = tls_role
        self.is_welcome = is_welcome
        self.count = count
        self.open: set[DnsConnection] = set()

    def factory(self) -> "DnsConnection":
        """Make the protocol of a new connection, for ``World.serve``."""
        return DnsConnection(self)

    def acceptor(self) -> Acceptor:
        """How a listener is served."""
        return Acceptor(self.factory, self.tls_role)

    async def drain(self, deadline_s: float) -> None:
        """Let what was asked be answered, then close."""
        end = self.unit.world.now() + deadline_s
        while self.unit.world.now() < end and any(each.owed for each in self.open):  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_POLL_S)  # a moment at most for each answer that is owed
        for connection in list(self.open):
            connection.close()


class DnsConnection(asyncio.Protocol):
    """One connection of a peer."""

    def __init__(self, service: DnsStreams) -> None:
        self._service = service
        self._cutter = MessageCutter()
        self._transport: asyncio.Transport
        self._caller = Caller(Endpoint("", 0))
        self._idle: asyncio.TimerHandle | None = None
        self._paused = False
        self.owed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; with TLS nothing is read before the handshake has the transport."""
        self._transport = transport  # type: ignore[assignment] # uvloop's are none by inheritance
        peer = transport.get_extra_info("peername") or ("", 0)
        self._caller = Caller(Endpoint(str(peer[0]), int(peer[1])))
        if len(self._service.open) >= MAX_CONNECTIONS:
            self._service.count("too_many_connections")
            self._transport.abort()
            return
        self._service.open.add(self)
        if self._service.tls_role is not None:
            self._transport.pause_reading()
            self._handshake = asyncio.ensure_future(self._upgrade(self._service.tls_role()))
        else:
            self._watch_idle()

    def data_received(self, data: bytes) -> None:
        """Hand over what is complete."""
        for message in self._cutter.feed(data):
            self.owed += 1
            self._service.handler(message, self._caller, self._answered)
        self._flow()
        self._watch_idle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        """Note the end."""
        self._service.open.discard(self)
        if self._idle is not None:
            self._idle.cancel()

    def pause_writing(self) -> None:
        """The peer does not read: read no more of it either."""
        self._paused = True
        self._flow()

    def resume_writing(self) -> None:
        """It reads again."""
        self._paused = False
        self._flow()

    def close(self) -> None:
        """Close once everything is written."""
        self._transport.close()

    def _answered(self, messages: list[bytes]) -> None:
        self.owed -= 1
        if not self._transport.is_closing():
            self._transport.write(b"".join(map(framed, messages)))
            self._flow()

    def _flow(self) -> None:
        if self._transport.is_closing():
            return
        if self._paused or self.owed >= MAX_OWED:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _watch_idle(self) -> None:
        if self._service.tls_role is not None:
            return  # units keep their connection open
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_TIMEOUT_S, self._transport.close)

    async def _upgrade(self, role: TlsRole) -> None:
        upgraded = await self._service.unit.world.start_tls(self._transport, self, role, TLS_TIMEOUT_S)
        if isinstance(upgraded, TlsFailed):
            self._service.open.discard(self)
            self._service.count("tls_failed")
            return
        self._transport, facts = upgraded
        if not self._service.is_welcome(facts):
            self._service.count("wrong_certificate")
            self._transport.abort()
            return
        self._caller = Caller(self._caller.endpoint, facts.peer_certificate)
        self._transport.resume_reading()
