"""Which certificate a public host serves, whether it asks for one, and when it looks again.

All three follow from what stands in the exchange (``certificate_exchange``), the request that the host would
make and the time. A certificate fits when it has our key and names and is valid now; of several the one that
lasts longest is served. While one has more than a third of its life left nothing is asked, whatever else
stands there: so no restart, replica or deployment asks for anything [L8], and two sides with different keys,
while a key is being changed, do not chase each other. Who renews is the unit letsencrypt, as long as the
request stands there; the host takes what comes, with the same key [S15].
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.errors import Malformed
from ptt.protocol.acme.signing_request import (
    Certificate,
    SigningRequest,
    read_certificate,
    read_signing_request,
)
from ptt.protocol.dns.certificate_exchange import Exchange

MAX_ISSUERS = 8  # of a chain; public ones have one or two

FIRST_PAUSE_S = 2.0  # an order takes half a minute at the least
LONGEST_PAUSE_S = 600.0  # while there is no certificate: letsencrypt has limits of its own to keep
DAILY_S = 86_400.0
LAST_LOOKS = 100  # within the last third of a certificate's life, but not rarer than hourly
HOURLY_S = 3600.0
LEAST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Chain:
    """What is served: DER, leaf first, each certified by the next, without a root (RFC 8446 §4.4.2)."""

    certificates: tuple[bytes, ...]
    not_after: float
    renew_at: float
    """Both in seconds since 1970."""

    @property
    def pem(self) -> bytes:
        """All of it, in order."""
        loaded = map(x509.load_der_x509_certificate, self.certificates)
        return b"".join(each.public_bytes(Encoding.PEM) for each in loaded)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``chain`` None: there is none. ``puts``: what the exchange is to hold, where it is something else."""

    chain: Chain | None
    puts: Exchange | None


def decide(exchange: Exchange, request: SigningRequest, held: Chain | None, now: float) -> Verdict:
    """What to do about what stands in the exchange.

    ``held``: what is served now, of the same request; it is put back where the exchange has lost it. ``now``
    in seconds since 1970.
    """
    read = map(read_certificate, exchange.leaves)
    fitting = [each for each in read if isinstance(each, Certificate) and _is_ours(each, request, now)]
    best = max(fitting, key=lambda each: each.not_after, default=None)
    if best is not None:
        is_due = now >= best.renew_at and not _is_asked(exchange, request)
        leaves = tuple(each.der for each in fitting)
        puts = Exchange((request.der,), leaves, exchange.issuers) if is_due else None
        return Verdict(_chain(best, exchange.issuers), puts)
    if held is not None and now < held.not_after:
        leaf, *issuers = held.certificates
        return Verdict(held, Exchange((request.der,), (leaf,), tuple(issuers)))
    return Verdict(None, None if _is_asked(exchange, request) else Exchange((request.der,)))


def pause_s(chain: Chain | None, tries: int, now: float) -> float:
    """How long until the next look. ``tries``: looks without a certificate so far."""
    if chain is None or now >= chain.not_after:
        return min(FIRST_PAUSE_S * 2.0 ** min(tries, 30), LONGEST_PAUSE_S)
    if now < chain.renew_at:
        return max(min(DAILY_S, chain.renew_at - now), LEAST_PAUSE_S)
    return max(min(HOURLY_S, (chain.not_after - chain.renew_at) / LAST_LOOKS), LEAST_PAUSE_S)


def _is_ours(certificate: Certificate, request: SigningRequest, now: float) -> bool:
    return certificate.answers(request) and certificate.not_before <= now < certificate.not_after


def _is_asked(exchange: Exchange, request: SigningRequest) -> bool:
    """Whether ours is the only request there: the other side answers none where there are several."""
    if len(exchange.requests) != 1:
        return False
    there = read_signing_request(exchange.requests[0])
    return not isinstance(there, Malformed) and (there.key, there.names) == (request.key, request.names)


def _chain(leaf: Certificate, issuers: tuple[bytes, ...]) -> Chain:
    """The DNS keeps no order, so the issuers are put in theirs."""
    left = [each for each in map(_load, issuers) if each is not None]
    ordered = [x509.load_der_x509_certificate(leaf.der)]
    while len(ordered) <= MAX_ISSUERS:
        issuer = next((each for each in left if _is_issued_by(ordered[-1], each)), None)
        if issuer is None:
            break
        left.remove(issuer)
        ordered.append(issuer)
    certificates = tuple(each.public_bytes(Encoding.DER) for each in ordered)
    return Chain(certificates, leaf.not_after, leaf.renew_at)


def _load(der: bytes) -> x509.Certificate | None:
    """An issuer that is no root; None for what cannot be read. Names are read when they are asked for."""
    try:
        found = x509.load_der_x509_certificate(der)
        is_root = found.subject == found.issuer
    except ValueError:
        return None
    return None if is_root else found


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
