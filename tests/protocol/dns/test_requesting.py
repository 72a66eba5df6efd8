"""Updates and transfers as a unit asks for them, answered by our own server, and by servers that lie."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dns.message
import dns.rcode
import dns.rdata
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns import requesting
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.message import MAX_MESSAGE_OCTETS, write_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, codec_rrset
from ptt.protocol.dns.requesting import (
    Add,
    Delete,
    Edit,
    Progress,
    Remove,
    SignedRequest,
    TransferReader,
    make_transfer,
    make_update,
    read_update_answer,
)
from ptt.protocol.dns.tsig import StreamSigner, make_key, sign
from ptt.protocol.dns.zone import Zone

ORIGIN = Name.of("example.org")
OWNER = Name.of("_acme-challenge.mail.example.org")
KEY = make_key(Name.of("le._update.example.org"), Name.of("hmac-sha256"), b"0123456789abcdef")
NOW = 1_800_000_000


def txt(*texts: str) -> RRset:
    rdatas = tuple(dns.rdata.from_text("IN", "TXT", f'"{text}"') for text in texts)
    return RRset(OWNER, int(RecordType.TXT), 60, rdatas)


@pytest.fixture
def zone(zone_of: Callable[[str, str], Zone]) -> Zone:
    big = "".join(f'n{n} 60 TXT "{"x" * 250}"\n' for n in range(200))
    return zone_of("example.org", "@ 60 NS ns\nns 60 A 192.0.2.1\n" + big)


@pytest.fixture
def server(zone: Zone) -> Authority:
    return Authority([zone], {Name.of("le._update.example.org"): KEY})


def ask(server: Authority, request: SignedRequest) -> tuple[bytes, ...]:
    return server.handle(NOW, request.wire, stream=True).messages


def updating(edits: list[Edit]) -> SignedRequest:
    request = make_update(7, ORIGIN, edits, KEY, NOW)
    assert isinstance(request, SignedRequest)
    return request


def test_updates(server: Authority) -> None:
    for edits, left in (
        ([Add(txt("a", "b"))], {"a", "b"}),
        ([Remove(txt("a")), Add(txt("c"))], {"b", "c"}),
        ([Delete(OWNER, int(RecordType.TXT)), Add(txt("d"))], {"d"}),
        ([Delete(OWNER, int(RecordType.TXT))], set()),
    ):
        request = updating(edits)  # type: ignore[arg-type]
        (answer,) = ask(server, request)
        assert read_update_answer(request, answer, NOW) == dns.rcode.NOERROR
        there = server.zones[ORIGIN].at(OWNER, RecordType.TXT)
        assert {each.strings[0].decode() for each in there.rdatas} == left if there else not left  # type: ignore[attr-defined]
    request = updating([Delete(ORIGIN, int(RecordType.A))])
    assert read_update_answer(request, ask(server, request)[0], NOW) == dns.rcode.REFUSED


@pytest.mark.parametrize("count", [240, 250, 300])
def test_an_update_fits_into_a_message_or_is_none(count: int) -> None:
    edits = [Add(txt(*(f"{number:0250}" for number in range(count))))]
    request = make_update(7, ORIGIN, edits, KEY, NOW)
    if isinstance(request, Malformed):
        assert count > 240
        assert request.reason == "the change is larger than a message may be"
    else:
        assert count < 300
        assert len(request.wire) <= MAX_MESSAGE_OCTETS


def test_a_transfer_whole_and_then_nothing_new(server: Authority, zone: Zone) -> None:
    request = make_transfer(9, ORIGIN, None, KEY, NOW)
    messages = ask(server, request)
    assert len(messages) > 1
    reader = TransferReader(request, ORIGIN, None, NOW)
    *before, last = [reader.take(message) for message in messages]
    assert set(before) == {Progress.MORE}
    assert isinstance(last, Zone)
    assert (last.serial, set(last.nodes)) == (zone.serial, set(zone.nodes))
    again = make_transfer(9, ORIGIN, last, KEY, NOW)
    (answer,) = ask(server, again)
    assert TransferReader(again, ORIGIN, last, NOW).take(answer) is Progress.UNCHANGED
    older = last.with_serial(zone.serial - 1)
    newer = make_transfer(9, ORIGIN, older, KEY, NOW)
    reader = TransferReader(newer, ORIGIN, older, NOW)
    assert isinstance([reader.take(message) for message in ask(server, newer)][-1], Zone)


def refused(answer: bytes, request: SignedRequest, now: int = NOW) -> str:
    found = TransferReader(request, ORIGIN, None, now).take(answer)
    assert isinstance(found, Malformed)
    return found.reason


def test_answers_that_are_not_believed(server: Authority) -> None:
    request = make_transfer(9, ORIGIN, None, KEY, NOW)
    first = ask(server, request)[0]
    assert "BadTime" in refused(first, request, NOW + 1000)
    assert "BadSignature" in refused(first[:-30] + bytes([first[-30] ^ 1]) + first[-29:], request)
    assert "another request" in refused(ask(server, make_transfer(8, ORIGIN, None, KEY, NOW))[0], request)
    assert "BadSignature" in refused(ask(server, make_transfer(9, ORIGIN, None, KEY, NOW - 1))[0], request)
    assert "9 octets" in refused(b"too short", request)
    assert "cannot be read" in refused(b"x" * 40, request)
    assert "no answer" in refused(sign(make_plain(request, is_answer=False), KEY, NOW, request.mac), request)
    assert "without signature" in refused(make_plain(request), request)
    assert SignedRequest(make_plain(request), KEY).mac == b""


def make_plain(request: SignedRequest, *rrsets: RRset, is_answer: bool = True) -> bytes:
    message = dns.message.QueryMessage(id=int.from_bytes(request.number, "big"))
    message.flags = dns.flags.QR if is_answer else dns.flags.Flag(0)
    message.answer = [codec_rrset(rrset) for rrset in rrsets]
    return write_message(message)


def test_transfers_that_are_none(server: Authority, zone: Zone) -> None:
    other = make_key(Name.of("x._notify.example.org"), Name.of("hmac-sha256"), b"0123456789abcdef")
    strangers = Authority([zone], {Name.of("x._notify.example.org"): other})
    request = make_transfer(9, ORIGIN, None, other, NOW)
    assert refused(ask(strangers, request)[0], request) == "the zone is refused: REFUSED"

    request = make_transfer(9, ORIGIN, None, KEY, NOW)
    ns = zone.at(ORIGIN, RecordType.NS)
    assert ns is not None
    soa, later = zone.soa, zone.with_serial(9).soa
    for rrsets, reason in (
        ((ns, soa), "does not begin"),
        ((), "does not begin"),
        ((soa, later), "does not end"),
        ((soa, soa, ns), "does not end"),
        ((soa, soa), "no NS record"),
    ):
        answer = sign(make_plain(request, *rrsets), KEY, NOW, request.mac)
        assert reason in refused(answer, request)


def test_a_zone_without_end(monkeypatch: pytest.MonkeyPatch, server: Authority) -> None:
    monkeypatch.setattr(requesting, "MAX_ZONE_OCTETS", 1000)
    request = make_transfer(9, ORIGIN, None, KEY, NOW)
    assert "more than 1000 octets" in refused(ask(server, request)[0], request)


REQUEST = make_transfer(9, ORIGIN, None, KEY, NOW)


@given(st.binary(), st.integers(0, 200), st.binary(max_size=3))
def test_anything_may_come(data: bytes, at: int, piece: bytes) -> None:
    signer: Any = StreamSigner(KEY, REQUEST.mac, NOW)
    good = signer.sign(make_plain(REQUEST, replace(txt("a"), name=ORIGIN)))
    for wire in (data, good[:at] + piece + good[at + len(piece) :]):
        assert isinstance(read_update_answer(REQUEST, wire, NOW), dns.rcode.Rcode | Malformed)
        assert isinstance(TransferReader(REQUEST, ORIGIN, None, NOW).take(wire), Zone | Progress | Malformed)
