"""What a message says about itself."""

from datetime import UTC, datetime

import pytest

from ptt.errors import Malformed
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mail.message import author_mailboxes, date, message_id, sender, single_author, subject
from ptt.protocol.mail.message_id import MessageId

ALICE = mailbox("alice@example.org")
BOB = mailbox("bob@example.com")


def header(block: bytes) -> Header:
    parsed = parse_header(block + b"\r\n")
    assert isinstance(parsed, Header)
    return parsed


def test_authors() -> None:
    assert author_mailboxes(header(b"From: alice@example.org,\r\n Bob <bob@example.com>\r\n")) == (ALICE, BOB)
    assert author_mailboxes(header(b"From: nobody:;\r\n")) == ()


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"", "no From field"),
        (b"From: a@b\r\nFROM: c@d\r\n", "more than one From field"),
        (b"From: Alice\r\n", "an address without @"),
    ],
)
def test_no_authors(block: bytes, reason: str) -> None:
    assert author_mailboxes(header(block)) == Malformed(reason)
    assert single_author(header(block)) == Malformed(reason)


def test_single_author() -> None:
    assert single_author(header(b"From: Alice <alice@example.org>\r\n")) == ALICE
    assert single_author(header(b"From: a@b, c@d\r\n")) == Malformed("2 authors in From")
    assert single_author(header(b"From: nobody:;\r\n")) == Malformed("0 authors in From")


def test_sender() -> None:
    assert sender(header(b"")) is None
    assert sender(header(b"Sender: <bob@example.com>\r\n")) == BOB
    assert sender(header(b"Sender: a@b, c@d\r\n")) == Malformed("2 mailboxes in Sender")
    assert sender(header(b"Sender: a@b\r\nSender: a@b\r\n")) == Malformed("more than one Sender field")
    assert isinstance(sender(header(b"Sender: x\r\n")), Malformed)


def test_message_id() -> None:
    assert message_id(header(b"")) is None
    assert message_id(header(b"Message-ID:\r\n <a@b>\r\n")) == MessageId(b"a@b")
    assert message_id(header(b"Message-Id: x\r\n")) == Malformed("not a message identifier")
    assert message_id(header(b"Message-Id: <a>\r\n" * 2)) == Malformed("more than one Message-Id field")


def test_date() -> None:
    assert date(header(b"")) is None
    assert date(header(b"Date: 1 Jul 2003 10:52:37 +0000\r\n")) == datetime(
        2003, 7, 1, 10, 52, 37, tzinfo=UTC
    )
    assert date(header(b"Date: x\r\n")) == Malformed("not a date")
    assert date(header(b"Date: x\r\nDate: y\r\n")) == Malformed("more than one Date field")


def test_subject() -> None:
    assert subject(header(b"")) is None
    assert subject(header(b"Subject: =?utf-8?q?a?=\r\n b\r\nSubject: c\r\n")) == b"=?utf-8?q?a?= b"
