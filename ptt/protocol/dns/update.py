"""Dynamic update (RFC 2136): prerequisites, the check of everything first, then all changes or none.

The codec has read the message; its record sets hold one record each, in order. What comes out is the changed
zone with its serial raised, or the rcode of §2.2. A key's rights are checked for every record that it names.
"""

from collections.abc import Iterable

import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, name_of
from ptt.protocol.dns.rights import KeyRights, may_change
from ptt.protocol.dns.zone import Zone, is_newer, next_serial, soa_of
from ptt.protocol.dns.zonefile import zone_faults

ANY = 255
META_TYPES = frozenset(range(128, 256)) | {41}
ALIASABLE = frozenset({RecordType.CNAME, 46, 47})  # what may stand beside a CNAME

Changes = dict[tuple[Name, int], RRset | None]


def prerequisites(zone: Zone, section: Iterable[dns.rrset.RRset]) -> dns.rcode.Rcode:
    """RFC 2136 §3.2: NOERROR when all hold."""
    wanted: dict[tuple[Name, int], set[object]] = {}
    for each in section:
        name, rdtype = name_of(each.name), int(each.rdtype)
        if each.ttl != 0:
            return dns.rcode.FORMERR
        if not name.is_at_or_below(zone.origin):
            return dns.rcode.NOTZONE
        if each.deleting is None:
            wanted.setdefault((name, rdtype), set()).update(each)
            continue
        failed = _presence(zone, name, rdtype, must_exist=each.deleting == dns.rdataclass.ANY)
        if failed != dns.rcode.NOERROR:
            return failed
    for (name, rdtype), rdatas in wanted.items():
        there = zone.at(name, rdtype)
        if there is None or set(there.rdatas) != rdatas:
            return dns.rcode.NXRRSET
    return dns.rcode.NOERROR


def _presence(zone: Zone, name: Name, rdtype: int, *, must_exist: bool) -> dns.rcode.Rcode:
    if rdtype == ANY:  # the name is in use (§2.4.4): it has records; empty non-terminals have none
        fine = bool(zone.nodes.get(name)) is must_exist
        wrong = dns.rcode.NXDOMAIN if must_exist else dns.rcode.YXDOMAIN
    else:
        fine = (zone.at(name, rdtype) is not None) is must_exist
        wrong = dns.rcode.NXRRSET if must_exist else dns.rcode.YXRRSET
    return dns.rcode.NOERROR if fine else wrong


def scan(zone: Zone, section: Iterable[dns.rrset.RRset], rights: KeyRights) -> dns.rcode.Rcode:
    """RFC 2136 §3.4.1 and the key's rights: NOERROR when everything may be done."""
    for each in section:
        name, rdtype = name_of(each.name), int(each.rdtype)
        if not name.is_at_or_below(zone.origin):
            return dns.rcode.NOTZONE
        adds = each.deleting is None
        if (rdtype in META_TYPES and (adds or rdtype != ANY or each.deleting != dns.rdataclass.ANY)) or (
            not adds and each.ttl != 0
        ):
            return dns.rcode.FORMERR
        if not may_change(rights, name, rdtype):
            return dns.rcode.REFUSED
    return dns.rcode.NOERROR


def apply(zone: Zone, section: Iterable[dns.rrset.RRset]) -> "tuple[Zone, Changes] | dns.rcode.Rcode":
    """RFC 2136 §3.4.2: all changes, then the serial. The same zone and no changes: nothing was to do."""
    draft = _Draft(zone)
    for each in section:
        name, rdtype = name_of(each.name), int(each.rdtype)
        match each.deleting:
            case None:
                for rdata in each:
                    draft.add(name, rdtype, each.ttl, rdata)
            case dns.rdataclass.ANY if rdtype == ANY:
                draft.delete_name(name)
            case dns.rdataclass.ANY:
                draft.delete_rrset(name, rdtype)
            case _:
                for rdata in each:
                    draft.delete_record(name, rdtype, rdata)
    return draft.finished()


class _Draft:
    """A zone while an update changes it."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._changes: Changes = {}

    def add(self, name: Name, rdtype: int, ttl: int, rdata: object) -> None:
        """§3.4.2.2: a CNAME is not put beside other data nor the other way round; an SOA must be newer."""
        if self._stands_beside(name, rdtype):
            return
        there = self._at(name, rdtype)
        if rdtype == RecordType.SOA:
            if there is None or not is_newer(rdata.serial, soa_of(there).serial):  # type: ignore[attr-defined]
                return
            there = None
        if rdtype == RecordType.CNAME:
            there = None
        kept = there.rdatas if there is not None else ()
        rdatas = kept if rdata in kept else (*kept, rdata)
        self._put(RRset(name, rdtype, ttl, rdatas))  # type: ignore[arg-type] # the codec's records

    def delete_name(self, name: Name) -> None:
        """§3.4.2.3: SOA and NS of the origin stay."""
        for rdtype in {
            *self._zone.nodes.get(name, {}),
            *(kind for owner, kind in self._changes if owner == name),
        }:
            self.delete_rrset(name, rdtype)

    def delete_rrset(self, name: Name, rdtype: int) -> None:
        stays = name == self._zone.origin and rdtype in (RecordType.SOA, RecordType.NS)
        if not stays and self._at(name, rdtype) is not None:
            self._changes[name, rdtype] = None

    def delete_record(self, name: Name, rdtype: int, rdata: object) -> None:
        """§3.4.2.4: the SOA and the last NS of the origin stay."""
        there = self._at(name, rdtype)
        if there is None or rdtype == RecordType.SOA:
            return
        left = tuple(each for each in there.rdatas if each != rdata)
        if not left:
            self.delete_rrset(name, rdtype)
        elif left != there.rdatas:
            self._put(RRset(name, rdtype, there.ttl, left))

    def finished(self) -> "tuple[Zone, Changes] | dns.rcode.Rcode":
        changes = {key: rrset for key, rrset in self._changes.items() if self._zone.at(*key) != rrset}
        if not changes:
            return self._zone, {}
        changed = self._zone.with_changes(changes)
        if changed.serial == self._zone.serial:  # §3.6: the update did not set one itself
            changed = changed.with_serial(next_serial(self._zone.serial))
        if next(zone_faults(changed), None) is not None:
            return dns.rcode.REFUSED  # it would be no zone any more
        return changed, changes

    def _at(self, name: Name, rdtype: int) -> RRset | None:
        if (name, rdtype) in self._changes:
            return self._changes[name, rdtype]
        return self._zone.at(name, rdtype)

    def _put(self, rrset: RRset) -> None:
        self._changes[rrset.name, rrset.rdtype] = rrset

    def _stands_beside(self, name: Name, rdtype: int) -> bool:
        """Whether there is something at the name that this type may not stand beside."""
        if rdtype in ALIASABLE - {RecordType.CNAME}:
            return False
        kinds = {*self._zone.nodes.get(name, {}), *(kind for owner, kind in self._changes if owner == name)}
        there = {kind for kind in kinds if self._at(name, kind) is not None}
        return bool(there - ALIASABLE) if rdtype == RecordType.CNAME else RecordType.CNAME in there
