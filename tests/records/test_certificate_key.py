"""The key of a public host from its seed: RFC 5869 done by hand, stable, one for each host and counter."""

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.records.certificate_key import GROUP_ORDER, derive_key, parse_seed
from ptt.records.keys import public_spki

HOST = Name.of("mail.mirage.org")
SEED = bytes(range(32))


def by_hand(seed: bytes, counter: int) -> int:
    """RFC 5869 §2 with a salt of zeros, two blocks of SHA-256."""
    secret = hmac.digest(bytes(32), seed, hashlib.sha256)
    info = b"ptt public certificate key 1" + counter.to_bytes(4, "big") + b"\4mail\6mirage\3org\0"
    first = hmac.digest(secret, info + b"\1", hashlib.sha256)
    second = hmac.digest(secret, first + info + b"\2", hashlib.sha256)
    return int.from_bytes((first + second)[:40], "big") % (GROUP_ORDER - 1) + 1


def test_it_is_hkdf() -> None:
    for counter in (0, 1, 2**32 - 1):
        key = derive_key(SEED, HOST, counter)
        assert key.private_numbers().private_value == by_hand(SEED, counter)
        assert isinstance(key.curve, SECP256R1)


def test_it_stays_what_it_is() -> None:
    """A change of the derivation would have every host order a certificate anew."""
    digest = hashlib.sha256(public_spki(derive_key(SEED, HOST, 0))).hexdigest()
    assert digest == "8cc9498d54bb1cd4b10c19507659226a3682f3a2078784ce486a0acac088e3b1"


@given(seed=st.binary(min_size=16, max_size=64), counter=st.integers(0, 2**32 - 1))
def test_one_key_for_each_seed_host_and_counter(seed: bytes, counter: int) -> None:
    key = public_spki(derive_key(seed, HOST, counter))
    assert key == public_spki(derive_key(seed, Name.of("MAIL.mirage.org."), counter))
    others = (
        derive_key(seed + b"x", HOST, counter),
        derive_key(seed, HOST, counter ^ 1),
        derive_key(seed, Name.of("mail.mirage.or"), counter),
        derive_key(seed, Name((b"mail.mirage", b"org")), counter),
    )
    assert key not in map(public_spki, others)


@pytest.mark.parametrize("counter", [-1, 2**32])
def test_a_counter_has_32_bits(counter: int) -> None:
    with pytest.raises(MisuseError, match="key counter"):
        derive_key(SEED, HOST, counter)


def test_seeds() -> None:
    text = base64.b64encode(SEED).decode()
    assert parse_seed(text) == parse_seed(text + "\n") == SEED
    assert parse_seed(text[:-1]) == Malformed("a seed that is not base64 (with its padding)")
    assert parse_seed("ä" * 24) == Malformed("a seed that is not base64 (with its padding)")
    short = parse_seed(base64.b64encode(bytes(15)).decode())
    assert short == Malformed("a seed of 15 octets; 16 or more cannot be guessed")
    assert parse_seed("A" * 4100) == Malformed("a seed of more than 4096 characters")


@given(st.text(max_size=80))
def test_any_text_is_a_seed_or_none(text: str) -> None:
    match parse_seed(text):
        case Malformed(reason):
            assert not text or text not in reason or text in "a seed that is not base64 (with its padding)"
        case seed:
            assert base64.b64encode(seed).decode() == text.rstrip("\r\n")
