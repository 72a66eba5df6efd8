"""What submission looks at before a message leaves, and what it adds."""

from datetime import UTC, datetime

import pytest

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.mail.header import parse_header
from ptt.protocol.smtp.reply import Reply
from ptt.units.submission.preparation import Addition, foreign_reverse_path, prepare

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ALICE = mailbox("alice@example.org")


def decide(header: bytes, allowed: tuple[Mailbox, ...] = (ALICE,)) -> Addition | Reply:
    return prepare(
        parse_header(header + b"\r\n"),
        lambda each: each in allowed,
        now=NOW,
        random=bytes(16),
        domain=Name.of("example.org"),
    )


def test_a_complete_message_gets_nothing() -> None:
    header = b"From: alice@example.org\r\nDate: Wed, 04 Mar 2026 05:06:07 +0000\r\nMessage-ID: <1@x>\r\n"
    assert decide(header) == Addition(())


def test_date_and_message_id_are_added_where_they_are_missing() -> None:
    added = decide(b"From: alice@example.org\r\n")
    assert isinstance(added, Addition)
    message_id, date = added.fields
    assert message_id == b"Message-ID: <00000000000000000000000000000000@example.org>\r\n"
    assert date == b"Date: Wed, 04 Mar 2026 05:06:07 +0000\r\n"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"Subject: no author\r\n", 554),
        (b"From: alice@example.org\r\nFrom: alice@example.org\r\n", 554),
        (b"From: undisclosed:;\r\n", 554),
        (b"From: rubbish\r\n", 554),
        (b"no field\r\nFrom: alice@example.org\r\n", 554),
        (b"From: eve@example.org\r\n", 553),
        (b"From: alice@example.org, eve@example.org\r\n", 553),
        (b"From: alice@example.org\r\nSender: eve@example.org\r\n", 553),
        (b"From: alice@example.org\r\nSender: @@\r\n", 554),
    ],
)
def test_refusals(header: bytes, code: int) -> None:
    refused = decide(header)
    assert isinstance(refused, Reply)
    assert refused.code == code


def test_a_sender_of_the_login_is_welcome() -> None:
    assert isinstance(decide(b"From: alice@example.org\r\nSender: alice@example.org\r\n"), Addition)


def test_the_refusal_of_a_reverse_path_names_it_in_ascii() -> None:
    reply = foreign_reverse_path(mailbox("jürgen@example.org"))
    assert reply.code == 553
    assert reply.enhanced == "5.7.1"
    assert "rgen@example.org" in reply.text[0]
