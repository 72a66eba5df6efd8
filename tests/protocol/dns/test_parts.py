"""Smaller parts: meaning of responses, servers, cache, reserved names, quick questions, notices."""

from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest

from ptt.protocol.dns.cache import MAX_TTL_S, Cache, ttl_of
from ptt.protocol.dns.delegation import ROOT_HINTS, Delegation, root_delegation
from ptt.protocol.dns.exchange import exchange
from ptt.protocol.dns.lookup import Rcode, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Alias, Empty, Failed, Found, Missing
from ptt.protocol.dns.query import answers_query, make_query
from ptt.protocol.dns.quick_question import read_quickly
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.reserved import local_outcome
from ptt.protocol.dns.resolver import Resolver, Tick
from ptt.protocol.dns.response import Meaning, Useless, meaning_of, synthesised
from ptt.protocol.dns.servers import LAME_S, ServerBook, may_be_asked
from ptt.protocol.dns.transfer import acknowledges, notice
from ptt.protocol.dns.work import Allowance, NoReply
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import zone_faults

ORG, EXAMPLE, WWW = Name.of("org"), Name.of("example.org"), Name.of("www.example.org")
SOA = "example.org. 60 IN SOA a. b. 1 2 3 4 5"


def rrset(text: str) -> RRset:
    name, ttl, _, kind, rdata = text.split(maxsplit=4)
    read = dns.rrset.from_text(name, int(ttl), "IN", kind, rdata)
    return RRset(Name.of(name), int(read.rdtype), int(ttl), tuple(read))


def meaning(
    *records: str,
    flags: int = dns.flags.AA,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    zone: Name = EXAMPLE,
    qname: Name = WWW,
) -> Meaning:
    """Read a response of ``!`` records (authority), ``+`` records (additional) and others (answer)."""
    message = dns.message.make_response(dns.message.make_query(f"{qname}.", "A"))
    message.flags = dns.flags.Flag(dns.flags.QR | flags)
    message.set_rcode(rcode)
    for record in records:
        name, ttl, kind, rdtype, rdata = record.lstrip("!+").split(maxsplit=4)
        section = {"!": message.authority, "+": message.additional}.get(record[0], message.answer)
        section.append(dns.rrset.from_text(name, int(ttl), kind, rdtype, *rdata.split(" | ")))
    read = dns.message.from_wire(message.to_wire())
    return meaning_of(read, zone, qname, RecordType.A)


def test_a_resolver_in_place_of_an_authority() -> None:
    lame = meaning("www.example.org. 60 IN A 192.0.2.1", flags=dns.flags.RA)
    assert isinstance(lame, Useless)
    assert isinstance(lame.otherwise, Found), "good enough when nobody else answers"


def test_empty_responses() -> None:
    empty = meaning()
    assert isinstance(empty, Useless)
    assert isinstance(empty.otherwise, Empty)
    assert meaning(flags=0) == Useless("neither an answer nor a referral")
    assert isinstance(meaning("!" + SOA), Empty)
    assert isinstance(meaning("!" + SOA, rcode=dns.rcode.NXDOMAIN), Missing)
    above = meaning("!org. 60 IN SOA a. b. 1 2 3 4 5", rcode=dns.rcode.NXDOMAIN)
    assert isinstance(above, Missing)
    assert above.soa is None


def test_referrals() -> None:
    down = meaning(
        "!example.org. 60 IN NS ns.example.org. | ns2.example.org. | ns.other.net.",
        "+ns.example.org. 60 IN A 192.0.2.1",
        "+ns.example.org. 60 IN TXT x",
        "+ns2.example.org. 60 IN TXT x",
        "+ns.other.net. 60 IN A 192.0.2.66",
        "+www.example.org. 60 IN A 192.0.2.66",
        flags=0,
        zone=ORG,
    )
    assert isinstance(down, Delegation)
    assert down.glue == {Name.of("ns.example.org"): ("192.0.2.1",)}
    assert set(down.without_glue) == {Name.of("ns.other.net"), Name.of("ns2.example.org")}
    assert isinstance(meaning("!org. 60 IN NS ns.org.", flags=0), Useless)
    assert isinstance(meaning("!example.org. 60 IN NS ns.org.", flags=0), Useless)
    assert isinstance(meaning("!mail.example.org. 60 IN NS ns.org.", flags=0), Useless)
    assert isinstance(meaning("!example.org. 60 IN NS ns.org."), Useless), "an answer without data"


def test_aliases() -> None:
    assert isinstance(meaning("www.example.org. 60 IN CNAME x.org."), Alias)
    assert isinstance(meaning("www.example.org. 60 IN CNAME x.org. | y.org."), Alias), "one of them"
    assert isinstance(meaning("example.org. 60 IN DNAME x.org."), Alias)
    long = "x" * 60
    far = Name.of(".".join([long] * 3 + ["example.org"]))
    assert isinstance(meaning(f"example.org. 60 IN DNAME {long}.{long}.", qname=far), Useless)
    assert isinstance(meaning("org. 60 IN DNAME x.net."), Useless), "not of this zone"
    assert synthesised(rrset("a.org. 60 IN DNAME x."), Name.of("b.a.org")) == Name.of("b.x")


def test_which_servers_may_be_asked() -> None:
    def may(address: str, *, ipv6: bool = True, private: bool = False) -> bool:
        return may_be_asked(address, ipv6=ipv6, private=private)

    assert may("198.41.0.4")
    assert may("2001:503:ba3e::2:30")
    assert not may("2001:503:ba3e::2:30", ipv6=False)
    assert not may("10.0.0.1")
    assert may("10.0.0.1", private=True)
    assert not any(may(address, private=True) for address in ("127.0.0.1", "::1", "0.0.0.0", "224.0.0.1"))


def test_servers_are_ranked_and_forgotten() -> None:
    book = ServerBook(limit=3)
    book.answered("192.0.2.1", 1.0)
    book.answered("192.0.2.2", 0.01)
    book.answered("192.0.2.2", 0.01)
    book.failed("192.0.2.3")
    order = ["192.0.2.2", "192.0.2.1", "192.0.2.3"]
    assert book.ranked(order[::-1], ORG, 0.0, bytes) == order
    book.lame("192.0.2.2", ORG, 0.0)
    assert book.ranked(order, ORG, 1.0, bytes)[-1] == "192.0.2.2"
    assert book.ranked(order, EXAMPLE, 1.0, bytes)[0] == "192.0.2.2"
    book.lame("192.0.2.2", EXAMPLE, LAME_S + 1)
    assert list(book.of("192.0.2.2").lame_until) == [EXAMPLE]
    assert book.of("192.0.2.3").timeout_s > book.of("192.0.2.2").timeout_s
    book.of("192.0.2.9")
    assert book.of("192.0.2.1").rtt_s != 1.0, "forgotten"


def test_the_cache_is_bounded() -> None:
    cache = Cache(max_entries=2, max_delegations=2)
    for number in range(5):
        cache.put(Name.of(f"n{number}.org"), 1, Found(rrset(f"n{number}.org. 60 IN A 192.0.2.1")), 0.0)
    assert len(cache) == 2
    assert cache.get(Name.of("n0.org"), 1, 0.0) is None
    assert cache.get(Name.of("n4.org"), 1, 59.5) is not None
    assert cache.get(Name.of("n4.org"), 1, 60.0) is None
    cache.put_delegation(Delegation(ORG, (), {}, 0), 0.0)
    assert cache.closest_delegation(WWW, 0.0) is None
    assert cache.glue_of(WWW, 0.0) == ()
    cache.put_delegation(Delegation(ORG, (), {}, 10), 0.0)
    cache.put_delegation(Delegation(EXAMPLE, (WWW,), {WWW: ("192.0.2.1",)}, 60), 5.0)
    assert cache.glue_of(WWW, 9.0) == ("192.0.2.1",)
    assert cache.closest_delegation(WWW, 10.0) is None, "no longer than the parent"
    assert ttl_of(Found(rrset(f"a.org. {MAX_TTL_S * 2} IN A 192.0.2.1"))) == MAX_TTL_S
    assert ttl_of(Failed("")) > 0
    assert ttl_of(Empty(None)) == 0


def test_reserved_zones() -> None:
    ten = Name.of("10.in-addr.arpa")
    assert isinstance(local_outcome(ten, RecordType.SOA), Found)
    assert isinstance(local_outcome(ten, RecordType.NS), Found)
    assert isinstance(local_outcome(ten, RecordType.A), Empty)
    assert isinstance(local_outcome(Name.of("localhost"), RecordType.MX), Empty)
    assert isinstance(local_outcome(Name.of("localhost"), RecordType.AAAA), Found)
    assert isinstance(local_outcome(Name.of("x.onion"), RecordType.A), Missing)
    assert local_outcome(Name.of("1.0.0.8.in-addr.arpa"), RecordType.PTR) is None


def test_root_hints() -> None:
    root = root_delegation(ROOT_HINTS)
    assert len(root.servers) == 13
    assert len(root.addresses) == 26


def test_nothing_left_to_spend() -> None:
    work = exchange("192.0.2.1", WWW, 1, ServerBook(), Allowance(0))
    with pytest.raises(StopIteration) as end:
        next(work)
    assert isinstance(end.value.value, NoReply)


def test_quick_questions() -> None:
    plain = dns.message.make_query("WWW.example.org", "A").to_wire()
    quick = read_quickly(plain)
    assert quick is not None
    assert quick.key == b"\x03www\x07example\x03org\x00\x00\x01"
    edns = dns.message.make_query("www.example.org", "A", use_edns=0, payload=4096).to_wire()
    assert read_quickly(edns).max_octets == 4096  # type: ignore[union-attr]
    pointer = plain[:12] + b"\xc0\x0c" + plain[-4:]
    odd = [pointer, plain[:-1], plain + b"x", edns + b"x", edns[:-2], plain[:2] + b"\x28" + plain[3:]]
    assert all(read_quickly(wire) is None for wire in odd)


def test_a_response_without_question_answers_nothing() -> None:
    query = make_query(WWW, 1, bytes, edns=False, mix_case=False)
    message = dns.message.Message(id=query.id)
    message.flags |= dns.flags.QR
    assert not answers_query(message, query)


def test_notices(zone_of: Callable[[str, str], Zone]) -> None:
    wire = notice(zone_of("example.org", "@ 60 NS ns.example.net.\n"), 7)
    assert dns.message.from_wire(wire).answer[0].rdtype == dns.rdatatype.SOA
    answer = dns.message.make_response(dns.message.from_wire(wire)).to_wire()
    assert acknowledges(answer, 7)
    assert not acknowledges(answer, 8)
    assert not acknowledges(wire, 7)
    assert not acknowledges(b"", 7)


def test_faults_of_zones_that_were_not_read_from_a_file() -> None:
    records = (
        SOA,
        "www.example.org. 60 IN CNAME a.",
        "www.example.org. 60 IN A 192.0.2.1",
        "www.example.net. 60 IN A 192.0.2.1",
        "sub.example.org. 60 IN SOA a. b. 1 2 3 4 5",
    )
    two = RRset(
        Name.of("two.example.org"), 5, 60, tuple(dns.rdata.from_text("IN", "CNAME", each) for each in "ab")
    )
    odd = RRset(Name.of("odd.example.org"), 2, 60, two.rdatas)
    faults = list(zone_faults(Zone.of(EXAMPLE, [*map(rrset, records), two, odd])))
    assert len(faults) == 5
    assert list(zone_faults(Zone.of(EXAMPLE, []))) == [
        "not exactly one SOA record at the origin",
        "no NS record at the origin",
    ]
    root = Zone.of(Name(()), [rrset(SOA)])
    assert root.dname_above(WWW) is None


def test_the_whole_name_at_once(make_dns: Callable[..., Any]) -> None:
    pretend = make_dns(minimise=False, mix_case=False)
    assert pretend.texts("www.example.org") == ["192.0.2.1"]
    assert {str(dns.message.from_wire(query.wire).question[0].name) for query in pretend.sent} == {
        "www.example.org."
    }
    pretend.play(pretend.resolver.handle(1000.0, Tick()))
    assert pretend.resolver.next_wakeup is None
    assert isinstance(pretend.resolver, Resolver)


def test_a_server_that_answers_the_second_time(make_dns: Callable[..., Any]) -> None:
    tries = []

    def slow(query: Any) -> bytes | None:
        tries.append(query)
        if len(tries) < 2:
            return None
        message = dns.message.make_response(dns.message.from_wire(query.wire))
        message.answer.append(dns.rrset.from_text(message.question[0].name, 60, "IN", "A", "192.0.2.5"))
        return message.to_wire()

    pretend = make_dns({"10.0.0.2": slow})
    assert pretend.ask("www.example.org").rcode is Rcode.NOERROR
