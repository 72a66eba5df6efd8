"""A network of memory: hosts that listen, connections between them, and everything that can go wrong there.

Connections, and sockets for datagrams (``datagrams``), are numbered as they are opened, and each draws from a
source of its own (the network's seed and its number), so that what passes on one changes nothing on another.
What is refused, swallowed or cut is said per host and port of the listening side.
"""

import asyncio
import errno
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from ptt.errors import MisuseError
from ptt.net.world import Endpoint
from ptt.rehearsal.simulation.datagrams import Address, DatagramListener, DatagramTransport, Weather
from ptt.rehearsal.simulation.pipes import Shape
from ptt.rehearsal.simulation.transports import Connection, SimulatedTransport

P = TypeVar("P", bound=asyncio.BaseProtocol)
D = TypeVar("D", bound=asyncio.DatagramProtocol)
Factory = Callable[[], asyncio.BaseProtocol]

FIRST_EPHEMERAL_PORT = 49_152  # the dynamic ports, none of which anybody listens on
EPHEMERAL_PORTS = 16_384


class Break(Enum):
    """How a connection breaks."""

    RESET = "both ends are told at once"
    SILENCE = "nothing arrives any more and nobody is told"


class Direction(Enum):
    """Which octets are counted until a connection breaks."""

    TO_LISTENER = "those of who connected"
    FROM_LISTENER = "those of who listens"


class Door(Enum):
    """What happens to those who want to connect to a host and port."""

    OPEN = "the listener answers"
    REFUSED = "connection refused, as if nobody listened"
    SWALLOWED = "no answer ever"


@dataclass(frozen=True, slots=True)
class _Cut:
    octets: int
    direction: Direction
    how: Break


class Listener:
    """A bound socket. Who connects is accepted in turn by those who serve it, and waits while nobody does."""

    def __init__(self, network: "Network", endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._network = network
        self._servers: deque[SimulatedServer] = deque()
        self._waiting: deque[SimulatedTransport] = deque()

    def serve(self, factory: Factory) -> "SimulatedServer":
        """Accept from now on; several may serve one listener, as processes may accept on one socket."""
        server = SimulatedServer(self, factory)
        self._servers.append(server)
        while self._waiting:
            self.offer(self._waiting.popleft())
        return server

    def close(self) -> None:
        """Unbind; who waits is reset, who is connected stays so."""
        self._network.unbind(self)
        while self._waiting:
            self._waiting.popleft().abort()

    def offer(self, transport: SimulatedTransport) -> None:
        """Hand a connection that has come in to whoever's turn it is."""
        if not self._servers:
            self._waiting.append(transport)
            return
        server = self._servers[0]
        self._servers.rotate(-1)
        server.accept(transport)

    def leave(self, server: "SimulatedServer") -> None:
        """Give ``server`` no more connections."""
        if server in self._servers:
            self._servers.remove(server)


class SimulatedServer:
    """One who accepts on a listener."""

    def __init__(self, listener: Listener, factory: Factory) -> None:
        self._listener = listener
        self._accepted: list[SimulatedTransport] = []
        self.factory = factory

    def accept(self, transport: SimulatedTransport) -> None:
        """Take a connection that has come in."""
        self._accepted = [each for each in self._accepted if not each.is_closing()]
        self._accepted.append(transport)
        transport.attach(self.factory())

    def close(self) -> None:
        """Accept no more; the listener stays bound."""
        self._listener.leave(self)

    def abort(self) -> None:
        """Accept no more and end what was accepted at once, as when a process is killed."""
        self.close()
        for transport in self._accepted:
            transport.abort()


class Network:
    """See the module. ``shape`` holds where ``set_shape`` says nothing else."""

    def __init__(self, seed: int | str, shape: Shape = Shape()) -> None:  # noqa: B008 - frozen
        self._seed = seed
        self._shape = shape
        self._shapes: dict[str, Shape] = {}
        self._listeners: dict[Endpoint, Listener] = {}
        self._doors: dict[tuple[str, int | None], Door] = {}
        self._cuts: dict[str, deque[_Cut]] = {}
        self._connections: list[tuple[Endpoint, Connection]] = []
        self._opened = 0
        self._weathers: dict[str, Weather] = {}
        self._datagram_listeners: dict[Endpoint, DatagramListener] = {}
        self._sockets: dict[Address, DatagramTransport] = {}

    # Hosts

    def bind(self, endpoint: Endpoint) -> Listener:
        """Listen: who connects from now on waits until somebody serves."""
        if endpoint in self._listeners:
            raise MisuseError(f"{endpoint} is bound already")
        listener = self._listeners[endpoint] = Listener(self, endpoint)
        return listener

    def unbind(self, listener: Listener) -> None:
        """Refuse who comes from now on."""
        self._listeners.pop(listener.endpoint, None)

    def bind_datagrams(self, endpoint: Endpoint) -> DatagramListener:
        """Bind a socket: what comes from now on waits until somebody reads it."""
        if endpoint in self._datagram_listeners:
            raise MisuseError(f"{endpoint} is bound already")
        listener = DatagramListener(self._carry, self._unbind_datagrams, endpoint)
        self._datagram_listeners[endpoint] = listener
        return listener

    def listener(self, endpoint: Endpoint) -> Listener:
        """Who is bound there."""
        return self._listeners[endpoint]

    def set_weather(self, host: str, weather: Weather) -> None:
        """What happens to datagrams to and from ``host`` from now on."""
        self._weathers[host] = weather

    def set_shape(self, host: str, shape: Shape) -> None:
        """How paths of connections opened to ``host`` from now on behave."""
        self._shapes[host] = shape

    def set_door(self, door: Door, host: str, port: int | None = None) -> None:
        """What happens to those who want to connect from now on, to one port or to all."""
        self._doors[host, port] = door

    def cut_next(
        self,
        host: str,
        octets: int,
        direction: Direction = Direction.TO_LISTENER,
        how: Break = Break.RESET,
        connections: int = 1,
    ) -> None:
        """Break each of the next connections to ``host`` when ``octets`` have arrived in one direction."""
        self._cuts.setdefault(host, deque()).extend([_Cut(octets, direction, how)] * connections)

    def cut_at(self, time: float, host: str, how: Break = Break.RESET) -> None:
        """Break all connections to ``host`` that are open at a time of the loop."""
        asyncio.get_running_loop().call_at(time, self.cut_now, host, how)

    def cut_now(self, host: str, how: Break = Break.RESET) -> None:
        """Break all connections to ``host`` that are open."""
        for endpoint, connection in list(self._connections):
            if endpoint.host == host:
                _break(connection, how)

    def open_connections(self, host: str) -> int:
        """How many connections to ``host`` have an end that is not closed."""
        self._forget_closed()
        return sum(endpoint.host == host for endpoint, _ in self._connections)

    @property
    def connections(self) -> list[str]:
        """What is not closed: connections that have such an end, and sockets for datagrams."""
        self._forget_closed()
        return [
            *(f"{connection} to {endpoint}" for endpoint, connection in self._connections),
            *(f"a socket to {socket.get_extra_info('peername')}" for socket in self._sockets.values()),
        ]

    # Who connects

    async def connect(
        self, source_host: str, endpoint: Endpoint, factory: Callable[[], P]
    ) -> tuple[SimulatedTransport, P]:
        """Open a connection; ConnectionRefusedError where nobody listens, no end where nothing answers."""
        shape = self._shapes.get(endpoint.host, self._shape)
        await asyncio.sleep(shape.latency_s)  # the way there
        listener = self._listeners.get(endpoint)
        door = self._door(endpoint)
        if door is Door.SWALLOWED:
            await asyncio.get_running_loop().create_future()
        if listener is None or door is Door.REFUSED:
            await asyncio.sleep(shape.latency_s)
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"{endpoint}: connection refused")
        connection = self._open(source_host, endpoint, shape)
        listener.offer(connection.server)
        try:
            await asyncio.sleep(shape.latency_s)  # and back
        except asyncio.CancelledError:
            connection.client.abort()
            raise
        protocol = factory()
        connection.client.attach(protocol)
        return connection.client, protocol

    def open_datagrams(
        self, source_host: str, endpoint: Endpoint, factory: Callable[[], D]
    ) -> tuple[DatagramTransport, D]:
        """A socket that is connected to ``endpoint``, as it is with datagrams: nobody there hears of it."""
        self._opened += 1
        local = (source_host, self._port())
        protocol = factory()
        seed = f"{self._seed} {self._opened}"
        socket = DatagramTransport(self._carry, local, (endpoint.host, endpoint.port), protocol, seed)
        self._sockets[local] = socket
        socket.on_close = lambda: self._forget(local)
        protocol.connection_made(socket)
        return socket, protocol

    def _carry(self, source: Address, to: Address, data: bytes, seed: random.Random) -> None:
        """Put a datagram on its way; what is drawn does not depend on what becomes of it."""
        # The path is that to whoever is bound: his host has a name among the shapes.
        bound = to if Endpoint(*to) in self._datagram_listeners else source
        shape, weather = self._shapes.get(bound[0], self._shape), self._weathers.get(bound[0], Weather())
        is_lost, is_doubled = seed.random() < weather.lost, seed.random() < weather.doubled
        loop = asyncio.get_running_loop()
        for copy in range(1 + is_doubled):
            delay_s = shape.latency_s + seed.uniform(0.0, shape.jitter_s) + seed.uniform(0.0, weather.late_s)
            if copy or not is_lost:
                loop.call_later(delay_s, self._deliver, source, to, data, shape.latency_s)

    def _deliver(self, source: Address, to: Address, data: bytes, latency_s: float) -> None:
        door = self._door(Endpoint(*to))
        if door is Door.SWALLOWED:
            return
        if (socket := self._sockets.get(to)) is not None:
            socket.arrived(source, data)
            return
        listener = self._datagram_listeners.get(Endpoint(*to))
        if listener is not None and door is Door.OPEN:
            listener.arrived(source, data)
        else:
            asyncio.get_running_loop().call_later(latency_s, self._refuse, source, to)

    def _refuse(self, source: Address, by: Address) -> None:
        if (socket := self._sockets.get(source)) is not None:
            socket.refused(by)

    def _forget(self, local: Address) -> None:
        self._sockets.pop(local, None)

    def _unbind_datagrams(self, listener: DatagramListener) -> None:
        self._datagram_listeners.pop(listener.endpoint, None)

    def _port(self) -> int:
        return FIRST_EPHEMERAL_PORT + self._opened % EPHEMERAL_PORTS

    def _open(self, source_host: str, endpoint: Endpoint, shape: Shape) -> Connection:
        self._forget_closed()
        self._opened += 1
        seed = random.Random(f"{self._seed} {self._opened}")  # noqa: S311 - to be repeated
        connection = Connection((source_host, self._port()), (endpoint.host, endpoint.port), shape, seed)
        self._connections.append((endpoint, connection))
        cuts = self._cuts.get(endpoint.host)
        if cuts:
            _cut_later(connection, cuts.popleft())
        return connection

    def _door(self, endpoint: Endpoint) -> Door:
        whole_host = self._doors.get((endpoint.host, None), Door.OPEN)
        return self._doors.get((endpoint.host, endpoint.port), whole_host)

    def _forget_closed(self) -> None:
        self._connections = [each for each in self._connections if not each[1].is_closed]


def _cut_later(connection: Connection, cut: _Cut) -> None:
    pipe = connection.to_server if cut.direction is Direction.TO_LISTENER else connection.to_client
    pipe.on_cut = lambda: _break(connection, cut.how)
    pipe.cut_after(cut.octets)


def _break(connection: Connection, how: Break) -> None:
    match how:
        case Break.RESET:
            connection.reset()
        case Break.SILENCE:
            connection.silence()
