"""Loading and publishing of DKIM keys."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dkim.keys import PrivateKey, SigningKey, load_signing_key, public_record

# RFC 8463 §A.2
RFC8463_SEED = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
RFC8463_RECORD = b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

SHORT_RSA = """\
-----BEGIN PRIVATE KEY-----
MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEA1/1BwuEtV8pkIe5Z
oOdAo7SSJFvmNtRvA3KScWEQYIhbL7KXMjciEW0QKYenT1l/cFM+AQCOq/byXk9o
WPRCMwIDAQABAkEAkHdh0/J/PJgv744YPwpObvDpSw545jWi50Br+Q/+P0HaWWGk
haEzy+bpGkGOYKy4wMOwd5ISxqVkhNNnwyo4KQIhAPLrXR3fHF9DBHCxwkHpW+EO
ZciRuUvqhWp+6CSBtCanAiEA456pmFP57+0YHIy9LOZs2iuitc1zzpAg+76VIqpz
hZUCIG5cO4uspykoO0Yvm/9x00olzlwWyEYTH9XIHhMn0f6VAiAvEIyCucJxULXu
mU84bIDPb7xaGRw79uNLCnIt087FLQIhAMZNYHqCbLzPi/dEmOOQETgUHBzqro1a
MXtb43DvuxXW
-----END PRIVATE KEY-----
"""  # 512 bits, made for this test

RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the shortest that is allowed
ED25519 = Ed25519PrivateKey.from_private_bytes(RFC8463_SEED)


def pem(
    key: PrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def test_both_pem_forms_of_rsa() -> None:
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        key = load_signing_key("\n" + pem(RSA, form).replace("\n", "\r\n"))
        assert isinstance(key, rsa.RSAPrivateKey)
        assert key.private_numbers() == RSA.private_numbers()


def test_pem_of_ed25519_and_bare_der() -> None:
    for text in (
        pem(ED25519),
        base64.encodebytes(ED25519.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode(),
    ):
        key = load_signing_key(text)
        assert isinstance(key, Ed25519PrivateKey)
        assert key.private_bytes_raw() == RFC8463_SEED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ü",
        "rsa:AAAA",
        "AAAA",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(RSA, encryption=BestAvailableEncryption(b"secret")),
        pem(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_what_is_no_signing_key(text: str) -> None:
    key = load_signing_key(text)
    assert isinstance(key, Malformed)
    assert not text or text not in key.reason


def test_short_rsa_keys_are_refused() -> None:
    key = load_signing_key(SHORT_RSA)
    assert isinstance(key, Malformed)
    assert "512 bits" in key.reason


def test_the_published_record() -> None:
    assert public_record(ED25519) == RFC8463_RECORD
    record = public_record(RSA)
    assert record.startswith(b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNAD")
    assert b"\n" not in record


def test_the_name_of_the_record() -> None:
    key = SigningKey(Name.of("S2026.mail"), Name.of("Example.ORG"), ED25519)
    assert key.record_name == Name.of("s2026.mail._domainkey.example.org")


@pytest.mark.parametrize(
    ("selector", "domain"),
    [
        (Name((b"a;b",)), Name.of("example.org")),
        (Name(()), Name.of("example.org")),
        (Name.of("s"), Name((b"exa mple", b"org"))),
        (Name.of(".".join(["a" * 63] * 3)), Name.of(".".join(["b" * 60] * 3))),
    ],
)
def test_names_that_cannot_be_written(selector: Name, domain: Name) -> None:
    with pytest.raises(MisuseError):
        SigningKey(selector, domain, ED25519)


def test_a_short_key_cannot_sign() -> None:
    short = load_pem_private_key(SHORT_RSA.encode(), password=None)
    assert isinstance(short, rsa.RSAPrivateKey)
    with pytest.raises(MisuseError, match="512"):
        SigningKey(Name.of("s"), Name.of("example.org"), short)
