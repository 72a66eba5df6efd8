"""Mailboxes of the envelope: grammar, limits, UTF-8, literals, the canonical form."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import (
    MAX_LOCAL_PART_OCTETS,
    MAX_MAILBOX_OCTETS,
    AddressLiteral,
    Mailbox,
    mailbox,
    make_mailbox,
    parse_domain,
    parse_literal,
    parse_mailbox,
    quote_local_part,
)

ORG = Name.of("example.org")
LONG_LOCAL_PART = b"x" * MAX_LOCAL_PART_OCTETS


@pytest.mark.parametrize(
    ("wire", "local_part", "domain"),
    [
        (b"alice@example.org", "alice", ORG),
        (b"Alice@EXAMPLE.org", "Alice", ORG),
        (b"a.b+c@example.org", "a.b+c", ORG),
        (b'"a b"@example.org', "a b", ORG),
        (b'"a\\"\\\\\\b"@example.org', 'a"\\b', ORG),
        (b'""@example.org', "", ORG),
        (b'"a@b"@example.org', "a@b", ORG),
        (b"a@b", "a", Name.of("b")),
        (b"a@1.2.3.4", "a", Name.of("1.2.3.4")),
        (b"a@xn--bcher-kva.example", "a", Name.of("xn--bcher-kva.example")),
        (b"a@[192.0.2.1]", "a", AddressLiteral(IPv4Address("192.0.2.1"))),
        (b"a@[IPv6:2001:db8::1]", "a", AddressLiteral(IPv6Address("2001:db8::1"))),
        (b"a@[ipV6:::]", "a", AddressLiteral(IPv6Address("::"))),
        (LONG_LOCAL_PART + b"@example.org", LONG_LOCAL_PART.decode(), ORG),
    ],
)
def test_parse(wire: bytes, local_part: str, domain: Name | AddressLiteral) -> None:
    parsed = parse_mailbox(wire, allow_utf8=False)
    assert parsed == Mailbox(local_part, domain, wire)
    assert isinstance(parsed, Mailbox)
    assert parsed.wire == wire
    assert parsed.is_ascii
    assert parse_mailbox(parsed.canonical(), allow_utf8=False) == parsed


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"@",
        b"alice",
        b"alice@",
        b"@example.org",
        b".a@example.org",
        b"a.@example.org",
        b"a..b@example.org",
        b"a b@example.org",
        b"a@b@example.org",
        b"a@example.org.",
        b"a@example..org",
        b"a@-example.org",
        b"a@example-.org",
        b"a@exa_mple.org",
        b"a@example.org\r\n",
        b"a@example.org\n",
        b"a@\0.org",
        b"\0@example.org",
        b'"a@example.org',
        b'"a"b@example.org',
        b'"a".b@example.org',
        b'"\t"@example.org',
        b'"\\\t"@example.org',
        b'"\x7f"@example.org',
        b"(x)a@example.org",
        b"<a@example.org>",
        b"@relay.example:a@example.org",
        b"a@[192.0.2.256]",
        b"a@[192.0.2]",
        b"a@[192.0.2.01]",
        b"a@[192.0.2.1",
        b"a@[]",
        b"a@[2001:db8::1]",
        b"a@[IPv6:192.0.2.1]",
        b"a@[IPv6:fe80::1%eth0]",
        b"a@[IPv6:::1::]",
        b"a@[x400:anything]",
        b"x" + LONG_LOCAL_PART + b"@example.org",
        b'"' + LONG_LOCAL_PART + b'"@example.org',
        b"a@" + b"x" * 64 + b".org",
        b"a@" + b".".join([b"x" * 60] * 4) + b".example.org",
        b"a@" + b".".join([b"xxxxx"] * 100_000),
    ],
)
def test_malformed(wire: bytes) -> None:
    assert isinstance(parse_mailbox(wire, allow_utf8=False), Malformed)
    assert isinstance(parse_mailbox(wire, allow_utf8=True), Malformed)


def test_the_longest_mailbox() -> None:
    domain = b"x" * 59 + b"." + b".".join([b"y" * 63] * 2)
    longest = LONG_LOCAL_PART[: MAX_MAILBOX_OCTETS - len(domain) - 1] + b"@" + domain
    assert len(longest) == MAX_MAILBOX_OCTETS - 2
    assert isinstance(parse_mailbox(longest + b".a", allow_utf8=False), Mailbox)
    assert isinstance(parse_mailbox(longest + b".ab", allow_utf8=False), Malformed)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("bücher@example.org", "bücher@example.org"),
        ('"bücher"@example.org', "bücher@example.org"),
        ("alice@bücher.example", "alice@xn--bcher-kva.example"),
        ("alice@BÜCHER.example", "alice@xn--bcher-kva.example"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    ],
)
def test_utf8_only_where_allowed(text: str, canonical: str) -> None:
    parsed = parse_mailbox(text.encode(), allow_utf8=True)
    assert isinstance(parsed, Mailbox)
    assert not parsed.is_ascii
    assert parsed.wire == text.encode()
    assert parsed.canonical() == canonical.encode()
    assert str(parsed) == canonical
    assert parse_mailbox(parsed.canonical(), allow_utf8=True) == parsed
    assert isinstance(parse_mailbox(text.encode(), allow_utf8=False), Malformed)


@pytest.mark.parametrize(
    "wire",
    [
        b"b\xfccher@example.org",  # Latin-1
        b"a@b\xfccher.example",
        b"\xed\xa0\x80@example.org",  # a surrogate
        '"\\ü"@example.org'.encode(),  # a quoted pair is ASCII (RFC 5321 §4.1.2)
        "a@。example".encode(),
        "a@\u200d.example".encode(),
        ("x" * 64 + "@" + ".".join(["é"] * 30)).encode(),  # too long with A-labels
        ("a@" + ".".join(["é"] * 60)).encode(),
    ],
)
def test_bad_utf8(wire: bytes) -> None:
    assert isinstance(parse_mailbox(wire, allow_utf8=True), Malformed)


def test_equality_is_that_of_the_rfc() -> None:
    assert mailbox("a@EXAMPLE.org") == mailbox("a@example.ORG") == mailbox('"a"@example.org')
    assert hash(mailbox("a@EXAMPLE.org")) == hash(mailbox('"a"@example.org'))
    assert mailbox("a@example.org") != mailbox("A@example.org")


def test_our_own_literals_are_right_or_a_bug() -> None:
    assert mailbox("bücher@example.org").local_part == "bücher"
    with pytest.raises(MisuseError, match="not a mailbox"):
        mailbox("example.org")


@pytest.mark.parametrize(
    ("local_part", "text"),
    [
        ("a", "a@example.org"),
        ("", '""@example.org'),
        ("a b", '"a b"@example.org'),
        ("a..b", '"a..b"@example.org'),
        ('"\\', '"\\"\\\\"@example.org'),
        ("SRS0=x=y=z=a", "SRS0=x=y=z=a@example.org"),
    ],
)
def test_make_mailbox_quotes_where_it_must(local_part: str, text: str) -> None:
    made = make_mailbox(local_part, ORG)
    assert isinstance(made, Mailbox)
    assert str(made) == text
    assert made.wire == text.encode()
    assert made.local_part == local_part


@pytest.mark.parametrize("local_part", ["a\r\nb", "\0", "\udc80", "x" * (MAX_LOCAL_PART_OCTETS + 1)])
def test_make_mailbox_refuses_what_no_envelope_holds(local_part: str) -> None:
    assert isinstance(make_mailbox(local_part, ORG), Malformed)


def test_make_mailbox_with_a_literal() -> None:
    made = make_mailbox("a", AddressLiteral(IPv6Address("2001:db8::1")))
    assert isinstance(made, Mailbox)
    assert made.wire == b"a@[IPv6:2001:db8::1]"


def test_quote_local_part() -> None:
    assert quote_local_part("a.b") == "a.b"
    assert quote_local_part('a"b') == '"a\\"b"'


def test_literal_text() -> None:
    assert str(AddressLiteral(IPv4Address("192.0.2.1"))) == "[192.0.2.1]"
    assert str(AddressLiteral(IPv6Address("2001:DB8::1"))) == "[IPv6:2001:db8::1]"


def test_parse_domain() -> None:
    assert parse_domain("EXAMPLE.org") == ORG
    assert parse_domain("bücher.example") == Name.of("xn--bcher-kva.example")
    for text in ("", "example.org.", "a_b", "\udc80", "-a", "a b", "[192.0.2.1]"):
        assert isinstance(parse_domain(text), Malformed)


def test_parse_literal() -> None:
    assert parse_literal(b"192.0.2.1") == AddressLiteral(IPv4Address("192.0.2.1"))
    assert parse_literal(b"IPv6:::1") == AddressLiteral(IPv6Address("::1"))
    for text in (b"", b"IPv6:", b"IPv6:fe80::1%1", b"\xff", b"IPv6:\xff", b"localhost"):
        assert isinstance(parse_literal(text), Malformed)
