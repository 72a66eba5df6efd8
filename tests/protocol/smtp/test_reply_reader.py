"""Foreign replies: what large receivers really send, and where it stops being a reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.smtp.reply import MAX_FOREIGN_LINE_OCTETS, MAX_FOREIGN_LINES, RemoteReply
from ptt.protocol.smtp.reply_reader import ReplyReader


def read(*pieces: bytes) -> list[RemoteReply | Malformed]:
    """Everything that the pieces give; nothing follows after ``Malformed``."""
    reader, found = ReplyReader(), []
    for piece in pieces:
        reader.feed(piece)
        while (reply := reader.next_reply()) is not None:
            found.append(reply)
            if isinstance(reply, Malformed):
                return found
    return found


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        (b"250 ok\r\n", RemoteReply(250, None, ("ok",))),
        (b"250\r\n", RemoteReply(250, None, ("",))),
        (b"250 \r\n", RemoteReply(250, None, ("",))),
        (b"250-\r\n250\r\n", RemoteReply(250, None, ("", ""))),
        (b"250 bare line feed\n", RemoteReply(250, None, ("bare line feed",))),
        (b"250 two\r\r\n", RemoteReply(250, None, ("two",))),
        (b"250\ttab\r\n", RemoteReply(250, None, ("tab",))),
        (b"550 5.1.1 no such user\r\n", RemoteReply(550, "5.1.1", ("no such user",))),
        (b"550 5.1.1\r\n", RemoteReply(550, "5.1.1", ("",))),
        (b"550 5.1.1: no\r\n", RemoteReply(550, "5.1.1", ("no",))),
        (b"421 5.7.32 another class\r\n", RemoteReply(421, "5.7.32", ("another class",))),
        (b"554 5.7.1.2 is no enhanced code\r\n", RemoteReply(554, None, ("5.7.1.2 is no enhanced code",))),
        (b"554 192.0.2.1 is listed\r\n", RemoteReply(554, None, ("192.0.2.1 is listed",))),
        (
            b"550-5.7.26 first\r\n550-5.7.1 second\r\n550 third\r\n",
            RemoteReply(550, "5.7.26", ("first", "second", "third")),
        ),
        (b"250-taken\r\n451 but not now\r\n", RemoteReply(451, None, ("taken", "but not now"))),
        (b"550 B\xfcro \xc3\xa9\r\n", RemoteReply(550, None, ("B\ufffdro é",))),
        (b"550 a\x00b\r\n", RemoteReply(550, None, ("a\x00b",))),
    ],
)
def test_it_reads_what_servers_send(wire: bytes, reply: RemoteReply) -> None:
    assert read(wire) == [reply]
    assert read(*(wire[i : i + 1] for i in range(len(wire)))) == [reply]


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"ok\r\n",
        b"25\r\n",
        b"2500 ok\r\n",
        b"250+ok\r\n",
        b"150 no such class\r\n",
        b"650 no such class\r\n",
        b"250-first\r\nsecond\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        "２５０ ok\r\n".encode(),
    ],
)
def test_rubbish_is_no_reply(wire: bytes) -> None:
    assert read(wire) == [Malformed("a line that is no reply")]


def test_a_long_line_is_cut_and_an_endless_one_refused() -> None:
    fits = b"250 " + b"x" * (MAX_FOREIGN_LINE_OCTETS - 5) + b"\n"

    assert len(fits) == MAX_FOREIGN_LINE_OCTETS
    assert read(fits) == [RemoteReply(250, None, ("x" * 512,))]
    for too_long in (fits[:-1] + b"x\n", fits[:-1]):
        assert read(too_long + b"x") == [Malformed("a reply line without an end")]


def test_a_reply_has_an_end() -> None:
    many = b"250-x\r\n" * (MAX_FOREIGN_LINES - 1)

    assert read(many + b"250 x\r\n") == [RemoteReply(250, None, ("x",) * MAX_FOREIGN_LINES)]
    assert read(many + b"250-x\r\n250 x\r\n") == [Malformed("a reply of too many lines")]


def test_it_knows_whether_anything_is_left() -> None:
    reader = ReplyReader()
    had = [reader.has_rest]
    reader.feed(b"220 go\r\n250-x\r\n")
    reader.next_reply()
    had.append(reader.has_rest)
    assert reader.next_reply() is None
    had.append(reader.has_rest)

    assert had == [False, True, True]  # the last for a reply that has begun


octets = st.binary(max_size=60) | st.text("25 0-.1\r\nab", max_size=60).map(str.encode)


@given(st.lists(octets, max_size=5).map(b"".join), st.lists(st.integers(1, 9), max_size=20))
def test_pieces_do_not_matter(wire: bytes, sizes: list[int]) -> None:
    pieces, rest = [], wire
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]

    assert read(*pieces, rest) == read(wire)


lines = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30).filter(
    lambda line: not line[:1].isdigit()
)


@given(
    st.integers(200, 599),
    st.none() | st.tuples(st.sampled_from("245"), st.integers(0, 999), st.integers(0, 999)),
    st.lists(lines, min_size=1, max_size=4),
)
def test_what_was_written_is_read(code: int, numbers: tuple[str, int, int] | None, text: list[str]) -> None:
    enhanced = ".".join(map(str, numbers)) if numbers else None
    prefix = f"{enhanced} " if enhanced else ""
    marks = ["-"] * (len(text) - 1) + [" "]
    wire = "".join(f"{code}{mark}{prefix}{line}\r\n" for mark, line in zip(marks, text, strict=True))

    assert read(wire.encode()) == [RemoteReply(code, enhanced, tuple(text))]
