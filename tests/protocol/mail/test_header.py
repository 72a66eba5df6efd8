"""Headers as spans: what is a field, what comes back, what is malformed, limits, lists of buffers."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.mail.header import MAX_FIELDS, MAX_HEADER_OCTETS, Header, parse_header, split_header

HEADER = (
    b"Received: one\r\n"
    b"From: Alice\r\n <alice@example.org>\r\n"
    b"received : two\r\n"
    b"Subject: \xff\r\n\t\r\n"
    b"X-Empty:\r\n"
    b"\r\n"
)


def parsed(data: bytes) -> Header:
    header = parse_header(data)
    assert isinstance(header, Header)
    return header


def test_fields_are_spans_of_the_block() -> None:
    header = parsed(HEADER + b"body\r\n\r\nmore")
    assert header.block == HEADER
    assert header.size == len(HEADER)
    assert [each.name for each in header.fields] == [
        b"Received",
        b"From",
        b"received",
        b"Subject",
        b"X-Empty",
    ]
    assert b"".join(each.raw for each in header.fields) + b"\r\n" == HEADER
    assert all(HEADER.startswith(each.raw, each.start) for each in header.fields)


def test_values_are_unfolded() -> None:
    assert [each.value for each in parsed(HEADER).fields] == [
        b"one",
        b"Alice <alice@example.org>",
        b"two",
        b"\xff",
        b"",
    ]


def test_lookups() -> None:
    header = parsed(HEADER)
    assert [each.value for each in header.all(b"received")] == [b"one", b"two"]
    assert header.all(b"to") == []
    first = header.first(b"received")
    assert first is not None
    assert first.value == b"one"
    assert header.first(b"to") is None
    assert header.count(b"received") == 2
    assert header.count(b"to") == 0


def test_fields_are_taken_out_whole() -> None:
    header = parsed(HEADER + b"body")
    kept = header.without(lambda each: each.lower in {b"received", b"x-empty"})
    assert b"".join(kept) == b"From: Alice\r\n <alice@example.org>\r\nSubject: \xff\r\n\t\r\n\r\n"
    assert header.without(lambda _: False) == [HEADER]
    assert header.without(lambda _: True) == [b"\r\n"]
    assert all(kept)


@pytest.mark.parametrize(
    ("data", "names", "size"),
    [
        (b"", [], 0),
        (b"\r\nbody", [], 2),
        (b"\nbody", [], 1),
        (b"A: b", [b"A"], 4),
        (b"A: b\r\n", [b"A"], 6),
        (b"A:\r\n\r\n", [b"A"], 6),
        (b"A:b\n C\n\nbody", [b"A"], 8),
        (b"A:b\r\n\nbody", [b"A"], 6),
        (b"A:b\n\r\nbody", [b"A"], 6),
        (b"A:b\r\n \r\n\r\n", [b"A"], 10),
        (b"A:b\rc\r\n\r\n", [b"A"], 9),
        (b"!#9;~:\r\n\r\n", [b"!#9;~"], 10),
    ],
)
def test_shapes_of_headers(data: bytes, names: list[bytes], size: int) -> None:
    header = parsed(data)
    assert [each.name for each in header.fields] == names
    assert header.size == size


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"body\r\n\r\n", 1),
        (b" folded\r\nA: b\r\n\r\n", 1),
        (b"From alice Mon Jan 1\r\nA: b\r\n\r\n", 1),
        (b": b\r\n\r\n", 1),
        (b"A: b\r\nC\r\nD: e\r\n\r\n", 2),
        (b"A: b\r\n c\r\nbody without an empty line before it", 3),
        ("Ä: b\r\n\r\n".encode(), 1),
        (b"A: b\r\n\r", 2),
    ],
)
def test_malformed_says_the_line(data: bytes, line: int) -> None:
    assert parse_header(data) == Malformed(f"line {line} of the header is not a field")


def test_nul_is_seen() -> None:
    assert parsed(b"A: \0\r\n\r\n").has_nul
    assert not parsed(b"A: b\r\n\r\n\0").has_nul


def test_limits() -> None:
    at_the_limit = b"A: ".ljust(MAX_HEADER_OCTETS - 4, b"x") + b"\r\n\r\n"
    assert parsed(at_the_limit + b"body").size == MAX_HEADER_OCTETS
    too_long = Malformed(f"a header longer than {MAX_HEADER_OCTETS} octets")
    assert parse_header(b"x" + at_the_limit) == too_long
    assert parse_header(b"A: ".ljust(MAX_HEADER_OCTETS + 1, b"x")) == too_long
    assert split_header([b"A: x\r\n" * 100] * MAX_HEADER_OCTETS) == too_long
    assert len(parsed(b"A:\r\n" * MAX_FIELDS + b"\r\n").fields) == MAX_FIELDS
    assert parse_header(b"A:\r\n" * (MAX_FIELDS + 1)) == Malformed(f"more than {MAX_FIELDS} header fields")


@pytest.mark.parametrize(
    "data", [HEADER + b"body", HEADER, HEADER[:-2], b"\r\nbody", b"\nbody", b"A: b\n\nbody", b""]
)
def test_pieces_do_not_matter(data: bytes) -> None:
    whole = parsed(data)
    for step in range(1, len(data) + 1):
        split = split_header([data[at : at + step] for at in range(0, len(data), step)])
        assert not isinstance(split, Malformed)
        header, rest = split
        assert header == whole
        assert b"".join([header.block, *rest]) == data
        assert all(rest)


def test_the_body_is_handed_back_as_it_came() -> None:
    body = b"body" * 1000
    split = split_header([HEADER + b"start", body, body])
    assert not isinstance(split, Malformed)
    assert split[1][0] == b"start"
    assert split[1][1] is body


def test_split_tells_of_malformed_headers() -> None:
    assert split_header([b"bo", b"dy\r\n\r\n"]) == Malformed("line 1 of the header is not a field")
