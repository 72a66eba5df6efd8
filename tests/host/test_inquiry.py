"""Questions to a host and their answers, over the real socket."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import ConfigError, Malformed
from ptt.host.daemon import Host
from ptt.host.inquiry import (
    AskLogs,
    AskStatus,
    LogLine,
    Logs,
    Refusal,
    Status,
    UnitStatus,
    decode_answer,
    decode_question,
    encode,
)
from ptt.host.inquiry_socket import InquirySocket, ask, proportional_memory_kb


@pytest.mark.parametrize("question", [AskStatus(), AskLogs("relay", 3)])
def test_questions_read_as_written(question: AskStatus | AskLogs) -> None:
    assert decode_question(encode(question)) == question


@pytest.mark.parametrize(
    "answer",
    [
        Status((UnitStatus("relay", 1, "published", 2.5, 7, 9, 3, ""),)),
        Logs((LogLine("2026-01-01", "relay", 1, "text"),)),
        Refusal("why"),
    ],
)
def test_answers_read_as_written(answer: Status | Logs | Refusal) -> None:
    assert decode_answer(encode(answer)) == answer


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"type":"nonsense"}',
        b'{"type":"status","version":9}',
        b'{"type":"logs","count":0}',
        b"x" * 5000,
    ],
)
def test_bad_questions_are_refused(line: bytes) -> None:
    assert isinstance(decode_question(line), Malformed)


@given(st.binary())
def test_nothing_that_comes_raises(line: bytes) -> None:
    decode_question(line)
    decode_answer(line)


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
