"""No input of the mail parsers gives anything but a defined result; what is written is read back."""

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox, make_mailbox, parse_mailbox
from ptt.protocol.mail.address_list import parse_address_list, parse_named_addresses
from ptt.protocol.mail.date import format_date, parse_date
from ptt.protocol.mail.header import Header, parse_header, split_header
from ptt.protocol.mail.message import author_mailboxes, date, message_id, sender, single_author, subject
from ptt.protocol.mail.message_id import MessageId, make_message_id, parse_message_id, parse_message_ids
from ptt.protocol.mail.received import ReceivedInfo, count_received, format_received, loop_tokens
from ptt.protocol.mail.tokens import tokenize, without_comments

LABEL = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9})?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=4).map(lambda labels: Name.of(".".join(labels)))
LITERALS = st.ip_addresses().map(AddressLiteral)
LOCAL_PARTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
MAILBOXES = st.builds(make_mailbox, LOCAL_PARTS, NAMES | LITERALS).filter(
    lambda made: isinstance(made, Mailbox)
)
PIECES = [
    *rb'@ < > , ; : . " \ ( ) [ ] a - = 60 EST +0100 10:11:12 example.org IPv6:::1 =?utf-8?q? ?='.split(),
    *(b" ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"\xc3\xbc", b"[192.0.2.1]", b"(loop x)"),
    *(b"From: ", b"Received: ", b"Date: ", b"Message-ID: ", b"Sender: ", b"1 Jan 2020", b"Mon, "),
]
MAIL_LIKE = st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)
OCTETS = st.binary(max_size=200) | MAIL_LIKE
TIMES = st.datetimes(
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
).map(lambda when: when.replace(microsecond=0))


@given(OCTETS, st.booleans())
def test_mailboxes(data: bytes, allow_utf8: bool) -> None:
    found = parse_mailbox(data, allow_utf8=allow_utf8)
    if isinstance(found, Mailbox):
        assert found.wire == data
        assert parse_mailbox(found.canonical(), allow_utf8=True) == found


@given(MAILBOXES)
def test_mailboxes_are_read_back(made: Mailbox) -> None:
    assert parse_mailbox(made.wire, allow_utf8=True) == made
    assert parse_address_list(made.wire) == (made,)
    assert parse_address_list(b"A <%b>, %b" % (made.wire, made.canonical())) == (made, made)


@given(OCTETS)
def test_values(data: bytes) -> None:
    tokens = tokenize(data)
    assert isinstance(tokens, Malformed) or len(b"".join(token.raw for token in tokens)) <= len(data)
    assert isinstance(without_comments(data), Malformed | bytes)
    assert isinstance(parse_message_id(data), Malformed | MessageId)
    assert all(each.text in data for each in parse_message_ids(data))
    found = parse_date(data)
    assert isinstance(found, Malformed) or parse_date(format_date(found)) == found


@given(OCTETS)
def test_address_lists(data: bytes) -> None:
    entries, mailboxes = parse_named_addresses(data), parse_address_list(data)
    assert isinstance(entries, Malformed) is isinstance(mailboxes, Malformed)
    for found in mailboxes if isinstance(mailboxes, tuple) else ():
        assert b"\r" not in found.wire
        assert b"\n" not in found.wire
        assert parse_address_list(found.wire) == (found,)


@given(OCTETS)
def test_headers(data: bytes) -> None:
    header = parse_header(data)
    if isinstance(header, Malformed):
        return
    assert data.startswith(header.block)
    fields = b"".join(each.raw for each in header.fields)
    assert header.block.removeprefix(fields) in {b"", b"\n", b"\r\n"}
    assert b"".join(header.without(lambda _: False)) == header.block
    assert b"".join(header.without(lambda _: True)) == header.block[len(fields) :]
    for parse in (
        author_mailboxes,
        single_author,
        sender,
        message_id,
        date,
        subject,
        count_received,
        loop_tokens,
    ):
        parse(header)


@given(OCTETS, st.lists(st.integers(0, 200)))
def test_pieces_of_headers_do_not_matter(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    split = split_header([data[begin:end] for begin, end in pairwise(places)])
    whole = parse_header(data)
    if isinstance(whole, Header):
        assert not isinstance(split, Malformed)
        assert split[0] == whole
        assert b"".join([split[0].block, *split[1]]) == data
    else:
        assert isinstance(split, Malformed)


@given(TIMES)
def test_dates_are_read_back(when: datetime) -> None:
    assert parse_date(format_date(when)) == when


@given(st.binary(min_size=8, max_size=32), NAMES)
def test_message_ids_are_read_back(random: bytes, domain: Name) -> None:
    found = parse_message_id(make_message_id(random, domain))
    assert isinstance(found, MessageId)
    assert found.is_dot_atom


@given(
    st.text(max_size=300),
    st.none() | st.ip_addresses(),
    st.none() | MAILBOXES,
    st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)),
    st.booleans(),
)
def test_received_is_one_field(
    from_name: str,
    from_address: IPv4Address | IPv6Address | None,
    for_: Mailbox | None,
    tokens: list[str],
    hide_client: bool,
) -> None:
    written = format_received(
        ReceivedInfo(
            by="mx.example.org",
            protocol="ESMTPS",
            id="abc",
            when=datetime(2020, 1, 1, tzinfo=UTC),
            from_name=from_name,
            from_address=from_address,
            for_=for_,
            tokens=tuple(tokens),
            hide_client=hide_client,
        )
    )
    assert all(len(line) <= 998 for line in written.split(b"\r\n"))
    header = parse_header(written)
    assert isinstance(header, Header)
    assert [each.raw for each in header.fields] == [written]
    assert loop_tokens(header) == frozenset(tokens)
