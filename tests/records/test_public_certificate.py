"""What a host serves, asks for and waits for, by what stands in the exchange; certificates are real."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.acme.signing_request import SigningRequest, read_certificate, read_signing_request
from ptt.protocol.dns.certificate_exchange import Exchange
from ptt.protocol.dns.name import Name
from ptt.records.certificate_key import derive_key
from ptt.records.certificate_means import ExchangeMeans, GivenCertificate, read_means
from ptt.records.certificate_request import make_request
from ptt.records.keys import private_pem
from ptt.records.public_certificate import (
    DAILY_S,
    HOURLY_S,
    LONGEST_PAUSE_S,
    MAX_ISSUERS,
    Chain,
    Verdict,
    decide,
    pause_s,
)
from ptt.records.self_signed import self_signed

HOST = Name.of("mail.mirage.org")
KEY = derive_key(bytes(32), HOST, 0)
BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = (BEGIN + 10 * DAY).timestamp()
LONG = Name((b"a" * 60, b"mirage", b"org"))


def requested(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, host: Name = HOST) -> SigningRequest:
    request = make_request(key, host)
    assert isinstance(request, SigningRequest)
    return request


REQUEST = requested(KEY)


class Issuer:
    """An authority, or one below it."""

    def __init__(self, name: str, above: "Issuer | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.der = (above or self).sign(self.name, self.key.public_key(), BEGIN, 3650)

    def sign(self, name: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, days: float) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + days * DAY)
        )
        if key is not self.key.public_key():
            names = [each.value for each in name]
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(str(each)) for each in names]), critical=False
            )
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    def leaf(
        self,
        begin: datetime = BEGIN,
        days: float = 90,
        host: Name = HOST,
        key: ec.EllipticCurvePrivateKey = KEY,
    ) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host.text)])
        return self.sign(subject, key.public_key(), begin, days)


@cache
def issuers() -> tuple[Issuer, Issuer, Issuer]:
    root = Issuer("root")
    middle = Issuer("middle", root)
    return root, middle, Issuer("low", middle)


def served(exchange: Exchange, now: float = NOW, held: Chain | None = None) -> Verdict:
    return decide(exchange, REQUEST, held, now)


def test_nothing_there_is_asked_for_once() -> None:
    assert served(Exchange()) == Verdict(None, Exchange((REQUEST.der,)))
    assert served(Exchange((REQUEST.der,))) == Verdict(None, None)


@pytest.mark.parametrize(
    "there",
    [
        (requested(derive_key(bytes(32), HOST, 1)).der,),
        (requested(KEY, Name.of("other.mirage.org")).der,),
        (b"no request",),
        (REQUEST.der, b"another"),
    ],
    ids=["another key", "another name", "garbage", "several, of which the other side answers none"],
)
def test_what_is_not_our_request_alone_is_replaced(there: tuple[bytes, ...]) -> None:
    assert served(Exchange(there)) == Verdict(None, Exchange((REQUEST.der,)))


def test_a_chain_is_put_in_order() -> None:
    root, middle, low = issuers()
    leaf = low.leaf()
    exchange = Exchange((REQUEST.der,), (leaf,), (root.der, b"garbage", middle.der, Issuer("x").der, low.der))
    verdict = served(exchange)
    assert verdict.puts is None
    assert verdict.chain is not None
    assert verdict.chain.certificates == (leaf, low.der, middle.der)
    loaded = x509.load_pem_x509_certificates(verdict.chain.pem)
    assert [each.public_bytes(Encoding.DER) for each in loaded] == [leaf, low.der, middle.der]
    assert verdict.chain.not_after == (BEGIN + 90 * DAY).timestamp()
    assert verdict.chain.renew_at == (BEGIN + 60 * DAY).timestamp()


def test_a_chain_has_an_end() -> None:
    """Two that certify each other would go on for ever."""
    above = Issuer("0")
    chain = [above := Issuer(str(number), above) for number in range(1, MAX_ISSUERS + 3)]
    verdict = served(Exchange((), (chain[-1].leaf(),), tuple(each.der for each in chain)))
    assert verdict.chain is not None
    assert len(verdict.chain.certificates) == MAX_ISSUERS + 1


def test_one_of_the_same_name_that_has_not_signed_is_passed_over() -> None:
    root, _, low = issuers()
    pretender = Issuer("low", root)
    verdict = served(Exchange((), (low.leaf(),), (pretender.der, low.der)))
    assert verdict.chain is not None
    assert verdict.chain.certificates[1:] == (low.der,)


def test_an_issuer_whose_name_cannot_be_read_is_passed_over() -> None:
    """The codec reads names only when they are asked for."""
    _, middle, low = issuers()
    odd = middle.der.replace(b"middle", b"\xff\xfeddle")
    assert odd != middle.der
    leaf = low.leaf()
    verdict = served(Exchange((REQUEST.der,), (leaf,), (odd, low.der)))
    assert verdict.chain is not None
    assert verdict.chain.certificates == (leaf, low.der)


def test_the_one_that_lasts_longest_is_served() -> None:
    _, _, low = issuers()
    short, long = low.leaf(days=20), low.leaf(days=90)
    for leaves in ((short, long), (long, short)):
        verdict = served(Exchange((REQUEST.der,), leaves))
        assert verdict.chain is not None
        assert verdict.chain.certificates == (long,)
        assert verdict.puts is None


def test_what_does_not_fit_is_no_certificate_of_ours() -> None:
    _, _, low = issuers()
    others = (
        low.leaf(key=derive_key(bytes(32), HOST, 1)),
        low.leaf(host=Name.of("other.mirage.org")),
        low.leaf(BEGIN + 11 * DAY),
        low.leaf(days=9),
        b"garbage",
    )
    assert served(Exchange((), others)) == Verdict(None, Exchange((REQUEST.der,)))


def test_nothing_is_asked_while_a_certificate_has_more_than_a_third_of_its_life() -> None:
    """Whatever else stands there: so no restart, replica or deployment asks for anything."""
    _, _, low = issuers()
    leaf = low.leaf()
    for requests in ((), (b"another",), (REQUEST.der, b"another")):
        for day in (0, 10, 59):
            verdict = served(Exchange(requests, (leaf,)), (BEGIN + day * DAY).timestamp())
            assert verdict.chain is not None
            assert verdict.puts is None


def test_later_the_request_must_stand_there_beside_the_certificate() -> None:
    _, _, low = issuers()
    leaf, late = low.leaf(), (BEGIN + 61 * DAY).timestamp()
    there = Exchange((REQUEST.der,), (leaf,), (low.der,))
    assert served(there, late).puts is None
    verdict = served(Exchange((), (leaf, b"another"), (low.der,)), late)
    assert verdict.chain is not None
    assert verdict.puts == there


def test_what_the_exchange_has_lost_is_put_back() -> None:
    _, middle, low = issuers()
    there = Exchange((REQUEST.der,), (low.leaf(),), (low.der, middle.der))
    held = served(there).chain
    assert held is not None
    assert served(Exchange(), held=held) == Verdict(held, there)
    assert served(Exchange(), held.not_after, held) == Verdict(None, Exchange((REQUEST.der,)))


def test_when_to_look_again() -> None:
    begin, end = BEGIN.timestamp(), (BEGIN + 90 * DAY).timestamp()
    chain = Chain((b"leaf",), end, (BEGIN + 60 * DAY).timestamp())
    assert [pause_s(None, tries, NOW) for tries in range(4)] == [2, 4, 8, 16]
    assert pause_s(None, 10**6, NOW) == pause_s(chain, 10**6, end) == LONGEST_PAUSE_S
    assert pause_s(chain, 0, begin) == DAILY_S
    assert pause_s(chain, 0, chain.renew_at - 60) == 60
    assert pause_s(chain, 0, chain.renew_at - 0.01) == 1
    assert pause_s(chain, 0, chain.renew_at) == HOURLY_S
    brief = Chain((b"leaf",), 900.0, 600.0)
    assert pause_s(brief, 0, 700) == 3
    assert pause_s(Chain((b"leaf",), 90.0, 60.0), 0, 70) == 1


@given(st.lists(st.binary(max_size=50), max_size=3), st.lists(st.binary(max_size=50), max_size=3))
def test_any_octets_come_to_a_verdict(some: Sequence[bytes], more: Sequence[bytes]) -> None:
    exchange = Exchange(tuple(some), tuple(more), tuple(some))
    assert served(exchange) == Verdict(None, Exchange((REQUEST.der,)))


def test_the_request_is_the_same_each_time() -> None:
    for key in (KEY, rsa.generate_private_key(65537, 2048)):
        request = requested(key)
        assert requested(key) == request == read_signing_request(request.der)
    long = requested(KEY, LONG)
    assert not x509.load_der_x509_csr(long.der).subject
    assert read_signing_request(long.der) == long
    assert isinstance(make_request(ed25519.Ed25519PrivateKey.generate(), HOST), Malformed)


def test_one_of_our_own_making() -> None:
    for key in (KEY, ed25519.Ed25519PrivateKey.generate()):
        der = self_signed(key, HOST, BEGIN)
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(certificate)
        assert certificate.not_valid_before_utc < BEGIN < certificate.not_valid_after_utc - 89 * DAY
        assert certificate.serial_number > 0
        read = read_certificate(der)
        assert not isinstance(read, Malformed)
        assert read.names == {HOST}


TSIG = "receiver._update.mirage.org:SHA256:c2ltdWxhdGVkIGtleSBvZiAzMiBvY3RldHMgLi4uLi4="
SEED = "AAECAwQFBgcICQoLDA0ODw=="


def test_a_given_certificate() -> None:
    means = read_means("chain", 0, {"tls_key": "key"}, "mail.mirage.org")
    assert means == GivenCertificate(b"chain", b"key")
    assert read_means("chain", 0, {"tsig_key": TSIG}, "x.org") == Malformed("a certificate without tls_key")


def test_means_for_the_exchange() -> None:
    pem = private_pem(KEY)
    by_seed = read_means("", 3, {"certificate_seed": SEED, "tsig_key": TSIG}, "mail.mirage.org")
    assert isinstance(by_seed, ExchangeMeans)
    assert by_seed.request == requested(derive_key(bytes(range(16)), HOST, 3))
    assert by_seed.key_pem == private_pem(derive_key(bytes(range(16)), HOST, 3)).encode()
    assert by_seed.tsig_key.text == TSIG
    by_key = read_means(
        "", 0, {"tls_key": pem, "certificate_seed": SEED, "tsig_key": TSIG}, "mail.mirage.org"
    )
    assert isinstance(by_key, ExchangeMeans)
    assert by_key.request == REQUEST
    assert "PRIVATE" not in repr(by_key)


@pytest.mark.parametrize(
    ("secrets", "host", "counter", "reason"),
    [
        ({}, "a..b", 0, "host name 'a..b': an empty label"),
        ({}, ".".join(["a" * 48] * 5), 0, "too long for the exchange"),
        ({}, "x.org", 0, "neither certificate_pem nor tsig_key"),
        ({"tsig_key": "x"}, "x.org", 0, "NAME:ALGORITHM:BASE64"),
        ({"tsig_key": TSIG}, "x.org", 0, "neither tls_key nor certificate_seed"),
        ({"tsig_key": TSIG, "tls_key": SEED}, "x.org", 0, "belongs into certificate_seed"),
        ({"tsig_key": TSIG, "tls_key": "-----BEGIN PRIVATE KEY-----"}, "x.org", 0, "cannot be read"),
        ({"tsig_key": TSIG, "certificate_seed": "AAAA"}, "x.org", 0, "certificate_seed: a seed of 3 octets"),
        ({"tsig_key": TSIG, "certificate_seed": SEED}, "x.org", -1, "certificate_key: -1"),
        (
            {"tsig_key": TSIG, "tls_key": private_pem(ed25519.Ed25519PrivateKey.generate())},
            "x.org",
            0,
            "tls_key: authorities certify RSA and ECDSA keys only",
        ),
    ],
)
def test_what_is_missing_is_said(secrets: dict[str, str], host: str, counter: int, reason: str) -> None:
    means = read_means("", counter, secrets, host)
    assert isinstance(means, Malformed)
    assert reason in means.reason
