"""Listeners, and everything that can go wrong on the way to them."""

import asyncio
from functools import partial
from typing import Any

import pytest

from ptt.errors import MisuseError
from ptt.net.world import Endpoint
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.network import Break, Direction, Door, Network
from ptt.rehearsal.simulation.pipes import Shape

MX = Endpoint("192.0.2.25", 25)


class Peer(asyncio.Protocol):
    """Keeps what it got and how it ended."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost = asyncio.Event()
        self.error: Exception | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.lost.set()


async def connected(network: Network, endpoint: Endpoint = MX) -> tuple[Peer, Peer]:
    """A client and the server that was made for it."""
    made: list[Peer] = []

    def make() -> Peer:
        made.append(Peer())
        return made[-1]

    server = network._listeners[endpoint].serve(make)
    _, client = await network.connect("198.51.100.7", endpoint, Peer)
    server.close()
    return client, made[0]


def test_nobody_listens() -> None:
    async def main() -> float:
        with pytest.raises(ConnectionRefusedError):
            await Network(1).connect("198.51.100.7", MX, Peer)
        return asyncio.get_running_loop().time()

    assert simulate(main) == pytest.approx(0.04)


def test_a_door_that_refuses_one_port_or_all() -> None:
    async def main() -> None:
        network = Network(1)
        network.bind(MX)
        other = Endpoint(MX.host, 587)
        network.bind(other)
        network.set_door(Door.REFUSED, MX.host, 25)
        with pytest.raises(ConnectionRefusedError):
            await network.connect("198.51.100.7", MX, Peer)
        await connected(network, other)
        network.set_door(Door.REFUSED, MX.host)
        network.set_door(Door.OPEN, MX.host, 25)
        await connected(network)
        with pytest.raises(ConnectionRefusedError):
            await network.connect("198.51.100.7", other, Peer)

    simulate(main)


def test_a_door_that_swallows() -> None:
    async def main() -> float:
        network = Network(1)
        network.bind(MX)
        network.set_door(Door.SWALLOWED, MX.host)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(8):
                await network.connect("198.51.100.7", MX, Peer)
        return asyncio.get_running_loop().time()

    assert simulate(main) == pytest.approx(8)


def test_who_comes_before_anybody_serves_waits() -> None:
    async def main() -> bytes:
        network = Network(1)
        listener = network.bind(MX)
        transport, client = await network.connect("198.51.100.7", MX, Peer)
        transport.write(b"early")
        await asyncio.sleep(10)
        server = Peer()
        listener.serve(lambda: server)
        await asyncio.sleep(1)
        assert not client.lost.is_set()
        return bytes(server.data)

    assert simulate(main) == b"early"


def test_two_who_serve_one_listener_take_turns_and_one_can_leave() -> None:
    async def main() -> list[int]:
        network = Network(1)
        listener = network.bind(MX)
        taken: list[int] = []

        def take(number: int) -> Peer:
            taken.append(number)
            return Peer()

        servers = [listener.serve(partial(take, number)) for number in (1, 2)]
        for _ in range(3):
            await network.connect("198.51.100.7", MX, Peer)
        servers[0].close()
        servers[0].close()
        for _ in range(2):
            await network.connect("198.51.100.7", MX, Peer)
        return taken

    assert simulate(main) == [1, 2, 1, 2, 2]


def test_a_listener_that_is_closed_refuses_and_resets_who_waits() -> None:
    async def main() -> None:
        network = Network(1)
        listener = network.bind(MX)
        with pytest.raises(MisuseError):
            network.bind(MX)
        _, waiting = await network.connect("198.51.100.7", MX, Peer)
        listener.close()
        await waiting.lost.wait()
        assert isinstance(waiting.error, ConnectionResetError)
        with pytest.raises(ConnectionRefusedError):
            await network.connect("198.51.100.7", MX, Peer)
        network.bind(MX)

    simulate(main)


def test_who_gives_up_connecting_leaves_a_reset_connection() -> None:
    async def main() -> None:
        network = Network(1)
        server = Peer()
        network.bind(MX).serve(lambda: server)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await network.connect("198.51.100.7", MX, Peer)
        await server.lost.wait()
        assert isinstance(server.error, ConnectionResetError)

    simulate(main)


def test_a_waiting_connection_that_nobody_has_accepted_has_no_protocol() -> None:
    async def main() -> None:
        network = Network(1)
        network.bind(MX)
        await network.connect("198.51.100.7", MX, Peer)
        (_, connection), *_ = network._connections
        with pytest.raises(MisuseError):
            connection.server.get_protocol()

    simulate(main)


@pytest.mark.parametrize("octets", [0, 1, 1000, 70_000])
@pytest.mark.parametrize("direction", Direction)
def test_a_cut_after_so_many_octets(octets: int, direction: Direction) -> None:
    async def main() -> None:
        network = Network(octets)
        network.bind(MX)
        network.cut_next(MX.host, octets, direction)
        client, server = await connected(network)
        writer, reader = (client, server) if direction is Direction.TO_LISTENER else (server, client)
        writer.transport.write(b"x" * 100_000)
        await reader.lost.wait()
        await writer.lost.wait()
        assert len(reader.data) == octets
        assert isinstance(reader.error, ConnectionResetError)
        assert isinstance(writer.error, ConnectionResetError)
        client, server = await connected(network)  # the next one is whole
        client.transport.write(b"x" * 100_000)
        client.transport.close()
        await server.lost.wait()
        assert len(server.data) == 100_000

    simulate(main)


def test_a_silent_cut_is_told_to_nobody() -> None:
    async def main() -> None:
        network = Network(1)
        network.bind(MX)
        network.cut_next(MX.host, 500, how=Break.SILENCE, connections=2)
        for _ in range(2):
            client, server = await connected(network)
            client.transport.write(b"x" * 100_000)
            await asyncio.sleep(1000)
            assert len(server.data) == 500
            assert client.transport.get_write_buffer_size() > 0
            server.transport.write(b"unheard")
            client.transport.close()
            await asyncio.sleep(1000)
            assert client.data == b""
            assert not client.lost.is_set()
            client.transport.abort()
            await client.lost.wait()
            assert not server.lost.is_set()

    simulate(main)


def test_a_silent_cut_lets_nothing_more_arrive_of_what_was_read_before() -> None:
    async def main() -> None:
        network = Network(1, Shape(latency_s=1.0, window_octets=65_536))
        network.bind(MX)
        client, server = await connected(network)
        client.transport.write(b"x" * 1_000_000)
        network.cut_at(asyncio.get_running_loop().time() + 2.5, MX.host, Break.SILENCE)
        await asyncio.sleep(100)
        assert 0 < len(server.data) <= 131_072
        assert client.transport.get_write_buffer_size() > 800_000

    simulate(main)


def test_a_cut_at_a_time_is_for_one_host_only() -> None:
    async def main() -> None:
        network = Network(1)
        other = Endpoint("192.0.2.26", 25)
        network.bind(MX)
        network.bind(other)
        client, server = await connected(network)
        whole, _ = await connected(network, other)
        assert (network.open_connections(MX.host), network.open_connections(other.host)) == (1, 1)
        network.cut_at(100.0, MX.host)
        await client.lost.wait()
        await server.lost.wait()
        assert asyncio.get_running_loop().time() == pytest.approx(100)
        assert network.open_connections(MX.host) == 0
        await asyncio.sleep(100)
        assert not whole.lost.is_set()
        network.cut_now(other.host)
        await whole.lost.wait()

    simulate(main)


def test_the_shape_of_a_host() -> None:
    async def main() -> float:
        network = Network(1)
        network.set_shape(MX.host, Shape(latency_s=5.0))
        network.bind(MX)
        await connected(network)
        return asyncio.get_running_loop().time()

    assert simulate(main) == pytest.approx(10)


def test_what_passes_on_one_connection_changes_nothing_on_another() -> None:
    def arrivals(*, other_is_busy: bool) -> list[Any]:
        async def main() -> list[Any]:
            network = Network(7)
            other = Endpoint("192.0.2.26", 25)
            network.bind(MX)
            network.bind(other)
            busy, _ = await connected(network, other)
            client, server = await connected(network)
            seen: list[Any] = []
            receive = server.data_received

            def note(data: bytes) -> None:
                seen.append((asyncio.get_running_loop().time(), len(data)))
                receive(data)

            server.data_received = note  # type: ignore[method-assign]
            if other_is_busy:
                busy.transport.write(b"y" * 100_000)
            client.transport.write(b"x" * 100_000)
            client.transport.close()
            await server.lost.wait()
            return seen

        return simulate(main)

    assert arrivals(other_is_busy=True) == arrivals(other_is_busy=False)
