"""Carries out what the resolver wants sent: one socket a query, UDP or TCP, and tells what came back."""

import asyncio
from collections.abc import Callable
from typing import Any

from ptt.net.dns_datagrams import datagrams_of
from ptt.net.world import ConnectFailed, Endpoint, World
from ptt.protocol.dns.framing import MessageCutter, framed
from ptt.protocol.dns.resolver import SendQuery
from ptt.protocol.dns.work import Transport

DNS_PORT = 53
CONNECT_TIMEOUT_S = 3.0

OnReceived = Callable[[int, bytes], None]
OnUnreachable = Callable[[int, str], None]


class Upstream:
    """All queries under way. ``on_received`` and ``on_unreachable`` get the query's number."""

    def __init__(
        self, world: World, on_received: OnReceived, on_unreachable: OnUnreachable, port: int = DNS_PORT
    ) -> None:
        self._world = world
        self._datagrams = datagrams_of(world)
        self._on_received = on_received
        self._on_unreachable = on_unreachable
        self._port = port
        self._open: dict[int, _Datagrams | _Stream] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def send(self, query: SendQuery) -> None:
        """Send a query and listen until ``end``."""
        over_udp = query.transport is Transport.UDP
        socket = _Datagrams(self, query) if over_udp else _Stream(self, query)
        self._open[query.number] = socket
        task = asyncio.ensure_future(self._connect(query, socket))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def end(self, number: int) -> None:
        """Close the query's socket; nothing more of it is told."""
        socket = self._open.pop(number, None)
        if socket is not None:
            socket.end()

    async def close(self) -> None:
        """Give everything up."""
        for number in list(self._open):
            self.end(number)
        if self._opening:
            await asyncio.wait(self._opening)

    def tell(self, number: int, wire: bytes) -> None:
        """Pass on what came for a query that is still open."""
        if number in self._open:
            self._on_received(number, wire)

    def fail(self, number: int, reason: str) -> None:
        """Say that a query that is still open cannot be answered."""
        if number in self._open:
            self._on_unreachable(number, reason)

    async def _connect(self, query: SendQuery, socket: "_Datagrams | _Stream") -> None:
        """Open the socket. It is not cancelled on the way: one that has ended closes itself when it opens."""
        endpoint = Endpoint(query.address, self._port)
        opened: _Datagrams | _Stream | ConnectFailed
        match socket:
            case _Datagrams():
                opened = await self._datagrams.open_datagram(endpoint, lambda: socket)
            case _Stream():
                opened = await self._world.connect(endpoint, lambda: socket, CONNECT_TIMEOUT_S)
        if isinstance(opened, ConnectFailed):
            self.fail(query.number, opened.reason)


class _Query(asyncio.BaseProtocol):
    """One query on its way; ``end`` may come before there is a connection."""

    def __init__(self, upstream: Upstream, query: SendQuery) -> None:
        self._upstream = upstream
        self._query = query
        self._transport: Any = None
        self._ended = False

    def end(self) -> None:
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if self._ended:
            self.end()
        else:
            self.send()

    def send(self) -> None:
        raise NotImplementedError


class _Datagrams(_Query, asyncio.DatagramProtocol):
    """Over UDP."""

    def send(self) -> None:
        self._transport.sendto(self._query.wire)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the name is asyncio's
        self._upstream.tell(self._query.number, data)

    def error_received(self, exc: Exception) -> None:
        self._upstream.fail(self._query.number, str(exc))


class _Stream(_Query, asyncio.Protocol):
    """Over TCP."""

    def __init__(self, upstream: Upstream, query: SendQuery) -> None:
        super().__init__(upstream, query)
        self._cutter = MessageCutter()

    def send(self) -> None:
        self._transport.write(framed(self._query.wire))

    def data_received(self, data: bytes) -> None:
        for message in self._cutter.feed(data):
            self._upstream.tell(self._query.number, message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        self._upstream.fail(self._query.number, "the connection was closed")
