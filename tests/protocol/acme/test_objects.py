"""What an authority sends, what a client asks: read strictly, never an exception."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from josepy.jwa import ES256, RS256
from josepy.jwk import JWK

from ptt.errors import Malformed
from ptt.protocol.acme.account_key import AccountKey
from ptt.protocol.acme.http import Response, retry_after_s
from ptt.protocol.acme.objects import (
    MAX_BODY_OCTETS,
    Account,
    Authorization,
    Directory,
    Order,
    Problem,
    is_https,
    read_object,
)
from ptt.protocol.acme.signing_request import (
    MAX_CERTIFICATE_OCTETS,
    MAX_REQUEST_OCTETS,
    Certificate,
    SigningRequest,
    read_certificate,
    read_chain,
    read_signing_request,
)

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KINDS: tuple[Any, ...] = (Directory, Problem, Account, Order, Authorization)
WEAK_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("999999999", 7 * 86400),
        ("99999999999", None),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        ("Wed, 25 Nov 2026 00:01:40 GMT", 100),
        ("Wed, 25 Nov 2026 00:01:40 -0000", None),
        ("Wed, 25 Nix 2026 00:01:40 GMT", None),
        ("Wed, 31 Nov 2026 00:01:40 GMT", None),
        ("Tue, 24 Nov 2026 00:00:00 GMT", 0),
        ("Wed, 25 Nov 2099 00:00:00 GMT", 7 * 86400),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_s(Response(503, {"retry-after": text}), NOW) == seconds


def test_no_retry_after() -> None:
    assert retry_after_s(Response(503), NOW) is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d\d (Jan|Feb|Nix) \d{4} \d\d:\d\d:\d\d GMT"))
def test_retry_after_reads_anything(text: str) -> None:
    seconds = retry_after_s(Response(503, {"retry-after": text}), NOW)
    assert seconds is None or 0 <= seconds <= 7 * 86400


@given(st.binary() | st.lists(st.none() | st.text()).map(lambda value: json.dumps(value).encode()))
def test_objects_read_anything(body: bytes) -> None:
    for kind in KINDS:
        assert isinstance(read_object(body, kind), kind | Malformed)


@given(st.dictionaries(st.sampled_from(["newNonce", "newAccount", "newOrder", "meta"]), st.text()))
def test_directories_lead_to_https_alone(values: dict[str, str]) -> None:
    found = read_object(json.dumps(values).encode(), Directory)
    assert isinstance(found, Malformed) or all(map(is_https, found.urls))


def test_objects_of_more_than_they_may_have() -> None:
    assert read_object(b" " * (MAX_BODY_OCTETS + 1), Account) == Malformed(f"{MAX_BODY_OCTETS + 1} octets")
    assert isinstance(read_object(b'{"x":' + b"[" * 100_000, Account), Malformed)
    assert read_object(b'{"status": "valid", "new": [1]}', Account) == Account("valid")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["http://a/", "https://a/ b", "https://é/", "https://a/\n", "https://" + "a" * 3000]
)
def test_urls_that_are_not_followed(url: str) -> None:
    assert not is_https(url)


def verified(body: bytes, algorithm: Any) -> dict[str, Any]:
    """By josepy: the signature holds by the key within."""
    parts = json.loads(body)
    header = json.loads(base64.urlsafe_b64decode(parts["protected"] + "=="))
    signature = base64.urlsafe_b64decode(parts["signature"] + "==")
    key: Any = JWK.from_json(header["jwk"])
    assert algorithm.verify(key.key, f"{parts['protected']}.{parts['payload']}".encode(), signature)
    return dict(header)


def test_signatures_of_both_kinds_of_key() -> None:
    for private, algorithm in (
        (ec.generate_private_key(ec.SECP256R1()), ES256),
        (rsa.generate_private_key(65537, 2048), RS256),
    ):
        key = AccountKey(private)
        header = verified(key.sign({"a": 1}, "https://ca/x", "nonce"), algorithm)
        assert (header["url"], header["nonce"], header["alg"]) == ("https://ca/x", "nonce", algorithm.name)
        assert set(header["jwk"]) <= {"kty", "crv", "x", "y", "n", "e"}, "a private key was shown"
        assert json.loads(key.sign(None, "u", "n", "https://ca/account"))["payload"] == ""


def test_the_thumbprint_of_rfc_7638() -> None:
    """RFC 7638 §3.1: the example's key and its thumbprint."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )
    jwk: Any = JWK.from_json({"kty": "RSA", "n": modulus, "e": "AQAB"})
    key = AccountKey.__new__(AccountKey)
    key._jwk = jwk
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_request(csr: Callable[..., bytes]) -> None:
    found = read_signing_request(csr("B.example.org", "a.example.org", "*.a.example.org"))
    assert isinstance(found, SigningRequest)
    assert {name.text for name in found.names} == {"a.example.org", "b.example.org", "*.a.example.org"}
    assert isinstance(read_signing_request(csr(common_name="mail.example.org", san=False)), SigningRequest)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"san": False}, "0 names"),
        ({"common_name": "two words", "san": False}, "cannot be read"),
        ({"common_name": "é.example.org", "san": False}, "cannot be read"),
        ({"names": ("localhost",)}, "cannot be read"),
        ({"names": ("a_b.example.org",)}, "cannot be read"),
        ({"names": ("a.*.example.org",)}, "cannot be read"),
        ({"names": ("..",)}, "cannot be read"),
        ({"names": ("a.example.org", "x" * 64 + ".org")}, "cannot be read"),
        ({"names": tuple(f"n{n}.example.org" for n in range(101))}, "101 names"),
        ({"names": ("a.example.org",), "key": ec.generate_private_key(ec.SECP521R1())}, "a kind of key"),
        ({"names": ("a.example.org",), "key": WEAK_KEY}, "a kind of key"),
    ],
)
def test_requests_that_are_refused(csr: Callable[..., bytes], arguments: dict[str, Any], reason: str) -> None:
    found = read_signing_request(csr(*arguments.pop("names", ()), **arguments))
    assert isinstance(found, Malformed)
    assert reason in found.reason


def test_requests_with_other_names_or_signatures(csr: Callable[..., bytes]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.RFC822Name("a@example.org")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, False)
    mail = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert read_signing_request(mail) == Malformed("a name that is no DNS name")
    rsa_key = rsa.generate_private_key(65537, 2048)
    good = csr("a.example.org", key=rsa_key)
    assert isinstance(read_signing_request(good), SigningRequest)
    assert read_signing_request(good[:-1] + bytes([good[-1] ^ 1])) == Malformed(
        "the request is not signed with its own key"
    )
    assert isinstance(read_signing_request(bytes(MAX_REQUEST_OCTETS + 1)), Malformed)
    assert isinstance(read_signing_request(b"no request"), Malformed)


def test_certificates(csr: Callable[..., bytes], chain: Callable[..., bytes]) -> None:
    der = csr("a.example.org", "b.example.org")
    request = read_signing_request(der)
    found = read_chain(chain(der, timedelta(days=9)))
    assert isinstance(found, tuple)
    leaf = read_certificate(found[0])
    assert isinstance(leaf, Certificate)
    assert isinstance(request, SigningRequest)
    assert leaf.answers(request)
    life = leaf.not_after - leaf.not_before
    assert leaf.is_valid(leaf.not_before)
    assert not leaf.is_valid(leaf.not_before - 1)
    assert leaf.is_valid(leaf.not_after - 1)
    assert not leaf.is_valid(leaf.not_after)
    assert leaf.renew_at == pytest.approx(leaf.not_after - life / 3)
    other = read_signing_request(csr("a.example.org"))
    assert isinstance(other, SigningRequest)
    assert not leaf.answers(other)
    assert isinstance(read_certificate(found[1]), Malformed), "an authority's own has no host's name"
    for data in (b"", bytes(MAX_CERTIFICATE_OCTETS + 1), found[0][:-9]):
        assert isinstance(read_certificate(data), Malformed)
        assert isinstance(read_chain(data), Malformed)


@given(st.binary(), st.integers(0, 400), st.binary(max_size=3))
def test_certificates_and_requests_read_anything(data: bytes, at: int, piece: bytes) -> None:
    for whole in (data, REQUEST[:at] + piece + REQUEST[at + len(piece) :]):
        assert isinstance(read_signing_request(whole), SigningRequest | Malformed)
        assert isinstance(read_certificate(whole), Certificate | Malformed)
        assert isinstance(read_chain(whole), tuple | Malformed)
    for whole in (CERTIFICATE[:at] + piece + CERTIFICATE[at + len(piece) :],):
        assert isinstance(read_certificate(whole), Certificate | Malformed)


def _samples() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example.org")])
    names = x509.SubjectAlternativeName([x509.DNSName("a.example.org")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, False)
    request = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(names, False)
        .sign(key, hashes.SHA256())
    )
    return request, certificate.public_bytes(Encoding.DER)


REQUEST, CERTIFICATE = _samples()
