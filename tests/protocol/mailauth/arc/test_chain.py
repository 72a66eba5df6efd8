"""Whether ARC fields form a chain."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.arc.chain import (
    MAX_INSTANCES,
    ArcSet,
    highest_instance,
    parse_chain,
)
from ptt.protocol.mailauth.dkim.canonicalization import Canonicalization


def aar(instance: object) -> bytes:
    return b"ARC-Authentication-Results: i=%b; mx.example.org; none\r\n" % str(instance).encode()


def ams(instance: object, more: str = "") -> bytes:
    tags = f"i={instance}; a=rsa-sha256; d=example.org; s=s; h=; bh=AAAA; b=AAAA{more}"
    return f"ARC-Message-Signature: {tags}\r\n".encode()


def seal(
    instance: object, more: str = "; cv=none", begin: str = "a=rsa-sha256; d=example.org; s=s; b=AAAA"
) -> bytes:
    return f"ARC-Seal: i={instance}; {begin}{more}\r\n".encode()


def header(*fields: bytes) -> Header:
    parsed = parse_header(b"".join(fields) + b"From: a@example.org\r\n")
    assert isinstance(parsed, Header)
    return parsed


def chain(*fields: bytes) -> tuple[ArcSet, ...] | Malformed:
    return parse_chain(header(*fields))


def test_chains() -> None:
    assert chain() == ()
    sets = chain(seal(2), ams(2), aar(2), aar(1), ams(1), seal(1, "; cv=pass; t=5"))
    assert isinstance(sets, tuple)
    assert [each.seal.chain_word for each in sets] == [b"pass", b"none"]
    assert sets[0].seal.domain == sets[0].signature.domain == Name.of("example.org")
    assert sets[0].signature.fields == (b"",)
    assert sets[0].signature.header_canonicalization is Canonicalization.RELAXED
    assert [each.lower for each in sets[0].fields] == [
        b"arc-authentication-results",
        b"arc-message-signature",
        b"arc-seal",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        [aar(1)],
        [aar(1), ams(1)],
        [aar(1), ams(1), seal(2)],
        [aar(2), ams(2), seal(2)],
        [aar(1), ams(1), seal(1), seal(1)],
        [aar(1), ams(1), seal(1), aar(2)],
        [aar(1), ams(1), seal(1), aar(3), ams(3), seal(3)],
        [aar(0), ams(1), seal(1)],
        [aar("01"), ams(1), seal(1)],
        [aar(51), ams(1), seal(1)],
        [aar(""), ams(1), seal(1)],
        [aar(1), ams("x"), seal(1)],
        [aar(1), ams(1, "; b=AAAA"), seal(1)],
        [aar(1), ams(1, "; h=arc-seal"), seal(1)],
        [aar(1), ams(1, "; l=x"), seal(1)],
        [aar(1), ams(1), seal(1, "; h=from; cv=none")],
        [aar(1), ams(1), seal(1, "")],
        [aar(1), ams(1), seal(1, "; cv=maybe")],
        [aar(1), ams(1), seal(1, "; cv=none; t=x")],
        [aar(1), ams(1), seal(1, begin="a=x; d=example.org; s=s; b=AAAA")],
        [aar(1), ams(1), seal(1, begin="a=rsa-sha256; d=exa mple.org; s=s; b=AAAA")],
        [aar(1), ams(1), seal(1, begin="a=rsa-sha256; d=example.org; s=s; b=?")],
        [aar(1), ams(1), b"ARC-Seal: i=1;;\r\n"],
    ],
)
def test_what_is_no_chain(fields: list[bytes]) -> None:
    assert isinstance(chain(*fields), Malformed)


def test_seals_are_not_signed_by_message_signatures() -> None:
    signature = ams(1).replace(b"h=;", b"h=from : ARC-Seal;")
    assert chain(aar(1), signature, seal(1)) == Malformed(
        "ARC set 1: ARC-Message-Signature: seals are not signed by message signatures"
    )


def test_no_more_than_fifty() -> None:
    fields = [field for each in range(1, MAX_INSTANCES + 1) for field in (aar(each), ams(each), seal(each))]
    sets = chain(*fields)
    assert isinstance(sets, tuple)
    assert len(sets) == MAX_INSTANCES
    assert isinstance(chain(*fields, aar(1)), Malformed)


def test_the_highest_instance() -> None:
    assert highest_instance(header()) == 0
    assert highest_instance(header(aar(3), ams(7), seal("x"), b"ARC-Seal: i=9; i=9\r\n")) == 7
