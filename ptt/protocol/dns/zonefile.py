"""A zone file (RFC 1035 §5, BIND's syntax) into a zone; every fault with file and line.

Files are read by the codec; what a zone must be is checked here: an SOA and NS at the origin, no name outside
of it, no CNAME beside other data (RFC 2181 §10.1), addresses for servers within it (RFC 1034 §4.2.1).
``$INCLUDE`` is refused: units read no files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dns.exception
import dns.rdtypes.ANY.NS
import dns.zone

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, codec_name, name_of
from ptt.protocol.dns.zone import Zone

BESIDE_CNAME = frozenset({25, 46, 47})  # KEY (RFC 3007 §3), RRSIG and NSEC (RFC 4034 §3, §4)


@dataclass(frozen=True, slots=True)
class ZoneFault:
    """What is wrong with a zone file, and where: ``FILE:LINE`` when a line is to blame."""

    where: str
    reason: str


def read_zone(text: str, origin: Name, where: str) -> Zone | ZoneFault:
    """Read a zone file; ``where`` is its name for people."""
    try:
        read = dns.zone.from_text(
            text, codec_name(origin), relativize=False, check_origin=False, filename=where
        )
    except dns.exception.DNSException as error:
        place, _, reason = str(error).partition(": ")
        return ZoneFault(place, reason) if place.startswith(where) else ZoneFault(where, str(error))
    except ValueError as error:
        return ZoneFault(where, str(error))
    rrsets = [
        RRset(name_of(name), int(rdataset.rdtype), rdataset.ttl, tuple(rdataset))
        for name, node in read.nodes.items()
        for rdataset in node
    ]
    zone = Zone.of(origin, rrsets)
    fault = next(zone_faults(zone), None)
    return ZoneFault(where, fault) if fault is not None else zone


def zone_faults(zone: Zone) -> Iterator[str]:
    """What makes this no zone."""
    soa = zone.at(zone.origin, RecordType.SOA)
    if soa is None or len(soa.rdatas) != 1:
        yield "not exactly one SOA record at the origin"
    if zone.at(zone.origin, RecordType.NS) is None:
        yield "no NS record at the origin"
    for name, node in zone.nodes.items():
        if not name.is_at_or_below(zone.origin):
            yield f"{name} is not in the zone"
        elif RecordType.CNAME in node:
            if node.keys() - BESIDE_CNAME != {RecordType.CNAME}:
                yield f"{name} has a CNAME beside other records"
            if len(node[RecordType.CNAME].rdatas) > 1:
                yield f"{name} has several CNAMEs"
        if RecordType.SOA in node and name != zone.origin:
            yield f"{name} has an SOA record that is not at the origin"
    yield from _servers_without_address(zone)


def _servers_without_address(zone: Zone) -> Iterator[str]:
    for node in zone.nodes.values():
        servers = node.get(RecordType.NS)
        for rdata in servers.rdatas if servers is not None else ():
            if not isinstance(rdata, dns.rdtypes.ANY.NS.NS):
                continue
            name = name_of(rdata.target)
            if not name.is_at_or_below(zone.origin):
                continue
            has_address = {RecordType.A, RecordType.AAAA} & zone.nodes.get(name, {}).keys()
            if not has_address and zone.cut_above(name) in (None, servers):
                yield f"the server {name} has no address"
