"""Dots, line ends and the end of data, whichever way the message was cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.smtp.sending import DotStuffer, LineEndCheck, OutgoingMessage, find_bad_line_end

BARE = Malformed("a CR or LF that stands alone")
UNFINISHED = Malformed("the last line does not end in CRLF")


def stuffed(*pieces: bytes) -> bytes | Malformed:
    stuffer = DotStuffer()
    wire = b"".join(buffer for piece in pieces for buffer in stuffer.feed(piece))
    end = stuffer.finish()
    return end if isinstance(end, Malformed) else wire + end


def expected(message: bytes) -> bytes | Malformed:
    """The rule, line by line and octet by octet."""
    text = message.replace(b"\r\n", b"")
    if b"\r" in text or b"\n" in text:
        return BARE
    if message and not message.endswith(b"\r\n"):
        return UNFINISHED
    lines = message.split(b"\r\n")[:-1]
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n"


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\n.b\r\n", b"a\r\n..\r\n..b\r\n.\r\n"),
        (b"a.\r\nb. .\r\n", b"a.\r\nb. .\r\n.\r\n"),
        (b"a\rb\r\n", BARE),
        (b"a\r\n.\rb\nc\r\n", BARE),
        (b"a\nb\r\n", BARE),
        (b"a\r\r\n", BARE),
        (b"a\r\n\n", BARE),
        (b"a\n", BARE),
        (b"a\r", BARE),
        (b"\n", BARE),
        (b"a", UNFINISHED),
        (b"a\r\nb", UNFINISHED),
    ],
)
def test_a_message_and_what_goes_on_the_wire(message: bytes, wire: bytes | Malformed) -> None:
    assert stuffed(message) == wire
    assert expected(message) == wire
    assert find_bad_line_end([message]) == (wire if isinstance(wire, Malformed) else None)


@pytest.mark.parametrize("cuts", range(3))
def test_every_cut_of_every_short_message(cuts: int) -> None:
    for letters in itertools.product((b"\r", b"\n", b".", b"a"), repeat=5):
        message = b"".join(letters)
        for places in itertools.combinations(range(6), cuts):
            edges = [0, *places, 5]
            pieces = [message[a:b] for a, b in itertools.pairwise(edges)]
            assert stuffed(*pieces) == expected(message), pieces


fragments = st.sampled_from([b"\r\n", b"\r\n.", b".", b"text", b"", b"\r", b"\n", b"\xff"])
sound_fragments = st.sampled_from([b"\r\n", b"\r\n.", b".", b"text", b"", b"\r\n..\r\n", b"\xff"])


@given(st.lists(fragments, max_size=30) | st.lists(sound_fragments, max_size=30), st.data())
def test_pieces_do_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    message = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=10)))
    pieces = [message[a:b] for a, b in itertools.pairwise([0, *cuts, len(message)])]

    assert stuffed(*parts) == stuffed(*pieces) == expected(message)


def test_a_buffer_without_dots_is_not_copied() -> None:
    plain = b"some text\r\n" * 1000
    stuffer = DotStuffer()

    assert [buffer is plain for buffer in stuffer.feed(plain)] == [True]
    assert stuffer.feed(b"") == []


def test_nothing_is_given_behind_a_fault() -> None:
    stuffer = DotStuffer()

    assert stuffer.feed(b"a\nb\r\n") == []
    assert stuffer.malformed == BARE
    assert stuffer.feed(b"c\r\n") == []
    assert stuffer.finish() == BARE


def test_the_check_says_it_at_once() -> None:
    check = LineEndCheck()
    check.feed(b"a\r")
    assert check.malformed is None
    check.feed(b"b")
    assert check.malformed == BARE


def test_an_outgoing_message_is_away_when_its_end_was_taken() -> None:
    message = OutgoingMessage()

    assert message.add([b".a\r\n", b"b\r\n"], last=False) is None
    assert message.take() == [b".", b".a\r\n", b"b\r\n"]
    assert not message.is_away
    assert message.add([], last=True) is None
    assert message.is_whole
    assert not message.is_away
    assert message.take() == [b".\r\n"]
    assert message.is_away


def test_an_outgoing_message_with_a_fault_has_no_end() -> None:
    message = OutgoingMessage()

    assert message.add([b"a"], last=True) == UNFINISHED
    assert message.add([b"\n"], last=True) == UNFINISHED
    assert not message.is_whole
    assert b".\r\n" not in message.take()
