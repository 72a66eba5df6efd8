"""The signer's decisions, judged by dkimpy."""

import json

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dkim.keys import PrivateKey, SigningKey, public_record
from ptt.protocol.mailauth.dkim.signing import SigningPolicy
from ptt.units.signer.settings import SignerSettings, keys_for, policy_of, read_keys, read_settings
from ptt.units.signer.signing import Unsigned, sign_message

NOW = 1_790_000_000
POLICY = SigningPolicy()


def pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def keys() -> tuple[SigningKey, ...]:
    pair: dict[str, PrivateKey] = {
        "r1": rsa.generate_private_key(65537, 2048),
        "e1": ed25519.Ed25519PrivateKey.generate(),
    }
    entries = [{"selector": name, "domain": "example.org", "key": pem(key)} for name, key in pair.items()]
    read = read_keys(json.dumps(entries))
    assert isinstance(read, tuple)
    return read


def verified(message: bytes, keys: tuple[SigningKey, ...]) -> list[bool]:
    records = {
        f"{key.selector}._domainkey.{key.domain}.".encode(): public_record(key.private) for key in keys
    }
    judge = dkim.DKIM(message)
    return [
        judge.verify(index, dnsfunc=lambda name, timeout=5: records[name])  # noqa: ARG005 - dkimpy's signature
        for index in range(message.count(b"DKIM-Signature:"))
    ]


@pytest.mark.parametrize(
    "message",
    [
        b"From: alice@example.org\r\nSubject: hi\r\n\r\nhello\r\n",
        b"From: alice@example.org\r\n\r\n",
        b"From: alice@example.org\r\n",
        b"From: alice@example.org\r\n\r\n" + b"x" * 5000 + b"\r\n\xff\xfe\r\n\r\n\r\n",
        b"from: A  B\r\n <alice@lists.example.org>\r\nList-ID: <x>\r\n\r\n a  b \r\n",
    ],
)
def test_both_signatures_verify_whatever_the_pieces(message: bytes, keys: tuple[SigningKey, ...]) -> None:
    for size in (len(message), 7):
        buffers = [message[start : start + size] for start in range(0, len(message), size)]
        fields = sign_message(buffers, keys, POLICY, NOW)
        assert isinstance(fields, tuple)
        assert verified(b"".join(fields) + message, keys) == [True, True]


def test_a_second_from_breaks_the_signature(keys: tuple[SigningKey, ...]) -> None:
    message = b"From: alice@example.org\r\n\r\nhello\r\n"
    fields = sign_message([message], keys, POLICY, NOW)
    assert isinstance(fields, tuple)
    assert verified(b"".join(fields) + b"From: eve@example.com\r\n" + message, keys) == [False, False]


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: no author\r\n\r\n",
        b"From: a@example.org\r\nFrom: b@example.org\r\n\r\n",
        b"From: alice@elsewhere.com\r\n\r\n",
        b"From: alice@[192.0.2.1]\r\n\r\n",
        b"rubbish\r\nFrom: alice@example.org\r\n\r\n",
    ],
)
def test_what_cannot_be_signed_is_temporary_and_never_sent(
    message: bytes, keys: tuple[SigningKey, ...]
) -> None:
    unsigned = sign_message([message], keys, POLICY, NOW)
    assert isinstance(unsigned, Unsigned)
    assert unsigned.reply.code == 451


def test_the_nearest_domain_signs(keys: tuple[SigningKey, ...]) -> None:
    below = SigningKey(Name.of("s"), Name.of("sub.example.org"), keys[0].private)
    assert keys_for((*keys, below), [Name.of("sub.example.org")]) == (below,)
    assert keys_for((*keys, below), [Name.of("x.example.org")]) == keys
    assert keys_for(keys, [Name.of("example.net")]) == ()


def test_options() -> None:
    settings = read_settings(
        {"fields": ["Subject", "to"], "body_canonicalization": "simple", "expiration_s": 86400}
    )
    assert isinstance(settings, SignerSettings)
    policy = policy_of(settings)
    assert isinstance(policy, SigningPolicy)
    assert policy.fields == (b"from", b"subject", b"to")
    assert policy.oversigned == frozenset(policy.fields)
    assert policy.expiration_s == 86400


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"fields": ["received"]}, "fields"),
        ({"expiration_s": 0}, "expiration_s"),
        ({"header_canonicalization": "loose"}, "header_canonicalization"),
        ({"size_limit": []}, "size_limit"),
    ],
)
def test_mistakes_name_their_field(settings: dict[str, object], named: str) -> None:
    read = read_settings(settings)
    refused = read if isinstance(read, Malformed) else policy_of(read)
    assert isinstance(refused, Malformed)
    assert named in refused.reason


@pytest.mark.parametrize(
    "secret",
    [
        "no JSON",
        "[]",
        '[{"selector": "s", "domain": "example.org", "key": "no key"}]',
        '[{"selector": "s..", "domain": "example.org", "key": ""}]',
        '[{"selector": "s", "domain": "exa..mple", "key": ""}]',
    ],
)
def test_bad_keys_are_refused_without_showing_them(secret: str) -> None:
    refused = read_keys(secret)
    assert isinstance(refused, Malformed)
    assert "no key" not in refused.reason or refused.reason == "no key"
