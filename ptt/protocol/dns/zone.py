"""A zone's records and where its names are: nodes, empty non-terminals, delegations, wildcards.

RFC 1034 §4.2 and §4.3.2, RFC 4592 (wildcards; an empty non-terminal exists), RFC 6672 (DNAME). A zone is a
value: an update makes another one. What a zone may hold is checked where it is read or changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import dns.rdtypes.ANY.SOA

from ptt.errors import MisuseError
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset

DNAME = 39
SERIAL_BITS = 32
HALF_OF_SERIALS = 1 << (SERIAL_BITS - 1)


@dataclass(frozen=True, slots=True)
class Zone:
    """``nodes`` holds the RRsets of each name by type; ``names`` are all names that exist, empty ones too."""

    origin: Name
    nodes: Mapping[Name, Mapping[int, RRset]]
    names: frozenset[Name] = field(default=frozenset(), repr=False)

    @staticmethod
    def of(origin: Name, rrsets: Iterable[RRset]) -> "Zone":
        """A zone of these RRsets, all at or below ``origin``."""
        nodes: dict[Name, dict[int, RRset]] = {}
        for rrset in rrsets:
            nodes.setdefault(rrset.name, {})[rrset.rdtype] = rrset
        return Zone(origin, nodes, frozenset(_existing(origin, nodes)))

    @property
    def soa(self) -> RRset:
        """The SOA RRset; every zone has one."""
        soa = self.at(self.origin, RecordType.SOA)
        if soa is None:
            raise MisuseError(f"{self.origin} has no SOA")
        return soa

    @property
    def serial(self) -> int:
        """The serial number (RFC 1035 §3.3.13)."""
        return soa_of(self.soa).serial

    def at(self, name: Name, rdtype: int) -> RRset | None:
        """The RRset of a name and type."""
        return self.nodes.get(name, {}).get(rdtype)

    def rrsets(self) -> Iterator[RRset]:
        """All RRsets, the SOA first."""
        yield self.soa
        for node in self.nodes.values():
            for rrset in node.values():
                if rrset.rdtype != RecordType.SOA:
                    yield rrset

    def cut_above(self, name: Name) -> RRset | None:
        """The NS RRset of the highest delegation at or above ``name``, below the origin."""
        depth = len(self.origin.labels)
        for length in range(depth + 1, len(name.labels) + 1):
            servers = self.at(Name(name.labels[-length:]), RecordType.NS)
            if servers is not None:
                return servers
        return None

    def dname_above(self, name: Name) -> RRset | None:
        """A DNAME strictly above ``name``."""
        for owner in name.parents():
            if not owner.is_at_or_below(self.origin):
                return None
            found = self.at(owner, DNAME)
            if found is not None:
                return found
        return None

    def closest_encloser(self, name: Name) -> Name:
        """The longest existing ancestor of a name in the zone (RFC 4592 §3.3.1)."""
        return next(each for each in name.parents() if each in self.names)

    def with_changes(self, changes: Mapping[tuple[Name, int], RRset | None]) -> "Zone":
        """The zone with some RRsets replaced (None: removed)."""
        kept = {(rrset.name, rrset.rdtype): rrset for rrset in self.rrsets()}
        for key, rrset in changes.items():
            if rrset is None:
                kept.pop(key, None)
            else:
                kept[key] = rrset
        return Zone.of(self.origin, kept.values())

    def with_serial(self, serial: int) -> "Zone":
        """The zone with another serial number."""
        soa = self.soa
        changed = replace(soa, rdatas=(soa_of(soa).replace(serial=serial),))
        return self.with_changes({(self.origin, int(RecordType.SOA)): changed})


def soa_of(rrset: RRset) -> dns.rdtypes.ANY.SOA.SOA:
    """The one record of an SOA RRset."""
    rdata = rrset.rdatas[0]
    if not isinstance(rdata, dns.rdtypes.ANY.SOA.SOA):
        raise MisuseError(f"{rdata} is no SOA")
    return rdata


def next_serial(serial: int) -> int:
    """The serial after this one (RFC 1982 §3.1); 0 is left out, some servers take it for none."""
    return (serial + 1) % (1 << SERIAL_BITS) or 1


def is_newer(serial: int, other: int) -> bool:
    """Whether ``serial`` is above ``other`` in the arithmetic of RFC 1982 §3.2."""
    return 0 < (serial - other) % (1 << SERIAL_BITS) < HALF_OF_SERIALS


def _existing(origin: Name, nodes: Mapping[Name, object]) -> Iterator[Name]:
    for name in nodes:
        yield name
        for parent in name.parents():
            if not parent.is_at_or_below(origin):
                break
            yield parent
