"""The tree of a MIME message."""

import base64
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mail.content_type import ContentType
from ptt.protocol.mail.mime import MAX_DEPTH, MAX_PARTS, Part, parse_mime

MIXED = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


def shape(part: Part) -> object:
    """Give the tree as nested tuples of type and body of leaves."""
    if part.children:
        return (part.content_type.full_type, *(shape(child) for child in part.children))
    return (part.content_type.full_type, part.body)


def test_a_plain_message() -> None:
    part = parse_mime(b"Subject: =?utf-8?q?=C3=BC?=\r\n\r\nbody\r\n")
    assert shape(part) == ("text/plain", b"body\r\n")
    assert (part.start, part.body_start, part.end) == (0, 31, 37)
    assert part.subject == "ü"
    assert part.text() == "body\n"
    assert part.encoding == ""
    assert part.disposition is None
    assert part.filename is None
    assert list(part.walk()) == [part]


@pytest.mark.parametrize("data", [b"", b"body", b"\r\nbody"])
def test_messages_without_header(data: bytes) -> None:
    part = parse_mime(data)
    assert shape(part) == ("text/plain", data.lstrip())
    assert part.subject is None


def test_the_line_of_mbox_files_is_passed_over() -> None:
    assert [each.name for each in parse_mime(b"From alice Mon\nA: b\n\nbody").fields] == [b"A"]
    assert [each.name for each in parse_mime(b">From alice Mon\nA: b\n\nbody").fields] == [b"A"]


def test_parts() -> None:
    data = MIXED + (
        b"preamble\r\n--b\r\n\r\none\r\n--b  \r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--bb\r\n"
        b"--b--\r\nepilogue\r\n--b\r\n\r\nnot a part\r\n"
    )
    part = parse_mime(data)
    assert shape(part) == ("multipart/mixed", ("text/plain", b"one"), ("text/html", b"two\r\n\r\n--bb"))
    assert [each.data is data for each in part.walk()] == [True] * 3


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"no delimiter", []),
        (b"--b--\r\n", []),
        (b"--b\r\n--b--\r\n", []),
        (b"--b\r\n\r\n--b--\r\n", [b""]),
        (b"--b\r\nContent-Type: text/plain\r\n--b--\r\n", [b""]),
        (b"--b\r\n\r\nopen end", [b"open end"]),
        (b"--b\r\n\r\none\r\n--b\r\n", [b"one"]),
        (b"--b\r\n\r\none\r\n--b", [b"one"]),
        (b"--b\n\none\n--b\n\ntwo\n--b--\n", [b"one", b"two"]),
        (b"--b\r\nno header\r\n--b--", [b"no header"]),
        (b"--b\r\nA: b\r\nno field\r\n\r\nrest\r\n--b--", [b"no field\r\n\r\nrest"]),
        (b"x--b\r\n\r\nmiddle of a line\r\n", []),
        (b"--bc\r\n\r\nlonger\r\n", []),
    ],
)
def test_delimiters(body: bytes, parts: list[bytes]) -> None:
    assert [each.body for each in parse_mime(MIXED + body).children] == parts


def test_multiparts_without_boundary_are_leaves() -> None:
    assert shape(parse_mime(b"Content-Type: multipart/mixed\r\n\r\n--\r\n\r\nx")) == (
        "multipart/mixed",
        b"--\r\n\r\nx",
    )


def test_an_outer_delimiter_ends_what_is_inside() -> None:
    data = MIXED + (
        b"--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n\r\ninner\r\n"
        b"--b\r\n\r\nouter\r\n--b--\r\n"
    )
    assert shape(parse_mime(data)) == (
        "multipart/mixed",
        ("multipart/alternative", ("text/plain", b"inner")),
        ("text/plain", b"outer"),
    )


def test_digests_hold_messages() -> None:
    data = (
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\nbody\r\n--b--\r\n"
    )
    message = parse_mime(data).children[0]
    assert message.content_type == ContentType("message", "rfc822")
    assert message.children[0].subject == "one"
    assert message.children[0].body == b"body"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_embedded_messages(encoding: str) -> None:
    inner = b"Subject: x\r\n\r\nbody"
    written = base64.b64encode(inner) if encoding == "base64" else inner
    data = (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: %b\r\n\r\n" % encoding.encode() + written
    )
    part = parse_mime(data)
    assert [each.subject for each in part.children] == ["x"]
    assert part.children[0].body == b"body"
    assert (part.children[0].data is data) is (encoding == "8bit")


def test_what_is_no_message_is_a_leaf() -> None:
    assert parse_mime(b"Content-Type: message/rfc822\r\n\r\nnot a header").children == ()


@pytest.mark.parametrize(
    ("field", "full_type"),
    [(b"", "text/plain"), (b"text", "text/plain"), (b";", "text/plain"), (b"image/PNG", "image/png")],
)
def test_types(field: bytes, full_type: str) -> None:
    assert parse_mime(b"Content-Type: " + field + b"\r\n\r\n").content_type.full_type == full_type


@pytest.mark.parametrize(
    ("fields", "filename"),
    [
        (b"Content-Disposition: attachment; filename=a.pdf", "a.pdf"),
        (b"Content-Disposition: ; filename=a.pdf", "a.pdf"),
        (b"Content-Disposition: attachment; filename*=utf-8''%C3%BC", "ü"),
        (b"Content-Disposition: attachment\r\nContent-Type: x/y; name=b.pdf", "b.pdf"),
        (b"Content-Type: x/y; name=b.pdf", "b.pdf"),
        (b"Content-Disposition: attachment", None),
    ],
)
def test_file_names(fields: bytes, filename: str | None) -> None:
    assert parse_mime(fields + b"\r\n\r\n").filename == filename


def test_disposition() -> None:
    assert parse_mime(b"Content-Disposition: Inline; a=b\r\n\r\n").disposition == ContentType(
        "inline", None, (("a", "b"),)
    )
    assert parse_mime(b"Content-Disposition: ;\r\n\r\n").disposition is None


def test_text_is_decoded() -> None:
    fields = (
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: QUOTED-printable ; x\r\n"
    )
    part = parse_mime(fields + b"\r\n=FC=\r\n\r\n")
    assert part.encoding == "quoted-printable"
    assert part.content() == b"\xfc\r\n"
    assert part.text() == "ü\n"


def test_depth_is_bounded() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\n" * (MAX_DEPTH * 3)
    assert len(list(parse_mime(data).walk())) == MAX_DEPTH + 1


def test_parts_are_bounded() -> None:
    assert len(list(parse_mime(MIXED + b"--b\r\n\r\nx\r\n" * (MAX_PARTS * 2)).walk())) == MAX_PARTS
    messages = b"--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx\r\n" * MAX_PARTS
    assert len(list(parse_mime(MIXED + messages).walk())) == MAX_PARTS


@pytest.mark.parametrize(
    "data",
    [
        MIXED + b"--b\r\n" * 200_000,
        MIXED + b"--b" * 400_000,
        MIXED + b"\r\n--b " * 200_000,
        b"".join(
            b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(10_000)
        ),
        b"Content-Type: message/rfc822\r\n" * 1_000 + b"\r\n" + b"A: b\r\n" * 100_000,
    ],
)
def test_time_is_bounded(data: bytes) -> None:
    begin = time.process_time()
    parse_mime(data)
    assert time.process_time() - begin < 5


@given(
    st.lists(
        st.sampled_from(
            [
                *(b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: message/rfc822\r\n"),
                *(
                    b"Content-Transfer-Encoding: base64\r\n",
                    b"Content-Type: multipart/digest; boundary=c\r\n",
                ),
                *(
                    b"--b\r\n",
                    b"--b--\r\n",
                    b"--c\r\n",
                    b"--c--",
                    b"\r\n",
                    b"\n",
                    b" ",
                    b"text",
                    b"\xff",
                    b"QTogYg0K",
                ),
            ]
        ),
        max_size=20,
    ).map(b"".join)
)
def test_every_input_has_a_tree(data: bytes) -> None:
    for part in parse_mime(data).walk():
        assert 0 <= part.start <= part.body_start <= part.end <= len(part.data)
        assert isinstance(part.text(), str)
        inside = [child for child in part.children if child.data is part.data]
        assert all(part.body_start <= child.start <= child.end <= part.end for child in inside)
        assert all(one.end <= two.start for one, two in pairwise(inside))
