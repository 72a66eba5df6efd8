"""What a zone asks for: exactly one request at a name, and no certificate that answers it for long enough.

A request may ask for its host and names below it, nothing else: the right to change records at HOST must not
become a certificate for others. What is wrong is told to the operator, and nothing is ordered.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ptt.errors import Malformed
from ptt.protocol.acme.signing_request import (
    WILDCARD,
    Certificate,
    SigningRequest,
    read_certificate,
    read_signing_request,
)
from ptt.protocol.dns.certificate_exchange import (
    TTL_S,
    Exchange,
    Part,
    host_of,
    owner,
    read_exchange,
    write_record,
)
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.requesting import Add, Edit, Remove
from ptt.protocol.dns.zone import Zone


@dataclass(frozen=True, slots=True)
class Demand:
    """A host of a zone that wants a certificate from ``since`` on (seconds since 1970; 0: at once).

    ``served`` is the certificate that answers the request until then.
    """

    zone: Name
    host: Name
    request: SigningRequest
    since: float
    served: Certificate | None = None

    def suggested(self, at: float) -> "Demand":
        """The same, renewed when the authority suggests it, with half of the last third in reserve."""
        if self.served is None:
            return self
        reserve_s = (self.served.not_after - self.served.renew_at) / 2
        return replace(self, since=min(at, self.served.not_after - reserve_s))


@dataclass(frozen=True, slots=True)
class Fault:
    """Why nothing is ordered for a host."""

    host: Name
    reason: str

    @property
    def text(self) -> str:
        """For the journal."""
        return f"no certificate for {self.host}: {self.reason}"


def demands_of(zone: Zone, now: float) -> Iterator[Demand | Fault]:
    """All hosts of a zone with a request; those that are served wait until a third of the life is left."""
    for name, node in zone.nodes.items():
        host, rrset = host_of(name), node.get(RecordType.TLSA)
        if host is None or rrset is None:
            continue
        exchange = read_exchange(rrset)
        if exchange.requests:
            yield _demand(zone.origin, host, exchange, now)


def _demand(zone: Name, host: Name, exchange: Exchange, now: float) -> Demand | Fault:
    if len(exchange.requests) > 1:
        return Fault(host, f"{len(exchange.requests)} requests at {owner(host)}, one is wanted")
    request = read_signing_request(exchange.requests[0])
    if isinstance(request, Malformed):
        return Fault(host, request.reason)
    foreign = sorted(name.text for name in request.names if not _belongs(name, host, zone))
    if foreign:
        return Fault(host, f"the request names {foreign[0]}, which is not at or below {host}")
    served = _served_by(request, exchange, now)
    return Demand(zone, host, request, served.renew_at if served is not None else 0.0, served)


def _belongs(name: Name, host: Name, zone: Name) -> bool:
    bare = Name(name.labels[1:]) if name.labels[:1] == (WILDCARD,) else name
    return bare.is_at_or_below(host) and bare.is_at_or_below(zone)


def _served_by(request: SigningRequest, exchange: Exchange, now: float) -> Certificate | None:
    """The best certificate that answers the request and is valid now."""
    certificates = map(read_certificate, exchange.leaves)
    good = (
        each
        for each in certificates
        if isinstance(each, Certificate) and each.answers(request) and each.is_valid(now)
    )
    return max(good, key=lambda each: each.renew_at, default=None)


def answer_edits(zone: Zone, host: Name, chain: tuple[bytes, ...]) -> tuple[Edit, ...]:
    """The changes that put a chain, leaf first, in the place of what answers now; requests stay."""
    name = owner(host)
    there = read_exchange(zone.at(name, RecordType.TLSA))
    leaf, *issuers = chain
    new = (
        write_record(Part.LEAF, leaf),
        *(write_record(Part.ISSUER, each) for each in dict.fromkeys(issuers)),
    )
    old = (
        *(write_record(Part.LEAF, each) for each in there.leaves),
        *(write_record(Part.ISSUER, each) for each in there.issuers),
    )
    gone = tuple(each for each in old if each not in new)
    added = Add(RRset(name, int(RecordType.TLSA), TTL_S, new))
    return (Remove(RRset(name, int(RecordType.TLSA), TTL_S, gone)), added) if gone else (added,)
