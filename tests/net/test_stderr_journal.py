"""The journal of a unit, over a real pipe."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ptt.boot import BootRecord
from ptt.net import stderr_journal
from ptt.net.stderr_journal import StderrJournal
from ptt.records.journal import JournalLine, decode_line

LINE = JournalLine(
    at=datetime(2026, 1, 2, tzinfo=UTC), event="delivered", unit="relay", outcome="250 2.0.0 Ok"
)
SMALL_PIPE = 4096


class Pipe:
    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.data = b""

    def shrink(self) -> None:
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, SMALL_PIPE)

    def read(self) -> None:
        try:
            while data := os.read(self.reading, 65536):
                self.data += data
        except BlockingIOError:
            pass

    def lines(self) -> list[JournalLine]:
        self.read()
        assert self.data.endswith(b"\n")
        found = [decode_line(line) for line in self.data.splitlines()]
        return [line for line in found if isinstance(line, JournalLine)]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.writing)
    os.close(pipe.reading)


def test_lines_say_who_writes(pipe: Pipe) -> None:
    journal = StderrJournal(pipe.writing)
    journal.say("start", "too early")
    journal.name(BootRecord("relay", 7, "mail.example", "abc", {}, {}))
    journal.write(LINE)
    journal.alarm("the ledger is full")
    early, written, alarm = pipe.lines()

    assert (early.unit, early.event, early.detail) == ("unit", "start", "too early")
    assert written == LINE
    assert (alarm.unit, alarm.generation, alarm.image) == ("relay", 7, "abc")
    assert (alarm.event, alarm.detail) == ("alarm", "the ledger is full")


def failed_with(words: str) -> ValueError:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it comes from the next line
        raise ValueError(words)
    return caught.value


def test_a_traceback_is_one_line_that_ends_in_the_cause(pipe: Pipe) -> None:
    journal = StderrJournal(pipe.writing)
    journal.failure("session", failed_with("the cause: " + "x" * 3000))
    (line,) = pipe.lines()
    assert line.event == "bug"
    assert line.detail is not None
    assert line.detail.startswith("session: ")
    assert line.detail.endswith("x" * 100)
    journal.failure("session", failed_with("y" * 10000 + " at last"))
    journal.flush()
    assert (pipe.lines()[-1].detail or "").endswith("y at last")


def test_a_slow_host_gets_everything_later_and_holds_nobody_up(pipe: Pipe) -> None:
    pipe.shrink()

    async def scene() -> None:
        journal = StderrJournal(pipe.writing)
        for _ in range(200):
            journal.write(LINE)
        while len(pipe.data.splitlines()) < 200:
            await asyncio.sleep(0.001)
            pipe.read()
        assert pipe.lines() == [LINE] * 200

    stderr_journal.RETRY_S, kept = 0.001, stderr_journal.RETRY_S
    try:
        asyncio.run(asyncio.wait_for(scene(), 10))
    finally:
        stderr_journal.RETRY_S = kept


def test_past_a_bound_lines_are_dropped_and_counted(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stderr_journal, "MAX_WAITING_OCTETS", 10_000)
    monkeypatch.setattr(stderr_journal, "LAST_WORDS_MS", 1)
    pipe.shrink()
    journal = StderrJournal(pipe.writing)
    for _ in range(1000):
        journal.write(LINE)
    for _ in range(20):
        pipe.read()
        journal.flush()
    *lines, last = pipe.lines()
    assert all(line == LINE for line in lines)
    assert last.detail == f"{1000 - len(lines)} lines were dropped"


def test_a_host_that_is_gone_is_no_fault(pipe: Pipe) -> None:
    reading, writing = os.pipe()
    journal = StderrJournal(writing)
    os.close(reading)
    journal.write(LINE)
    journal.write(LINE)
    journal.flush()
    os.close(writing)
