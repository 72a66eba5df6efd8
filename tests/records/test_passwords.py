"""Verifiers: judged by known answers, by the library's own encoder and by the limits."""

import base64
import hashlib
import hmac

import pytest
from argon2.low_level import Type, hash_secret

from ptt.errors import Malformed, MisuseError
from ptt.records import argon2id, scram
from ptt.records.passwords import (
    Argon2idVerifier,
    Blake2bVerifier,
    FullVerifier,
    ScramVerifierRecord,
    Verifier,
    check_login,
    make_argon2id,
    make_blake2b,
    make_scram,
    parse_verifier,
    stand_in_scram,
    unknown_user_verifier,
    verify,
    wrap,
)

SALT = bytes(range(16))
SALT64, KEY64 = base64.b64encode(SALT).decode(), base64.b64encode(bytes(32)).decode()


def cheap(password: str) -> Argon2idVerifier:
    """An argon2id verifier made by the library, with the least that it takes."""
    encoded = hash_secret(password.encode(), SALT, 1, 8, 1, 32, Type.ID).decode()
    verifier = parse_verifier(encoded)
    assert isinstance(verifier, Argon2idVerifier)
    return verifier


# RFC 7693 appendix A.
ABC = (
    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
)


def test_blake2b_is_the_digest_of_the_password() -> None:
    verifier = parse_verifier(ABC.upper())
    assert verifier == make_blake2b("abc")
    assert isinstance(verifier, Blake2bVerifier)
    assert verifier.text == ABC
    assert verify(verifier, "abc")
    assert not verify(verifier, "abd")


def test_blake2b_is_of_the_password_as_typed() -> None:
    assert not verify(make_blake2b("\u00c5"), "A\u030a")


def test_argon2id_of_another_encoder_is_read_and_checked() -> None:
    verifier = cheap("correct horse")
    assert verify(verifier, "correct horse")
    assert not verify(verifier, "correct horses")
    assert parse_verifier(verifier.text) == verifier


def test_argon2id_of_ours_is_what_another_encoder_makes() -> None:
    made = make_argon2id("geheim", SALT)
    assert made.text == hash_secret(b"geheim", SALT, 2, 19456, 1, 32, Type.ID).decode()
    assert verify(made, "geheim")
    assert made.cost == (argon2id.MEMORY_KIB, argon2id.PASSES, argon2id.LANES)


def test_argon2id_does_not_mind_how_an_accent_is_composed() -> None:
    assert verify(cheap("\u00c5"), "A\u030a")


def test_scram_is_that_of_rfc_7677() -> None:
    """The dialogue of RFC 7677 §3: its proof and its signature come of our keys."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    stored_key, server_key = scram._keys("pencil", salt, 4096)
    first = "n=user,r=rOprNGfwEbeRWgbNEkqO"
    server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    message = f"{first},{server_first},c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".encode()
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored_key, message, "sha256")
    client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key
    server_signature = base64.b64encode(hmac.digest(server_key, message, "sha256"))
    assert server_signature == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_scram_record() -> None:
    record = make_scram("geheim", SALT)
    assert record.iterations == scram.MIN_ITERATIONS
    assert parse_verifier(record.text) == record
    assert verify(record, "geheim")
    assert not verify(record, "Geheim")


def test_nothing_secret_shows() -> None:
    record = make_scram("geheim", SALT)
    for verifier in (make_blake2b("x"), cheap("x"), record):
        assert "=b'" not in repr(verifier).replace("salt=", "").replace(f"={SALT!r}", "")
        assert "$" not in repr(verifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "geheim",
        ABC[1:],
        ABC + "0",
        ABC[:-1] + "g",
        ABC + "\n",
        "$argon2i$v=19$m=8,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=16$m=8,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        f"$argon2id$v=19$m=262145,t=1,p=1${'A' * 22}${'A' * 43}",
        f"$argon2id$v=19$m=8,t=11,p=1${'A' * 22}${'A' * 43}",
        f"$argon2id$v=19$m=262144,t=5,p=1${'A' * 22}${'A' * 43}",
        f"$argon2id$v=19$m=64,t=1,p=5${'A' * 22}${'A' * 43}",
        f"$argon2id$v=19$m=15,t=1,p=2${'A' * 22}${'A' * 43}",
        f"$argon2id$v=19$m=0,t=1,p=1${'A' * 22}${'A' * 43}",
        f"$argon2id$v=19$m=8,t=1,p=1${'A' * 10}${'A' * 43}",
        f"$argon2id$v=19$m=8,t=1,p=1${'A' * 21}${'A' * 43}",  # no length of base64
        f"$argon2id$v=19$m=8,t=1,p=1${'A' * 88}${'A' * 43}",
        f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 20}",
        f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 88}",
        f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 43}=",
        "SCRAM-SHA-256$",
        f"SCRAM-SHA-256$99999:{SALT64}${KEY64}:{KEY64}",
        f"SCRAM-SHA-256$10000001:{SALT64}${KEY64}:{KEY64}",
        f"SCRAM-SHA-256$100000:AAAA${KEY64}:{KEY64}",
        f"SCRAM-SHA-256$100000:{SALT64}${SALT64}:{KEY64}",
        f"SCRAM-SHA-256$100000:{SALT64}${KEY64}:{SALT64}",
        f"SCRAM-SHA-256$100000:{SALT64}${SALT64}:{SALT64}",
        f"SCRAM-SHA-256$100000:{SALT64[:-1]}${KEY64}:{KEY64}",
    ],
)
def test_malformed(text: str) -> None:
    assert isinstance(parse_verifier(text), Malformed)


@pytest.mark.parametrize(
    "text",
    [
        f"$argon2id$v=19$m=262144,t=4,p=4${'A' * 11}${'A' * 22}",
        f"$argon2id$v=19$m=32,t=10,p=4${'A' * 86}${'A' * 86}",
        f"SCRAM-SHA-256$100000:{SALT64}${KEY64}:{KEY64}",
        f"SCRAM-SHA-256$10000000:{SALT64}${KEY64}:{KEY64}",
    ],
)
def test_the_limits_themselves_are_good(text: str) -> None:
    verifier = parse_verifier(text)
    assert not isinstance(verifier, Malformed)
    assert verifier.text == text


@pytest.mark.parametrize("salt", [b"", bytes(7), bytes(65)])
def test_a_salt_of_another_length_is_our_mistake(salt: bytes) -> None:
    with pytest.raises(MisuseError):
        make_argon2id("x", salt)
    with pytest.raises(MisuseError):
        make_scram("x", salt)


@pytest.mark.parametrize("iterations", [99_999, 10_000_001])
def test_iterations_out_of_range_are_our_mistake(iterations: int) -> None:
    with pytest.raises(MisuseError):
        make_scram("x", SALT, iterations)


def test_a_verifier_that_nobody_parsed_is_our_mistake() -> None:
    with pytest.raises(MisuseError):
        verify(Argon2idVerifier("$argon2id$"), "x")


def test_the_stand_in_costs_what_we_make() -> None:
    stand_in = unknown_user_verifier([make_blake2b("x")])
    assert isinstance(stand_in, Argon2idVerifier)
    assert stand_in.cost == make_argon2id("x", SALT).cost
    assert parse_verifier(stand_in.text) == stand_in


def test_the_stand_in_costs_what_most_users_do() -> None:
    record = ScramVerifierRecord(SALT, 200_000, bytes(32), bytes(32))
    few: list[Verifier] = [cheap("a"), record]
    stand_in = unknown_user_verifier([*few, record])
    assert isinstance(stand_in, ScramVerifierRecord)
    assert stand_in.iterations == 200_000
    assert isinstance(other := unknown_user_verifier([*few, cheap("b")]), Argon2idVerifier)
    assert other.cost == (8, 1, 1)


def test_the_stand_in_does_not_hang_on_the_order() -> None:
    some: list[Verifier] = [cheap("a"), ScramVerifierRecord(SALT, 200_000, bytes(32), bytes(32))]
    assert unknown_user_verifier(some) == unknown_user_verifier(reversed(some))


class Counted:
    """Stands in for a verifier and counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def matches(self, password: str) -> bool:
        self.asked += 1
        return bool(password)


@pytest.mark.parametrize(
    ("verifier", "is_right", "costs_stand_in"),
    [
        (None, False, True),
        (make_blake2b("right"), True, True),
        (make_blake2b("wrong"), False, True),
        (cheap("right"), True, False),
        (cheap("wrong"), False, False),
        (make_scram("right", SALT), True, False),
    ],
)
def test_each_login_costs_one_full_verification(
    verifier: Verifier | None, is_right: bool, costs_stand_in: bool
) -> None:
    stand_in = Counted()
    full: FullVerifier = stand_in  # type: ignore[assignment]
    assert check_login(verifier, "right", full) is is_right
    assert stand_in.asked == int(costs_stand_in)


def test_nobody_logs_in_by_the_stand_in() -> None:
    stand_in = unknown_user_verifier([cheap("a")])
    assert not check_login(None, "", stand_in)
    assert not verify(stand_in, "")


def test_an_unknown_login_always_has_the_same_salt_and_not_another_one_s() -> None:
    one = stand_in_scram(b"secret", "nobody", 100_000)
    assert one == stand_in_scram(b"secret", "nobody", 100_000)
    assert len(one.salt) == scram.SALT_OCTETS
    salts = {
        one.salt,
        stand_in_scram(b"secret", "n", 100_000).salt,
        stand_in_scram(b"s", "nobody", 100_000).salt,
    }
    assert len(salts) == 3


def test_an_old_hash_in_a_new_coat_takes_the_same_password() -> None:
    old = make_blake2b("correct horse")
    wrapped = wrap(old, bytes(16))
    assert wrapped.text.startswith("blake2b+$argon2id$v=19$")
    assert parse_verifier(wrapped.text) == wrapped
    assert verify(wrapped, "correct horse")
    assert not verify(wrapped, "correct horses")
    assert not verify(wrapped, old.text)
    assert old.text not in wrapped.text
    assert check_login(wrapped, "correct horse", unknown_user_verifier())
    assert unknown_user_verifier([wrapped]) == unknown_user_verifier([make_argon2id("x", bytes(16))])


@pytest.mark.parametrize("text", ["blake2b+", "blake2b+ab", "blake2b+$argon2id$v=18$x"])
def test_a_coat_that_is_none(text: str) -> None:
    assert isinstance(parse_verifier(text), Malformed)
