"""Public keys as they stand in the DNS."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Answer, Rcode, Security, Txt
from ptt.protocol.mailauth.dkim.key_record import (
    KeyRecord,
    NoKey,
    is_signed,
    key_for,
    parse_key_record,
)
from ptt.protocol.mailauth.dkim.keys import public_record
from ptt.protocol.mailauth.dkim.signature import Algorithm
from ptt.protocol.mailauth.results import DkimResult

RSA = rsa.generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(32))
SPKI = base64.b64encode(RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
PKCS1 = base64.b64encode(RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1))
EC = base64.b64encode(
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


def key(text: bytes) -> KeyRecord:
    record = parse_key_record(text)
    assert isinstance(record, KeyRecord), record
    return record


def answer(*texts: bytes) -> Answer:
    return Answer(Rcode.NOERROR, tuple(Txt((text[:100], text[100:])) for text in texts))


@pytest.mark.parametrize(
    "text",
    [
        public_record(RSA),
        b"p=" + SPKI,
        b"k=rsa; p=" + PKCS1,
        b"v=DKIM1;n=x y;p=" + SPKI[:60] + b" \t" + SPKI[60:],
    ],
)
def test_rsa_keys(text: bytes) -> None:
    record = key(text)
    assert record.public == RSA.public_key()
    assert (record.key_type, record.rsa_bits, record.hashes) == (b"rsa", 2048, None)
    assert not record.is_strict
    assert not record.is_testing


def test_ed25519_keys_and_flags() -> None:
    record = key(public_record(ED25519) + b"; t= y : s; s=tlsrpt:email; h=sha256: x")
    assert record.public == ED25519.public_key()
    assert (record.key_type, record.rsa_bits) == (b"ed25519", None)
    assert record.is_strict
    assert record.is_testing
    assert record.hashes == frozenset({b"sha256", b"x"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"v=DKIM1: -all; p", "list"),
        (b"v=DKIM2; p=" + SPKI, "version"),
        (b"p=" + SPKI + b"; v=DKIM1", "version"),
        (b"v=DKIM1; k=rsa", "no key"),
        (b"v=DKIM1; p=", "revoked"),
        (b"v=DKIM1; s=tlsrpt; p=" + SPKI, "not for mail"),
        (b"v=DKIM1; p=?", "base64"),
        (b"v=DKIM1; p=AAAA", "cannot be read"),
        (b"v=DKIM1; k=ed25519; p=AAAA", "cannot be read"),
        (b"v=DKIM1; k=dsa; p=AAAA", "unknown type"),
        (b"v=DKIM1; p=" + EC, "unknown type"),
    ],
)
def test_what_is_no_key(text: bytes, reason: str) -> None:
    record = parse_key_record(text)
    assert isinstance(record, Malformed)
    assert reason in record.reason


def test_huge_keys_are_refused() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 8200) | 1)
    octets = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = parse_key_record(b"p=" + base64.b64encode(octets))
    assert record == Malformed("a key of more than 8192 bits")


def test_the_key_is_chosen_by_algorithm() -> None:
    both = answer(b"junk", public_record(RSA), public_record(ED25519))
    for algorithm, public in (
        (Algorithm.RSA_SHA256, RSA.public_key()),
        (Algorithm.ED25519_SHA256, ED25519.public_key()),
    ):
        found = key_for(both, algorithm)
        assert isinstance(found, KeyRecord)
        assert found.public == public


@pytest.mark.parametrize(
    ("reply", "result", "reason"),
    [
        (Answer(Rcode.SERVFAIL), DkimResult.TEMPERROR, "looked up"),
        (Answer(Rcode.NOERROR, security=Security.BOGUS), DkimResult.TEMPERROR, "looked up"),
        (Answer(Rcode.NXDOMAIN), DkimResult.PERMERROR, "no key"),
        (Answer(Rcode.NOERROR), DkimResult.PERMERROR, "no key"),
        (answer(b"p=", b"p=?"), DkimResult.PERMERROR, "revoked"),
        (answer(public_record(ED25519)), DkimResult.PERMERROR, "another algorithm"),
        (answer(b"h=sha1; p=" + SPKI), DkimResult.PERMERROR, "another hash"),
    ],
)
def test_why_there_is_no_key(reply: Answer, result: DkimResult, reason: str) -> None:
    found = key_for(reply, Algorithm.RSA_SHA256)
    assert isinstance(found, NoKey)
    assert found.result is result
    assert reason in found.reason


def test_checks_of_signatures() -> None:
    record = key(b"p=" + SPKI)
    for algorithm, kind in ((Algorithm.RSA_SHA256, SHA256()), (Algorithm.RSA_SHA1, SHA1())):  # noqa: S303
        signature = RSA.sign(b"octets", PKCS1v15(), kind)
        assert is_signed(record, algorithm, signature, b"octets")
        assert not is_signed(record, algorithm, signature, b"others")
        assert not is_signed(record, algorithm, b"", b"octets")
    assert not is_signed(key(public_record(ED25519)), Algorithm.ED25519_SHA256, bytes(64), b"octets")
