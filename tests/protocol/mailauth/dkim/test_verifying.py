"""Verification of signatures: ours, and those that dkimpy makes."""

import base64
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash
from ptt.protocol.mailauth.dkim.keys import SigningKey, public_record
from ptt.protocol.mailauth.dkim.signing import SigningPolicy, sign
from ptt.protocol.mailauth.dkim.verifying import (
    MAX_SIGNATURES,
    SignatureVerdict,
    VerifyingPolicy,
    verify,
)
from ptt.protocol.mailauth.results import DkimResult

NOW = 1_800_000_000
DOMAIN = Name.of("example.org")
RSA_KEY = SigningKey(Name.of("r"), DOMAIN, rsa.generate_private_key(65537, 2048))
ED_KEY = SigningKey(Name.of("e"), DOMAIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
HEADER = b"From: Alice <alice@example.org>\r\nTo: bob@example.com\r\nSubject: x\r\n"
BODY = b"Hello,\r\n\r\n  world \r\n"


def signed(header: bytes = HEADER, body: bytes = BODY, policy: SigningPolicy | None = None) -> bytes:
    parsed = parse_header(header)
    assert isinstance(parsed, Header)
    body_hash = BodyHash()
    body_hash.update(body)
    fields = sign(parsed, body_hash.digest(), (RSA_KEY, ED_KEY), policy or SigningPolicy(), NOW)
    assert isinstance(fields, list)
    return b"".join(fields) + header + b"\r\n" + body


def publish(dns: Any, suffix: bytes = b"") -> None:
    for key in (RSA_KEY, ED_KEY):
        dns.txt(str(key.record_name), public_record(key.private) + suffix)


def verdicts(
    dns: Any, message: bytes, now: int = NOW, policy: VerifyingPolicy | None = None
) -> list[SignatureVerdict]:
    header = parse_header(message)
    assert isinstance(header, Header)
    body = message[header.size :]
    found = dns.run(verify(header, [body[:7], body[7:]], dns, now, policy or VerifyingPolicy()))
    assert isinstance(found, list)
    return found


def results(found: list[SignatureVerdict]) -> list[DkimResult]:
    return [verdict.result for verdict in found]


def test_our_own_signatures(dns: Any) -> None:
    publish(dns)
    found = verdicts(dns, signed())
    assert results(found) == [DkimResult.PASS] * 2
    assert [verdict.reason for verdict in found] == ["", ""]
    assert found[0].signature is not None
    assert found[0].signature.domain == DOMAIN
    assert dns.asked == [
        ("r._domainkey.example.org", RecordType.TXT),
        ("e._domainkey.example.org", RecordType.TXT),
    ]


def test_no_signature(dns: Any) -> None:
    assert verdicts(dns, HEADER + b"\r\n" + BODY) == []
    assert dns.asked == []


@pytest.mark.parametrize("canonicalization", [b"simple", b"relaxed"])
@pytest.mark.parametrize("length", [False, True])
def test_signatures_of_dkimpy(dns: Any, canonicalization: bytes, length: bool) -> None:
    publish(dns)
    pem = RSA_KEY.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    seed = base64.b64encode(ED_KEY.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    message = HEADER + b"\r\n" + BODY
    for selector, private, algorithm in ((b"r", pem, b"rsa-sha256"), (b"e", seed, b"ed25519-sha256")):
        field = dkim.sign(
            message,
            selector,
            b"example.org",
            private,
            canonicalize=(canonicalization, canonicalization),
            length=length,
            signature_algorithm=algorithm,
        )
        assert results(verdicts(dns, field + message)) == [DkimResult.PASS]
        assert results(verdicts(dns, field + message.replace(b"world", b"World"))) == [DkimResult.FAIL]
        appended = verdicts(dns, field + message + b"more\r\n")
        assert results(appended) == [DkimResult.POLICY if length else DkimResult.FAIL]
        open_policy = VerifyingPolicy(accepts_appended=True)
        appended = verdicts(dns, field + message + b"more\r\n", policy=open_policy)
        assert results(appended) == [DkimResult.PASS if length else DkimResult.FAIL]
        cut = results(verdicts(dns, field + HEADER + b"\r\n" + BODY[:8]))
        assert cut == [DkimResult.PERMERROR if length else DkimResult.FAIL]


def test_a_changed_header(dns: Any) -> None:
    publish(dns)
    found = verdicts(dns, signed().replace(b"Subject: x", b"Subject: y"))
    assert results(found) == [DkimResult.FAIL] * 2
    assert found[0].reason == "the signature does not fit the header"


def test_a_second_from(dns: Any) -> None:
    publish(dns)
    assert results(verdicts(dns, b"From: mallory@example.net\r\n" + signed())) == [DkimResult.FAIL] * 2


def test_expiry(dns: Any) -> None:
    publish(dns)
    message = signed(policy=SigningPolicy(expiration_s=60))
    assert results(verdicts(dns, message, NOW + 60)) == [DkimResult.PASS] * 2
    late = verdicts(dns, message, NOW + 61)
    assert results(late) == [DkimResult.PERMERROR] * 2
    assert late[0].reason == "the signature has expired"


def test_unreadable_signatures_stand_beside_good_ones(dns: Any) -> None:
    publish(dns)
    found = verdicts(dns, b"DKIM-Signature: v=1\r\n" + signed())
    assert results(found) == [DkimResult.PERMERROR, DkimResult.PASS, DkimResult.PASS]
    assert found[0].signature is None


def test_no_more_signatures_than_the_limit_are_looked_at(dns: Any) -> None:
    publish(dns)
    message = b"".join(b"DKIM-Signature: v=%d\r\n" % number for number in range(MAX_SIGNATURES)) + signed()
    assert results(verdicts(dns, message)) == [DkimResult.PERMERROR] * MAX_SIGNATURES
    assert dns.asked == []


def test_keys_that_cannot_be_had(dns: Any) -> None:
    dns.fail("r._domainkey.example.org", RecordType.TXT)
    assert results(verdicts(dns, signed())) == [DkimResult.TEMPERROR, DkimResult.PERMERROR]
    dns.fail("r._domainkey.example.org", RecordType.TXT, bogus=True)
    assert results(verdicts(dns, signed())) == [DkimResult.TEMPERROR, DkimResult.PERMERROR]


def test_a_name_too_long_for_the_dns(dns: Any) -> None:
    label = b"a" * 60
    field = b"DKIM-Signature: v=1; a=rsa-sha256; h=from; bh=AAAA; b=AAAA; d=%b; s=%b\r\n" % (
        b".".join([label] * 2),
        b".".join([label] * 2),
    )
    (found,) = verdicts(dns, field + HEADER + b"\r\n")
    assert found.result is DkimResult.PERMERROR
    assert "255" in found.reason


def signed_as(identity: bytes) -> bytes:
    pem = RSA_KEY.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    message = HEADER + b"\r\n" + BODY
    field: bytes = dkim.sign(message, b"r", b"example.org", pem, identity=identity)
    return field + message


def test_strict_keys_and_identities(dns: Any) -> None:
    publish(dns, b"; t=s:y")
    (exact,) = verdicts(dns, signed_as(b"x@example.org"))
    assert exact.result is DkimResult.PASS
    assert exact.is_testing
    (below,) = verdicts(dns, signed_as(b"x@sub.example.org"))
    assert below.result is DkimResult.PERMERROR


def test_what_rfc_8301_forbids(dns: Any) -> None:
    field = b"DKIM-Signature: v=1; a=rsa-sha1; d=example.org; s=r; h=from; bh=AAAA; b=AAAA\r\n"
    publish(dns)
    (found,) = verdicts(dns, field + HEADER + b"\r\n")
    assert (found.result, found.reason) == (DkimResult.POLICY, "rsa-sha1 is not accepted")
    (found,) = verdicts(dns, field + HEADER + b"\r\n", policy=VerifyingPolicy(accepts_old=True))
    assert found.result is DkimResult.FAIL
    dns.txt("s._domainkey.example.org", SHORT_RECORD)
    (found,) = verdicts(dns, field.replace(b"sha1", b"sha256").replace(b"s=r", b"s=s") + HEADER + b"\r\n")
    assert (found.result, found.reason) == (DkimResult.POLICY, "a key of 512 bits is not accepted")


SHORT_RECORD = (
    "p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsm"
    "tX/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ=="
)
