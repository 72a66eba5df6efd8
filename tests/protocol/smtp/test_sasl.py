"""PLAIN, LOGIN and SCRAM-SHA-256, with the example of RFC 7677."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed, MisuseError
from ptt.protocol.smtp.sasl import (
    MAX_CREDENTIAL_OCTETS,
    MECHANISMS,
    Challenge,
    Credentials,
    Disproved,
    Login,
    Plain,
    Proved,
    Scram,
    ScramVerifier,
    VerifierWanted,
    decode_base64,
    encode_base64,
)


def verifier(password: str, salt: bytes, iterations: int) -> ScramVerifier:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return ScramVerifier(salt, iterations, stored, hmac.digest(salted, b"Server Key", "sha256"))


# RFC 7677 §3
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = verifier("pencil", SALT, 4096)
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_plain() -> None:
    assert Plain().respond(None) == Challenge(b"")
    assert Plain().respond(b"\0anne\0pass word") == Credentials("anne", "pass word")
    assert Plain().respond("boß\0änne\0ß".encode()) == Credentials("änne", "ß", "boß")


@pytest.mark.parametrize(
    "response",
    [
        *(b"", b"anne", b"\0anne", b"\0anne\0", b"\0\0p", b"a\0b\0c\0d", b"\0anne\0\xff", b"\xff\0anne\0p"),
        b"\0anne\0" + b"x" * (MAX_CREDENTIAL_OCTETS + 1),
    ],
)
def test_bad_plain(response: bytes) -> None:
    assert isinstance(Plain().respond(response), Malformed)


def test_login() -> None:
    mechanism = Login()
    assert mechanism.respond(None) == Challenge(b"Username:")
    assert mechanism.respond(b"anne") == Challenge(b"Password:")
    assert mechanism.respond(b"secret") == Credentials("anne", "secret")
    assert encode_base64(b"Username:") == "VXNlcm5hbWU6"
    assert encode_base64(b"Password:") == "UGFzc3dvcmQ6"


def test_login_with_an_initial_response() -> None:
    mechanism = Login()
    assert mechanism.respond(b"anne") == Challenge(b"Password:")
    assert isinstance(mechanism.respond(b""), Malformed)
    assert isinstance(Login().respond(b"\xff"), Malformed)


def test_scram() -> None:
    mechanism = Scram()
    assert mechanism.respond(None) == Challenge(b"")
    assert mechanism.respond(CLIENT_FIRST) == VerifierWanted("user")
    assert mechanism.is_waiting
    assert mechanism.provide(PENCIL, NONCE) == Challenge(SERVER_FIRST)
    assert mechanism.respond(CLIENT_FINAL) == Challenge(SERVER_FINAL)
    assert mechanism.respond(b"") == Proved("user")


def test_scram_with_another_password() -> None:
    mechanism = Scram()
    mechanism.respond(CLIENT_FIRST)
    mechanism.provide(verifier("pencil2", SALT, 4096), NONCE)
    assert mechanism.respond(CLIENT_FINAL) == Disproved("user")


def test_scram_takes_nothing_behind_the_signature() -> None:
    mechanism = Scram()
    mechanism.respond(CLIENT_FIRST)
    mechanism.provide(PENCIL, NONCE)
    mechanism.respond(CLIENT_FINAL)
    assert isinstance(mechanism.respond(b"more"), Malformed)


@pytest.mark.parametrize(
    ("first", "login"),
    [
        (b"n,,n=a=2Cb=3Dc,r=x", "a,b=c"),
        (b"y,,n=user,r=x", "user"),
        (b"n,a=user,n=user,r=x", "user"),
        (b"n,,n=user,r=x,e=more", "user"),
        ("n,,n=zoë,r=x".encode(), "zoë"),
    ],
)
def test_first_messages(first: bytes, login: str) -> None:
    assert Scram().respond(first) == VerifierWanted(login)


@pytest.mark.parametrize(
    "first",
    [
        *(b"", b"n", b"n,,", b"n,,n=,r=x", b"n,,n=user,r=", b"n,,m=1,n=user,r=x", b"n,,n=a=2Db,r=x"),
        *(b"p=tls-exporter,,n=user,r=x", b"n,a=boss,n=user,r=x", b"n,,n=user,r=\xff", b"n,,n=user,r=x\0"),
    ],
)
def test_bad_first_messages(first: bytes) -> None:
    assert isinstance(Scram().respond(first), Malformed)


@pytest.mark.parametrize(
    "final",
    [
        *(b"", b"c=biws", CLIENT_FINAL.replace(b"biws", b"biw"), CLIENT_FINAL.replace(b"biws", b"eSws")),
        *(CLIENT_FINAL.replace(b"rOpr", b"rOpx"), CLIENT_FINAL[:-4], CLIENT_FINAL[:-5] + b"A==="),
        CLIENT_FINAL[: CLIENT_FINAL.index(b"p=")] + b"p=AAAA",
    ],
)
def test_bad_final_messages(final: bytes) -> None:
    mechanism = Scram()
    mechanism.respond(CLIENT_FIRST)
    mechanism.provide(PENCIL, NONCE)
    assert isinstance(mechanism.respond(final), Malformed)


@pytest.mark.parametrize("nonce", ["", "short", "with,comma,in,it,long", "mit ümläut und länge"])
def test_a_nonce_of_ours_is_fit(nonce: str) -> None:
    mechanism = Scram()
    mechanism.respond(CLIENT_FIRST)
    with pytest.raises(MisuseError):
        mechanism.provide(PENCIL, nonce)


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(Credentials("anne", "secret"))
    assert repr(PENCIL.stored_key) not in repr(PENCIL)
    assert repr(PENCIL.server_key) not in repr(PENCIL)


@pytest.mark.parametrize("text", [b"something", b"YQ", b"YQ==x", b"Y Q==", b"YQ==\0", b"=", b"===="])
def test_base64_is_strict(text: bytes) -> None:
    assert isinstance(decode_base64(text), Malformed)


@given(st.binary(max_size=80))
def test_base64_comes_back(octets: bytes) -> None:
    assert decode_base64(encode_base64(octets).encode()) == octets


@given(st.sampled_from(sorted(MECHANISMS)), st.lists(st.binary(max_size=60), max_size=4))
def test_no_response_raises(name: str, responses: list[bytes]) -> None:
    mechanism = MECHANISMS[name]()
    for response in responses:
        if isinstance(mechanism.respond(response), VerifierWanted):
            break
