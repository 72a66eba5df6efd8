"""The records of the certificate exchange, written, read, and read back from a zone's text and the wire."""

import dns.message
import dns.rdata
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import MisuseError
from ptt.protocol.dns.certificate_exchange import (
    MAX_RECORD_OCTETS,
    Exchange,
    Part,
    has_room,
    host_of,
    owner,
    read_exchange,
    write_exchange,
    write_record,
)
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, codec_rrset, rrsets_of

HOST = Name.of("mail.mirage.org")
TLSA = 52
DERS = st.lists(st.binary(min_size=1, max_size=40), max_size=3, unique=True).map(tuple)


def test_the_name() -> None:
    assert owner(HOST) == Name.of("_letsencrypt._tcp.mail.mirage.org")
    assert host_of(owner(HOST)) == HOST
    assert host_of(HOST) is None
    assert host_of(Name.of("_tcp._letsencrypt.mail.mirage.org")) is None


def test_a_name_without_room() -> None:
    longest = Name((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 43))
    assert has_room(longest)
    assert len(codec_rrset(write_exchange(longest, Exchange((b"1",)))).name.to_wire() or b"") == 255
    too_long = Name((*longest.labels[:-1], b"d" * 44))
    assert not has_room(too_long)
    with pytest.raises(MisuseError, match=r"no room for _letsencrypt\._tcp"):
        owner(too_long)


def test_the_numbers_of_the_original() -> None:
    written = [write_record(part, b"\xab\xcd").to_text() for part in Part]
    assert written == ["3 255 0 abcd", "3 0 0 abcd", "0 0 0 abcd"]


def test_what_no_record_holds() -> None:
    write_record(Part.LEAF, bytes(MAX_RECORD_OCTETS)).to_wire()
    with pytest.raises(MisuseError, match="65533 octets"):
        write_record(Part.LEAF, bytes(MAX_RECORD_OCTETS + 1))


def test_nothing_there() -> None:
    assert read_exchange(None) == Exchange()


def test_other_records_are_left_alone() -> None:
    texts = ["3 1 0 aa", "3 255 0 01", "2 0 0 bb", "0 0 0 02", "1 0 0 dd", "3 0 0 03", "0 0 0 04"]
    texts.append("3 0 1 " + 32 * "cc")  # RFC 7672's own, by digest
    records = dns.rrset.from_text("_letsencrypt._tcp.mail.mirage.org.", 60, "IN", "TLSA", *texts)
    assert read_exchange(*rrsets_of([records])) == Exchange((b"\1",), (b"\3",), (b"\2", b"\4"))
    text = dns.rrset.from_text("_letsencrypt._tcp.mail.mirage.org.", 60, "IN", "TXT", "x")
    assert read_exchange(*rrsets_of([text])) == Exchange()


@given(requests=DERS, leaves=DERS, issuers=DERS)
def test_what_is_written_is_read(
    requests: tuple[bytes, ...], leaves: tuple[bytes, ...], issuers: tuple[bytes, ...]
) -> None:
    exchange = Exchange(requests, leaves, issuers)
    rrset = write_exchange(HOST, exchange)
    assert read_exchange(rrset) == exchange
    message = dns.message.QueryMessage(id=1)
    message.answer = [codec_rrset(rrset)] if rrset.rdatas else []
    over_the_wire = rrsets_of(dns.message.from_wire(message.to_wire(want_shuffle=False)).answer)
    assert read_exchange(next(iter(over_the_wire), None)) == exchange
    assert all(each.ttl == 3600 for each in over_the_wire)


@given(
    numbers=st.lists(
        st.tuples(
            st.integers(0, 255), st.integers(0, 255), st.sampled_from([0, 3, 255]), st.binary(max_size=9)
        ),
        max_size=9,
    ),
    ttl=st.integers(0),
)
def test_any_records_are_read(numbers: list[tuple[int, int, int, bytes]], ttl: int) -> None:
    rdatas = tuple(
        dns.rdata.from_wire("IN", "TLSA", bytes(each[:3]) + each[3], 0, 3 + len(each[3])) for each in numbers
    )
    exchange = read_exchange(RRset(owner(HOST), TLSA, ttl, rdatas))
    count = sum(map(len, (exchange.requests, exchange.leaves, exchange.issuers)))
    assert count == sum(each[:3] in {part.value for part in Part} for each in numbers)
