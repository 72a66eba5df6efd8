"""Arguments of commands, xtext and our own XPTT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.smtp.command_wire import xtext
from ptt.protocol.smtp.grammar import (
    MAX_CLIENT_NAME_OCTETS,
    MAX_TRACE_IDS,
    Chunk,
    Path,
    bare_postmaster,
    decode_xtext,
    is_bare_postmaster,
    is_http,
    parse_chunk,
    parse_client_name,
    parse_path,
    parse_taken,
    parse_trace,
    split_command,
)


@pytest.mark.parametrize(
    "line", [b"GET /evil HTTP/1.1", b"POST / HTTP/1.0", b"CONNECT a:80 HTTP/1.1", b"PRI * HTTP/2.0"]
)
def test_http(line: bytes) -> None:
    assert is_http(line)


@pytest.mark.parametrize("line", [b"GET", b"get / http/1.1", b"NOOP GET / HTTP/1.1", b"", b"GETX / HTTP/1.1"])
def test_not_http(line: bytes) -> None:
    assert not is_http(line)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"noop", ("NOOP", b"")),
        (b"MAIL FROM:<>", ("MAIL", b"FROM:<>")),
        (b"Mail   FROM:<a b>", ("MAIL", b"FROM:<a b>")),
        (b"", ("", b"")),
        (b" NOOP", ("", b"")),
        (b"MAIL:FROM", ("", b"")),
        ("NÖÖP".encode(), ("", b"")),
    ],
)
def test_command(line: bytes, command: tuple[str, bytes]) -> None:
    assert split_command(line) == command


NAMES = [
    ("client.example", True, True),
    ("localhost", True, True),
    ("192.0.2.1", True, True),
    ("my_pc.example", True, True),
    ("client.example.", True, True),
    ("[192.0.2.1]", True, True),
    ("[IPv6:2001:db8::1]", True, True),
    ("[IPV6:fe80::1]", True, True),
    ("x" * MAX_CLIENT_NAME_OCTETS, True, True),
    ("x" * (MAX_CLIENT_NAME_OCTETS + 1), False, False),
    ("", False, False),
    ("-a", False, True),
    ("a b", False, True),
    ("[a", False, True),
    ("Jürgens-PC", False, True),
    ("a\u202eb", False, False),
]


@pytest.mark.parametrize(("name", "strict", "tolerant"), NAMES)
def test_client_name(name: str, strict: bool, tolerant: bool) -> None:
    assert (parse_client_name(name.encode(), tolerant=False) == name) is (strict and bool(name))
    assert (parse_client_name(name.encode(), tolerant=True) == name) is (tolerant and bool(name))


PATHS = [
    (b"FROM:<a@b>", Path(b"a@b", b"")),
    (b"from:<>", Path(b"", b"")),
    (b"FROM:<a@b> SIZE=1 BODY=7BIT", Path(b"a@b", b"SIZE=1 BODY=7BIT")),
    (b"FROM:<@one,@two:a@b>", Path(b"a@b", b"")),
    (b'FROM:<"a> b"@c> X', Path(b'"a> b"@c', b"X")),
    (b'FROM:<"a\\" b"@c>', Path(b'"a\\" b"@c', b"")),
    (b'FROM:<"@a:b"@c>', Path(b'"@a:b"@c', b"")),
    (b"FROM:<Postmaster>", Path(b"Postmaster", b"")),
]
BAD_PATHS = [
    *(b"", b"FROM", b"FROM:", b"FROM:a@b>", b"FROM:<a@b", b"FROM:<a@b>SIZE=1", b"FROM:<a b>", b"TO:<a@b>"),
    *(b"FROM:<<a@b>>", b'FROM:<"a@b>', b"FROM :<a@b>"),
]


@pytest.mark.parametrize(("argument", "path"), PATHS)
@pytest.mark.parametrize("tolerant", [False, True])
def test_path(argument: bytes, path: Path, tolerant: bool) -> None:
    assert parse_path(argument, b"FROM:", tolerant=tolerant) == path


@pytest.mark.parametrize("argument", BAD_PATHS)
@pytest.mark.parametrize("tolerant", [False, True])
def test_bad_path(argument: bytes, tolerant: bool) -> None:
    if not (tolerant and argument == b"FROM:a@b"):
        assert isinstance(parse_path(argument, b"FROM:", tolerant=tolerant), Malformed)


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        (b"TO: <a@b>", Path(b"a@b", b"")),
        (b"TO:a@b", Path(b"a@b", b"")),
        (b"TO: a@b NOTIFY=NEVER", Path(b"a@b", b"NOTIFY=NEVER")),
    ],
)
def test_tolerated_path(argument: bytes, path: Path) -> None:
    assert isinstance(parse_path(argument, b"TO:", tolerant=False), Malformed)
    assert parse_path(argument, b"TO:", tolerant=True) == path


@given(st.text('<>@,:"\\ ab', max_size=60))
def test_a_path_is_read_in_no_time(text: str) -> None:
    argument = (b"FROM:<" + text.encode() + b'"' * 20 + b"\\" * 20 + b"@a," * 20) * 10
    assert isinstance(parse_path(argument, b"FROM:", tolerant=True), Path | Malformed)


def test_a_path_can_only_be_read_in_one_way() -> None:
    hostile = b"FROM:<" + b'"' * 1000 + b'"\\a"' * 250 + b"@a," * 250
    assert isinstance(parse_path(hostile, b"FROM:", tolerant=False), Malformed)


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        (b"0", Chunk(0, last=False)),
        (b"86 LAST", Chunk(86, last=True)),
        (b"1 last", Chunk(1, last=True)),
        (b"99999999999999999999", Chunk(99999999999999999999, last=False)),
    ],
)
def test_chunk(argument: bytes, chunk: Chunk) -> None:
    assert parse_chunk(argument) == chunk


@pytest.mark.parametrize("argument", [b"", b"LAST", b"-1", b"1LAST", b"1 LAST 2", b"1" * 21, "٣".encode()])
def test_bad_chunk(argument: bytes) -> None:
    assert isinstance(parse_chunk(argument), Malformed)


def test_taken() -> None:
    assert parse_taken(b"TAKEN a b-1") == ("a", "b-1")
    assert parse_taken(b"taken a+2Bb") == ("a+b",)


@pytest.mark.parametrize(
    "argument",
    [
        *(b"", b"TAKEN", b"TAKEN ", b"TAKEN a  b", b"LEFT a", b"TAKEN a:b", b"TAKEN a+20b", b"TAKEN a+b"),
        b"TAKEN " + b"x" * 129,
        b"TAKEN" + b" a" * (MAX_TRACE_IDS + 1),
        "TAKEN ä".encode(),
    ],
)
def test_bad_taken(argument: bytes) -> None:
    assert isinstance(parse_taken(argument), Malformed)


def test_trace() -> None:
    assert parse_trace(b"4f.1") == ("4f.1", None)
    assert parse_trace(b"4f.1:anne") == ("4f.1", "anne")
    assert parse_trace(b"4f:a:b+2B") == ("4f", "a:b+")
    assert parse_trace(b"4f:" + xtext("zoë c")) == ("4f", "zoë c")


@pytest.mark.parametrize("value", [b"", b":", b":anne", b"4f:", b"4f:+zz", b"4f:+FF", b"+3A:a"])
def test_bad_trace(value: bytes) -> None:
    assert isinstance(parse_trace(value), Malformed)


@given(st.text(min_size=1))
def test_xtext_comes_back(text: str) -> None:
    assert decode_xtext(xtext(text)) == text


@pytest.mark.parametrize("value", [b"", b"a b", b"a=b", b"+4", b"+4g", b"+4a", "ä".encode(), b"+C3"])
def test_bad_xtext(value: bytes) -> None:
    assert isinstance(decode_xtext(value), Malformed)


def test_postmaster() -> None:
    found = bare_postmaster(b"PostMaster", "mx.example")
    assert found is not None
    assert (found.local_part, found.domain, found.wire) == (
        "postmaster",
        Name.of("mx.example"),
        b"PostMaster",
    )
    assert is_bare_postmaster(found)
    assert bare_postmaster(b"anne", "mx.example") is None


@given(st.binary(max_size=80).filter(lambda octets: b"\r" not in octets and b"\n" not in octets))
def test_nothing_raises(octets: bytes) -> None:
    is_http(octets)
    split_command(octets)
    parse_chunk(octets)
    parse_taken(octets)
    parse_trace(octets)
    parse_path(octets, b"TO:", tolerant=True)
    parse_path(b"TO:" + octets, b"TO:", tolerant=True)
