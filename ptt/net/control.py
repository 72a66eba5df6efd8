"""The control stream over a socket: frames both ways in order, listeners as descriptors beside them.

``FrameSocket`` is one end, whichever: it sends without ever blocking the loop and hands over the bodies of
what comes. Descriptors (SCM_RIGHTS, unix(7)) arrive with the first octets of their frame, so they are there
before the frame is whole; they are matched to ``Publish`` and ``GiveStream`` frames in order. A stream that
breaks the form is lost and closed with the reason: both ends are ours, nothing is guessed.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ptt.boot import FrameCutter, GiveStream, Publish, UnitFrame, decode_host_frame, encode
from ptt.errors import Malformed, MisuseError
from ptt.net.world import HostSaid, Published

CONTROL_DESCRIPTOR = 3  # where a unit keeps its end
READ_OCTETS = 256 * 1024  # more than a socket's buffer holds by default
MAX_READS = 16  # in a row, then others have their turn; together far more than a socket's buffer holds
MAX_DESCRIPTORS = 16  # with one frame; no unit has as many listeners, on both families together
MAX_QUEUED_OCTETS = 64 * 1024 * 1024  # four of the greatest frames; an end that reads nothing is lost


class FrameSocket:
    """One end of a control stream.

    ``on_body`` gets each frame's body in order, ``on_closed`` is called once, with the reason when the stream
    was broken and None when the other end just left. ``max_descriptors`` is 0 where none may come.
    """

    def __init__(
        self,
        end: socket.socket,
        on_body: Callable[[bytes], None],
        on_closed: Callable[[Malformed | None], None],
        max_descriptors: int = 0,
    ) -> None:
        end.setblocking(False)
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._on_body = on_body
        self._on_closed = on_closed
        self._max_descriptors = max_descriptors
        self._cutter = FrameCutter()
        self._descriptors: deque[int] = deque()
        self._queue: deque[tuple[memoryview, list[int]]] = deque()
        self._queued = 0
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._open = True
        self._loop.add_reader(end, self._readable)

    def send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Queue a whole frame, with copies of ``descriptors``; these stay the caller's."""
        if len(descriptors) > MAX_DESCRIPTORS:
            raise MisuseError(f"{len(descriptors)} descriptors with one frame")
        if not self._open:
            return
        self._queued += len(frame)
        if self._queued > MAX_QUEUED_OCTETS:
            self._lost(Malformed("the other end reads nothing"))
            return
        self._queue.append((memoryview(frame), [os.dup(descriptor) for descriptor in descriptors]))
        if len(self._queue) == 1:
            self._flush()

    async def wait_flushed(self) -> None:
        """Wait until everything is sent, or the stream is closed."""
        await self._flushed.wait()

    def take_descriptors(self, count: int) -> list[int] | None:
        """The next descriptors that came, in order, the caller's from now on; None: there are not as many."""
        if len(self._descriptors) < count:
            return None
        return [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close this end; ``on_closed`` is not called."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._end)
        self._loop.remove_writer(self._end)
        self._end.close()
        self._drop_queue()
        self._flushed.set()
        _close_all(self._descriptors)
        self._descriptors.clear()

    def _readable(self) -> None:
        """Read until nothing is left: after a reset libuv calls once and no more."""
        for _ in range(MAX_READS):
            if not self._open or not self._read_once():
                return

    def _read_once(self) -> bool:
        """One read; False: nothing is there at the moment, or the stream is closed."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._end, READ_OCTETS, self._max_descriptors)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # reset: the other end was killed with something unread
            self._lost(None)
            return False
        self._descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC:
            self._lost(Malformed("more descriptors than may come"))
        elif data:
            self._take(data)
        else:
            self._lost(None)
        return self._open

    def _take(self, data: bytes) -> None:
        bodies = self._cutter.feed(data)
        if isinstance(bodies, Malformed):
            self._lost(bodies)
            return
        for body in bodies:
            if self._open:  # a body may have been the reason to close
                self._on_body(body)

    def _flush(self) -> None:
        try:
            while self._queue:
                self._send_first()
        except (BlockingIOError, InterruptedError):
            self._flushed.clear()
            self._loop.add_writer(self._end, self._flush)
            return
        except OSError:  # the other end is gone; what it said last is still read, then on_closed is called
            self._drop_queue()
        self._queued = 0
        self._flushed.set()
        self._loop.remove_writer(self._end)

    def _send_first(self) -> None:
        frame, descriptors = self._queue[0]
        sent = socket.send_fds(self._end, [frame], descriptors) if descriptors else self._end.send(frame)
        _close_all(descriptors)  # they went with the first octets
        self._queued -= sent
        if sent == len(frame):
            self._queue.popleft()
        else:
            self._queue[0] = (frame[sent:], [])

    def _drop_queue(self) -> None:
        for _, descriptors in self._queue:
            _close_all(descriptors)
        self._queue.clear()

    def _lost(self, reason: Malformed | None) -> None:
        self.close()
        self._on_closed(reason)


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class SocketControlStream:
    """A unit's end: ``ControlStream`` of ``ptt.net.world``. ``on_fault`` hears why a stream was given up."""

    def __init__(self, end: socket.socket, on_fault: Callable[[str], None]) -> None:
        self._said: asyncio.Queue[HostSaid | None] = asyncio.Queue()
        self._on_fault = on_fault
        self._frames = FrameSocket(end, self._heard, self._gone, MAX_DESCRIPTORS)

    def send(self, frame: UnitFrame) -> None:
        """Queue a frame; order is kept, nothing is awaited."""
        self._frames.send(encode(frame))

    async def receive(self) -> HostSaid | None:
        """The next frame; None when the host is gone, now and at each further call."""
        said = await self._said.get()
        if said is None:
            self._said.put_nowait(None)
        return said

    async def wait_flushed(self) -> None:
        """Wait until the host has everything, or is gone."""
        await self._frames.wait_flushed()

    def close(self) -> None:
        """Hang up."""
        self._frames.close()

    def _heard(self, body: bytes) -> None:
        frame = decode_host_frame(body)
        if isinstance(frame, Malformed):
            self._break_off(frame.reason)
            return
        published: tuple[Published, ...] = ()
        if isinstance(frame, Publish):
            descriptors = self._frames.take_descriptors(len(frame.listeners))
            if descriptors is None:
                self._break_off(f"{len(frame.listeners)} listeners published with fewer descriptors")
                return
            published = tuple(
                Published(listener, socket.socket(fileno=descriptor))
                for listener, descriptor in zip(frame.listeners, descriptors, strict=True)
            )
        stream = None
        if isinstance(frame, GiveStream) and not frame.reason:
            descriptors = self._frames.take_descriptors(1)
            if descriptors is None:
                self._break_off("a stream without its descriptor")
                return
            stream = socket.socket(fileno=descriptors[0])
        self._said.put_nowait(HostSaid(frame, published, stream))

    def _break_off(self, reason: str) -> None:
        self._frames.close()
        self._gone(Malformed(reason))

    def _gone(self, reason: Malformed | None) -> None:
        if reason is not None:
            self._on_fault(reason.reason)
        self._said.put_nowait(None)
