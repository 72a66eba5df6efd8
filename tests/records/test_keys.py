"""Which octets are the seed, and PEM blocks of every kind; the published keys are in ``tests/vectors``."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
    load_ssh_public_key,
)

from ptt.errors import Malformed
from ptt.records.keys import (
    ACME_ACCOUNT,
    CERTIFICATE,
    DKIM,
    SSH,
    KeyUse,
    PrivateKey,
    check_key,
    ed25519_setting,
    is_seed,
    is_seed_short,
    parse_key,
    private_pem,
    public_line,
    public_spki,
)
from ptt.records.seeds import rsa_from_seed

RSA = rsa.generate_private_key(65537, 2048)
SMALL_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
DSA = dsa.generate_private_key(1024)  # noqa: S505 - to be refused

SEED = base64.b64encode(bytes(range(32))).decode()


def is_same(key: PrivateKey | Malformed, other: PrivateKey) -> bool:
    return not isinstance(key, Malformed) and public_spki(key) == public_spki(other)


def openssh(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def traditional(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@pytest.mark.parametrize("use", [DKIM, CERTIFICATE])
def test_base64_seeds_are_decoded(use: KeyUse) -> None:
    assert is_same(parse_key(SEED + "\r\n", use), rsa_from_seed(bytes(range(32)), 2048))


def test_text_behind_rsa_is_the_seed_as_it_is() -> None:
    assert is_same(parse_key(f"RSA:{SEED}\n", SSH, 2048), rsa_from_seed(SEED.encode(), 2048))


def test_an_account_s_text_is_the_seed_as_it_is() -> None:
    assert is_same(parse_key(f"rsa:{SEED}", ACME_ACCOUNT, 2048), rsa_from_seed(f"rsa:{SEED}".encode(), 2048))


def test_usual_sizes() -> None:
    assert [use.rsa_bits for use in (SSH, DKIM, ACME_ACCOUNT, CERTIFICATE)] == [4096, 2048, 4096, 2048]


@pytest.mark.parametrize("use", [SSH, DKIM, CERTIFICATE])
def test_ed25519_is_the_key_itself(use: KeyUse) -> None:
    setting = ed25519_setting(ED25519)
    assert setting == "ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert is_same(parse_key(setting.replace("ed25519", "Ed25519") + "\n", use), ED25519)


@pytest.mark.parametrize(
    ("use", "key", "form"),
    [
        (use, key, form)
        for use, keys in {
            SSH: (RSA, ED25519),
            DKIM: (RSA, ED25519),
            ACME_ACCOUNT: (RSA, P256),
            CERTIFICATE: (RSA, ED25519, P256),
        }.items()
        for key in keys
        for form in (private_pem, openssh)
    ]
    + [(CERTIFICATE, RSA, traditional), (CERTIFICATE, P256, traditional)],
)
def test_pem(use: KeyUse, key: PrivateKey, form: object) -> None:
    assert callable(form)
    assert is_same(parse_key("\n" + form(key), use), key)


@pytest.mark.parametrize(
    ("use", "key"),
    [(SSH, P256), (DKIM, P256), (ACME_ACCOUNT, ED25519), (CERTIFICATE, P384), (SSH, SMALL_RSA)],
)
def test_kinds_that_a_use_cannot_have(use: KeyUse, key: PrivateKey) -> None:
    assert isinstance(parse_key(private_pem(key), use), Malformed)


def test_a_kind_that_nothing_can_have() -> None:
    pem = DSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert isinstance(parse_key(pem, SSH), Malformed)


def test_a_block_with_a_password() -> None:
    pem = ED25519.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim")
    ).decode()
    key = parse_key(pem, SSH)
    assert isinstance(key, Malformed)
    assert "password" in key.reason


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("", SSH),
        ("rsa:", SSH),
        ("", ACME_ACCOUNT),
        ("", DKIM),
        (SEED, SSH),
        (f"dsa:{SEED}", SSH),
        (f"rsa:{SEED}:{SEED}", SSH),
        ("ed25519:AAEC", SSH),
        ("ed25519:" + SEED[:-1], SSH),
        (SEED[:-1], DKIM),
        (SEED + " ", DKIM),
        (f"rsa:{SEED}", DKIM),
        ("ä" * 4, DKIM),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", SSH),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", SSH),
        ("rsa:" + "A" * 17000, SSH),
    ],
)
def test_malformed(text: str, use: KeyUse) -> None:
    key = parse_key(text, use)
    assert isinstance(key, Malformed)
    assert use.name in key.reason
    assert SEED[:8] not in key.reason


@pytest.mark.parametrize("bits", [0, 1024, 8193])
def test_sizes_out_of_range(bits: int) -> None:
    assert isinstance(parse_key(f"rsa:{SEED}", SSH, bits), Malformed)


@pytest.mark.parametrize(
    ("text", "use", "is_short"),
    [
        ("rsa:123456789012345\n", SSH, True),
        ("rsa:1234567890123456", SSH, False),
        ("geheim", ACME_ACCOUNT, True),
        (base64.b64encode(bytes(15)).decode(), DKIM, True),
        (SEED, DKIM, False),
        ("no seed at all", DKIM, False),
        (private_pem(ED25519), SSH, False),
    ],
)
def test_short_seeds(text: str, use: KeyUse, is_short: bool) -> None:
    assert is_seed_short(text, use) is is_short


def test_public_forms() -> None:
    line = public_line(ED25519)
    assert line.startswith("ssh-ed25519 ")
    assert line.endswith(" awa@awa.local")
    assert public_line(ED25519, "") == line.removesuffix(" awa@awa.local")
    assert load_ssh_public_key(line.encode()) == load_der_public_key(public_spki(ED25519))


def test_the_form_of_a_seed_is_seen_without_making_its_key() -> None:
    assert check_key("rsa:any text", SSH) is None
    assert is_seed("rsa:any text", SSH)
    assert not is_seed("any text", SSH)
    assert isinstance(check_key("any text", SSH), Malformed)
    assert isinstance(check_key("x" * 20000, ACME_ACCOUNT), Malformed)
