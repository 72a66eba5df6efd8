"""Questions of units and the answers to them, both sides."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.framing import MessageCutter, framed
from ptt.protocol.dns.lookup import (
    A,
    Aaaa,
    Answer,
    Mx,
    Ns,
    Ptr,
    Question,
    Rcode,
    RecordType,
    Security,
    Soa,
    Tlsa,
    Txt,
)
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Resolved
from ptt.protocol.dns.records import MAX_TTL, RRset, rrsets_of
from ptt.protocol.dns.stub_client import read_answer, write_question
from ptt.protocol.dns.stub_server import StubQuestion, read_question, write_answer

WWW = Name.of("www.example.org")
TARGET = Name.of("x.org")


def rrset(name: Name, kind: str, *rdatas: str, ttl: int = 60) -> RRset:
    rdtype = dns.rdatatype.from_text(kind)
    read = tuple(dns.rdata.from_text(dns.rdataclass.IN, rdtype, text) for text in rdatas)
    return RRset(name, int(rdtype), ttl, read)


def through(
    resolved: Resolved, rdtype: RecordType = RecordType.A, max_octets: int = 65535
) -> Answer | Malformed:
    """An answer from the resolver's form to the caller's, through the wire."""
    question = Question(WWW, rdtype)
    asked = read_question(write_question(7, question))
    assert isinstance(asked, StubQuestion)
    return read_answer(write_answer(asked, resolved, max_octets), question)


@pytest.mark.parametrize(
    ("rdtype", "text", "record"),
    [
        (RecordType.A, "192.0.2.1", A(IPv4Address("192.0.2.1"))),
        (RecordType.AAAA, "2001:db8::1", Aaaa(IPv6Address("2001:db8::1"))),
        (RecordType.MX, "10 x.org.", Mx(10, TARGET)),
        (RecordType.TXT, '"a" "b"', Txt((b"a", b"b"))),
        (RecordType.PTR, "x.org.", Ptr(TARGET)),
        (RecordType.NS, "x.org.", Ns(TARGET)),
        (RecordType.SOA, "x.org. a. 7 1 2 3 4", Soa(TARGET, 7, 4)),
        (RecordType.TLSA, "3 1 0 aabb", Tlsa(3, 1, 0, b"\xaa\xbb")),
    ],
)
def test_records(rdtype: RecordType, text: str, record: Any) -> None:
    found = Resolved(Rcode.NOERROR, (rrset(WWW, rdtype.name, text),), None, Security.SECURE)
    assert through(found, rdtype) == Answer(Rcode.NOERROR, (record,), WWW, Security.SECURE, 60)


def test_aliases_and_denials() -> None:
    alias = rrset(WWW, "CNAME", "x.org.", ttl=30)
    answer = through(Resolved(Rcode.NOERROR, (alias, rrset(TARGET, "A", "192.0.2.1"))))
    assert isinstance(answer, Answer)
    assert (answer.canonical_name, answer.ttl_s, len(answer.records)) == (TARGET, 30, 1)
    assert through(Resolved(Rcode.NOERROR, (alias,)), RecordType.CNAME).records == ()  # type: ignore[union-attr]
    soa = rrset(TARGET, "SOA", ". . 1 2 3 4 5", ttl=5)
    missing = through(Resolved(Rcode.NXDOMAIN, (alias,), soa, Security.INSECURE))
    assert missing == Answer(Rcode.NXDOMAIN, (), TARGET, Security.INSECURE, 5)
    round1, round2 = rrset(WWW, "CNAME", "x.org."), rrset(TARGET, "CNAME", "www.example.org.")
    assert through(Resolved(Rcode.NOERROR, (round1, round2))).records == ()  # type: ignore[union-attr]


@pytest.mark.parametrize("security", list(Security))
def test_what_validation_found_arrives(security: Security) -> None:
    answer = through(Resolved(Rcode.NOERROR, (rrset(WWW, "A", "192.0.2.1"),), None, security))
    assert isinstance(answer, Answer)
    assert answer.security is security
    assert answer.is_failure is (security is Security.BOGUS)
    assert through(Resolved(Rcode.SERVFAIL)).is_failure  # type: ignore[union-attr]


def test_without_edns_nothing_is_added() -> None:
    asked = read_question(dns.message.make_query("www.example.org", "A").to_wire())
    assert isinstance(asked, StubQuestion)
    assert dns.message.from_wire(write_answer(asked, Resolved(Rcode.NOERROR))).edns == -1


def test_an_answer_too_long_is_truncated() -> None:
    many = rrset(WWW, "A", *(f"192.0.2.{n}" for n in range(200)))
    asked = read_question(write_question(7, Question(WWW, RecordType.A)))
    assert isinstance(asked, StubQuestion)
    wire = write_answer(asked, Resolved(Rcode.NOERROR, (many,)), 512)
    assert len(wire) <= 512
    assert dns.message.from_wire(wire).flags & dns.flags.TC


def answered_at_once(message: dns.message.Message) -> dns.message.Message:
    said = read_question(message.to_wire())
    assert isinstance(said, bytes)
    return dns.message.from_wire(said)


def test_what_is_answered_at_once() -> None:
    any_type = answered_at_once(dns.message.make_query("x.org", "ANY"))
    assert str(any_type.answer[0][0]) == '"RFC8482" ""'
    assert answered_at_once(dns.message.make_query("x.org", "AXFR")).rcode() == dns.rcode.REFUSED
    assert answered_at_once(dns.message.make_query("x.org", "A", use_edns=1)).rcode() == dns.rcode.BADVERS
    assert answered_at_once(dns.message.make_query("x.org", "A", rdclass="CH")).rcode() == dns.rcode.REFUSED
    unwanted = dns.message.make_query("x.org", "A")
    unwanted.flags = dns.flags.Flag(0)
    assert answered_at_once(unwanted).rcode() == dns.rcode.REFUSED
    for opcode, rcode in ((dns.opcode.QUERY, dns.rcode.FORMERR), (dns.opcode.STATUS, dns.rcode.NOTIMP)):
        empty = dns.message.Message()
        empty.set_opcode(opcode)
        assert answered_at_once(empty).rcode() == rcode
    answer = dns.message.make_query("x.org", "A")
    answer.flags |= dns.flags.QR
    assert read_question(answer.to_wire()) is None
    cut = dns.message.make_query("x.org", "A").to_wire()[:-1]
    assert read_question(cut) == cut[:2] + b"\x81\x01" + bytes(8)
    assert read_question(b"x") is None


def test_the_answer_to_another_question() -> None:
    question = Question(WWW, RecordType.A)
    asked = read_question(write_question(7, question))
    assert isinstance(asked, StubQuestion)
    wire = write_answer(asked, Resolved(Rcode.NOERROR))
    assert isinstance(read_answer(wire, Question(WWW, RecordType.MX)), Malformed)
    assert isinstance(read_answer(write_question(7, question), question), Malformed)
    assert isinstance(read_answer(b"x", question), Malformed)
    message = dns.message.from_wire(wire)
    message.use_edns(0, 0, 1232, options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")])
    assert read_answer(message.to_wire(), question).security is Security.INSECURE  # type: ignore[union-attr]
    odd = wire[:3] + bytes([wire[3] & 0xF0 | 9]) + wire[4:]
    assert read_answer(odd, question).rcode is Rcode.SERVFAIL  # type: ignore[union-attr]


def test_lookup_values() -> None:
    assert Txt((b"a", b"b")).joined == b"ab"
    assert Answer(Rcode.NOERROR, (Ns(TARGET),)).of(Ns) == [Ns(TARGET)]


@given(st.binary(max_size=100))
def test_no_input_does_harm(wire: bytes) -> None:
    assert isinstance(read_question(wire), StubQuestion | bytes | None)
    assert isinstance(read_answer(wire, Question(WWW, RecordType.A)), Answer | Malformed)


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 20))
def test_pieces_do_not_matter(messages: list[bytes], size: int) -> None:
    cutter = MessageCutter()
    stream = b"".join(map(framed, messages))
    found = [each for at in range(0, len(stream), size) for each in cutter.feed(stream[at : at + size])]
    assert found == messages


def test_a_message_too_long_for_a_stream() -> None:
    with pytest.raises(MisuseError):
        framed(bytes(65_536))


def test_records_put_together() -> None:
    part = dns.rrset.from_text("x.org.", 60, "IN", "A", "192.0.2.1")
    more = dns.rrset.from_text("X.org.", 30, "IN", "A", "192.0.2.2")
    other = dns.rrset.from_text("x.org.", MAX_TTL, "CH", "TXT", "x")
    (found,) = rrsets_of([part, more, other])
    assert (found.ttl, len(found.rdatas)) == (30, 2)
    part.ttl = MAX_TTL + 1
    assert rrsets_of([part])[0].ttl == 0
