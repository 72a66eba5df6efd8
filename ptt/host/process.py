"""One process of a unit: started by exec with four descriptors and nothing else, listened to, ended.

It inherits the boot record as standard input (memory that is read once and is nowhere on a disk), its end of
the control stream as standard output, and the journal's pipe as standard error; no environment, ``/`` as its
folder, a session of its own and, where the host is root, a user and group of its own with no other groups.
"""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptt.boot import BootRecord, UnitFrame, decode_unit_frame, encode
from ptt.errors import Malformed
from ptt.net.control import FrameSocket

MAX_LINE_OCTETS = 128 * 1024  # twice the longest journal line; what is longer comes in pieces
READ_OCTETS = 64 * 1024  # what a pipe holds
HANG_UP_DELAY_S = 0.5  # a process that ends closes its stream a little before it is gone
ALLOCATOR = {
    # glibc raises its limits by itself to the largest piece ever given back: then the 19 MiB of a password
    # check, and whatever a large mail has left, stay with the process (measured: 92 MB instead of 37).
    "MALLOC_MMAP_THRESHOLD_": str(4 * 1024 * 1024),  # lower costs large mail a third of its speed
    "MALLOC_TRIM_THRESHOLD_": str(4 * 1024 * 1024),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # else fresh pages make a password check a third dearer
}
LAST_FRAMES_S = 1.0  # to read what an ended process has said; it is there already


@dataclass(frozen=True, slots=True)
class Program:
    """What is executed. ``user_id`` None: the host's own."""

    interpreter: Path
    image: Path
    user_id: int | None = None

    @property
    def command(self) -> list[str]:
        """Isolated from environment, user's folder and installed packages; writing no bytecode."""
        return [str(self.interpreter), "-I", "-S", "-B", str(self.image)]


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of a process. Frames come before ``on_exit``; ``on_hang_up`` only where no exit follows."""

    on_frame: Callable[[UnitFrame], None]
    on_hang_up: Callable[[str], None]
    on_line: Callable[[bytes], None]
    on_exit: Callable[[int], None]


class UnitProcess:
    """A running process. Raises ``OSError`` when it cannot be started."""

    def __init__(self, program: Program, boot: BootRecord, listeners: Listeners) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        try:
            self._process = _execute(program, encode(boot), theirs.fileno(), writing)
        except BaseException:
            ours.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
        self._is_hung_up = False
        self._code: int | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._frames = FrameSocket(ours, self._heard, self._hung_up)
        self._pid_descriptor = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pid_descriptor, self._ended)
        self._lines = LineReader(reading, listeners.on_line)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Say something; ``descriptors`` must stay open until it is heard or the process has ended."""
        self._frames.send(frame, descriptors)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal; one that ended already is left alone."""
        if self._code is None:
            self._process.send_signal(number)

    def _heard(self, body: bytes) -> None:
        frame = decode_unit_frame(body)
        if isinstance(frame, Malformed):
            self._frames.close()
            self._hung_up(frame)
        else:
            self._listeners.on_frame(frame)

    def _hung_up(self, reason: Malformed | None) -> None:
        self._is_hung_up = True
        if reason is not None:
            self._listeners.on_hang_up(reason.reason)
        elif self._code is not None:
            self._finish(self._code)
        else:
            self._wait(HANG_UP_DELAY_S, lambda: self._listeners.on_hang_up(""))

    def _ended(self) -> None:
        self._loop.remove_reader(self._pid_descriptor)
        os.close(self._pid_descriptor)
        self._code = code = self._process.wait()
        if self._is_hung_up:
            self._finish(code)
        else:
            self._wait(LAST_FRAMES_S, lambda: self._finish(code))

    def _wait(self, delay_s: float, action: Callable[[], None]) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._loop.call_later(delay_s, action)

    def _finish(self, code: int) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._frames.close()
        self._lines.close()
        self._listeners.on_exit(code)


class LineReader:
    """Hands on the lines of a pipe as they come. The descriptor is its own."""

    def __init__(self, descriptor: int, on_line: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._on_line = on_line
        self._rest = b""
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Hand on what is left, an unfinished line too."""
        while self._read():
            pass
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._rest:
            self._on_line(self._rest)
            self._rest = b""

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, READ_OCTETS)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._descriptor)
            return False
        *lines, rest = (self._rest + data).split(b"\n")
        if len(rest) > MAX_LINE_OCTETS:
            lines, rest = [*lines, rest], b""
        self._rest = rest
        for line in lines:
            self._on_line(line)
        return True


def _execute(program: Program, boot: bytes, control: int, journal: int) -> subprocess.Popen[bytes]:
    record = os.memfd_create("boot-record", os.MFD_CLOEXEC)
    try:
        with open(record, "wb", closefd=False) as file:
            file.write(boot)
        os.lseek(record, 0, os.SEEK_SET)
        return subprocess.Popen(
            program.command,
            stdin=record,
            stdout=control,
            stderr=journal,
            cwd="/",
            env=ALLOCATOR,
            start_new_session=True,
            umask=0o077,
            user=program.user_id,
            group=program.user_id,
            extra_groups=None if program.user_id is None else [],
        )
    finally:
        os.close(record)
