"""What a generation leaves for the next is what the next one serves."""

import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.update import Changes
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone
from ptt.units.dns_primary.handing_over import entries_of, taken_over

ORIGIN = Name.of("example.org")
CHALLENGE = Name.of("_acme-challenge.mx.example.org")
WWW = Name.of("www.example.org")


def zone(serial: int = 5) -> Zone:
    text = f"@ 60 SOA ns.a. b. {serial} 1 2 3 4\n@ 60 NS ns.a.\nwww 60 TXT old\n"
    read = read_zone(text, ORIGIN, "zone")
    assert isinstance(read, Zone)
    return read


def txt(name: Name, text: str) -> RRset:
    return RRset(name, int(RecordType.TXT), 30, (dns.rdata.from_text("IN", "TXT", text),))


def kept(*changes: Changes) -> dict[str, bytes]:
    """What the host has after these updates: an empty value deletes."""
    present = zone()
    held: dict[str, bytes] = {}
    for each in changes:
        present = present.with_changes(each).with_serial(present.serial + 1)
        held.update(entries_of(present, each, zone()))
    return {key: value for key, value in held.items() if value}


def test_records_and_serial_come_back() -> None:
    entries = kept({(CHALLENGE, 16): txt(CHALLENGE, "secret")}, {(WWW, 16): None})
    present = taken_over(zone(), entries.items())
    assert present.at(CHALLENGE, 16) == txt(CHALLENGE, "secret")
    assert present.at(WWW, 16) is None
    assert present.serial > 7


def test_what_was_deleted_again_leaves_nothing() -> None:
    entries = kept({(CHALLENGE, 16): txt(CHALLENGE, "x")}, {(CHALLENGE, 16): None})
    assert len(entries) == 1, "the serial alone"
    assert taken_over(zone(), entries.items()).at(CHALLENGE, 16) is None


def test_a_newer_zone_file_counts_too() -> None:
    entries = kept({(CHALLENGE, 16): txt(CHALLENGE, "x")})
    assert taken_over(zone(100), entries.items()).serial == 101


def test_nothing_left_is_the_zone_as_read() -> None:
    read = zone()
    assert taken_over(read, ()) is read
    other = '["example.net","www.example.net",16]'
    assert taken_over(read, [(other, b'{"ttl":1,"rdatas":["x"]}')]) is read


@pytest.mark.parametrize(
    "key", ["x", '["", "", 1]', '["example.org","www.example.org",16]', '["example.org","example.org",-1]']
)
def test_what_cannot_be_read_is_left_out(key: str) -> None:
    read = zone()
    assert taken_over(read, [(key, b"x")]) is read


@given(st.text(max_size=40), st.binary(max_size=40))
def test_no_entry_does_harm(key: str, value: bytes) -> None:
    assert isinstance(taken_over(zone(), [(key, value), ('["example.org","x.example.org",16]', value)]), Zone)
