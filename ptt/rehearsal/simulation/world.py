"""``ptt.net.world.World`` over a network of memory and a clock that jumps.

Each unit has a world of its own: its host's address and its own random bytes, both by seed. TLS is left out,
but the certificates of both sides are shown and pins are checked (``handshake``). A worker's call is done at
once, and takes ``worker_s`` of simulated time.
"""

import asyncio
import random
import socket as sockets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from ptt.errors import MisuseError
from ptt.net.world import ConnectFailed, Endpoint, Server, TlsFacts, TlsFailed, TlsRole
from ptt.rehearsal.simulation.datagrams import DatagramListener, DatagramTransport
from ptt.rehearsal.simulation.handshake import shake_hands
from ptt.rehearsal.simulation.network import Listener, Network, SimulatedServer
from ptt.rehearsal.simulation.transports import SimulatedTransport

P = TypeVar("P", bound=asyncio.Protocol)
D = TypeVar("D", bound=asyncio.DatagramProtocol)
T = TypeVar("T")

BEGINNING = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # any time will do, as long as it is always the same
WORKER_S = 0.025  # one argon2id verification (specs/performance.md, section G)


class SimulatedWorld:
    """A host's view of the network. ``seed`` is for ``random_bytes``."""

    def __init__(
        self,
        network: Network,
        host: str,
        seed: int | str = 0,
        beginning: datetime = BEGINNING,
        worker_s: float = WORKER_S,
    ) -> None:
        self.host = host
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._beginning = beginning
        self._worker_s = worker_s
        self._random = random.Random(f"{seed} {host}")  # noqa: S311 - to be repeated
        self._servers: list[SimulatedServer | DatagramTransport] = []
        self._opened: list[SimulatedTransport] = []
        self._sockets: list[DatagramTransport] = []
        self._is_dead = False

    def die(self) -> None:
        """End as a killed process does: its connections are reset, nothing leaves any more.

        What it had sent is on its way and arrives. Its tasks are the caller's; they can do no more harm.
        """
        self._is_dead = True
        for server in self._servers:
            server.abort()
        for transport in self._opened:
            transport.abort()
        for socket in self._sockets:
            socket.abort()

    def now(self) -> float:
        """Seconds since the simulation began."""
        return self._loop.time()

    def wall_time(self) -> datetime:
        """The time of day, aware, UTC."""
        return self._beginning + timedelta(seconds=self._loop.time())

    def random_bytes(self, count: int) -> bytes:
        """The next bytes of this world's seed."""
        return self._random.randbytes(count)

    async def connect(
        self, endpoint: Endpoint, factory: Callable[[], P], timeout_s: float, local_host: str | None = None
    ) -> P | ConnectFailed:
        """Open a connection; gives the protocol after its ``connection_made``."""
        try:
            async with asyncio.timeout(timeout_s):
                transport, protocol = await self._network.connect(local_host or self.host, endpoint, factory)
        except TimeoutError:
            return ConnectFailed(f"{endpoint} did not answer within {timeout_s:g} s")
        except ConnectionRefusedError as error:
            return ConnectFailed(str(error.strerror), refused=True)
        if self._is_dead:
            transport.abort()
        self._opened = [each for each in self._opened if not each.is_closing()]
        self._opened.append(transport)
        return protocol

    async def open_datagram(self, endpoint: Endpoint, factory: Callable[[], D]) -> D | ConnectFailed:
        """A socket for datagrams to and from ``endpoint``."""
        socket, protocol = self._network.open_datagrams(self.host, endpoint, factory)
        if self._is_dead:
            socket.abort()
        self._sockets = [each for each in self._sockets if not each.is_closing()]
        self._sockets.append(socket)
        return protocol

    async def start_tls(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, role: TlsRole, timeout_s: float
    ) -> tuple[asyncio.Transport, TlsFacts] | TlsFailed:
        """Show certificates; the same transport goes on as a secure one."""
        if not isinstance(transport, SimulatedTransport) or transport.get_protocol() is not protocol:
            raise MisuseError(f"{transport!r} is no connection of {protocol!r}")
        try:
            async with asyncio.timeout(timeout_s):
                facts = await shake_hands(transport, role)
        except TimeoutError:
            transport.abort()
            return TlsFailed(f"no handshake within {timeout_s:g} s")
        return facts if isinstance(facts, TlsFailed) else (transport, facts)

    async def serve(
        self,
        handle: object,
        factory: Callable[[], asyncio.Protocol],
        tls_first: Callable[[], TlsRole] | None = None,  # noqa: ARG002 - the protocol's start_tls does it
    ) -> Server:
        """Accept on what ``Network.bind`` gave, or read from what ``bind_datagrams`` gave."""
        if not isinstance(handle, Listener | DatagramListener):
            raise MisuseError(f"{handle!r} is no listener of a simulated network")
        server = handle.serve(factory)
        self._servers.append(server)
        return server

    async def run_in_worker(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function; its result comes after the time that a worker would take."""
        result = await self._loop.run_in_executor(None, lambda: function(*arguments))
        await asyncio.sleep(self._worker_s)
        return result

    async def connect_socket(self, endpoint: Endpoint, timeout_s: float) -> sockets.socket | ConnectFailed:
        """There are no sockets here, and nobody behind them."""
        await asyncio.sleep(0)
        return ConnectFailed(f"{endpoint}: no sockets within a simulation ({timeout_s:g} s)", refused=True)

    async def wait_in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function; nothing here waits for others outside."""
        return await self._loop.run_in_executor(None, lambda: function(*arguments))
