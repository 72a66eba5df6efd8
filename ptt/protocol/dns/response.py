"""What a response of a zone's server means for the question asked (RFC 1034 §5.3.3, RFC 2308 §2).

Only what the server may speak of is read: names at or below the zone it serves, records that belong to the
question. The rest of the message is as if it were not there, so it cannot poison anything (RFC 5452 §6).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.DNAME
import dns.rdtypes.ANY.NS
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA

from ptt.errors import Malformed
from ptt.protocol.dns.delegation import MAX_ADDRESSES_EACH, MAX_SERVER_NAMES, Delegation
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Alias, Empty, Found, Missing
from ptt.protocol.dns.records import RRset, codec_name, name_of, rrsets_of

DNAME = 39


@dataclass(frozen=True, slots=True)
class Useless:
    """The server does not serve the zone (lame, RFC 8499 §7) or did not answer the question.

    ``otherwise`` is what it means if every other server is of no use either.
    """

    reason: str
    otherwise: "Found | Alias | Empty | Missing | None" = None


Meaning = Found | Alias | Empty | Missing | Delegation | Useless


def meaning_of(message: dns.message.Message, zone: Name, qname: Name, rdtype: int) -> Meaning:
    """Read a response to ``qname``/``rdtype`` from a server of ``zone``, which encloses ``qname``."""
    rcode = message.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Useless(f"rcode {dns.rcode.to_text(rcode)}")
    meaning = _content(message, zone, qname, rdtype)
    if isinstance(meaning, Useless):
        return meaning
    if isinstance(meaning, Delegation):
        return meaning
    if message.flags & dns.flags.RA and not message.flags & dns.flags.AA:
        return Useless("it is a resolver, not an authority", meaning)
    if isinstance(meaning, Empty) and meaning.soa is None:
        return Useless("an empty response", meaning)  # RFC 2308 §2.2 type 3; some servers do so in error
    return meaning


def _content(message: dns.message.Message, zone: Name, qname: Name, rdtype: int) -> Meaning:
    rcode, authoritative = message.rcode(), bool(message.flags & dns.flags.AA)
    answer = {(rrset.name, rrset.rdtype): rrset for rrset in rrsets_of(message.answer)}
    direct = answer.get((qname, rdtype))
    if direct is not None and rcode == dns.rcode.NOERROR:
        return Found(direct)
    alias = _alias(answer, zone, qname)
    if alias is not None:
        return alias
    authority = rrsets_of(message.authority)
    soa = next((each for each in authority if _denies(each, zone, qname)), None)
    if rcode == dns.rcode.NXDOMAIN:
        return Missing(qname, soa)
    if soa is not None:
        return Empty(soa)
    servers = next((each for each in authority if each.rdtype == RecordType.NS), None)
    if servers is not None and not (authoritative and servers.name == zone):
        return _referral(message, servers, zone, qname)
    return Empty(None) if authoritative else Useless("neither an answer nor a referral")


def _denies(rrset: RRset, zone: Name, qname: Name) -> bool:
    if rrset.rdtype != RecordType.SOA:
        return False
    return qname.is_at_or_below(rrset.name) and rrset.name.is_at_or_below(zone)


def _alias(answer: dict[tuple[Name, int], RRset], zone: Name, qname: Name) -> Meaning | None:
    """A CNAME of the name itself, or the one that follows from a DNAME above it (RFC 6672 §3.2)."""
    for owner in qname.parents():
        dname = answer.get((owner, DNAME))
        if dname is not None and owner.is_at_or_below(zone):
            return _from_dname(dname, qname)
    cname = answer.get((qname, RecordType.CNAME))
    if cname is None:
        return None
    # Of several, which RFC 2181 §10.1 forbids, the codec keeps one.
    return Alias(cname, name_of(cast("dns.rdtypes.ANY.CNAME.CNAME", cname.rdatas[0]).target))


def _from_dname(dname: RRset, qname: Name) -> Meaning:
    target = synthesised(dname, qname)
    if isinstance(target, Malformed):
        return Useless("the name becomes too long by a DNAME")  # RFC 6672 §2.2
    made = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.CNAME, codec_name(target).to_text())
    return Alias(RRset(qname, RecordType.CNAME, dname.ttl, (made,)), target, dname)


def synthesised(dname: RRset, name: Name) -> Name | Malformed:
    """What ``name``, below the owner of a DNAME, becomes by it (RFC 6672 §2.2)."""
    rdata = cast("dns.rdtypes.ANY.DNAME.DNAME", dname.rdatas[0])
    return name_of(rdata.target).below(*name.labels[: len(name.labels) - len(dname.name.labels)])


def _referral(message: dns.message.Message, servers: RRset, zone: Name, qname: Name) -> Meaning:
    """Accept a referral that leads down, towards the name; anything else is a lame server's."""
    if servers.name == zone or not servers.name.is_at_or_below(zone):
        return Useless("refers to itself or upwards")
    if not qname.is_at_or_below(servers.name):
        return Useless("refers to a zone that has nothing to do with the name")
    names = [name_of(r.target) for r in servers.rdatas if isinstance(r, dns.rdtypes.ANY.NS.NS)]
    named = tuple(dict.fromkeys(names))[:MAX_SERVER_NAMES]
    glue = _glue(rrsets_of(message.additional), zone, frozenset(named))
    return Delegation(servers.name, named, glue, servers.ttl)


def _glue(additional: Iterable[RRset], zone: Name, wanted: frozenset[Name]) -> dict[Name, tuple[str, ...]]:
    """Addresses of the servers named, where the answering zone may speak of them."""
    found: dict[Name, tuple[str, ...]] = {}
    for rrset in additional:
        if rrset.name in wanted and rrset.name.is_at_or_below(zone):
            both = (*found.get(rrset.name, ()), *addresses_of(rrset))
            if both:
                found[rrset.name] = both[:MAX_ADDRESSES_EACH]
    return found


def addresses_of(rrset: RRset) -> tuple[str, ...]:
    """The addresses of an A or AAAA RRset, as text."""
    kinds = (dns.rdtypes.IN.A.A, dns.rdtypes.IN.AAAA.AAAA)
    return tuple(rdata.address for rdata in rrset.rdatas if isinstance(rdata, kinds))
