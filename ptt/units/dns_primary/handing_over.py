"""What a generation leaves for the next: the record sets that updates changed, and the serial.

An entry is named by a JSON list of zone, name and type. A set that was deleted is left empty where the zone
file holds it, and is no entry at all where it does not. What cannot be read is left out: it was not ours.
"""

from collections.abc import Iterable, Iterator

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.update import Changes
from ptt.protocol.dns.zone import Zone, is_newer, next_serial

SERIAL = -1  # in place of a type: the entry is the zone's serial


class Kept(msgspec.Struct, frozen=True):
    """One record set, its records in presentation form."""

    ttl: int
    rdatas: tuple[str, ...]


def entries_of(zone: Zone, changes: Changes, as_read: Zone) -> Iterator[tuple[str, bytes]]:
    """Entries for the host to keep; an empty value deletes the entry."""
    yield _key(zone.origin, zone.origin, SERIAL), str(zone.serial).encode("ascii")
    for (name, rdtype), rrset in changes.items():
        if rrset is None and as_read.at(name, rdtype) is None:
            yield _key(zone.origin, name, rdtype), b""
            continue
        kept = Kept(rrset.ttl, tuple(map(str, rrset.rdatas))) if rrset is not None else Kept(0, ())
        yield _key(zone.origin, name, rdtype), msgspec.json.encode(kept)


def taken_over(zone: Zone, entries: Iterable[tuple[str, bytes]]) -> Zone:
    """The zone as read, with what earlier generations changed; its serial is above both."""
    changes: Changes = {}
    serial = zone.serial
    for key, value in entries:
        named = _named(key)
        if named is None or named[0] != zone.origin:
            continue
        _, name, rdtype = named
        if rdtype == SERIAL:
            kept_serial = int(value) if value.isdigit() else serial
            serial = kept_serial if is_newer(kept_serial, serial) else serial
        elif (rrset := _rrset(name, rdtype, value)) is not None:
            changes[name, rdtype] = rrset if rrset.rdatas else None
    if not changes and serial == zone.serial:
        return zone
    return zone.with_changes(changes).with_serial(next_serial(serial))


def _key(origin: Name, name: Name, rdtype: int) -> str:
    return msgspec.json.encode((origin.text, name.text, rdtype)).decode("utf-8")


def _named(key: str) -> tuple[Name, Name, int] | None:
    try:
        origin_text, name_text, rdtype = msgspec.json.decode(key, type=tuple[str, str, int])
    except msgspec.DecodeError:
        return None
    origin, name = Name.parse(origin_text), Name.parse(name_text)
    if isinstance(origin, Malformed) or isinstance(name, Malformed):
        return None
    return origin, name, rdtype


def _rrset(name: Name, rdtype: int, value: bytes) -> RRset | None:
    try:
        kept = msgspec.json.decode(value, type=Kept)
        kind = dns.rdatatype.RdataType.make(rdtype)
        rdatas = tuple(dns.rdata.from_text(dns.rdataclass.IN, kind, text) for text in kept.rdatas)
    except (msgspec.DecodeError, dns.exception.DNSException, ValueError):
        return None
    return RRset(name, rdtype, kept.ttl, rdatas)
