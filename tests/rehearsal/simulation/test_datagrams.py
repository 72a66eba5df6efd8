"""Datagrams of the simulated network: what arrives, how often, in what order, and who hears of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from ptt.errors import MisuseError
from ptt.net.dns_server import DnsDatagrams
from ptt.net.world import ConnectFailed, Endpoint
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.datagrams import MAX_WAITING, Weather
from ptt.rehearsal.simulation.network import Door, Network
from ptt.rehearsal.simulation.world import SimulatedWorld

T = TypeVar("T")

SERVER = Endpoint("192.0.2.53", 53)


class Socket(asyncio.DatagramProtocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.errors: list[Exception] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.append(data)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


def run(main: Callable[[Network, Socket], Awaitable[T]]) -> T:
    """Run with a network and a socket towards ``SERVER``."""

    async def story() -> T:
        network = Network(1)
        opened = await SimulatedWorld(network, "198.51.100.7").open_datagram(SERVER, Socket)
        assert not isinstance(opened, ConnectFailed)
        return await main(network, opened)

    return simulate(story)


def echo() -> DnsDatagrams:
    return DnsDatagrams(lambda wire: wire.upper())


def test_a_datagram_and_its_answer() -> None:
    async def main(network: Network, socket: Socket) -> list[bytes]:
        network.bind_datagrams(SERVER).serve(echo)
        socket.transport.sendto(b"one")
        await asyncio.sleep(1)
        return socket.heard

    assert run(main) == [b"ONE"]


def test_what_comes_while_nobody_reads_waits_up_to_a_bound() -> None:
    async def main(network: Network, socket: Socket) -> int:
        listener = network.bind_datagrams(SERVER)
        for _ in range(MAX_WAITING + 10):
            socket.transport.sendto(b"one")
        await asyncio.sleep(1)
        listener.serve(echo)
        await asyncio.sleep(1)
        return len(socket.heard)

    assert run(main) == MAX_WAITING


def test_two_readers_share_what_comes() -> None:
    async def main(network: Network, socket: Socket) -> list[bytes]:
        listener = network.bind_datagrams(SERVER)
        first = listener.serve(echo)
        listener.serve(lambda: DnsDatagrams(lambda _wire: b"other"))
        for _ in range(4):
            socket.transport.sendto(b"one")
        await asyncio.sleep(1)
        first.close()
        socket.transport.sendto(b"one")
        await asyncio.sleep(1)
        return sorted(socket.heard)

    assert run(main) == [b"ONE"] * 2 + [b"other"] * 3


@pytest.mark.parametrize("is_bound", [False, True])
def test_a_port_that_nobody_serves_is_told(is_bound: bool) -> None:
    async def main(network: Network, socket: Socket) -> int:
        if is_bound:
            network.bind_datagrams(SERVER)
            network.set_door(Door.REFUSED, SERVER.host)
        socket.transport.sendto(b"one")
        await asyncio.sleep(1)
        return len(socket.errors)

    assert run(main) == 1


def test_who_is_swallowed_hears_nothing() -> None:
    async def main(network: Network, socket: Socket) -> tuple[int, int]:
        network.bind_datagrams(SERVER).serve(echo)
        network.set_door(Door.SWALLOWED, SERVER.host)
        socket.transport.sendto(b"one")
        await asyncio.sleep(1)
        return len(socket.heard), len(socket.errors)

    assert run(main) == (0, 0)


def test_weather_loses_doubles_and_reorders() -> None:
    async def main(network: Network, socket: Socket) -> list[bytes]:
        network.bind_datagrams(SERVER).serve(echo)
        network.set_weather(SERVER.host, Weather(lost=0.2, doubled=0.2, late_s=0.2))
        for number in range(200):
            socket.transport.sendto(b"%03d" % number)
        await asyncio.sleep(5)
        return socket.heard

    heard = run(main)
    assert len(set(heard)) < 200
    assert len(heard) > len(set(heard))
    assert heard != sorted(heard)
    assert heard == run(main)


def test_nobody_else_is_heard() -> None:
    async def main(network: Network, socket: Socket) -> list[bytes]:
        other = Endpoint("192.0.2.54", 53)
        stranger = network.bind_datagrams(other).serve(echo)
        stranger.sendto(b"lies", socket.transport.get_extra_info("sockname"))
        await asyncio.sleep(1)
        return socket.heard

    assert run(main) == []


def test_a_dead_host_and_a_closed_socket_are_silent() -> None:
    async def main(network: Network, socket: Socket) -> tuple[list[bytes], list[str]]:
        world = SimulatedWorld(network, SERVER.host)
        await world.serve(network.bind_datagrams(SERVER), echo)
        own = await world.open_datagram(SERVER, Socket)
        assert not isinstance(own, ConnectFailed)
        world.die()
        own.transport.sendto(b"from the dead")
        late = await world.open_datagram(SERVER, Socket)
        assert not isinstance(late, ConnectFailed)
        late.transport.sendto(b"from the dead")
        assert own.transport.is_closing()
        socket.transport.sendto(b"one")
        socket.transport.close()
        socket.transport.abort()
        await asyncio.sleep(1)
        return socket.heard, network.connections

    assert run(main) == ([], [])


def test_misuse_is_told() -> None:
    async def main(network: Network, _socket: Socket) -> None:
        listener = network.bind_datagrams(SERVER)
        with pytest.raises(MisuseError):
            network.bind_datagrams(SERVER)
        with pytest.raises(MisuseError):
            listener.serve(asyncio.Protocol)
        with pytest.raises(MisuseError):
            listener.serve(echo).sendto(b"to nobody")
        listener.close()
        network.bind_datagrams(SERVER)

    run(main)
