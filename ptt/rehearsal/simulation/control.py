"""A unit's line to its host and its journal, held as lists: a scenario plays the host with them.

Frames and journal lines pass through their wire forms, so what could not be sent by a real unit cannot be
sent here.
"""

import asyncio
import traceback
from collections.abc import Mapping
from typing import TypeVar

from ptt.boot import (
    LENGTH_OCTETS,
    HostFrame,
    Publish,
    UnitFrame,
    decode_host_frame,
    decode_unit_frame,
    encode,
)
from ptt.boot import Listener as ListenerFrame
from ptt.errors import Malformed, MisuseError
from ptt.net.world import HostSaid, Published
from ptt.records.journal import JournalLine, decode_line, encode_line
from ptt.rehearsal.simulation.datagrams import DatagramListener
from ptt.rehearsal.simulation.network import Listener

T = TypeVar("T")


class SimulatedControl:
    """Both ends of a control stream. ``heard`` has all that the unit has said, in order."""

    def __init__(self) -> None:
        self.heard: list[UnitFrame] = []
        self._said: asyncio.Queue[HostSaid | None] = asyncio.Queue()
        self._news = asyncio.Event()

    # The unit's end (``ControlStream``)

    def send(self, frame: UnitFrame) -> None:
        """Say something to the host."""
        heard = decode_unit_frame(encode(frame)[LENGTH_OCTETS:])
        if isinstance(heard, Malformed):
            raise MisuseError(f"this cannot be sent: {heard.reason}")
        self.heard.append(heard)
        self._news.set()

    async def receive(self) -> HostSaid | None:
        """The next frame; None when the host is gone, now and at each further call."""
        said = await self._said.get()
        if said is None:
            self._said.put_nowait(None)
        return said

    # The host's end

    def say(self, frame: HostFrame, published: tuple[Published, ...] = ()) -> None:
        """Say something to the unit."""
        said = decode_host_frame(encode(frame)[LENGTH_OCTETS:])
        if isinstance(said, Malformed):
            raise MisuseError(f"this cannot be sent: {said.reason}")
        self._said.put_nowait(HostSaid(said, published))

    def publish(self, listeners: Mapping[str, Listener | DatagramListener]) -> None:
        """Give the unit listeners by the names of its manifest."""
        published = tuple(
            Published(_frame_of(name, listener), listener) for name, listener in listeners.items()
        )
        self.say(Publish(tuple(each.listener for each in published)), published)

    def hang_up(self) -> None:
        """Be gone, as a host that was killed."""
        self._said.put_nowait(None)

    async def wait_for(self, kind: type[T], count: int = 1) -> T:
        """Wait until the unit has said so many frames of a kind since it began; gives the last of these."""
        while len(found := [frame for frame in self.heard if isinstance(frame, kind)]) < count:
            self._news.clear()
            await self._news.wait()
        return found[count - 1]


def _frame_of(name: str, listener: Listener | DatagramListener) -> ListenerFrame:
    where, transport = listener.endpoint, "udp" if isinstance(listener, DatagramListener) else "tcp"
    return ListenerFrame(name, where.host, where.port, transport)


class SimulatedJournal:
    """``lines`` as they would be read back. A failure is a bug of ours: ``failures`` must stay empty."""

    def __init__(self) -> None:
        self.lines: list[JournalLine] = []
        self.alarms: list[str] = []
        self.failures: list[str] = []

    def write(self, line: JournalLine) -> None:
        """Keep a line."""
        read = decode_line(encode_line(line))
        if isinstance(read, Malformed):
            raise MisuseError(f"this cannot be written: {read.reason}")
        self.lines.append(read)

    def alarm(self, what: str) -> None:
        """Keep an alarm."""
        self.alarms.append(what)

    def failure(self, where: str, error: BaseException) -> None:
        """Keep a traceback."""
        self.failures.append(f"{where}: {''.join(traceback.format_exception(error))}")
