"""The authoritative server, message by message."""

from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.dns import authority as module
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.query import EDNS_OCTETS
from ptt.protocol.dns.tsig import Signed, check, make_key, sign
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone

NOW = 1_790_000_000
UPDATER = Name.of("mail._update.mx.example.org")
NOTIFIER = Name.of("x._notify.example.org")
SECONDARY = Name.of("ns._transfer.example.org")
KEYS = {name: make_key(name, Name.of("hmac-sha256"), b"secret") for name in (UPDATER, NOTIFIER, SECONDARY)}
RECORDS = """@ 600 SOA ns admin 1 3600 600 86400 60
@ 600 NS ns
@ 600 MX 10 mx
@ 600 MX 20 mx.example.net.
ns 600 A 192.0.2.1
mx 600 A 192.0.2.2
mx 600 AAAA 2001:db8::2
_x._tcp 600 SRV 0 0 1 mx
alias 600 CNAME mx
out 600 CNAME mx.example.net.
gone 600 CNAME nobody
loop 600 CNAME loop
*.wild 600 TXT "any"
*.aliased 600 CNAME mx
a.b.c 600 TXT "deep"
sub 600 NS ns.sub
sub 600 NS ns.example.net.
sub 600 DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
ns.sub 600 A 192.0.2.9
old 600 DNAME new
x.new 600 A 192.0.2.8
"""
LONG = "".join(f'long 600 TXT "{n} {"x" * 200}"\n' for n in range(10))
MIDDLE = "".join(f"mid 600 MX {n} mx{n}\nmx{n} 600 AAAA 2001:db8::{n}\n" for n in range(20))


def a_zone(extra: str = "", origin: str = "example.org") -> Zone:
    zone = read_zone(RECORDS + LONG + MIDDLE + extra, Name.of(origin), origin)
    assert isinstance(zone, Zone)
    return zone


SHARED = Authority([a_zone()], KEYS)


@pytest.fixture
def authority() -> Authority:
    return Authority([a_zone()], KEYS)


def ask(
    authority: Authority, name: str, rdtype: str = "A", *, stream: bool = False, **options: Any
) -> dns.message.Message:
    query = dns.message.make_query(name, rdtype, **options)
    answers = [
        authority.handle(NOW, wire, stream=stream).messages for wire in (query.to_wire(), query.to_wire())
    ]
    assert answers[0] == answers[1], "ready answers are the same"
    return dns.message.from_wire(answers[0][0])


def texts(section: list[Any]) -> list[str]:
    return sorted(str(rdata) for rrset in section for rdata in rrset)


def test_data(authority: Authority) -> None:
    answer = ask(authority, "MX.example.ORG")
    assert answer.flags & dns.flags.AA
    assert str(answer.question[0].name) == "MX.example.ORG."
    assert texts(answer.answer) == ["192.0.2.2"]
    assert answer.authority == []
    mx = ask(authority, "example.org", "MX")
    assert texts(mx.additional) == ["192.0.2.2", "2001:db8::2"]
    assert texts(ask(authority, "_x._tcp.example.org", "SRV").additional) == ["192.0.2.2", "2001:db8::2"]
    assert texts(ask(authority, "example.org", "NS").additional) == ["192.0.2.1"]


def test_denials(authority: Authority) -> None:
    missing = ask(authority, "nobody.example.org")
    assert missing.rcode() == dns.rcode.NXDOMAIN
    assert missing.authority[0].ttl == 60
    for name in ("c.example.org", "b.c.example.org", "wild.example.org"):
        empty = ask(authority, name)
        assert (empty.rcode(), empty.answer) == (dns.rcode.NOERROR, []), "empty, but it exists"
        assert empty.authority[0].rdtype == dns.rdatatype.SOA
    assert ask(authority, "mx.example.org", "TXT").authority[0].rdtype == dns.rdatatype.SOA


def test_aliases(authority: Authority) -> None:
    assert texts(ask(authority, "alias.example.org").answer) == ["192.0.2.2", "mx.example.org."]
    assert len(ask(authority, "out.example.org").answer) == 1
    assert ask(authority, "gone.example.org").rcode() == dns.rcode.NXDOMAIN
    assert len(ask(authority, "loop.example.org").answer) == 1
    assert len(ask(authority, "alias.example.org", "CNAME").answer) == 1
    through = ask(authority, "x.old.example.org")
    assert [rrset.rdtype for rrset in through.answer] == [39, 5, 1]
    assert len(ask(authority, "old.example.org", "DNAME").answer) == 1
    long = ".".join(["x" * 60] * 3 + ["y" * 44])
    zone = read_zone(
        "@ 1 SOA ns a 1 2 3 4 5\n@ 1 NS n.e.\nold 1 DNAME " + "z" * 40 + ".e.\n", Name.of("e.org"), "z"
    )
    assert isinstance(zone, Zone)
    assert ask(Authority([zone], {}), f"{long}.old.e.org").rcode() == dns.rcode.YXDOMAIN


def test_wildcards(authority: Authority) -> None:
    answer = ask(authority, "x.y.wild.example.org", "TXT")
    assert str(answer.answer[0].name) == "x.y.wild.example.org."
    assert ask(authority, "x.wild.example.org").answer == []
    assert [rrset.rdtype for rrset in ask(authority, "x.aliased.example.org").answer] == [5, 1]


def test_delegations(authority: Authority) -> None:
    referral = ask(authority, "www.sub.example.org")
    assert not referral.flags & dns.flags.AA
    assert referral.authority[0].rdtype == dns.rdatatype.NS
    assert texts(referral.additional) == ["192.0.2.9"]
    assert ask(authority, "sub.example.org").authority[0].rdtype == dns.rdatatype.NS
    assert len(ask(authority, "sub.example.org", "DS").answer) == 1, "DS stands in the parent"


def test_any_is_minimal(authority: Authority) -> None:
    assert len(ask(authority, "mx.example.org", "ANY").answer) == 1
    assert ask(authority, "c.example.org", "ANY").answer == []


def test_truncation(authority: Authority) -> None:
    short = ask(authority, "long.example.org", "TXT")
    assert short.flags & dns.flags.TC
    assert short.answer == []
    assert ask(authority, "long.example.org", "TXT", use_edns=0, payload=4096).flags & dns.flags.TC
    assert len(ask(authority, "long.example.org", "TXT", stream=True).answer[0]) == 10
    without_additional = ask(authority, "mid.example.org", "MX", use_edns=0, payload=700)
    assert not without_additional.flags & dns.flags.TC
    assert without_additional.additional == []
    assert EDNS_OCTETS == 1232


def test_what_is_refused(authority: Authority) -> None:
    assert ask(authority, "example.net").rcode() == dns.rcode.REFUSED
    assert ask(authority, "mx.example.org", "A", rdclass="CH").rcode() == dns.rcode.REFUSED
    assert ask(authority, "mx.example.org", "MAILB").rcode() == dns.rcode.NOTIMP
    assert ask(authority, "mx.example.org", use_edns=1).rcode() == dns.rcode.BADVERS
    two = dns.message.make_query("mx.example.org", "A")
    two.question += dns.message.make_query("ns.example.org", "A").question
    for opcode, rcode in ((dns.opcode.QUERY, dns.rcode.FORMERR), (dns.opcode.STATUS, dns.rcode.NOTIMP)):
        two.set_opcode(opcode)
        wire = authority.handle(NOW, two.to_wire(), stream=False).messages[0]
        assert dns.message.from_wire(wire).rcode() == rcode


@pytest.mark.parametrize(
    ("zone", "rcode"), [("example.org", dns.rcode.NOERROR), ("example.net", dns.rcode.NOTAUTH)]
)
def test_a_notice_is_answered(authority: Authority, zone: str, rcode: dns.rcode.Rcode) -> None:
    notice = dns.message.make_query(zone, "SOA")
    notice.set_opcode(dns.opcode.NOTIFY)
    answer = dns.message.from_wire(authority.handle(NOW, notice.to_wire(), stream=False).messages[0])
    assert (answer.rcode(), answer.opcode()) == (rcode, dns.opcode.NOTIFY)


def test_only_who_may_say_so_is_heard(authority: Authority) -> None:
    for zone, key, is_news in (
        ("example.org", None, False),
        ("example.org", NOTIFIER, True),
        ("mx.example.org", UPDATER, True),
        ("example.org", UPDATER, False),
        ("new.example.org", NOTIFIER, True),
        ("example.net", NOTIFIER, False),
    ):
        notice = dns.message.make_query(zone, "SOA")
        notice.set_opcode(dns.opcode.NOTIFY)
        wire = notice.to_wire() if key is None else sign(notice.to_wire(), KEYS[key], NOW)
        assert authority.handle(NOW, wire, stream=False).is_news is is_news, (zone, key)
    forged = sign(notice.to_wire(), make_key(NOTIFIER, Name.of("hmac-sha256"), b"guess"), NOW)
    assert not authority.handle(NOW, forged, stream=False).is_news
    notice.question *= 2
    handled = authority.handle(NOW, sign(notice.to_wire(), KEYS[NOTIFIER], NOW), stream=False)
    assert (rcode_of(list(handled.messages)), handled.is_news) == (dns.rcode.NOTAUTH, False)


def test_malformed_messages(authority: Authority) -> None:
    query = dns.message.make_query("mx.example.org", "A").to_wire()
    assert authority.handle(NOW, b"short", stream=False).messages == ()
    assert authority.handle(NOW, query[:2] + b"\x80\x00" + query[4:], stream=False).messages == ()
    assert authority.handle(NOW, query[:2] + b"\x80\x00" + query[4:-3], stream=False).messages == ()
    answer = authority.handle(NOW, query[:-3], stream=False).messages[0]
    assert answer[:2] == query[:2]
    assert answer[3] & 15 == dns.rcode.FORMERR


@given(st.binary(max_size=100))
def test_no_input_does_harm(wire: bytes) -> None:
    for message in SHARED.handle(NOW, wire, stream=False).messages:
        assert message[:2] == wire[:2]


def transferred(
    authority: Authority, kind: str, key: Name | None, *, stream: bool = True, serial: int = 0
) -> list[bytes]:
    query = dns.message.make_query("example.org", kind)
    if serial:
        query.authority.append(dns.rrset.from_text("example.org.", 0, "IN", "SOA", f"a. b. {serial} 1 2 3 4"))
    wire = query.to_wire()
    signed = sign(wire, KEYS[key], NOW) if key is not None else wire
    return list(authority.handle(NOW, signed, stream=stream).messages)


def rcode_of(messages: list[bytes]) -> dns.rcode.Rcode:
    message = read_message(messages[0])
    assert isinstance(message, dns.message.Message)
    return message.rcode()


def test_transfers() -> None:
    big = "".join(f'n{n} 60 TXT "{"x" * 200}"\n' for n in range(400))
    authority = Authority([a_zone(big)], KEYS)
    messages = transferred(authority, "AXFR", SECONDARY)
    assert len(messages) > 1
    parsed = [read_message(wire) for wire in messages]
    records = [rrset for each in parsed if isinstance(each, dns.message.Message) for rrset in each.answer]
    assert records[0].rdtype == records[-1].rdtype == dns.rdatatype.SOA
    assert sum(rrset.rdtype == dns.rdatatype.SOA for rrset in records) == 2
    assert all(isinstance(each, dns.message.Message) and each.tsig is not None for each in parsed)
    assert rcode_of(transferred(authority, "AXFR", None)) == dns.rcode.REFUSED
    assert rcode_of(transferred(authority, "AXFR", NOTIFIER)) == dns.rcode.REFUSED
    assert rcode_of(transferred(authority, "AXFR", SECONDARY, stream=False)) == dns.rcode.FORMERR
    below = sign(dns.message.make_query("mx.example.org", "AXFR").to_wire(), KEYS[SECONDARY], NOW)
    assert rcode_of(list(authority.handle(NOW, below, stream=True).messages)) == dns.rcode.NOTAUTH
    assert len(transferred(authority, "IXFR", SECONDARY, serial=1)) == 1
    assert len(transferred(authority, "IXFR", SECONDARY, serial=4294967295)) > 1


def test_updates(authority: Authority) -> None:
    request = dns.update.UpdateMessage("example.org")
    request.add("_letsencrypt._tcp.mx.example.org.", 60, "TLSA", "3 255 0 aabb")
    wire = request.to_wire()
    assert rcode_of(list(authority.handle(NOW, wire, stream=True).messages)) == dns.rcode.REFUSED
    assert (
        rcode_of(list(authority.handle(NOW, sign(wire, KEYS[SECONDARY], NOW), stream=True).messages))
        == dns.rcode.REFUSED
    )
    handled = authority.handle(NOW, sign(wire, KEYS[UPDATER], NOW), stream=True)
    assert handled.zone is not None
    assert handled.zone.serial == 2
    assert list(handled.changes) == [(Name.of("_letsencrypt._tcp.mx.example.org"), 52)]
    answer = read_message(handled.messages[0])
    assert isinstance(answer, dns.message.Message)
    sent = read_message(sign(wire, KEYS[UPDATER], NOW))
    assert isinstance(sent, dns.message.Message)
    assert sent.tsig is not None
    request_mac = sent.tsig[0].mac
    assert isinstance(check(handled.messages[0], answer, KEYS, NOW, request_mac), Signed)
    again = authority.handle(NOW, sign(wire, KEYS[UPDATER], NOW), stream=True)
    assert again.zone is None, "nothing was to do"
    assert len(ask(authority, "_letsencrypt._tcp.mx.example.org", "TLSA").answer) == 1
    for zone, rcode in (("example.net", dns.rcode.NOTAUTH), ("mx.example.org", dns.rcode.NOTAUTH)):
        other = dns.update.UpdateMessage(zone)
        signed = sign(other.to_wire(), KEYS[UPDATER], NOW)
        assert rcode_of(list(authority.handle(NOW, signed, stream=True).messages)) == rcode
    other = dns.update.UpdateMessage("example.org")
    other.present("nobody")
    signed = sign(other.to_wire(), KEYS[UPDATER], NOW)
    assert rcode_of(list(authority.handle(NOW, signed, stream=True).messages)) == dns.rcode.NXDOMAIN


def test_an_update_without_a_zone_is_malformed(authority: Authority) -> None:
    wire = b"\x00\x01\x28\x00" + bytes(8)
    assert rcode_of(list(authority.handle(NOW, wire, stream=True).messages)) == dns.rcode.FORMERR


def test_an_update_that_would_leave_no_zone_is_refused() -> None:
    key = Name.of("x._update.example.org")
    keys = {key: make_key(key, Name.of("hmac-sha256"), b"secret")}
    authority = Authority([a_zone()], keys, frozenset(keys))
    assert list(authority.zones) == [Name.of("example.org")]
    request = dns.update.UpdateMessage("example.org")
    request.delete("ns.example.org.", "A")
    signed = sign(request.to_wire(), keys[key], NOW)
    assert rcode_of(list(authority.handle(NOW, signed, stream=True).messages)) == dns.rcode.REFUSED


def test_a_signed_question(authority: Authority) -> None:
    signed = sign(dns.message.make_query("mx.example.org", "A").to_wire(), KEYS[UPDATER], NOW)
    assert rcode_of(list(authority.handle(NOW, signed, stream=False).messages)) == dns.rcode.NOERROR


def test_bad_signatures(authority: Authority) -> None:
    wire = dns.message.make_query("mx.example.org", "A").to_wire()
    stranger = make_key(Name.of("stranger"), Name.of("hmac-sha256"), b"secret")
    cases = [
        (sign(wire, stranger, NOW), dns.rcode.BADKEY),
        (sign(wire, make_key(UPDATER, Name.of("hmac-sha512"), b"secret"), NOW), dns.rcode.BADKEY),
        (sign(wire, make_key(UPDATER, Name.of("hmac-sha256"), b"guess"), NOW), dns.rcode.BADSIG),
        (sign(wire, KEYS[UPDATER], NOW - 301), dns.rcode.BADTIME),
    ]
    for message, error in cases:
        answer = read_message(authority.handle(NOW, message, stream=False).messages[0])
        assert isinstance(answer, dns.message.Message)
        assert answer.rcode() == dns.rcode.NOTAUTH
        assert answer.tsig is not None
        assert answer.tsig[0].error == error


def test_random_names_do_not_fill_the_memory(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_READY", 3)
    for number in range(10):
        ask(authority, f"n{number}.example.org")
    assert len(authority._ready) <= 3
    authority.put(a_zone("new 60 A 192.0.2.77\n"))
    assert texts(ask(authority, "new.example.org").answer) == ["192.0.2.77"]


def test_a_zone_that_is_dropped_is_served_no_more() -> None:
    """Nor is what was ready for an answer."""
    authority = Authority([a_zone()], {})
    assert ask(authority, "example.org", "SOA").rcode() == dns.rcode.NOERROR
    authority.drop(Name.of("example.org"))
    authority.drop(Name.of("example.net"))
    assert ask(authority, "example.org", "SOA").rcode() == dns.rcode.REFUSED
    authority.put(a_zone())
    assert ask(authority, "example.org", "SOA").rcode() == dns.rcode.NOERROR
