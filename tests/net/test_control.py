"""Both ends of a control stream over real socket pairs."""

import asyncio
import os
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from ptt import boot
from ptt.boot import Drain, Drained, KeepState, Listener, Peers, Publish, Ready, encode
from ptt.errors import Malformed, MisuseError
from ptt.net import control
from ptt.net.control import MAX_DESCRIPTORS, FrameSocket, SocketControlStream

WEB = Listener("web", "127.0.0.1", 80)
MAIL = Listener("mail", "127.0.0.1", 25)


def run(scene: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scene, 10))


class HostEnd:
    """The host's side, and the unit's stream."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.heard: list[bytes] = []
        self.closed: list[Malformed | None] = []
        self.frames = FrameSocket(ours, self.heard.append, self.closed.append)
        self.faults: list[str] = []
        self.unit_socket = theirs
        self.stream = SocketControlStream(theirs, self.faults.append)

    def close(self) -> None:
        self.frames.close()
        self.stream.close()


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110 - a condition of the other process or of the kernel
        await asyncio.sleep(0.001)


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_frames_go_both_ways_in_order() -> None:
    async def scene() -> None:
        host = HostEnd()
        host.stream.send(Ready(b"certificate"))
        host.stream.send(KeepState("key", b"value"))
        host.stream.send(Drained())
        await until(lambda: len(host.heard) == 3)
        heard = [boot.decode_unit_frame(body) for body in host.heard]
        assert heard == [Ready(b"certificate"), KeepState("key", b"value"), Drained()]
        for frame in (Peers((), ()), Drain(3.0)):
            host.frames.send(encode(frame))
        frames = [said.frame for said in (await host.stream.receive(), await host.stream.receive()) if said]
        assert frames == [Peers((), ()), Drain(3.0)]
        host.close()

    run(scene())


def test_listeners_come_with_their_frames() -> None:
    async def scene() -> None:
        host = HostEnd()
        with listening() as first, listening() as second, listening() as third:
            host.frames.send(encode(Publish((WEB, MAIL))), (first.fileno(), second.fileno()))
            host.frames.send(encode(Drain(1.0)))
            host.frames.send(encode(Publish((WEB,))), (third.fileno(),))
            await host.frames.wait_flushed()
            names = [s.getsockname() for s in (first, second, third)]
        one, _, other = [await host.stream.receive() for _ in range(3)]
        assert one is not None
        assert other is not None
        published = [*one.published, *other.published]
        assert [each.listener for each in published] == [WEB, MAIL, WEB]
        sockets = [each.handle for each in published if isinstance(each.handle, socket.socket)]
        assert [each.getsockname() for each in sockets] == names
        for each in sockets:
            each.close()
        host.close()

    run(scene())


def test_much_is_queued_without_blocking_and_arrives_whole() -> None:
    async def scene() -> None:
        host = HostEnd()
        values = [bytes([i]) * 1_000_000 for i in range(20)]
        for i, value in enumerate(values):
            host.stream.send(KeepState(str(i), value))
        with listening() as listener:
            # Descriptors wait behind frames that do not fit yet.
            host.frames.send(encode(boot.GiveState((("big", bytes(5_000_000)),))))
            host.frames.send(encode(Publish((WEB,))), (listener.fileno(),))
            await asyncio.gather(host.stream.wait_flushed(), host.frames.wait_flushed())
        await until(lambda: len(host.heard) == 20)
        kept = [boot.decode_unit_frame(body) for body in host.heard]
        assert kept == [KeepState(str(i), value) for i, value in enumerate(values)]
        await host.stream.receive()
        said = await host.stream.receive()
        assert said is not None
        assert isinstance(said.published[0].handle, socket.socket)
        said.published[0].handle.close()
        host.close()

    run(scene())


def test_an_end_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_QUEUED_OCTETS", 3_000_000)

    async def scene() -> None:
        ours, theirs = socket.socketpair()
        closed: list[Malformed | None] = []
        frames = FrameSocket(ours, lambda _: None, closed.append)
        for _ in range(4):
            frames.send(bytes(1_000_000))
        assert closed == [Malformed("the other end reads nothing")]
        frames.send(b"into the void")
        await frames.wait_flushed()
        theirs.close()

    run(scene())


def test_a_host_that_leaves_is_gone_for_good() -> None:
    async def scene() -> None:
        host = HostEnd()
        host.frames.send(encode(Drain(1.0)))
        host.frames.close()
        said = await host.stream.receive()
        assert said is not None
        assert said.frame == Drain(1.0)
        assert await host.stream.receive() is None
        assert await host.stream.receive() is None
        host.stream.send(Drained())  # nobody hears it, nothing breaks
        await host.stream.wait_flushed()
        assert host.faults == []
        host.close()

    run(scene())


def test_a_unit_that_leaves_is_noticed_even_with_something_unread() -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair()
        closed: list[Malformed | None] = []
        heard: list[bytes] = []
        frames = FrameSocket(ours, heard.append, closed.append)
        frames.send(encode(Drain(1.0)))
        theirs.send(encode(Drained()))
        theirs.close()
        frames.send(encode(Drain(1.0)))
        await until(lambda: closed)
        assert closed == [None]
        frames.close()
        frames.close()

    run(scene())


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"\xff\xff\xff\xff", "a frame of 4294967295 octets"),
        (b"\0\0\0\1\xc1", "MessagePack data is malformed"),
        (encode(Drained()), "Invalid value 'drained'"),
        (encode(Publish((WEB,))), "1 listeners published with fewer descriptors"),
    ],
)
def test_a_broken_stream_is_closed_with_its_reason(sent: bytes, fault: str) -> None:
    async def scene() -> None:
        host = HostEnd()
        host.frames.send(sent + encode(Drain(1.0)))
        assert await host.stream.receive() is None
        assert len(host.faults) == 1
        assert fault in host.faults[0]
        await until(lambda: host.closed)
        host.close()

    run(scene())


def test_descriptors_where_none_may_come_break_the_stream() -> None:
    async def scene() -> None:
        host = HostEnd()
        with listening() as listener:
            socket.send_fds(host.unit_socket, [encode(Drained())], [listener.fileno()])
            await until(lambda: host.closed)
        assert host.closed == [Malformed("more descriptors than may come")]
        host.close()

    run(scene())


def test_descriptors_that_no_frame_asks_for_are_closed_at_the_end() -> None:
    async def scene() -> None:
        host = HostEnd()
        reading, writing = os.pipe()
        host.frames.send(encode(Drain(1.0)), (writing,))
        await host.stream.receive()
        os.close(writing)
        host.close()
        assert os.read(reading, 1) == b""  # every copy of the writing end is closed
        os.close(reading)

    run(scene())


def test_too_many_descriptors_are_our_own_mistake() -> None:
    async def scene() -> None:
        host = HostEnd()
        with pytest.raises(MisuseError):
            host.frames.send(b"", [0] * (MAX_DESCRIPTORS + 1))
        host.close()

    run(scene())


def test_pieces_do_not_matter() -> None:
    async def scene() -> None:
        host = HostEnd()
        for octet in encode(Ready(b"x")) + encode(Drained()):
            host.unit_socket.send(bytes([octet]))
            await asyncio.sleep(0)
        await until(lambda: len(host.heard) == 2)
        host.close()

    run(scene())


def test_closing_within_a_frame_stops_the_rest() -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair()
        heard: list[bytes] = []

        def hear(body: bytes) -> None:
            heard.append(body)
            frames.close()

        frames = FrameSocket(ours, hear, lambda _: None)
        theirs.send(encode(Drained()) * 2)
        await until(lambda: heard)
        assert len(heard) == 1
        with suppress(OSError):
            theirs.close()

    run(scene())
