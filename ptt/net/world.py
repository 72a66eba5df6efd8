"""What a unit needs from the world: time, randomness, connections, TLS, worker calls.

Production uses ``ptt.net.system.SystemWorld`` (sockets, uvloop, ssl); the simulation has one of its own over
memory pipes and a clock that jumps, where TLS is left out but the identities of both ends are kept, so that
pins are checked there too. Nothing in ``ptt.units`` reaches the outside but through this.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from ptt.boot import HostFrame, Listener, UnitFrame

P = TypeVar("P", bound=asyncio.Protocol)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address (text form, v4 or v6) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TlsRole:
    """One side of a handshake.

    ``context`` does the real one; ``own_certificate`` (DER, may be empty) is what the simulation shows to the
    other side instead. ``server_name`` goes into SNI and is None on the server's side.
    """

    server_side: bool
    context: ssl.SSLContext | None = field(repr=False, default=None)
    own_certificate: bytes = b""
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What a finished handshake came to. ``peer_certificate`` is DER, empty when the peer showed none."""

    version: str
    cipher: str
    peer_certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """No connection. ``refused``: somebody said so at once; else nobody answered in time."""

    reason: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class TlsFailed:
    """The handshake did not end well; the connection is closed."""

    reason: str


class Server(Protocol):
    """A listener that is being served."""

    def close(self) -> None:
        """Accept no more; what is open stays open."""
        ...


class World(Protocol):
    """See the module."""

    def now(self) -> float:
        """Monotonic seconds, of the running loop."""
        ...

    def wall_time(self) -> datetime:
        """The time of day, aware, UTC."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """Unpredictable bytes (predictable by seed in the simulation)."""
        ...

    async def connect(
        self, endpoint: Endpoint, factory: Callable[[], P], timeout_s: float, local_host: str | None = None
    ) -> P | ConnectFailed:
        """Open a TCP connection.

        Gives the protocol after its ``connection_made``. Never raises for the network.
        """
        ...

    async def start_tls(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, role: TlsRole, timeout_s: float
    ) -> tuple[asyncio.Transport, TlsFacts] | TlsFailed:
        """Upgrade in place; ``connection_made`` is not called again, use the transport given."""
        ...

    async def serve(
        self,
        handle: object,
        factory: Callable[[], asyncio.Protocol],
        tls_first: Callable[[], TlsRole] | None = None,
    ) -> Server:
        """Accept on a listener that came with a ``Publish`` frame (``Published.handle``).

        ``tls_first`` is our side of implicit TLS (RFC 8314 §3.3), asked at each handshake. The protocol calls
        ``start_tls`` with it all the same, first of all, and is told the facts.
        """
        ...

    async def run_in_worker(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function that takes long and touches nothing shared, off the loop."""
        ...

    async def connect_socket(self, endpoint: Endpoint, timeout_s: float) -> socket.socket | ConnectFailed:
        """Open a TCP connection for a library that blocks; each step on it may take ``timeout_s``."""
        ...

    async def wait_in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function that waits for others, in a thread that takes no worker's place."""
        ...


@dataclass(frozen=True, slots=True)
class Acceptor:
    """How a listener is served: what makes the protocols, and our side of TLS where it is implicit."""

    factory: Callable[[], asyncio.Protocol]
    tls_first: Callable[[], TlsRole] | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A listener of a ``Publish`` frame with what ``World.serve`` takes for it."""

    listener: Listener
    handle: object


@dataclass(frozen=True, slots=True)
class HostSaid:
    """A frame from the host, and the listeners that came with it when it is ``Publish``."""

    frame: HostFrame
    published: tuple[Published, ...] = ()
    stream: object = None
    """A connected socket when it is ``GiveStream`` without a reason."""


class ControlStream(Protocol):
    """A unit's line to its host."""

    def send(self, frame: UnitFrame) -> None:
        """Queue a frame; order is kept, nothing is awaited."""
        ...

    async def receive(self) -> HostSaid | None:
        """The next frame; None when the host is gone."""
        ...
