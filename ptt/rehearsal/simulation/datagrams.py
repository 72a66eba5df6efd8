"""Datagrams in the network of memory: each on its own, maybe lost, doubled, late or overtaken (RFC 768).

What is drawn for one socket depends on the network's seed and the socket's number alone. A bound socket keeps
what comes while nobody reads it, up to ``MAX_WAITING``; several may read it, and each datagram is one's. A
connected socket hears of a port that nobody serves, as by ICMP, and takes nothing from anybody else but the
endpoint that it is connected to. ``Weather`` is what a path does to datagrams beside its ``Shape``.
"""

import asyncio
import errno
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ptt.errors import MisuseError
from ptt.net.world import Endpoint

MAX_WAITING = 200  # some 200 kB, a system's default for a socket that is not read

Address = tuple[str, int]
Way = Callable[[Address, Address, bytes, random.Random], None]
"""Carries a datagram from an address to another."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances, of each datagram by itself; ``late_s``: up to so much later, so that others overtake it."""

    lost: float = 0.0
    doubled: float = 0.0
    late_s: float = 0.0


class DatagramTransport(asyncio.DatagramTransport):
    """One socket; ``remote`` None: bound, it hears from everybody."""

    def __init__(
        self, send: Way, local: Address, remote: Address | None, protocol: asyncio.BaseProtocol, seed: object
    ) -> None:
        super().__init__()
        if not isinstance(protocol, asyncio.DatagramProtocol):
            raise MisuseError(f"{protocol!r} takes no datagrams")
        self._send = send
        self._local = local
        self._remote = remote
        self._protocol = protocol
        self._seed = random.Random(f"{seed}")  # noqa: S311 - to be repeated
        self._is_closed = False
        self.on_close: Callable[[], None] = _nothing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``sockname`` and ``peername``."""
        return {"sockname": self._local, "peername": self._remote}.get(name, default)

    def sendto(self, data: Any, addr: Any | None = None) -> None:
        """Send one datagram; a closed socket sends nothing and tells nobody."""
        to = addr if self._remote is None else self._remote
        if to is None:
            raise MisuseError("a datagram to nobody")
        if not self._is_closed:
            self._send(self._local, to[:2], bytes(data), self._seed)

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._is_closed

    def close(self) -> None:
        """Hear nothing more."""
        if not self._is_closed:
            self._is_closed = True
            self.on_close()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """The same: nothing is buffered."""
        self.close()

    def arrived(self, source: Address, data: bytes) -> None:
        """Hand a datagram to the protocol."""
        if not self._is_closed and self._remote in (None, source):
            self._protocol.datagram_received(data, source)

    def refused(self, by: Address) -> None:
        """The other side's system says that nobody reads there."""
        if not self._is_closed and self._remote == by:
            self._protocol.error_received(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))


class DatagramListener:
    """A bound socket; who reads from it is given datagrams in turn."""

    def __init__(self, send: Way, unbind: Callable[["DatagramListener"], None], endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._send = send
        self._unbind = unbind
        self._readers: deque[DatagramTransport] = deque()
        self._waiting: deque[tuple[Address, bytes]] = deque()
        self._served = 0

    def serve(self, factory: Callable[[], asyncio.BaseProtocol]) -> DatagramTransport:
        """Read from now on, first what has waited; ``close`` of what it gives ends that."""
        self._served += 1
        local = (self.endpoint.host, self.endpoint.port)
        protocol = factory()
        reader = DatagramTransport(self._send, local, None, protocol, f"{self.endpoint} {self._served}")
        reader.on_close = lambda: self._readers.remove(reader)
        self._readers.append(reader)
        protocol.connection_made(reader)
        waiting, self._waiting = self._waiting, deque()
        for source, data in waiting:
            self.arrived(source, data)
        return reader

    def close(self) -> None:
        """Unbind: nobody hears of what waits."""
        self._unbind(self)
        self._waiting.clear()

    def arrived(self, source: Address, data: bytes) -> None:
        """Hand a datagram to whose turn it is, or keep it."""
        if self._readers:
            self._readers[0].arrived(source, data)
            self._readers.rotate(-1)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append((source, data))


def _nothing() -> None:
    """Do nothing."""
