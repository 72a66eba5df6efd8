"""Signatures of ours, judged by dkimpy."""

import base64
import re
from collections.abc import Sequence

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash, Canonicalization, HashAlgorithm
from ptt.protocol.mailauth.dkim.keys import SigningKey, public_record
from ptt.protocol.mailauth.dkim.signing import (
    MAX_SIGNED_FIELDS,
    OVERSIGNED_FIELDS,
    SigningPolicy,
    SigningRefused,
    sign,
)

NOW = 1_800_000_000
DOMAIN = Name.of("example.org")
RSA_KEY = SigningKey(Name.of("r2026"), DOMAIN, rsa.generate_private_key(65537, 2048))
ED_KEY = SigningKey(Name.of("e2026.mail"), DOMAIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEYS = (RSA_KEY, ED_KEY)
POLICY = SigningPolicy(has_timestamp=False)  # dkimpy compares t= with its own clock
HEADER = (
    b"From: Alice <alice@example.org>\r\nTo: bob@example.com\r\nSubject: x\r\n"
    b"Date: Mon, 1 Jun 2026 10:00:00 +0000\r\n"
)
BODY = b"Hello,\r\n\r\n  world \r\n"


def parsed(header: bytes) -> Header:
    value = parse_header(header)
    assert isinstance(value, Header)
    return value


def signatures(
    header: bytes, body: bytes, policy: SigningPolicy = POLICY, keys: Sequence[SigningKey] = KEYS
) -> list[bytes]:
    body_hash = BodyHash(policy.body_canonicalization)
    body_hash.update(body)
    fields = sign(parsed(header), body_hash.digest(), keys, policy, NOW)
    assert isinstance(fields, list)
    return fields


def published(name: bytes, timeout: float = 0) -> bytes:
    for key in KEYS:
        if name == f"{key.record_name}.".encode():
            return public_record(key.private)
    raise AssertionError(name)


def verifies(message: bytes, index: int = 0) -> bool:
    try:
        return bool(dkim.DKIM(message, minkey=1024).verify(index, dnsfunc=published))
    except dkim.ValidationError:
        return False


def assert_all_verify(header: bytes, body: bytes, policy: SigningPolicy = POLICY) -> bytes:
    fields = signatures(header, body, policy)
    message = b"".join(fields) + header + b"\r\n" + body
    for index in range(len(fields)):
        assert verifies(message, index)
    for field in fields:  # each alone, too
        assert verifies(field + header + b"\r\n" + body)
        assert max(len(line) for line in field.split(b"\r\n")) < 79
        assert field.endswith(b"\r\n")
        assert not re.search(rb"\r\n[^\t]", field)
    return message


FORMS = [(header, body) for header in Canonicalization for body in Canonicalization]


@pytest.mark.parametrize(("header_form", "body_form"), FORMS)
@pytest.mark.parametrize(
    ("header", "body"),
    [
        pytest.param(HEADER, BODY, id="plain"),
        pytest.param(HEADER, b"", id="empty body"),
        pytest.param(HEADER, b"\r\n\r\n\r\n", id="empty lines"),
        pytest.param(HEADER, b"no final CRLF", id="no final CRLF"),
        pytest.param(HEADER, "Grüße\t \r\nüber  8 Bit\r\n".encode("latin-1"), id="8-bit"),
        pytest.param(HEADER, b"x" * 200_000 + b"\r\n" + b"y z" * 50_000, id="long lines"),
        pytest.param(HEADER, b"a b\r\n" * 100_000 + b"\r\n" * 50, id="large"),
        pytest.param(
            b"From: MAILER-DAEMON@example.org (Mail Delivery System)\r\nSubject: Undelivered\r\n"
            b"Auto-Submitted: auto-replied\r\n"
            b'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="b"\r\n',
            b"--b\r\n\r\nfailed\r\n--b--\r\n",
            id="bounce",
        ),
        pytest.param(
            HEADER + b"List-Id: <l.example.org>\r\nList-Post: <mailto:l@example.org>\r\nList-Unsubscribe:"
            b" <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            b"Resent-From: x@example.org\r\nResent-From: y@example.org\r\nSender: l@example.org\r\n",
            BODY,
            id="list",
        ),
        pytest.param(
            b"fROM: Alice\r\n\t<alice@example.org>  \r\nSUBJECT:folded\r\n  once\r\n\tand twice  \r\n"
            b"date:\r\n now\r\nTo:\r\n",
            BODY,
            id="mixed case and folded",
        ),
        pytest.param("From: Älice <älice@example.org>\r\nSubject: Grüße\r\n".encode(), BODY, id="SMTPUTF8"),
        pytest.param(
            HEADER + b"References: " + b"<abcdef@example.org>\r\n " * 5000 + b"<x@example.org>\r\n",
            BODY,
            id="huge",
        ),
        pytest.param(HEADER + b"X-Trace: a\r\n" * 1500, BODY, id="many fields"),
        pytest.param(HEADER + b"References: " + b"x" * 100_000 + b"\r\n", BODY, id="huge without folds"),
        pytest.param(
            HEADER + b"To: c@example.com\r\nTo: d@example.com\r\n" + b"Cc: e@example.com\r\n" * 30,
            BODY,
            id="twice",
        ),
    ],
)
def test_every_message_verifies(
    header: bytes, body: bytes, header_form: Canonicalization, body_form: Canonicalization
) -> None:
    policy = SigningPolicy(
        header_canonicalization=header_form, body_canonicalization=body_form, has_timestamp=False
    )
    assert_all_verify(header, body, policy)


WORDS = st.text(alphabet="abc ü\t", max_size=12).map(str.encode)
BODIES = st.text(alphabet=" \t\nab.", max_size=60).map(lambda text: text.replace("\n", "\r\n").encode())


@given(
    st.lists(st.tuples(st.sampled_from([b"To", b"X-A", b"subject", b"List-Id"]), WORDS), max_size=6), BODIES
)
def test_any_message_verifies(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    header = HEADER + b"".join(b"%b:%b\r\n" % (name, value) for name, value in fields)
    # dkimpy keeps a blank at the end of a last line that has no CRLF; on its way such a line gets one
    body = body if body.endswith(b"\r\n") else body.rstrip(b" \t")
    for field in signatures(header, body):
        assert verifies(field + header + b"\r\n" + body)


def test_what_is_changed_does_not_verify() -> None:
    message = assert_all_verify(HEADER, BODY)
    for index in (0, 1):
        assert not verifies(message.replace(b"world", b"World"), index)
        assert not verifies(message.replace(b"Subject: x", b"Subject: y"), index)
        assert verifies(message.replace(b"  world \r\n", b"\tworld\r\n\r\n"), index)


@pytest.mark.parametrize("name", [name.title() for name in OVERSIGNED_FIELDS])
def test_an_added_field_breaks_the_signatures(name: bytes) -> None:
    message = assert_all_verify(HEADER, BODY)
    for index in (0, 1):
        assert not verifies(name + b": mallory@example.net\r\n" + message, index)


def test_what_a_list_adds_breaks_nothing() -> None:
    message = assert_all_verify(HEADER, BODY)
    added = b"List-Id: <l.example.net>\r\nSender: l@example.net\r\nResent-From: l@example.net\r\n"
    assert verifies(added + message, 0)
    assert verifies(added + message, 1)


def tags(field: bytes) -> dict[bytes, bytes]:
    _, _, value = field.partition(b":")
    parts = [part.partition(b"=") for part in re.sub(rb"\s", b"", value).split(b";")]
    return {name: text for name, _, text in parts}


def test_the_tags() -> None:
    policy = SigningPolicy(expiration_s=86400)
    first, second = (tags(field) for field in signatures(HEADER, BODY, policy))
    assert list(first) == [b"v", b"a", b"c", b"d", b"s", b"t", b"x", b"h", b"bh", b"b"]
    assert first[b"v"] == b"1"
    assert (first[b"a"], second[b"a"]) == (b"rsa-sha256", b"ed25519-sha256")
    assert first[b"c"] == b"relaxed/relaxed"
    assert (first[b"d"], first[b"s"]) == (b"example.org", b"r2026")
    assert second[b"s"] == b"e2026.mail"
    assert (first[b"t"], first[b"x"]) == (b"1800000000", b"1800086400")
    assert len(base64.b64decode(first[b"b"])) == 256
    assert len(base64.b64decode(second[b"b"])) == 64
    names = first[b"h"].split(b":")
    assert names[:2] == [b"from", b"from"]
    assert names.count(b"cc") == 1
    assert names.count(b"subject") == 2
    assert b"list-id" not in names


def test_expiry_without_timestamp() -> None:
    (field,) = signatures(HEADER, BODY, SigningPolicy(expiration_s=60, has_timestamp=False), [ED_KEY])
    assert b"x" in tags(field)
    assert b"t" not in tags(field)


def test_the_fields_can_be_chosen() -> None:
    policy = SigningPolicy(fields=(b"subject", b"from"), oversigned=frozenset({b"from"}), has_timestamp=False)
    (field,) = signatures(HEADER, BODY, policy, [ED_KEY])
    assert tags(field)[b"h"] == b"subject:from:from"
    assert verifies(field + HEADER + b"\r\n" + BODY)


@pytest.mark.parametrize("header", [b"Subject: x\r\n", b"From: a@example.org\r\nFrom: a@example.org\r\n"])
def test_without_exactly_one_from_nothing_is_signed(header: bytes) -> None:
    refused = sign(parsed(header), bytes(32), KEYS, POLICY, NOW)
    assert isinstance(refused, SigningRefused)
    assert "From" in refused.reason


def test_a_header_of_thousands_of_signed_fields_is_refused() -> None:
    refused = sign(parsed(HEADER + b"Cc: x\r\n" * MAX_SIGNED_FIELDS), bytes(32), KEYS, POLICY, NOW)
    assert isinstance(refused, SigningRefused)


def test_long_names() -> None:
    domain = Name.of(".".join(["d" * 60] * 3))
    key = SigningKey(Name.of("s" * 50), domain, ED_KEY.private)
    (field,) = signatures(HEADER, BODY, POLICY, [key])
    dkim_verifier = dkim.DKIM(field + HEADER + b"\r\n" + BODY)
    assert dkim_verifier.verify(dnsfunc=lambda *_, **__: public_record(ED_KEY.private))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SigningPolicy(fields=(b"subject",)),
        lambda: SigningPolicy(oversigned=frozenset()),
        lambda: SigningPolicy(fields=(b"from",), oversigned=frozenset({b"from", b"to"})),
        lambda: SigningPolicy(fields=(b"from", b"received"), oversigned=frozenset({b"from"})),
        lambda: SigningPolicy(hash_algorithm=HashAlgorithm.SHA1),
        lambda: SigningPolicy(expiration_s=0),
        lambda: sign(parsed(HEADER), bytes(32), [], POLICY, NOW),
    ],
)
def test_misuse(make: object) -> None:
    assert callable(make)
    with pytest.raises(MisuseError):
        make()
