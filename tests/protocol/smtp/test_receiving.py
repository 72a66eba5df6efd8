"""The end of data, dots, bare line ends and the limit, each at every cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.smtp import receiving
from ptt.protocol.smtp.receiving import MAX_SWALLOWED_OCTETS, ChunkStream, DotStream, Fault

Outcome = tuple[bytes | None, Fault | None, bytes | None]


def dots(*pieces: bytes, limit: int = 10_000) -> Outcome:
    """The message (None when spoilt), the fault, and what stood behind the end (None when none came)."""
    stream = DotStream(limit)
    text, behind = b"", b""
    for piece in pieces:
        if stream.finished:
            behind += piece
            continue
        text += stream.take(piece)
    assert stream.intake.fault is not None or stream.size == len(text) or not stream.finished
    fault = stream.intake.fault
    return None if fault else text, fault, stream.rest + behind if stream.finished else None


def chunks(*pieces: bytes, limit: int = 10_000) -> tuple[bytes | None, Fault | None]:
    stream = ChunkStream(limit)
    text = b"".join(map(stream.take, pieces)) + stream.finish()
    fault = stream.intake.fault
    assert fault is not None or stream.size == len(text)
    return None if fault else text, fault


def cut(octets: bytes) -> list[bytes]:
    return [octets[i : i + 1] for i in range(len(octets))]


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"a\r\n..\r\n...\r\n..x\r\n.\r\n", b"a\r\n.\r\n..\r\n.x\r\n"),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
        (b"a.\r\nb\r\n.\r\n", b"a.\r\nb\r\n"),
        (b"x" * 3000 + b"\r\n.\r\n", b"x" * 3000 + b"\r\n"),
        (b"\0\xff\r\n.\r\n", b"\0\xff\r\n"),
    ],
)
def test_message(wire: bytes, message: bytes) -> None:
    assert dots(wire) == (message, None, b"")
    assert dots(*cut(wire)) == (message, None, b"")
    assert dots(wire + b"QUIT\r\n") == (message, None, b"QUIT\r\n")


@pytest.mark.parametrize(
    "bad", [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r"]
)
@pytest.mark.parametrize("before", [b"", b"a", b"a\r\n"])
def test_bare_line_ends(bad: bytes, before: bytes) -> None:
    wire = before + bad + b"x\r\n.\r\n"
    assert dots(wire + b"NOOP") == (None, Fault.BARE_LINE_END, b"NOOP")
    assert dots(*cut(wire + b"NOOP")) == (None, Fault.BARE_LINE_END, b"NOOP")


def test_no_end_yet() -> None:
    for wire in (b"", b".", b".\r", b"a\r\n", b"a\r\n.", b"a\r\n.\r"):
        assert dots(wire)[1:] == (None, None)


def test_limit_of_data() -> None:
    assert dots(b"..abc\r\n.\r\n", limit=6) == (b".abc\r\n", None, b"")
    assert dots(b"..abc\r\n.\r\n", limit=5) == (None, Fault.TOO_LARGE, b"")
    assert dots(*cut(b"..abc\r\n.\r\n"), limit=5) == (None, Fault.TOO_LARGE, b"")


def test_the_first_fault_counts() -> None:
    assert dots(b"abcdef\n\r\n.\r\n", limit=5)[1] is Fault.TOO_LARGE
    assert dots(b"abcde\nf\r\n.\r\n", limit=5)[1] is Fault.BARE_LINE_END
    assert chunks(b"abcdef\n", limit=5)[1] is Fault.TOO_LARGE
    assert chunks(b"abcde\nf", limit=5)[1] is Fault.BARE_LINE_END


def test_a_piece_goes_through_whole() -> None:
    stream = DotStream(10_000)
    stream.take(b"a\r\nb")
    piece = b"c" * 5000
    assert stream.take(piece) == piece
    assert ChunkStream(10_000).take(piece) is piece


def test_an_endless_message_is_noticed() -> None:
    stream = DotStream(10)
    stream.take(b"\n")
    piece = b"x" * (1 << 22)
    seen = []
    for _ in range(MAX_SWALLOWED_OCTETS // len(piece)):
        assert stream.take(piece) == b""
        seen.append(stream.intake.is_endless)
    stream.take(b"x")
    assert not any(seen)
    assert stream.intake.is_endless
    stream.take(b"\r\n.\r\n")
    assert stream.finished


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], b""),
        ([b""], b""),
        ([b"a\r\n"], b"a\r\n"),
        ([b"a\r", b"\nb\r\n"], b"a\r\nb\r\n"),
        ([b"a\r\n", b".\r\n", b"..\r\n"], b"a\r\n.\r\n..\r\n"),
        ([b"a"], b"a\r\n"),
        ([b"a\r\n", b"b"], b"a\r\nb\r\n"),
        ([b"a\r", b"\n"], b"a\r\n"),
    ],
)
def test_chunks(pieces: list[bytes], message: bytes) -> None:
    assert chunks(*pieces) == (message, None)
    assert chunks(*cut(b"".join(pieces))) == (message, None)


@pytest.mark.parametrize(
    "pieces", [[b"\n"], [b"a\r"], [b"a\r", b"b"], [b"a\r", b"\r\n"], [b"a\n.\r\n"], [b"\r\n\r"]]
)
def test_bare_line_ends_in_chunks(pieces: list[bytes]) -> None:
    assert chunks(*pieces) == (None, Fault.BARE_LINE_END)
    assert chunks(*cut(b"".join(pieces))) == (None, Fault.BARE_LINE_END)


def test_limit_of_chunks() -> None:
    assert chunks(b"abc", b"de", limit=7) == (b"abcde\r\n", None)
    assert chunks(b"abc", b"de", limit=6) == (None, Fault.TOO_LARGE)


alphabet = st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n.", b"\r\n.\r\n", b"\r\n..", b"bcd"])
wires = st.lists(alphabet, max_size=14).map(b"".join)


@given(wires, st.lists(st.integers(0, 40), max_size=6), st.integers(0, 30))
def test_cuts_do_not_matter(wire: bytes, places: list[int], limit: int) -> None:
    marks = [0, *sorted(min(place, len(wire)) for place in places), len(wire)]
    pieces = [wire[a:b] for a, b in itertools.pairwise(marks)]
    assert dots(*pieces, limit=limit) == dots(wire, limit=limit) == dots(*cut(wire), limit=limit)
    assert chunks(*pieces, limit=limit) == chunks(wire, limit=limit) == chunks(*cut(wire), limit=limit)


@given(st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a", b"a.b", b"a."]), max_size=8))
def test_stuffed_dots_come_back(lines: list[bytes]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    wire = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    assert dots(wire + b".\r\n") == (message, None, b"")


def test_all_that_is_no_crlf_is_bare() -> None:
    for text in (b"a\rb", b"\n", b"\r", b"a\n", b"\r\n\n"):
        assert receiving._BARE.search(text)
    assert not receiving._BARE.search(b"a\r\n\r\nb\r\n")
