"""Command lines: their ends, their limits, and that pieces do not matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.smtp.lines import (
    MAX_AUTH_OCTETS,
    MAX_COMMAND_OCTETS,
    MAX_SKIPPED_OCTETS,
    Input,
    LineFault,
)


def lines_of(*pieces: bytes) -> list[bytes | LineFault]:
    incoming, lines = Input(), []
    for piece in pieces:
        incoming.receive(piece)
        while (line := incoming.take_line()) is not None:
            lines.append(line)
    return lines


@pytest.mark.parametrize(
    ("wire", "line"),
    [
        (b"NOOP\r\n", b"NOOP"),
        (b"\r\n", b""),
        (b"NOOP  \t \r\n", b"NOOP"),
        ("NOOP Ä\r\n".encode(), "NOOP Ä".encode()),
        (b"NOOP\n", LineFault.BARE_LINE_END),
        (b"\n", LineFault.BARE_LINE_END),
        (b"NOOP\r\r\n", LineFault.BARE_LINE_END),
        (b"NO\rOP\r\n", LineFault.BARE_LINE_END),
        (b"NOOP\0\r\n", LineFault.CONTROL_CHARACTER),
        (b"NOOP\ta\r\n", LineFault.CONTROL_CHARACTER),
        (b"NOOP \x7f\r\n", LineFault.CONTROL_CHARACTER),
        (b"NOOP \xff\r\n", LineFault.NOT_UTF8),
    ],
)
def test_one_line(wire: bytes, line: bytes | LineFault) -> None:
    assert lines_of(wire) == [line]
    assert lines_of(*(wire[i : i + 1] for i in range(len(wire)))) == [line]


@pytest.mark.parametrize(("start", "limit"), [(b"NOOP ", MAX_COMMAND_OCTETS), (b"aUtH ", MAX_AUTH_OCTETS)])
def test_limit(start: bytes, limit: int) -> None:
    longest = start + b"x" * (limit - len(start) - 2) + b"\r\n"
    assert lines_of(longest, b"A\r\n") == [longest[:-2], b"A"]
    assert lines_of(longest[:-1], b"\nA\r\n") == [longest[:-2], b"A"]
    longer = longest[:-2] + b"x\r\n"
    assert lines_of(longer + b"A\r\n") == [LineFault.TOO_LONG, b"A"]
    assert lines_of(longer[:-2], b"x" * 99, b"\r\nA\r\n") == [LineFault.TOO_LONG, b"A"]


def test_a_limit_of_the_caller() -> None:
    incoming = Input()
    incoming.receive(b"x" * 3000 + b"\r\n" + b"x" * 20)
    assert incoming.take_line(4000) == b"x" * 3000
    assert incoming.take_line(10) is None
    incoming.receive(b"\n")
    assert incoming.take_line(10) is LineFault.TOO_LONG
    assert incoming.is_empty


def test_an_endless_line_is_not_kept() -> None:
    incoming = Input()
    found = None
    for _ in range(MAX_SKIPPED_OCTETS // 1000 + 1):
        incoming.receive(b"x" * 1000)
        found = incoming.take_line()
        assert incoming.is_empty or found is None
    assert found is LineFault.ENDLESS
    assert lines_of(b"x" * MAX_SKIPPED_OCTETS + b"\r\n") == [LineFault.ENDLESS]


def test_pieces_are_given_as_they_came() -> None:
    incoming = Input()
    first, second = b"A\r\nbody", b"more"
    incoming.receive(first)
    incoming.receive(b"")
    incoming.receive(second)
    assert incoming.starts_with(b"A\r")
    assert incoming.take_line() == b"A"
    assert incoming.take(2) == b"bo"
    assert incoming.take() == b"dymore"
    assert incoming.take() == b""
    incoming.receive(second)
    assert incoming.take() is second
    incoming.receive(second)
    incoming.receive(first)
    assert incoming.take() is second
    incoming.give_back(b"re")
    assert incoming.consumed + 2 + len(first) == incoming.received
    assert incoming.take(1) == b"r"
    incoming.clear()
    assert incoming.take_line() is None


def test_giving_back_in_front_of_a_line() -> None:
    incoming = Input()
    incoming.receive(b".\r\nQUIT\r\n")
    assert incoming.take() == b".\r\nQUIT\r\n"
    incoming.give_back(b"QUIT\r\n")
    assert incoming.starts_with(b"QUIT")
    assert not incoming.starts_with(b"RCPT ")
    assert incoming.take_line() == b"QUIT"
    assert incoming.consumed == incoming.received


parts = st.lists(
    st.sampled_from(
        [b"\r\n", b"\n", b"\r", b"NOOP", b"AUTH ", b"x" * 1500, b"x" * 11000, b"\0", b"\xff", b" "]
    ),
    max_size=25,
)


@given(parts, st.integers(1, 5000))
def test_pieces_do_not_matter(octets: list[bytes], size: int) -> None:
    whole = b"".join(octets)
    pieces = (whole[i : i + size] for i in range(0, len(whole), size))
    lines = lines_of(whole)
    ending = lines.index(LineFault.ENDLESS) + 1 if LineFault.ENDLESS in lines else None
    assert lines_of(*pieces)[:ending] == lines[:ending]
