"""Zone files: what is refused, and where it says the fault is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import MisuseError
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.zone import Zone, soa_of
from ptt.protocol.dns.zonefile import ZoneFault, read_zone

ORIGIN = Name.of("example.org")
HEAD = "@ 60 SOA ns admin 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


def read(text: str) -> Zone | ZoneFault:
    return read_zone(text, ORIGIN, "zones/example.org")


def test_a_zone() -> None:
    zone = read("$TTL 1h\n@ SOA ns admin ( 1 2 3\n 4 5 )\n NS ns\nns A 192.0.2.1 ; comment\n")
    assert isinstance(zone, Zone)
    assert zone.at(Name.of("ns.example.org"), RecordType.A).ttl == 3600  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("extra", "where", "reason"),
    [
        ("www 60 A 192.0.2.300\n", "zones/example.org:4", "Text input is malformed."),
        ("www 60 NOSUCH x\n", "zones/example.org:4", "unknown rdatatype 'NOSUCH'"),
        ("$INCLUDE /etc/passwd\n", "zones/example.org:4", "$INCLUDE"),
        ("www 60 CNAME ns\nwww 60 A 192.0.2.1\n", "zones/example.org", "CNAME"),
        ("www 60 SOA ns a 1 2 3 4 5\n", "zones/example.org", "SOA"),
        ("@ 60 NS nobody\n", "zones/example.org", "the server nobody.example.org has no address"),
        ("sub 60 NS ns.sub\n", "zones/example.org", "the server ns.sub.example.org has no address"),
    ],
)
def test_faults(extra: str, where: str, reason: str) -> None:
    fault = read(HEAD + extra)
    assert isinstance(fault, ZoneFault)
    assert fault.where in (where, where.replace(":4", ":5"))  # the codec may have read the line's end
    assert reason in fault.reason


@pytest.mark.parametrize(
    "text", ["", "@ 60 NS ns.example.net.\n", "@ 60 SOA ns admin 1 2 3 4 5\n", "\x00", "$TTL"]
)
def test_no_zone_at_all(text: str) -> None:
    assert isinstance(read(text), ZoneFault)


def test_servers_elsewhere_need_no_address_here() -> None:
    assert isinstance(read(HEAD + "sub 60 NS ns.example.net.\nother 60 NS x.sub\n"), Zone)


def test_names_outside() -> None:
    assert isinstance(read(HEAD + "www.example.net. 60 A 192.0.2.1\n"), Zone | ZoneFault)


def test_a_zone_without_soa_is_our_mistake() -> None:
    with pytest.raises(MisuseError):
        _ = Zone.of(ORIGIN, ()).soa
    zone = read(HEAD)
    assert isinstance(zone, Zone)
    servers = zone.at(ORIGIN, RecordType.NS)
    assert isinstance(servers, RRset)
    with pytest.raises(MisuseError):
        soa_of(servers)


@given(st.text(max_size=60))
def test_no_text_does_harm(text: str) -> None:
    assert isinstance(read(HEAD + text), Zone | ZoneFault)
