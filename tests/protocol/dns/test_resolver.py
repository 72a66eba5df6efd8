"""The resolver against servers in memory: what it answers, what it asks, what it never does."""

from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptt.protocol.dns import resolver as module
from ptt.protocol.dns.lookup import Rcode, RecordType, Security
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.resolver import Answer, Asked, EndQuery, Received, SendQuery, Tick, Unreachable
from ptt.protocol.dns.work import MAX_QUERIES, Transport

MakeDns = Callable[..., Any]
Serve = Callable[..., Any]
MakeZone = Callable[[str, str], Any]


def parsed(query: SendQuery) -> dns.message.Message:
    return dns.message.from_wire(query.wire)


def reply(query: SendQuery, rcode: str = "NOERROR", *records: str, section: str = "answer") -> bytes:
    message = dns.message.make_response(parsed(query))
    message.set_rcode(dns.rcode.from_text(rcode))
    message.flags |= dns.flags.AA
    for record in records:
        name, ttl, kind, rdtype, text = record.split(maxsplit=4)
        getattr(message, section).append(dns.rrset.from_text(name, int(ttl), kind, rdtype, text))
    return message.to_wire()


def test_from_the_root(make_dns: MakeDns) -> None:
    pretend = make_dns()
    assert pretend.texts("www.example.org") == ["192.0.2.1"]
    assert [query.address for query in pretend.sent] == ["198.41.0.4", "10.0.0.1", "10.0.0.2"]
    assert all(query.transport is Transport.UDP for query in pretend.sent)
    resolved = pretend.ask("www.example.org")
    assert resolved.security is Security.INDETERMINATE
    assert len(pretend.sent) == 3, "the second time it is remembered"


def test_servers_learn_no_more_than_they_need(make_dns: MakeDns) -> None:
    pretend = make_dns()
    assert pretend.texts("a.b.c.example.org", RecordType.TXT) == ['"deep"']
    asked = [str(parsed(query).question[0].name).lower() for query in pretend.sent]
    assert asked == ["org.", "example.org.", "c.example.org.", "b.c.example.org.", "a.b.c.example.org."]
    assert [parsed(query).question[0].rdtype for query in pretend.sent] == [1, 1, 1, 1, 16]


def test_letters_are_mixed_and_must_come_back_so(make_dns: MakeDns, serve: Serve, zone_of: MakeZone) -> None:
    pretend = make_dns()
    pretend.ask("www.example.org")
    assert any(str(parsed(query).question[0].name) != "www.example.org." for query in pretend.sent)
    good = serve(zone_of("example.org", "@ 60 NS ns\nns 60 A 10.0.0.2\nwww 60 A 192.0.2.1\n"))

    def lower(query: SendQuery) -> bytes:
        return bytes(good(SendQuery(query.number, query.address, query.transport, query.wire.lower())))

    pretend = make_dns({"10.0.0.2": lower})
    assert pretend.texts("www.example.org") == ["192.0.2.1"]
    assert pretend.sent[-1].transport is Transport.TCP


def test_aliases(make_dns: MakeDns) -> None:
    pretend = make_dns()
    resolved = pretend.ask("alias.example.org")
    assert [rrset.name.text for rrset in resolved.answer] == ["alias.example.org", "www.example.org"]
    assert pretend.ask("far.example.org").rcode is Rcode.NXDOMAIN
    assert pretend.ask("round1.example.org").rcode is Rcode.SERVFAIL
    assert pretend.ask("c0.example.org").rcode is Rcode.SERVFAIL, "too long a chain"
    target = pretend.texts("alias.example.org", RecordType.CNAME)[0]
    assert target.lower() == "www.example.org."
    through = pretend.ask("x.old.example.org")
    assert [rrset.rdtype for rrset in through.answer] == [39, RecordType.CNAME, RecordType.A]
    assert pretend.ask("x.old.example.org").answer[-1].name == Name.of("x.new.example.org")
    assert pretend.ask("private.example.org", RecordType.PTR).rcode is Rcode.NXDOMAIN


def test_denials(make_dns: MakeDns) -> None:
    pretend = make_dns()
    missing = pretend.ask("nobody.example.org")
    assert (missing.rcode, missing.soa.ttl) == (Rcode.NXDOMAIN, 60)
    sent = len(pretend.sent)
    assert pretend.ask("x.nobody.example.org").rcode is Rcode.NXDOMAIN, "RFC 8020"
    assert len(pretend.sent) == sent
    empty = pretend.ask("www.example.org", RecordType.MX)
    assert (empty.rcode, empty.answer, empty.soa.name.text) == (Rcode.NOERROR, (), "example.org")
    pretend.now += 61
    assert pretend.ask("nobody.example.org").rcode is Rcode.NXDOMAIN
    assert len(pretend.sent) > sent


def test_time_to_live(make_dns: MakeDns) -> None:
    pretend = make_dns()
    pretend.ask("www.example.org")
    pretend.now += 100
    assert pretend.ask("www.example.org").answer[0].ttl == 200
    sent = len(pretend.sent)
    pretend.ask("zero.example.org")
    pretend.ask("zero.example.org")
    assert len(pretend.sent) == sent + 2, "0 is not remembered"


def test_truncation_leads_to_tcp(make_dns: MakeDns) -> None:
    pretend = make_dns()
    assert len(pretend.ask("long.example.org", RecordType.TXT).answer[0].rdatas) == 20
    assert [query.transport for query in pretend.sent][-2:] == [Transport.UDP, Transport.TCP]


def test_a_server_without_edns(make_dns: MakeDns) -> None:
    def old(query: SendQuery) -> bytes:
        if parsed(query).edns >= 0:
            return reply(query, "FORMERR")
        return reply(query, "NOERROR", f"{parsed(query).question[0].name} 60 IN A 192.0.2.7")

    pretend = make_dns({"10.0.0.2": old})
    assert pretend.texts("www.example.org") == ["192.0.2.7"]
    assert pretend.texts("mail.example.org") == ["192.0.2.7"]
    assert [parsed(query).edns for query in pretend.sent][-2:] == [-1, -1], "asked without from then on"


@pytest.mark.parametrize(
    "server", [lambda _query: None, lambda _query: "refused", lambda query: reply(query, "SERVFAIL")]
)
def test_no_server_of_use(make_dns: MakeDns, server: Callable[[SendQuery], bytes | str | None]) -> None:
    pretend = make_dns({"10.0.0.2": server})
    assert pretend.ask("www.example.org").rcode is Rcode.SERVFAIL
    assert pretend.now <= module.QUESTION_LIMIT_S
    sent = len(pretend.sent)
    if pretend.now < module.QUESTION_LIMIT_S:
        pretend.ask("www.example.org")
        assert len(pretend.sent) == sent, "a failure is remembered"


def test_another_server_helps(make_dns: MakeDns, serve: Serve, zone_of: MakeZone) -> None:
    org = zone_of(
        "org",
        "@ 600 NS ns\nns 600 A 10.0.0.1\nexample 600 NS n1.example\nexample 600 NS n2.example\n"
        "n1.example 600 A 10.0.0.3\nn2.example 600 A 10.0.0.2\n",
    )
    pretend = make_dns({"10.0.0.1": serve(org), "10.0.0.3": lambda query: reply(query, "REFUSED")})
    assert pretend.texts("www.example.org") == ["192.0.2.1"]
    pretend.texts("alias.example.org")
    assert pretend.sent[-1].address == "10.0.0.2", "the lame one is asked last"


def test_servers_without_glue(make_dns: MakeDns, serve: Serve, zone_of: MakeZone) -> None:
    org = zone_of(
        "org",
        "@ 600 NS ns\nns 600 A 10.0.0.1\nexample 600 NS ns.example\nns.example 600 A 10.0.0.2\n"
        "other 600 NS www.nobody.example.org.\nother 600 NS host.example.org.\n"
        "loop1 600 NS ns.loop2.org.\nloop2 600 NS ns.loop1.org.\n",
    )
    other = zone_of("other.org", "@ 60 NS host.example.org.\nwww 60 A 192.0.2.30\n")
    pretend = make_dns({"10.0.0.1": serve(org), "10.0.0.5": serve(other)}, "host 60 A 10.0.0.5\n")
    assert pretend.texts("www.other.org") == ["192.0.2.30"]
    assert pretend.ask("www.loop1.org").rcode is Rcode.SERVFAIL


def test_a_delegation_to_many_strange_names_costs_little(
    make_dns: MakeDns, serve: Serve, zone_of: MakeZone
) -> None:
    """NXNSAttack: twenty servers in another zone, none of which exists."""
    names = "".join(f"attack 600 NS n{n}.example.org.\n" for n in range(20))
    org = zone_of(
        "org",
        f"@ 600 NS ns\nns 600 A 10.0.0.1\nexample 600 NS ns.example\nns.example 600 A 10.0.0.2\n{names}",
    )
    pretend = make_dns({"10.0.0.1": serve(org)})
    assert pretend.ask("www.attack.org").rcode is Rcode.SERVFAIL
    assert len(pretend.sent) < 20


def test_depth_is_bounded(make_dns: MakeDns, serve: Serve, zone_of: MakeZone) -> None:
    chain = "".join(f"d{n} 600 NS ns.d{n + 1}.org.\n" for n in range(40))
    org = zone_of("org", f"@ 600 NS ns\nns 600 A 10.0.0.1\n{chain}d40 600 NS ns.nowhere.net.\n")
    pretend = make_dns({"10.0.0.1": serve(org)})
    assert pretend.ask("www.d0.org").rcode is Rcode.SERVFAIL
    assert len(pretend.sent) <= MAX_QUERIES


def test_out_of_bailiwick_data_is_ignored(make_dns: MakeDns) -> None:
    def poison(query: SendQuery) -> bytes:
        message = dns.message.from_wire(
            reply(query, "NOERROR", f"{parsed(query).question[0].name} 60 IN A 192.0.2.66")
        )
        message.answer.append(dns.rrset.from_text("www.bank.org.", 600, "IN", "A", "192.0.2.66"))
        message.authority.append(dns.rrset.from_text("org.", 600, "IN", "NS", "ns.evil.org."))
        message.additional.append(dns.rrset.from_text("ns.org.", 600, "IN", "A", "192.0.2.66"))
        return message.to_wire()

    pretend = make_dns({"10.0.0.2": poison})
    assert pretend.texts("www.example.org") == ["192.0.2.66"]
    assert pretend.ask("www.bank.org").rcode is Rcode.NXDOMAIN
    assert "192.0.2.66" not in {query.address for query in pretend.sent}


def test_the_delegation_has_changed(make_dns: MakeDns, serve: Serve, zone_of: MakeZone) -> None:
    pretend = make_dns()
    pretend.ask("www.example.org")
    moved = "@ 600 NS ns\nns 600 A 10.0.0.1\nexample 600 NS ns.example\nns.example 600 A 10.0.0.7\n"
    pretend.servers["10.0.0.1"] = serve(zone_of("org", moved))
    pretend.servers["10.0.0.7"] = pretend.servers["10.0.0.2"]
    pretend.servers["10.0.0.2"] = lambda query: reply(query, "REFUSED")
    assert pretend.texts("alias.example.org") == ["192.0.2.1"]


def test_reserved_names_never_leave(make_dns: MakeDns) -> None:
    pretend = make_dns()
    assert pretend.texts("www.localhost") == ["127.0.0.1"]
    assert pretend.ask("1.2.3.10.in-addr.arpa", RecordType.PTR).rcode is Rcode.NXDOMAIN
    assert pretend.sent == []


def test_strays_are_dropped_and_many_lead_to_tcp(make_dns: MakeDns) -> None:
    pretend = make_dns({"198.41.0.4": lambda _query: None})
    effects = pretend.resolver.handle(0.0, Asked(1, Name.of("www.example.org"), 1))
    query = effects[0]
    assert isinstance(query, SendQuery)
    strays = [
        b"x",
        bytes([query.wire[0] ^ 1]) + query.wire[1:],
        query.wire,
        reply(query)[:2] + query.wire[2:],
    ]
    for stray in strays:
        assert pretend.resolver.handle(0.1, Received(query.number, stray)) == []
    ended, again = pretend.resolver.handle(0.1, Received(query.number, b"y"))
    assert ended == EndQuery(query.number)
    assert isinstance(again, SendQuery)
    assert again.transport is Transport.TCP
    assert pretend.resolver.handle(0.2, Received(query.number, b"late")) == []
    assert pretend.resolver.handle(0.2, Unreachable(query.number, "late")) == []


def test_the_same_question_is_asked_once(make_dns: MakeDns) -> None:
    pretend = make_dns({"198.41.0.4": lambda _query: None})
    first = pretend.resolver.handle(0.0, Asked(1, Name.of("www.example.org"), 1))
    assert len(first) == 1
    assert pretend.resolver.handle(0.0, Asked(2, Name.of("www.example.org"), 1)) == []
    assert pretend.resolver.handle(0.0, Asked(3, Name.of("www.example.org"), 16))[0] != first[0]
    assert pretend.resolver.waiting == 3
    pretend.play(first)
    pretend.now = module.QUESTION_LIMIT_S
    pretend.play(pretend.resolver.handle(pretend.now, Tick()))
    assert {resolved.rcode for resolved in pretend.answers.values()} == {Rcode.SERVFAIL}
    assert set(pretend.answers) == {1, 2, 3}
    assert pretend.resolver.waiting == 0


def test_thousands_wait_and_all_are_answered(make_dns: MakeDns, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend = make_dns({"198.41.0.4": lambda _query: None})
    sent = []
    monkeypatch.setattr(module, "MAX_WAITING", 1000)
    for number in range(module.MAX_WAITING + 5):
        for effect in pretend.resolver.handle(0.0, Asked(number, Name.of(f"n{number}.org"), 1)):
            if isinstance(effect, Answer):
                pretend.answers[effect.asker] = effect.resolved
            else:
                sent.append(effect)
    assert len(sent) <= module.MAX_OUTSTANDING
    assert len(pretend.answers) == 5, "too many: at once"
    pretend.play(pretend.resolver.handle(module.QUESTION_LIMIT_S, Tick()))
    assert len(pretend.answers) == module.MAX_WAITING + 5


def test_an_answer_that_comes_too_late_is_remembered(
    make_dns: MakeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUESTION_LIMIT_S", 0.1)
    slow: list[SendQuery] = []
    pretend = make_dns({"10.0.0.2": slow.append})
    assert pretend.ask("www.example.org").rcode is Rcode.SERVFAIL
    answer = reply(slow[0], "NOERROR", "www.example.org. 60 IN A 192.0.2.1")
    answer = answer[:12] + slow[0].wire[12:33] + answer[33:]
    pretend.play(pretend.resolver.handle(0.2, Received(slow[0].number, answer)))
    assert pretend.texts("www.example.org") == ["192.0.2.1"]
    assert len(slow) == 1


@given(junk=st.lists(st.binary(max_size=60), min_size=1, max_size=8))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_servers_say_every_question_is_answered(make_dns: MakeDns, junk: list[bytes]) -> None:
    rest = iter(junk * 200)

    def mad(query: SendQuery) -> bytes:
        good = reply(query)
        noise = next(rest)
        return good[:2] + noise if len(noise) % 2 else good[: len(good) - 1 - len(noise)] + noise

    pretend = make_dns({"10.0.0.2": mad, "10.0.0.1": mad})
    assert pretend.ask("www.example.org").rcode in (Rcode.SERVFAIL, Rcode.NOERROR, Rcode.NXDOMAIN)
    assert pretend.now <= module.QUESTION_LIMIT_S
