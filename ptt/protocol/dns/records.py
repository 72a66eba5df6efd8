"""Resource records between the codec (dnspython) and us: RRsets with our names, and conversions.

An RRset (RFC 2181 §5) is all records of one owner and type; their TTLs are one (§5.2, the least is taken).
Records themselves stay values of the codec, which knows every type.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from ptt.protocol.dns.name import Name

MAX_TTL = 0x7FFFFFFF  # RFC 2181 §8: what is above means 0


@dataclass(frozen=True, slots=True)
class RRset:
    """Records of one owner and type; ``ttl`` in seconds."""

    name: Name
    rdtype: int
    ttl: int
    rdatas: tuple[dns.rdata.Rdata, ...]


def codec_name(name: Name) -> dns.name.Name:
    """Our name as the codec's."""
    return dns.name.Name((*name.labels, b""))


def name_of(name: dns.name.Name) -> Name:
    """The codec's name, which must be absolute, as ours: in lower case."""
    return Name(tuple(label.lower() for label in name.labels[:-1]))


def rrsets_of(section: Iterable[dns.rrset.RRset]) -> tuple[RRset, ...]:
    """A section as RRsets; what came in pieces is put together (the codec does not when flags differ)."""
    found: dict[tuple[Name, int], RRset] = {}
    for part in section:
        if part.rdclass != dns.rdataclass.IN:
            continue
        key = name_of(part.name), int(part.rdtype)
        ttl = part.ttl if part.ttl <= MAX_TTL else 0
        before = found.get(key)
        rdatas = tuple(part) if before is None else (*before.rdatas, *part)
        found[key] = RRset(*key, ttl if before is None else min(ttl, before.ttl), rdatas)
    return tuple(found.values())


def codec_rrset(rrset: RRset, ttl: int | None = None) -> dns.rrset.RRset:
    """An RRset for the codec to write, with another TTL where one is given."""
    written = dns.rrset.RRset(
        codec_name(rrset.name), dns.rdataclass.IN, dns.rdatatype.RdataType.make(rrset.rdtype)
    )
    for rdata in rrset.rdatas:
        written.add(rdata)
    written.ttl = rrset.ttl if ttl is None else ttl
    return written
