"""RFC 2136 table by table: prerequisites, the check, the changes, the serial."""

from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.update
import pytest

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.rights import KeyRights, Right, may, may_change, rights_of
from ptt.protocol.dns.update import apply, prerequisites, scan
from ptt.protocol.dns.zone import Zone, is_newer, next_serial

MakeZone = Callable[[str, str], Zone]
ORIGIN = Name.of("example.org")
OPERATOR = KeyRights(Right.UPDATE, ORIGIN, narrow=False)
RECORDS = """@ 60 NS ns
@ 60 NS ns2
ns 60 A 192.0.2.1
ns2 60 A 192.0.2.2
www 60 A 192.0.2.3
www 60 A 192.0.2.4
www 60 TXT "x"
alias 60 CNAME www
a.b 60 A 192.0.2.5
"""


@pytest.fixture
def zone(zone_of: Callable[[str, str], Zone]) -> Zone:
    return zone_of("example.org", RECORDS)


def request(*calls: tuple[str, ...]) -> dns.update.UpdateMessage:
    """A message made by the codec's own writer, read again."""
    message = dns.update.UpdateMessage("example.org")
    for method, *arguments in calls:
        values = [int(each) if each.isdigit() else each for each in arguments]
        getattr(message, method)(*values)
    read = read_message(message.to_wire())
    assert isinstance(read, dns.update.UpdateMessage)
    return read


@pytest.mark.parametrize(
    ("call", "rcode"),
    [
        (("present", "www"), "NOERROR"),
        (("present", "b"), "NXDOMAIN"),
        (("present", "nobody"), "NXDOMAIN"),
        (("present", "www", "TXT"), "NOERROR"),
        (("present", "www", "MX"), "NXRRSET"),
        (("present", "www", "TXT", '"x"'), "NOERROR"),
        (("present", "www", "TXT", '"y"'), "NXRRSET"),
        (("present", "www", "A", "192.0.2.3"), "NXRRSET"),
        (("present", "nobody", "A", "192.0.2.3"), "NXRRSET"),
        (("absent", "nobody"), "NOERROR"),
        (("absent", "www"), "YXDOMAIN"),
        (("absent", "www", "MX"), "NOERROR"),
        (("absent", "www", "A"), "YXRRSET"),
        (("absent", "www.example.net."), "NOTZONE"),
    ],
)
def test_prerequisites(zone: Zone, call: tuple[str, ...], rcode: str) -> None:
    assert dns.rcode.to_text(prerequisites(zone, request(call).answer)) == rcode


def test_all_records_of_a_set_are_compared(zone: Zone) -> None:
    both = request(("present", "www", "A", "192.0.2.4"), ("present", "www", "A", "192.0.2.3"))
    assert prerequisites(zone, both.answer) == dns.rcode.NOERROR


def test_a_prerequisite_with_a_ttl_is_malformed(zone: Zone) -> None:
    message = request(("present", "www"))
    message.answer[0].ttl = 1
    assert prerequisites(zone, message.answer) == dns.rcode.FORMERR


@pytest.mark.parametrize(
    ("call", "rcode"),
    [
        (("add", "www.example.net.", "60", "A", "192.0.2.9"), "NOTZONE"),
        (("add", "www", "60", "A", "192.0.2.9"), "NOERROR"),
        (("delete", "www"), "NOERROR"),
        (("delete", "www", "A"), "NOERROR"),
        (("delete", "www", "MAILB"), "FORMERR"),
        (("delete", "www", "NSEC"), "REFUSED"),
    ],
)
def test_the_check_before_any_change(zone: Zone, call: tuple[str, ...], rcode: str) -> None:
    assert dns.rcode.to_text(scan(zone, request(call).authority, OPERATOR)) == rcode


def test_a_deletion_with_a_ttl_is_malformed(zone: Zone) -> None:
    message = request(("delete", "www"))
    message.authority[0].ttl = 1
    assert scan(zone, message.authority, OPERATOR) == dns.rcode.FORMERR


def changed(zone: Zone, *calls: tuple[str, ...]) -> Zone:
    applied = apply(zone, request(*calls).authority)
    assert not isinstance(applied, dns.rcode.Rcode)
    assert (applied[0].serial != zone.serial) == bool(applied[1])
    return applied[0]


def texts(zone: Zone, name: str, rdtype: int = 1) -> list[str]:
    rrset = zone.at(Name.of(f"{name}.example.org") if name else ORIGIN, rdtype)
    return sorted(map(str, rrset.rdatas)) if rrset is not None else []


def test_changes(zone: Zone) -> None:
    more = changed(zone, ("add", "www", "30", "A", "192.0.2.9"))
    assert texts(more, "www") == ["192.0.2.3", "192.0.2.4", "192.0.2.9"]
    assert more.serial == 2
    assert texts(changed(zone, ("delete", "www", "A", "192.0.2.3")), "www") == ["192.0.2.4"]
    none = changed(zone, ("delete", "www", "A", "192.0.2.3"), ("delete", "www", "A", "192.0.2.4"))
    assert texts(none, "www") == []
    assert texts(none, "www", RecordType.TXT) == ['"x"']
    assert Name.of("www.example.org") not in changed(zone, ("delete", "www")).names
    assert texts(changed(zone, ("delete", "www", "A"), ("add", "www", "1", "A", "192.0.2.9")), "www") == [
        "192.0.2.9"
    ]
    assert texts(changed(zone, ("add", "new", "1", "A", "192.0.2.9"), ("delete", "new")), "new") == []


def test_what_changes_nothing(zone: Zone) -> None:
    for call in (
        ("add", "www", "60", "TXT", '"x"'),
        ("delete", "nobody"),
        ("delete", "www", "MX"),
        ("delete", "www", "A", "192.0.2.99"),
        ("delete", "nobody", "A", "192.0.2.99"),
        ("delete", "@", "SOA"),
        ("delete", "@", "NS"),
        ("delete", "@"),
    ):
        assert changed(zone, call) == zone


def test_soa_and_the_last_ns_stay(zone: Zone) -> None:
    soa = str(zone.soa.rdatas[0])
    assert changed(zone, ("delete", "@", "SOA", soa)) == zone
    left = changed(zone, ("delete", "@", "NS", "ns"), ("delete", "@", "NS", "ns2"))
    assert texts(left, "", RecordType.NS) == ["ns2.example.org."]


def test_cnames_stand_alone(zone: Zone) -> None:
    assert changed(zone, ("add", "www", "60", "CNAME", "ns")) == zone
    assert changed(zone, ("add", "alias", "60", "A", "192.0.2.9")) == zone
    assert texts(changed(zone, ("add", "alias", "60", "CNAME", "ns")), "alias", 5) == ["ns.example.org."]
    assert texts(changed(zone, ("add", "alias", "60", "KEY", "512 3 8 AQ==")), "alias", 25) == []
    assert texts(changed(zone, ("add", "fresh", "60", "CNAME", "ns")), "fresh", 5) == ["ns.example.org."]
    signature = "A 8 3 60 20300101000000 20200101000000 1 example.org. AAAA"
    assert texts(changed(zone, ("add", "alias", "60", "RRSIG", signature)), "alias", 46) != []


def test_a_newer_soa_is_taken(zone: Zone) -> None:
    newer = changed(zone, ("add", "@", "60", "SOA", "ns admin 9 1 2 3 4"))
    assert newer.serial == 9
    assert changed(zone, ("add", "@", "60", "SOA", "ns admin 1 1 2 3 4")) == zone
    assert changed(zone, ("add", "www", "60", "SOA", "ns admin 9 1 2 3 4")) == zone


def test_what_would_be_no_zone_is_refused(zone: Zone) -> None:
    assert apply(zone, request(("delete", "ns")).authority) == dns.rcode.REFUSED


def test_serials_go_round() -> None:
    assert next_serial(2**32 - 1) == 1
    assert is_newer(1, 2**32 - 1)
    assert not is_newer(2**32 - 1, 1)
    assert not is_newer(5, 5)


def test_rights_of_keys() -> None:
    host = Name.of("mx.example.org")
    unit = rights_of(Name.of("mail._update.mx.example.org"))
    assert unit == KeyRights(Right.UPDATE, host)
    assert rights_of(Name.of("mail.mx.example.org")) is None
    assert rights_of(Name.of("_update.mx.example.org")) is None
    transfer = rights_of(Name.of("ns._transfer.example.org"))
    assert may(transfer, Right.NOTIFY, host)
    assert may(transfer, Right.TRANSFER, host)
    assert not may(transfer, Right.UPDATE, host)
    assert not may(unit, Right.TRANSFER, ORIGIN)
    assert not may(None, Right.NOTIFY, ORIGIN)
    allowed = {
        ("_letsencrypt._tcp.mx.example.org", 52): True,
        ("_acme-challenge.mx.example.org", 16): True,
        ("_letsencrypt._tcp.www.example.org", 52): False,
        ("_25._tcp.mx.example.org", 52): False,
        ("mx.example.org", 16): False,
        ("_acme-challenge.mx.example.org", 255): False,
        ("_acme-challenge.mx.example.org", 46): False,
    }
    for (name, rdtype), expected in allowed.items():
        assert may_change(unit, Name.of(name), rdtype) is expected, (name, rdtype)
