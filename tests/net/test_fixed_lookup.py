"""A zone text in place of the DNS."""

import asyncio
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.net.fixed_lookup import FixedLookup, read_zone
from ptt.protocol.dns.lookup import A, Aaaa, Answer, Mx, Question, Rcode, RecordType, Txt
from ptt.protocol.dns.name import Name

ZONE = r"""
; a zone
remote.example.     300 IN MX 10 mx.remote.example  ; the better one
remote.example          MX 20 mx2.remote.example.
mx.remote.example       A  192.0.2.1
mx.remote.example       AAAA 2001:db8::1
www.remote.example      CNAME mx.remote.example
text.remote.example     TXT "v=spf1 -all; \"x\"" second
round.example           CNAME round.example
"""


def lookup(text: str = ZONE) -> FixedLookup:
    zone = read_zone(text)
    assert isinstance(zone, FixedLookup)
    return zone


def ask(name: str, record_type: RecordType, text: str = ZONE) -> Answer:
    return asyncio.run(lookup(text).query(Name.of(name), record_type))


def test_records_are_found() -> None:
    mx = ask("remote.example", RecordType.MX)

    assert mx.records == (Mx(10, Name.of("mx.remote.example")), Mx(20, Name.of("mx2.remote.example")))
    assert ask("mx.remote.example", RecordType.AAAA).records == (Aaaa(IPv6Address("2001:db8::1")),)
    assert ask("text.remote.example", RecordType.TXT).records == (Txt((b'v=spf1 -all; "x"', b"second")),)


def test_an_alias_is_followed() -> None:
    answer = ask("www.remote.example", RecordType.A)

    assert answer.of(A) == [A(IPv4Address("192.0.2.1"))]
    assert answer.canonical_name == Name.of("mx.remote.example")
    assert ask("round.example", RecordType.A).rcode is Rcode.SERVFAIL


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        ("remote.example", Rcode.NOERROR),
        ("example", Rcode.NOERROR),
        ("other.example", Rcode.NXDOMAIN),
        ("mx2.remote.example", Rcode.NXDOMAIN),
    ],
)
def test_what_is_not_there(name: str, rcode: Rcode) -> None:
    answer = ask(name, RecordType.A)

    assert (answer.rcode, answer.records) == (rcode, ())


def test_without_a_zone_nothing_is_denied() -> None:
    assert ask("remote.example", RecordType.MX, "; nothing").is_failure


def test_many_questions() -> None:
    questions = [Question(Name.of("mx.remote.example"), kind) for kind in (RecordType.A, RecordType.AAAA)]

    assert [len(answer.records) for answer in asyncio.run(lookup().many(questions))] == [1, 1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a..b A 192.0.2.1", "line 1 of the zone: an empty label"),
        ("a", "line 1 of the zone: a type that is not A, AAAA, MX, TXT, PTR or CNAME"),
        ("a SRV 1", "line 1 of the zone: a type that is not A, AAAA, MX, TXT, PTR or CNAME"),
        ("a A 1.2.3", "line 1 of the zone: not the data of A"),
        ("a A", "line 1 of the zone: not the data of A"),
        ("a MX x y", "line 1 of the zone: not the data of MX"),
        ("a MX 1 a..b", "line 1 of the zone: an empty label"),
        ("a CNAME a..b", "line 1 of the zone: an empty label"),
    ],
)
def test_a_bad_line_is_named(line: str, reason: str) -> None:
    assert read_zone(line) == Malformed(reason)


@given(st.text())
def test_any_text_is_a_zone_or_malformed(text: str) -> None:
    assert isinstance(read_zone(text), FixedLookup | Malformed)
