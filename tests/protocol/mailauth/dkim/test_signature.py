"""The DKIM-Signature field as its reader sees it."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.dkim.canonicalization import Canonicalization, HashAlgorithm
from ptt.protocol.mailauth.dkim.signature import (
    Algorithm,
    Signature,
    parse_signature,
    signed_octets,
    without_signature,
)

BASE = {
    b"v": b"1",
    b"a": b"rsa-sha256",
    b"d": b"Example.org",
    b"s": b"s1.Mail",
    b"h": b"From:To",
    b"bh": b"AAAA",
    b"b": b"A A\r\n AA",
}


def parsed(**changes: bytes | None) -> Signature | Malformed:
    tags = {**BASE, **{name.encode(): value for name, value in changes.items()}}
    return parse_signature(
        b"; ".join(b"%b=%b" % (name, value) for name, value in tags.items() if value is not None)
    )


def test_a_bare_signature() -> None:
    signature = parsed()
    assert isinstance(signature, Signature)
    assert signature.algorithm is Algorithm.RSA_SHA256
    assert signature.algorithm.hash_algorithm is HashAlgorithm.SHA256
    assert (signature.domain, signature.selector) == (Name.of("example.org"), Name.of("s1.mail"))
    assert signature.header_canonicalization is Canonicalization.SIMPLE
    assert signature.body_canonicalization is Canonicalization.SIMPLE
    assert signature.fields == (b"from", b"to")
    assert signature.signature == signature.body_hash == bytes(3)
    assert (signature.identity, signature.identity_domain) == (b"@example.org", signature.domain)
    assert (signature.body_limit_octets, signature.timestamp, signature.expiration) == (None, None, None)


def test_all_tags() -> None:
    signature = parsed(
        a=b"ed25519-sha256",
        c=b"relaxed",
        i=b"a=3Bb@Mail.example.org",
        l=b"10",
        t=b"5",
        x=b"6",
        q=b"x/y : dns/txt",
        z=b"From:x",
        new=b"",
    )
    assert isinstance(signature, Signature)
    assert signature.algorithm is Algorithm.ED25519_SHA256
    assert signature.header_canonicalization is Canonicalization.RELAXED
    assert signature.body_canonicalization is Canonicalization.SIMPLE
    assert signature.identity == b"a;b@Mail.example.org"
    assert signature.identity_domain == Name.of("mail.example.org")
    assert (signature.body_limit_octets, signature.timestamp, signature.expiration) == (10, 5, 6)


def test_international_names() -> None:
    signature = parsed(d="bücher.example".encode(), i="ü@bücher.example".encode())
    assert isinstance(signature, Signature)
    assert signature.domain == signature.identity_domain == Name.of("xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("v", b"2", "v="),
        ("v", None, "v="),
        ("a", None, "a= is missing"),
        ("b", b"", "b= is missing"),
        ("bh", None, "bh= is missing"),
        ("d", None, "d= is missing"),
        ("h", None, "h= is missing"),
        ("h", b"", "From"),
        ("a", b"RSA-sha256", "algorithm"),
        ("c", b"Relaxed", "canonicalization"),
        ("s", None, "s= is missing"),
        ("a", b"rsa-md5", "algorithm"),
        ("c", b"relaxed/nofws", "canonicalization"),
        ("c", b"", "canonicalization"),
        ("d", b"exa mple.org", "name"),
        ("d", b"example.org.", "name"),
        ("d", b"\xff.org", "name"),
        ("s", b"a..b", "name"),
        ("s", b"a\\.b", "name"),
        ("b", b"?", "base64"),
        ("bh", b"A", "base64"),
        ("h", b"to:subject", "From"),
        ("l", b"-1", "number"),
        ("l", b"1" * 77, "number"),
        ("t", b"now", "number"),
        ("x", b"", "number"),
        ("q", b"http", "q="),
        ("i", b"example.org", "i="),
        ("i", b"@example.com", "i="),
        ("i", b"@anexample.org", "i="),
        ("i", b"@", "i="),
    ],
)
def test_what_is_no_signature(name: str, value: bytes | None, reason: str) -> None:
    signature = parsed(**{name: value})
    assert isinstance(signature, Malformed)
    assert reason in signature.reason


def test_contradictions() -> None:
    assert isinstance(parse_signature(b"no list"), Malformed)
    assert parsed(t=b"5", x=b"5") == Malformed("x= is not after t=")


@pytest.mark.parametrize(
    ("value", "emptied"),
    [
        (b" v=1; bh=abc; b=de\r\n f=; h=x", b" v=1; bh=abc; b=; h=x"),
        (b" b = x", b" b ="),
        (b"a=b=c;\r\n\tb=\r\n x ;", b"a=b=c;\r\n\tb=;"),
    ],
)
def test_b_is_emptied(value: bytes, emptied: bytes) -> None:
    assert without_signature(value) == emptied


def test_which_fields_are_signed() -> None:
    header = parse_header(
        b"DKIM-Signature: b=x\r\nTo: 1\r\nFrom: 2\r\nTo: 3\r\nTo: 4\r\nDKIM-Signature: old\r\n"
    )
    assert isinstance(header, Header)
    octets = signed_octets(
        Canonicalization.SIMPLE,
        [b"to", b"from", b"from", b"to", b"cc", b"dkim-signature", b"dkim-signature"],
        header.fields,
        header.fields[0],
    )
    assert octets == b"To: 4\r\nFrom: 2\r\nTo: 3\r\nDKIM-Signature: old\r\nDKIM-Signature: b="
