"""Questions to a host and their answers, over the real socket."""

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import ConfigError, Malformed
from ptt.host.daemon import Host
from ptt.host.inquiry import (
    AskLogs,
    AskRestart,
    AskStatus,
    LogLine,
    Logs,
    Refusal,
    Restarted,
    Status,
    UnitStatus,
    decode_answer,
    decode_question,
    encode,
)
from ptt.host.inquiry_socket import InquirySocket, ask, last_troubles, proportional_memory_kb
from ptt.host.unit_spec import JournalEntry
from ptt.records.journal import JournalLine, encode_line


@pytest.mark.parametrize(
    "question",
    [
        AskStatus(),
        AskLogs("relay", 3),
        AskLogs(since="2026-01-05T10:00:00Z", after=7, holding="x"),
        AskRestart("relay"),
    ],
)
def test_questions_read_as_written(question: AskStatus | AskLogs | AskRestart) -> None:
    assert decode_question(encode(question)) == question


@pytest.mark.parametrize(
    "answer",
    [
        Status((UnitStatus("relay", 1, "published", 2.5, 7, 9, 3, ""),)),
        Logs((LogLine("2026-01-01", "relay", 1, "text"),)),
        Restarted("relay", 2),
        Refusal("why"),
    ],
)
def test_answers_read_as_written(answer: Status | Logs | Restarted | Refusal) -> None:
    assert decode_answer(encode(answer)) == answer


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"type":"nonsense"}',
        b'{"type":"status","version":9}',
        b'{"type":"logs","count":0}',
        b'{"type":"logs","since":"noon"}',
        b'{"type":"logs","since":"2026-01-05T10:00:00"}',
        b"x" * 5000,
    ],
)
def test_bad_questions_are_refused(line: bytes) -> None:
    assert isinstance(decode_question(line), Malformed)


@given(st.binary())
def test_nothing_that_comes_raises(line: bytes) -> None:
    decode_question(line)
    decode_answer(line)


NOON = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


def entry(unit: str, event: str, detail: str, seconds: int = 0) -> JournalEntry:
    at = NOON + timedelta(seconds=seconds)
    line = JournalLine(at=at, event=event, unit=unit, trace="abc", detail=detail)
    return JournalEntry(at, unit, 1, encode_line(line).decode())


def test_lines_are_chosen_by_time_number_and_words(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "host.sock"

    async def scene() -> list[list[int]]:
        host = Host()
        for number in range(6):
            host.journal.append(
                entry("relay" if number % 2 else "signer", "transaction", f"n{number}", number)
            )
        host.line_count = 10  # four are kept no more
        inquiries = InquirySocket(host, os.getuid())
        await inquiries.open(path)
        found = []
        for question in (
            AskLogs(),
            AskLogs(count=2),
            AskLogs(after=8),
            AskLogs(since="2026-01-05T12:00:04Z"),
            AskLogs(holding="n3"),
        ):
            answer = await asyncio.to_thread(ask, question, path)
            assert isinstance(answer, Logs)
            assert answer.newest == 10
            found.append([line.number for line in answer.lines])
        assert isinstance(await asyncio.to_thread(ask, AskRestart("relay"), path), Refusal)
        inquiries.close()
        return found

    assert asyncio.run(scene()) == [[5, 6, 7, 8, 9, 10], [9, 10], [9, 10], [9, 10], [8]]


def test_the_last_trouble_of_each_unit() -> None:
    journal = [
        entry("relay", "alarm", "the first"),
        entry("relay", "transaction", "no trouble at all", 1),
        entry("relay", "bug", "Traceback\nValueError: the second", 2),
        JournalEntry(NOON, "signer", 1, "Fatal Python error: words of the interpreter"),
        entry("receiver", "certificate", "no trouble either"),
    ]
    assert last_troubles(journal) == {
        "relay": "12:00:02 ValueError: the second",
        "signer": "12:00:00 Fatal Python error: words of the interpreter",
    }


def test_over_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "host.sock"

    async def scene() -> None:
        host = Host()
        inquiries = InquirySocket(host, os.getuid())
        await inquiries.open(path)
        assert await asyncio.to_thread(ask, AskStatus(), path) == Status(())
        assert await asyncio.to_thread(ask, AskLogs(), path) == Logs(())
        refused = await asyncio.to_thread(ask, AskLogs("nobody"), path)
        assert isinstance(refused, Refusal)
        assert isinstance(await asyncio.to_thread(_say, path, b"rubbish\n"), Refusal)
        assert await asyncio.to_thread(_say, path, b"x" * 10_000) == Malformed("nothing")
        inquiries.close()

    asyncio.run(scene())
    assert path.parent.stat().st_mode & 0o777 == 0o700


def _say(path: Path, line: bytes) -> object:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(line)
        answer = connection.makefile("rb").readline()
    return decode_answer(answer) if answer else Malformed("nothing")


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no host answers"):
        ask(AskStatus(), tmp_path / "nothing")


def test_memory_of_a_process() -> None:
    assert proportional_memory_kb(os.getpid()) > 1000
    assert proportional_memory_kb(0) == 0
