"""Connections of memory behave as sockets do: pieces, back-pressure, ends, aborts; and as their seed says."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from ptt.errors import MisuseError
from ptt.net.world import Endpoint
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.pipes import Shape
from ptt.rehearsal.simulation.transports import SimulatedTransport

T = TypeVar("T")
MX = Endpoint("192.0.2.25", 25)
USUAL = Shape(window_octets=65_536)
SLOW = Shape(latency_s=0.1, jitter_s=0.0, octets_per_s=1000.0, piece_octets=100)
Event = tuple[float, str, Any]


class Recorder(asyncio.Protocol):
    """Writes down what it is told and when."""

    def __init__(self, *, stays_open: bool = False) -> None:
        self.events: list[Event] = []
        self.data = bytearray()
        self.stays_open = stays_open
        self.lost = asyncio.Event()
        self.transport: SimulatedTransport

    def note(self, name: str, what: object = None) -> None:
        self.events.append((round(asyncio.get_running_loop().time(), 6), name, what))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, SimulatedTransport)
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.note("data", len(data))

    def eof_received(self) -> bool:
        self.note("eof")
        return self.stays_open

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost", type(exc) if exc else None)
        self.lost.set()

    @property
    def names(self) -> list[str]:
        return [name for _, name, _ in self.events if name not in {"made", "data"}]


Pair = tuple[Recorder, Recorder]


def run(
    scenario: Callable[[Recorder, Recorder], Coroutine[Any, Any, T]],
    shape: Shape = USUAL,
    seed: int = 1,
    *,
    stays_open: bool = False,
) -> T:
    """Connect a client to a server and run the scenario with both."""

    async def main() -> T:
        network = Network(seed, shape)
        server = Recorder(stays_open=stays_open)
        network.bind(MX).serve(lambda: server)
        _, client = await network.connect("198.51.100.7", MX, Recorder)
        return await scenario(client, server)

    return simulate(main)


def trace(seed: int) -> list[Event]:
    async def scenario(client: Recorder, server: Recorder) -> list[Event]:
        for number in range(20):
            client.transport.write(b"x" * 5000)
            server.transport.write(bytes([number]) * 1000)
            await asyncio.sleep(0.01)
        client.transport.close()
        await server.lost.wait()
        await client.lost.wait()
        return client.events + server.events

    return run(scenario, seed=seed)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


@pytest.mark.parametrize("seed", range(5))
def test_octets_arrive_whole_and_in_order_in_many_pieces(seed: int) -> None:
    sent = b"".join(number.to_bytes(4, "big") for number in range(50_000))

    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.writelines(
            [sent[:70_000], bytearray(sent[70_000:150_000]), memoryview(sent)[150_000:]]
        )
        client.transport.close()
        await server.lost.wait()
        assert server.data == sent
        pieces = [what for _, name, what in server.events if name == "data"]
        assert len(pieces) > 20
        assert min(pieces) <= 16
        assert max(pieces) > 1000

    run(scenario, Shape(small_every=3), seed)


def test_latency_and_rate() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        assert client.events == [(0.2, "made", None)]
        assert server.events == [(0.1, "made", None)]
        client.transport.write(b"x" * 1000)
        client.transport.close()
        await server.lost.wait()
        time, *end = server.events[-1]
        assert time == pytest.approx(0.2 + 1.0 + 0.1)
        assert end == ["lost", None]

    run(scenario, SLOW)


def test_names_of_both_ends() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        assert client.transport.get_extra_info("peername") == ("192.0.2.25", 25)
        assert server.transport.get_extra_info("sockname") == ("192.0.2.25", 25)
        assert server.transport.get_extra_info("peername") == client.transport.get_extra_info("sockname")
        assert client.transport.get_extra_info("socket", "none") == "none"
        assert client.transport.get_protocol() is client

    run(scenario)


def test_a_name_of_ipv6_is_as_a_socket_gives_it() -> None:
    async def main() -> object:
        network = Network(1)
        server = Recorder()
        network.bind(Endpoint("2001:db8::1", 25)).serve(lambda: server)
        await network.connect("2001:db8::2", Endpoint("2001:db8::1", 25), Recorder)
        return server.transport.get_extra_info("sockname")

    assert simulate(main) == ("2001:db8::1", 25, 0, 0)


def test_a_reader_that_pauses_holds_the_writer() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        server.transport.pause_reading()
        assert not server.transport.is_reading()
        client.transport.write(b"x" * 300_000)
        assert client.names == ["pause"]
        await asyncio.sleep(100)
        assert server.data == b""
        assert client.transport.get_write_buffer_size() == 300_000 - 65_536
        assert client.transport.get_extra_info("unacknowledged") == 0  # it is in the reader's window
        server.transport.resume_reading()
        await asyncio.sleep(100)
        assert len(server.data) == 300_000
        assert client.names == ["pause", "resume"]
        assert client.transport.get_write_buffer_size() == 0

    run(scenario)


def test_pausing_in_the_middle_keeps_the_rest() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.write(b"x" * 50_000)
        client.transport.close()
        while not server.data:  # noqa: ASYNC110 - its first octets are waited for
            await asyncio.sleep(0.001)
        server.transport.pause_reading()
        got = len(server.data)
        await asyncio.sleep(10)
        assert len(server.data) == got < 50_000
        assert server.names == []
        server.transport.resume_reading()
        await server.lost.wait()
        assert len(server.data) == 50_000

    run(scenario)


def test_write_buffer_limits() -> None:
    async def scenario(client: Recorder, _server: Recorder) -> None:
        transport = client.transport
        assert transport.get_write_buffer_limits() == (16_384, 65_536)
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        transport.write(b"x" * 1000)
        assert client.names == []
        transport.write(b"x")
        assert client.names == ["pause"]
        transport.set_write_buffer_limits(low=10)
        assert transport.get_write_buffer_limits() == (10, 40)
        transport.set_write_buffer_limits()
        with pytest.raises(ValueError, match="high"):
            transport.set_write_buffer_limits(high=1, low=2)

    run(scenario)


def test_close_sends_what_is_buffered() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.write(b"x" * 100_000)
        client.transport.close()
        client.transport.close()
        assert client.transport.is_closing()
        client.transport.write(b"too late")
        await server.lost.wait()
        assert server.data == b"x" * 100_000
        assert server.names == ["eof", "lost"]
        assert client.events[-1][1:] == ("lost", None)

    run(scenario)


def test_half_a_connection_can_be_closed() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        assert client.transport.can_write_eof()
        client.transport.write(b"question")
        client.transport.write_eof()
        client.transport.write_eof()
        with pytest.raises(RuntimeError):
            client.transport.write(b"more")
        await asyncio.sleep(1)
        assert server.names == ["eof"]
        server.transport.write(b"answer")
        server.transport.close()
        await client.lost.wait()
        assert server.data == b"question"
        assert client.data == b"answer"
        assert client.events[-1][1:] == ("lost", None)

    run(scenario, stays_open=True)


def test_an_end_that_closes_both_halves_after_one() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.write(b"x")
        client.transport.write_eof()
        client.transport.close()
        await asyncio.sleep(1)
        assert server.names == ["eof"]
        server.transport.close()
        await server.lost.wait()
        assert client.names == server.names[1:] == ["lost"]

    run(scenario, stays_open=True)


def test_abort_drops_what_is_buffered_and_resets_the_other_end() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.write(b"x" * 1000)
        client.transport.abort()
        client.transport.abort()
        await server.lost.wait()
        assert server.data == b""
        assert server.events[-1][1:] == ("lost", ConnectionResetError)
        assert client.events[-1][1:] == ("lost", None)
        server.transport.abort()
        assert client.names == server.names == ["lost"]

    run(scenario)


def test_what_was_under_way_before_an_abort_arrives() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.write(b"x" * 10)
        await asyncio.sleep(0.05)
        client.transport.abort()
        await server.lost.wait()
        assert server.data

    run(scenario, SLOW)


def test_closing_with_something_unread_is_a_reset() -> None:
    """The way in which a last reply gets lost in real life (RFC 1122 §4.2.2.13)."""

    async def scenario(client: Recorder, server: Recorder) -> None:
        server.transport.pause_reading()
        client.transport.write(b"pipelined")
        await asyncio.sleep(1)
        server.transport.close()
        await client.lost.wait()
        assert client.events[-1][1:] == ("lost", ConnectionResetError)

    run(scenario)


def test_what_arrives_while_closing_makes_it_a_reset() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.pause_reading()
        server.transport.write(b"x" * 100_000)
        server.transport.close()
        await asyncio.sleep(1)
        client.transport.write(b"unheard")
        await asyncio.sleep(1)
        client.transport.resume_reading()
        await client.lost.wait()
        assert client.events[-1][1:] == ("lost", ConnectionResetError)
        assert len(client.data) == 100_000

    run(scenario)


def test_writing_to_who_has_closed_is_answered_by_a_reset() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        server.transport.close()
        await asyncio.sleep(0.05)
        assert client.names == ["eof"]
        client.transport.write(b"x")
        await client.lost.wait()
        assert client.events[-1][1:] == ("lost", ConnectionResetError)

    async def main() -> None:
        network = Network(1)
        server = Recorder()
        network.bind(MX).serve(lambda: server)
        _, client = await network.connect("198.51.100.7", MX, lambda: Recorder(stays_open=True))
        await scenario(client, server)

    simulate(main)


def test_a_reader_that_pauses_hears_of_a_reset_when_it_writes() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        server.transport.pause_reading()
        client.transport.abort()
        await asyncio.sleep(10)
        assert server.names == []
        server.transport.write(b"x")
        await server.lost.wait()
        assert server.events[-1][1:] == ("lost", ConnectionResetError)
        server.transport.resume_reading()
        server.transport.write(b"x")
        server.transport.write_eof()
        await asyncio.sleep(1)
        assert server.names == ["lost"]

    run(scenario)


def test_a_reset_while_closing() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        server.transport.pause_reading()
        client.transport.write(b"x" * 200_000)
        client.transport.close()
        await asyncio.sleep(1)
        server.transport.abort()
        await client.lost.wait()
        assert client.events[-1][1:] == ("lost", ConnectionResetError)

    run(scenario)


def test_unacknowledged_octets_are_known() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.write(b"x" * 10)
        seen = []
        for _ in range(8):
            await asyncio.sleep(0.05)
            seen.append(client.transport.get_extra_info("unacknowledged"))
        assert max(seen) == 10
        assert seen[-1] == 0
        arrived = max(time for time, name, _ in server.events if name == "data")
        assert arrived == pytest.approx(0.31, abs=0.02)
        assert seen[1] > 0  # before anything can have come back
        assert seen[2] > 0

    run(scenario, SLOW)


def test_a_peer_that_closes_after_the_last_octet_has_acknowledged_it() -> None:
    """What the edge goes by when it says that a 250 was taken."""

    class Edge(Recorder):
        unacknowledged = -1

        def eof_received(self) -> bool:
            self.unacknowledged = self.transport.get_extra_info("unacknowledged")
            return True

        def data_received(self, data: bytes) -> None:
            raise AssertionError(data)

    class Client(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if len(self.data) == 10:
                self.transport.close()

    async def main() -> None:
        for seed in range(20):
            network = Network(seed)
            server = Edge()
            network.bind(MX).serve(lambda server=server: server)  # type: ignore[misc]
            await network.connect("198.51.100.7", MX, Client)
            server.transport.write(b"0123456789")
            await asyncio.sleep(1)
            assert server.unacknowledged == 0

    simulate(main)


def test_what_reaches_a_closed_end_is_acknowledged_to_nobody() -> None:
    """Else the edge would take a 250 for read that crossed the end of a program without patience."""

    async def scenario(client: Recorder, server: Recorder) -> None:
        client.transport.close()
        await asyncio.sleep(0)
        server.transport.write(b"0123456789")
        await asyncio.sleep(5)
        assert server.transport.get_extra_info("unacknowledged") == 10

    run(scenario, SLOW)


class Buffered(asyncio.BufferedProtocol):
    """Reads into a small buffer of its own."""

    def __init__(self) -> None:
        self.buffer = bytearray(7)
        self.data = bytearray()
        self.lost = asyncio.Event()

    def get_buffer(self, sizehint: int) -> bytearray:
        assert sizehint != 0
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]

    def connection_lost(self, exc: Exception | None) -> None:
        assert exc is None
        self.lost.set()


def test_buffered_protocols() -> None:
    async def main() -> bytes:
        network = Network(1)
        server = Buffered()
        network.bind(MX).serve(lambda: server)
        transport, _ = await network.connect("198.51.100.7", MX, Recorder)
        transport.write(b"0123456789" * 10)
        transport.close()
        await server.lost.wait()
        return bytes(server.data)

    assert simulate(main) == b"0123456789" * 10


def test_a_protocol_that_fails_ends_its_connection_and_the_run() -> None:
    class Failing(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ValueError(f"a bug with {len(data)} octets")

    async def main() -> None:
        network = Network(1)
        server = Failing()
        network.bind(MX).serve(lambda: server)
        _, client = await network.connect("198.51.100.7", MX, Recorder)
        client.transport.write(b"x")
        await client.lost.wait()
        assert client.events[-1][1:] == ("lost", ConnectionResetError)
        assert server.events[-1][1:] == ("lost", ValueError)

    with pytest.raises(MisuseError, match="a protocol failed") as caught:
        simulate(main)
    assert isinstance(caught.value.__cause__, ValueError)


def test_another_protocol_can_take_over() -> None:
    async def scenario(client: Recorder, server: Recorder) -> None:
        other = Recorder()
        server.transport.set_protocol(other)
        client.transport.write(b"x")
        client.transport.close()
        await other.lost.wait()
        assert server.data == b""
        assert other.data == b"x"

    run(scenario)
