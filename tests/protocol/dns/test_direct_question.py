"""A name server of ours asked directly, by messages that go through our own authority."""

from collections.abc import Callable

import dns.flags
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.direct_question import ask_directly, read_records, read_zone_origin
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.query import Query
from ptt.protocol.dns.zone import Zone

OWNER = Name.of("_letsencrypt._tcp.mail.mirage.org")
ELSEWHERE = Name.of("mail.example.net")


def ask(name: Name, rdtype: int) -> Query:
    return ask_directly(name, rdtype, lambda count: bytes(range(1, count + 1)))


@pytest.fixture
def answered(zone_of: Callable[[str, str], Zone]) -> Callable[[Query], bytes]:
    records = """@ 60 NS ns
ns 60 A 192.0.2.1
_letsencrypt._tcp.mail 60 TLSA 3 255 0 aabb
_letsencrypt._tcp.mail 60 TLSA 3 0 0 cc
"""
    authority = Authority([zone_of("mirage.org", records)], {})
    return lambda query: authority.handle(0, query.wire, stream=True).messages[0]


def test_records_and_none(answered: Callable[[Query], bytes]) -> None:
    query = ask(OWNER, RecordType.TLSA)
    found = read_records(query, answered(query))
    assert not isinstance(found, Malformed)
    assert found is not None
    assert (found.name, found.ttl, len(found.rdatas)) == (OWNER, 60, 2)
    for nothing in (ask(OWNER, RecordType.A), ask(Name.of("nobody.mirage.org"), RecordType.TLSA)):
        assert read_records(nothing, answered(nothing)) is None


def test_the_zone_of_a_name(answered: Callable[[Query], bytes]) -> None:
    for name in (OWNER, Name.of("mirage.org"), Name.of("a.b.mirage.org")):
        query = ask(name, RecordType.SOA)
        assert read_zone_origin(query, answered(query)) == Name.of("mirage.org")
    query = ask(ELSEWHERE, RecordType.SOA)
    assert read_zone_origin(query, answered(query)) == Malformed("the answer is REFUSED")


def test_what_is_no_answer(answered: Callable[[Query], bytes]) -> None:
    query, other = ask(OWNER, RecordType.TLSA), ask(OWNER, RecordType.A)
    assert read_records(query, answered(other)) == Malformed("the answer to another question")
    assert read_records(query, b"") == Malformed("a message of 0 octets")
    response = dns.message.make_response(dns.message.from_wire(ask(ELSEWHERE, RecordType.SOA).wire))
    response.authority = [dns.rrset.from_text("example.net.", 60, "IN", "NS", "ns.example.net.")]
    nowhere = read_zone_origin(ask(ELSEWHERE, RecordType.SOA), response.to_wire())
    assert nowhere == Malformed("no zone of mail.example.net is served there")


@given(st.binary(max_size=80), st.booleans())
def test_any_octets_are_read(tail: bytes, is_answer: bool) -> None:
    query = ask(OWNER, RecordType.SOA)
    wire = query.wire[:2] + bytes([0x80 * is_answer]) + query.wire[3:] + tail
    for read in (read_records(query, wire), read_zone_origin(query, wire)):
        assert read is None or isinstance(read, Malformed)
