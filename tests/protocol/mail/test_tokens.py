"""Tokens of structured fields: kinds, comments to their bound, what stays whole, what begins no token."""

import time

import pytest

from ptt.errors import Malformed
from ptt.protocol.mail.tokens import MAX_COMMENT_DEPTH, Kind, tokenize, without_comments


def kinds(value: bytes) -> list[tuple[Kind, bytes, bool]]:
    tokens = tokenize(value)
    assert not isinstance(tokens, Malformed)
    return [(token.kind, token.text, token.spaced) for token in tokens]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b" \t", []),
        (b"\r\n ", []),
        (b"a.b", [(Kind.ATOM, b"a", False), (Kind.SPECIAL, b".", False), (Kind.ATOM, b"b", False)]),
        (b" a\r\n b", [(Kind.ATOM, b"a", True), (Kind.ATOM, b"b", True)]),
        (b"\n a\n\tb \n c", [(Kind.ATOM, b"a", True), (Kind.ATOM, b"b", True), (Kind.ATOM, b"c", True)]),
        (b"\xff\xfe", [(Kind.ATOM, b"\xff\xfe", False)]),
        (b'"a \\"b\\\\"', [(Kind.QUOTED_STRING, b'a "b\\', False)]),
        (b'"a\r\n b\n\tc"', [(Kind.QUOTED_STRING, b"a b\tc", False)]),
        (b"(a (b) \\) \\( c)", [(Kind.COMMENT, b"a (b) ) ( c", False)]),
        (b"(a\r\n b)c", [(Kind.COMMENT, b"a b", False), (Kind.ATOM, b"c", False)]),
        (b"[IPv6:::1]", [(Kind.DOMAIN_LITERAL, b"IPv6:::1", False)]),
        (b"=?utf-8?q?a,_(b).?=", [(Kind.ENCODED_WORD, b"=?utf-8?q?a,_(b).?=", False)]),
        (b"=?utf-8?b??= x", [(Kind.ENCODED_WORD, b"=?utf-8?b??=", False), (Kind.ATOM, b"x", True)]),
        (b"=?utf-8?x?a?=", [(Kind.ATOM, b"=?utf-8?x?a?=", False)]),
        (b"<>:;@,.", [(Kind.SPECIAL, bytes([octet]), False) for octet in b"<>:;@,."]),
    ],
)
def test_tokenize(value: bytes, expected: list[tuple[Kind, bytes, bool]]) -> None:
    assert kinds(value) == expected


def test_an_encoded_word_hides_no_address() -> None:
    assert [text for kind, text, _ in kinds(b"=?utf-8?q?<a@b>?=") if kind is Kind.SPECIAL] == [
        b"<",
        b"@",
        b">",
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"a \\b", "octet 3 of the value begins no token"),
        (b'"a', "octet 1 of the value begins no token"),
        (b'"a\\"', "octet 1 of the value begins no token"),
        (b'"a\r\nb"', "octet 1 of the value begins no token"),
        (b'"\n"', "octet 1 of the value begins no token"),
        (b"a\rb", "octet 2 of the value begins no token"),
        (b"a\r\nb", "octet 2 of the value begins no token"),
        (b"\r\n \r\nb", "octet 4 of the value begins no token"),
        (b"\0", "octet 1 of the value begins no token"),
        (b"[a", "octet 1 of the value begins no token"),
        (b"]", "octet 1 of the value begins no token"),
        (b"a)", "octet 2 of the value begins no token"),
        (b"(a", "a comment that does not end"),
        (b"(a(b)", "a comment that does not end"),
        (b"(a\\)", "a comment that does not end"),
        (b"(a\r)", "a comment that does not end"),
        (b"(" * 100, f"comments nested deeper than {MAX_COMMENT_DEPTH}"),
    ],
)
def test_malformed(value: bytes, reason: str) -> None:
    assert tokenize(value) == Malformed(reason)


def test_comments_nest_to_the_bound() -> None:
    assert len(kinds(b"(" * MAX_COMMENT_DEPTH + b")" * MAX_COMMENT_DEPTH)) == 1
    deeper = MAX_COMMENT_DEPTH + 1
    assert isinstance(tokenize(b"(" * deeper + b")" * deeper), Malformed)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", b""),
        (b"a b", b"a b"),
        (b"a(b)c", b"a c"),
        (b"(a)(b(c))d", b"  d"),
        (b"a(", None),
        (b"a)", b"a)"),
    ],
)
def test_without_comments(value: bytes, expected: bytes | None) -> None:
    plain = without_comments(value)
    assert plain == (Malformed("a comment that does not end") if expected is None else expected)


@pytest.mark.parametrize(
    "piece", [b"(", b'"', b"[", b"=?", b"a ", b"\r\n ", b"\\", b"()", b'"\\"', b"=?a?q?", b"(\\"]
)
def test_time_is_linear(piece: bytes) -> None:
    value = piece * (256 * 1024 // len(piece))
    begin = time.process_time()
    tokenize(value)
    assert time.process_time() - begin < 5
