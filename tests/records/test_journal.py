"""Journal lines: bounded, one line, read back as written."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ptt.errors import Malformed, MisuseError
from ptt.records.journal import (
    MAX_COUNT,
    MAX_LINE_OCTETS,
    MAX_PATHS,
    MAX_TIMES,
    JournalLine,
    bounded,
    decode_line,
    encode_line,
)

NOON = datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)
FULL = JournalLine(
    at=NOON,
    event="transaction",
    unit="relay",
    generation=7,
    image="sha256:ab",
    trace="t1",
    peer="192.0.2.1:5000",
    login="alice",
    reverse_path="",
    forward_paths=("a@b.example",),
    forward_path_count=1,
    size=1000,
    outcome="250 2.0.0 taken",
    duration_ms=12.5,
    times={"data": 3.25},
    detail="",
)


def test_a_line_is_read_back() -> None:
    text = encode_line(FULL)
    assert decode_line(text) == FULL
    assert decode_line(text + b"\n") == FULL


def test_names_of_the_fields_and_nothing_that_is_not_known() -> None:
    assert json.loads(encode_line(JournalLine(at=NOON, event="start", unit="relay"))) == {
        "at": "2026-03-01T12:00:00.250000Z",
        "event": "start",
        "unit": "relay",
    }


def test_a_line_is_one_line() -> None:
    line = JournalLine(at=NOON, event="x\ny", unit="u\r", detail="a\u2028\x00\x7f\n")
    text = encode_line(line)
    assert b"\n" not in text
    assert b"\r" not in text
    assert decode_line(text) == line


def test_the_largest_line_is_bounded() -> None:
    long = "\x00" * 10_000
    line = JournalLine(
        at=NOON,
        event=long,
        unit=long,
        image=long,
        trace=long,
        peer=long,
        login=long,
        reverse_path=long,
        forward_paths=(long,) * 1000,
        outcome=long,
        times={f"{index}{long}": 1.0 for index in range(100)},
        detail=long,
    )
    text = encode_line(line)
    assert len(text) < MAX_LINE_OCTETS
    read = decode_line(text)
    assert isinstance(read, JournalLine)
    assert read.event == "\x00" * 127 + "…"
    assert len(read.forward_paths) == MAX_PATHS
    assert read.forward_path_count == 1000
    assert len(read.times) == MAX_TIMES


def test_times_are_in_utc() -> None:
    line = JournalLine(at=NOON.astimezone(timezone(timedelta(hours=2))), event="x", unit="u")
    assert encode_line(line) == encode_line(JournalLine(at=NOON, event="x", unit="u"))


def test_a_time_without_a_zone_is_our_mistake() -> None:
    with pytest.raises(MisuseError):
        encode_line(JournalLine(at=NOON.replace(tzinfo=None), event="x", unit="u"))


@pytest.mark.parametrize(
    ("duration_ms", "written"),
    [(float("nan"), 0.0), (float("inf"), 0.0), (-1.0, 0.0), (1.23456, 1.235), (1e300, float(MAX_COUNT))],
)
def test_numbers_that_json_lacks(duration_ms: float, written: float) -> None:
    assert bounded(JournalLine(at=NOON, event="x", unit="u", duration_ms=duration_ms)).duration_ms == written


def test_counts_are_bounded() -> None:
    line = bounded(JournalLine(at=NOON, event="x", unit="u", size=-1, generation=1 << 60))
    assert (line.size, line.generation) == (0, MAX_COUNT)


def test_what_is_not_unicode_is_marked() -> None:
    line = decode_line(encode_line(JournalLine(at=NOON, event="x", unit="u", detail="a\udc80")))
    assert isinstance(line, JournalLine)
    assert line.detail == "a?"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"at":"2026-03-01T12:00:00","event":"x","unit":"u"}',
        b'{"at":"2026-03-01T12:00:00Z","event":1,"unit":"u"}',
        b'{"at":"2026-03-01T12:00:00Z","event":"\xff","unit":"u"}',
        b'{"x":' + b"[" * 100_000,
        b" " * (MAX_LINE_OCTETS + 1),
    ],
)
def test_malformed(text: bytes) -> None:
    assert isinstance(decode_line(text), Malformed)
