"""Content-Type and Content-Disposition."""

import time

import pytest

from ptt.errors import Malformed
from ptt.protocol.mail.content_type import MAX_PARAMETERS, ContentType, parse_content_type


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain", ContentType("text", "plain")),
        (b"TEXT / Plain ;", ContentType("text", "plain")),
        (b"attachment", ContentType("attachment")),
        (b"text/", ContentType("text")),
        (b"text/plain (a comment)", ContentType("text", "plain")),
        (b"(a) text (b (\\)) / plain", ContentType("text")),
        (b'text/plain; Charset="utf-8"', ContentType("text", "plain", (("charset", "utf-8"),))),
        (b"text/plain; charset=utf-8 (Plain)", ContentType("text", "plain", (("charset", "utf-8"),))),
        (b"text/plain; charset = utf-8", ContentType("text", "plain", (("charset", "utf-8"),))),
        (b"text/plain charset=utf-8", ContentType("text", "plain", (("charset", "utf-8"),))),
        (b"text/plain;;; = ;x;a=b", ContentType("text", "plain", (("a", "b"),))),
        (b"text/plain; a=; b=c", ContentType("text", "plain", (("b", "c"),))),
        (b"text/plain; a=b; a=c", ContentType("text", "plain", (("a", "b"),))),
        (b"x; name=copy(2).pdf", ContentType("x", None, (("name", "copy(2).pdf"),))),
        (b"x; name=my own file.pdf; a=b", ContentType("x", None, (("name", "my own file.pdf"), ("a", "b")))),
        (b"x; name=my a=b", ContentType("x", None, (("name", "my"), ("a", "b")))),
        (b'x; name="a \\"b\\" (c); d"', ContentType("x", None, (("name", 'a "b" (c); d'),))),
        (b'x; name="open', ContentType("x", None, (("name", "open"),))),
        (b'x; name="a"b="c"', ContentType("x", None, (("name", "a"), ("b", "c")))),
        (b'x; name="=?utf-8?q?=C3=BC?="', ContentType("x", None, (("name", "ü"),))),
        (b"x; name==?utf-8?q?=C3=BC?= =?utf-8?q?b?=", ContentType("x", None, (("name", "üb"),))),
        ("x; name=ü".encode(), ContentType("x", None, (("name", "ü"),))),
        (b"x; name*=utf-8''%C3%BC", ContentType("x", None, (("name", "ü"),))),
        (b"x; name*=iso-8859-1'de'%FC", ContentType("x", None, (("name", "ü"),))),
        (b"x; name*=''%C3%BC", ContentType("x", None, (("name", "ü"),))),
        (b"x; name*=%C3%BC", ContentType("x", None, (("name", "ü"),))),
        (b"x; name=a; name*=utf-8''b", ContentType("x", None, (("name", "b"),))),
        (b"x; name*1=b; name*0=a", ContentType("x", None, (("name", "ab"),))),
        (b"x; name*0*=utf-8''%C3; name*1*=%BC; name*2=%41", ContentType("x", None, (("name", "ü%41"),))),
        (b'x; name*0="a "; name*1="b"', ContentType("x", None, (("name", "a b"),))),
        (b"x; name*0=a; name*0=b", ContentType("x", None, (("name", "a"),))),
        (b"x; *=a; a**=b; a*x=c", ContentType("x")),
    ],
)
def test_parse(value: bytes, expected: ContentType) -> None:
    assert parse_content_type(value) == expected


@pytest.mark.parametrize("value", [b"", b" ", b";", b"/plain", b"; a=b", b"/"])
def test_malformed(value: bytes) -> None:
    assert parse_content_type(value) == Malformed("no type")


def test_access() -> None:
    parsed = parse_content_type(b"text/html; charset=utf-8")
    assert isinstance(parsed, ContentType)
    assert parsed.full_type == "text/html"
    assert parsed.parameter("charset") == "utf-8"
    assert parsed.parameter("name") is None
    assert ContentType("inline").full_type == "inline"


def test_parameters_are_counted() -> None:
    parsed = parse_content_type(b"x" + b"".join(b"; a%d=b" % number for number in range(1000)))
    assert isinstance(parsed, ContentType)
    assert len(parsed.parameters) == MAX_PARAMETERS


@pytest.mark.parametrize(
    "piece", [b" ", b";", b"a ", b'"', b"(", b" (", b"a=b ", b"\\", b"a=b;", b"*", b"=?", b"a="]
)
def test_time_is_linear(piece: bytes) -> None:
    value = b"x/y; n=v " + piece * (256 * 1024 // len(piece))
    begin = time.process_time()
    parse_content_type(value)
    parse_content_type(piece + value)
    assert time.process_time() - begin < 5
