"""A unit's journal: one JSON line each on standard error, which the host gathers.

A host that is slow to read never holds a unit up: what does not fit into the pipe waits here, and past a
bound lines are dropped and their number is told when there is room again. A host that is gone loses them all;
mail under way is worth more.
"""

import asyncio
import os
import select
import traceback
from contextlib import suppress
from datetime import UTC, datetime

from ptt.boot import BootRecord
from ptt.records.journal import MAX_DETAIL_CHARACTERS, JournalLine, encode_line

STANDARD_ERROR = 2
MAX_WAITING_OCTETS = 1024 * 1024  # some thousand lines; a host that is behind by more than that is stuck
PIECE_OCTETS = select.PIPE_BUF  # a pipe that is writable takes so much without blocking (pipe(7))
RETRY_S = 0.1
LAST_WORDS_MS = 1000  # at the end of the process, for a host that is only slow


class StderrJournal:
    """``Journal`` of a real unit. It has no name before the boot record is read."""

    def __init__(self, descriptor: int = STANDARD_ERROR) -> None:
        self._descriptor = descriptor
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._unit = "unit"
        self._generation = 0
        self._digest: str | None = None
        self._waiting = bytearray()
        self._dropped = 0
        self._retry: asyncio.TimerHandle | None = None

    def name(self, boot: BootRecord) -> None:
        """Say from now on who writes."""
        self._unit, self._generation, self._digest = boot.unit, boot.generation, boot.digest

    def write(self, line: JournalLine) -> None:
        """Write one line, at once if the host reads."""
        if len(self._waiting) > MAX_WAITING_OCTETS:
            self._dropped += 1
            return
        self._queue(encode_line(line))
        self._flush(0)
        if self._waiting:
            self._flush_later()

    def say(self, event: str, detail: str) -> None:
        """Write a line about this process itself."""
        self.write(self._line(event, detail))

    def alarm(self, what: str) -> None:
        """Something that an operator must see; mail goes on."""
        self.write(self._line("alarm", what))

    def failure(self, where: str, error: BaseException) -> None:
        """A bug of ours: the traceback, one line; of a long one the end, where the cause stands."""
        lines = "".join(traceback.format_exception(error)).rstrip()
        self.write(self._line("bug", f"{where}: {lines[-(MAX_DETAIL_CHARACTERS - len(where) - 2) :]}"))

    def flush(self) -> None:
        """Before the end of the process: wait a moment for a slow host."""
        self._flush(LAST_WORDS_MS)

    def _line(self, event: str, detail: str) -> JournalLine:
        return JournalLine(
            at=datetime.now(UTC),
            event=event,
            unit=self._unit,
            generation=self._generation,
            image=self._digest,
            detail=detail,
        )

    def _queue(self, encoded: bytes) -> None:
        self._waiting += encoded + b"\n"

    def _flush(self, patience_ms: int) -> None:
        while self._waiting and self._room.poll(patience_ms):
            piece = bytes(self._waiting[:PIECE_OCTETS])
            del self._waiting[:PIECE_OCTETS]
            with suppress(OSError):  # the host is gone, and with it the journal
                os.write(self._descriptor, piece)
            if self._dropped and not self._waiting:
                dropped, self._dropped = self._dropped, 0
                self._queue(encode_line(self._line("journal", f"{dropped} lines were dropped")))

    def _flush_later(self) -> None:
        if self._retry is not None:
            return
        with suppress(RuntimeError):  # no loop runs yet, or any more: the next line or the end takes it along
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._again)

    def _again(self) -> None:
        self._retry = None
        self._flush(0)
        if self._waiting:
            self._flush_later()
