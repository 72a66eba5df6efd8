"""What an authoritative server answers (RFC 1034 §4.3.2): data, alias, wildcard, referral, denial.

Answers are minimal: the authority section holds a referral or the SOA of a denial, nothing else (the RFC
leaves the rest to us, and it amplifies). ANY gets one RRset (RFC 8482 §4.1). SOAs of denials carry the
negative TTL (RFC 2308 §3).
"""

from dataclasses import dataclass, replace

import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.IN.SRV

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, codec_name, name_of
from ptt.protocol.dns.response import synthesised
from ptt.protocol.dns.zone import Zone, soa_of

ANY = 255
DS = 43
MAX_ALIASES = 8  # followed within the zone; a resolver asks for the rest
ADDRESS_TYPES = (RecordType.A, RecordType.AAAA)


@dataclass(frozen=True, slots=True)
class Sections:
    """The parts of a response."""

    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    authoritative: bool = True
    answer: tuple[RRset, ...] = ()
    authority: tuple[RRset, ...] = ()
    additional: tuple[RRset, ...] = ()


def answer_from(zone: Zone, qname: Name, qtype: int) -> Sections:
    """The answer of ``zone``, which encloses ``qname``."""
    links: list[RRset] = []
    name = qname
    for _ in range(MAX_ALIASES):
        found = _step(zone, name, qtype)
        if isinstance(found, Sections):
            return replace(
                found,
                answer=(*links, *found.answer),
                authoritative=found.authoritative or bool(links),
            )
        links += [each for each in found.links if each not in links]
        if found.target is None or not found.target.is_at_or_below(zone.origin):
            break
        name = found.target
    return Sections(answer=tuple(links))


@dataclass(frozen=True, slots=True)
class _Alias:
    links: tuple[RRset, ...]
    target: Name | None


def _step(zone: Zone, name: Name, qtype: int) -> Sections | _Alias:
    cut = zone.cut_above(name)
    if cut is not None and not (qtype == DS and cut.name == name):
        return _referral(zone, cut)
    dname = zone.dname_above(name)
    if dname is not None:
        return _through_dname(dname, name)
    if name in zone.names:
        return _at(zone, name, name, qtype)
    wildcard = Name((b"*", *zone.closest_encloser(name).labels))
    if wildcard in zone.names:
        return _at(zone, wildcard, name, qtype)
    return Sections(rcode=dns.rcode.NXDOMAIN, authority=(_denial(zone),))


def _at(zone: Zone, node: Name, owner: Name, qtype: int) -> Sections | _Alias:
    """Answer from a node, under the name asked for (RFC 4592 §3.3.1)."""
    rrsets = zone.nodes.get(node, {})
    alias = rrsets.get(RecordType.CNAME)
    if alias is not None and qtype not in (RecordType.CNAME, ANY):
        rdata = alias.rdatas[0]
        target = name_of(rdata.target) if isinstance(rdata, dns.rdtypes.ANY.CNAME.CNAME) else None
        return _Alias((replace(alias, name=owner),), target)
    if qtype == ANY and rrsets:
        return Sections(answer=(replace(next(iter(rrsets.values())), name=owner),))
    found = rrsets.get(qtype)
    if found is None:
        return Sections(authority=(_denial(zone),))
    return Sections(answer=(replace(found, name=owner),), additional=_addresses(zone, found))


def _through_dname(dname: RRset, name: Name) -> Sections | _Alias:
    target = synthesised(dname, name)
    if isinstance(target, Malformed):
        return Sections(rcode=dns.rcode.YXDOMAIN, answer=(dname,))  # RFC 6672 §2.2
    made = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.CNAME, codec_name(target).to_text())
    return _Alias((dname, RRset(name, RecordType.CNAME, dname.ttl, (made,))), target)


def _referral(zone: Zone, cut: RRset) -> Sections:
    glue = tuple(
        address
        for rdata in cut.rdatas
        if isinstance(rdata, dns.rdtypes.ANY.NS.NS)
        for kind in ADDRESS_TYPES
        if (address := zone.at(name_of(rdata.target), kind)) is not None
    )
    return Sections(authoritative=False, authority=(cut,), additional=glue)


def _addresses(zone: Zone, found: RRset) -> tuple[RRset, ...]:
    """Addresses in the zone of the hosts that an answer names (RFC 1035 §3.3.9, RFC 2782)."""
    added: dict[tuple[Name, int], RRset] = {}
    for rdata in found.rdatas:
        match rdata:
            case dns.rdtypes.ANY.MX.MX():
                host = name_of(rdata.exchange)
            case dns.rdtypes.ANY.NS.NS() | dns.rdtypes.IN.SRV.SRV():
                host = name_of(rdata.target)
            case _:
                continue
        for kind in ADDRESS_TYPES:
            address = zone.at(host, kind)
            if address is not None and zone.cut_above(host) is None:
                added[host, kind] = address
    return tuple(added.values())


def _denial(zone: Zone) -> RRset:
    return replace(zone.soa, ttl=min(zone.soa.ttl, soa_of(zone.soa).minimum))
