"""Our sets on the chain: verified by our own validation and by dkimpy."""

from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ptt.errors import MisuseError
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.arc.chain import MAX_INSTANCES
from ptt.protocol.mailauth.arc.sealing import NotSealed, SealingPolicy, seal
from ptt.protocol.mailauth.arc.validation import ArcVerdict, validate
from ptt.protocol.mailauth.authentication_results import MethodResult, results_text
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash
from ptt.protocol.mailauth.dkim.keys import SigningKey, public_record
from ptt.protocol.mailauth.results import ArcResult

NOW = 1_700_000_000  # past: dkimpy compares with its own clock
KEY = SigningKey(Name.of("s"), Name.of("example.org"), rsa.generate_private_key(65537, 2048))
ED_KEY = SigningKey(Name.of("e"), Name.of("example.net"), Ed25519PrivateKey.from_private_bytes(bytes(32)))
MESSAGE = (
    b"From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: x\r\n"
    b"DKIM-Signature: v=1; whatever\r\nContent-Type: text/plain\r\n\r\nHello,\r\n\r\n  world \r\n"
)
RESULTS = results_text(
    "mx.example.org",
    [
        MethodResult("arc", "none"),
        MethodResult("spf", "pass", "", (("smtp.mailfrom", "alice@example.com"),)),
        MethodResult("dmarc", "pass", "", (("header.from", "example.com"),)),
    ],
)


def split(message: bytes) -> tuple[Header, bytes]:
    header = parse_header(message)
    assert isinstance(header, Header)
    return header, message[header.size :]


def verdict_of(dns: Any, message: bytes) -> ArcVerdict:
    header, body = split(message)
    found = dns.run(validate(header, [body], dns))
    assert isinstance(found, ArcVerdict)
    return found


def sealed(dns: Any, message: bytes, key: SigningKey = KEY) -> bytes | NotSealed:
    header, body = split(message)
    body_hash = BodyHash()
    body_hash.update(body)
    fields = seal(header, body_hash.digest(), key, verdict_of(dns, message), RESULTS, NOW)
    return fields if isinstance(fields, NotSealed) else b"".join(fields) + message


def must_seal(dns: Any, message: bytes, key: SigningKey = KEY) -> bytes:
    found = sealed(dns, message, key)
    assert isinstance(found, bytes)
    return found


def publish(dns: Any) -> None:
    for key in (KEY, ED_KEY):
        dns.txt(str(key.record_name), public_record(key.private))


def judged_by_dkimpy(message: bytes) -> bytes:
    result: bytes = dkim.arc_verify(message, dnsfunc=lambda *_, **__: public_record(KEY.private))[0]
    return result


def test_a_chain_grows_and_verifies(dns: Any) -> None:
    publish(dns)
    message = MESSAGE
    assert verdict_of(dns, message) == ArcVerdict(ArcResult.NONE)
    for instance in range(1, 5):
        message = must_seal(dns, b"Received: by hop %d\r\n" % instance + message)
        verdict = verdict_of(dns, message)
        assert (verdict.result, verdict.reason, verdict.instances) == (ArcResult.PASS, "", instance)
        assert judged_by_dkimpy(message) == dkim.CV_Pass


def test_the_fields(dns: Any) -> None:
    publish(dns)
    header, _ = split(must_seal(dns, MESSAGE))
    assert [field.name for field in header.fields[:3]] == [
        b"ARC-Seal",
        b"ARC-Message-Signature",
        b"ARC-Authentication-Results",
    ]
    assert header.fields[2].value.startswith(b"i=1; mx.example.org; arc=none; spf=pass")
    assert b"h=from:from:" in header.fields[1].value
    assert b"dkim-signature" in header.fields[1].value
    assert all(len(line) < 998 for field in header.fields for line in field.raw.split(b"\r\n"))


def test_keys_of_both_kinds(dns: Any) -> None:
    publish(dns)
    message = must_seal(dns, must_seal(dns, MESSAGE, ED_KEY))
    assert verdict_of(dns, message).result is ArcResult.PASS


def test_long_lists_of_fields_are_folded(dns: Any) -> None:
    publish(dns)
    message = must_seal(dns, b"To: x@example.org\r\nCc: y@example.org\r\n" * 40 + MESSAGE)
    header, _ = split(message)
    assert max(len(line) for line in header.fields[1].raw.split(b"\r\n")) < 400  # b= alone is long
    assert verdict_of(dns, message).result is ArcResult.PASS


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"world", b"World", "message signature 2: the body was changed"),
        (b"Subject: x", b"Subject: y", "message signature 2: the signature does not fit the header"),
        (b"i=1; mx.example.org", b"i=1; mx.example.com", "seal 2: the signature does not fit the chain"),
        (b"cv=pass", b"cv=none", "cv= contradicts the place in the chain"),
        (b"i=1; mx.example.org", b"i=3; mx.example.org", "ARC set 1: a field is missing"),
    ],
)
def test_what_breaks_a_chain(dns: Any, old: bytes, new: bytes, reason: str) -> None:
    publish(dns)
    message = must_seal(dns, must_seal(dns, MESSAGE)).replace(old, new)
    verdict = verdict_of(dns, message)
    assert (verdict.result, verdict.reason) == (ArcResult.FAIL, reason)
    assert not verdict.is_doubtful


def test_a_failed_chain_is_closed_once(dns: Any) -> None:
    publish(dns)
    broken = must_seal(dns, MESSAGE).replace(b"world", b"World")
    closed = must_seal(dns, broken)
    header, _ = split(closed)
    assert b"cv=fail" in header.fields[0].value
    assert b"i=2" in header.fields[0].value
    verdict = verdict_of(dns, closed)
    assert (verdict.result, verdict.is_closed) == (ArcResult.FAIL, True)
    assert sealed(dns, closed) == NotSealed("the chain was closed")


def test_what_is_no_chain_is_closed_above_its_highest_number(dns: Any) -> None:
    header, _ = split(must_seal(dns, b"ARC-Seal: i=7; a=x\r\n" + MESSAGE))
    assert header.fields[0].value.count(b"i=8;") == 1


def test_keys_that_cannot_be_had(dns: Any) -> None:
    publish(dns)
    message = must_seal(dns, must_seal(dns, MESSAGE, ED_KEY))
    dns.fail(str(ED_KEY.record_name), RecordType.TXT)
    verdict = verdict_of(dns, message)
    assert (verdict.result, verdict.is_doubtful) == (ArcResult.FAIL, True)
    assert verdict.reason == "seal 1: the key could not be looked up"
    assert sealed(dns, message) == NotSealed("the chain is in doubt")
    dns.fail(str(KEY.record_name), RecordType.TXT)
    assert verdict_of(dns, message).is_doubtful


def test_seals_that_rfc_8301_forbids_or_nobody_can_look_up(dns: Any) -> None:
    publish(dns)
    message = must_seal(dns, MESSAGE)
    header, _ = split(message)
    own = header.fields[0].raw
    sha1 = message.replace(own, own.replace(b"rsa-sha256", b"rsa-sha1"))
    assert verdict_of(dns, sha1).reason == "seal 1: RFC 8301 forbids the algorithm or the key"
    label = b"a" * 60
    long_name = b"d=" + b".".join([label] * 4) + b";"
    lost = message.replace(own, own.replace(b"d=example.org;", long_name))
    assert "255" in verdict_of(dns, lost).reason


def test_fifty_sets_are_enough(dns: Any) -> None:
    header, _ = split(MESSAGE)
    full = ArcVerdict(ArcResult.PASS, instances=MAX_INSTANCES)
    assert seal(header, bytes(32), KEY, full, RESULTS, NOW) == NotSealed("50 sets are there")


def test_seals_cannot_be_signed() -> None:
    with pytest.raises(MisuseError):
        SealingPolicy((b"from", b"arc-seal"))
