"""MAIL and RCPT in the server's dialogue."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.events import MailParameters, MailReceived, RecipientsReceived
from ptt.protocol.smtp.grammar import is_bare_postmaster
from ptt.protocol.smtp.reply import Reply

NewPeer = Callable[..., Any]
NOBODY = Reply(550, "5.1.1", "Nobody.")
OK = Reply(250, "2.1.5", "Good.")


def test_mail(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example", "MAIL FROM:<zoë@b.example> SMTPUTF8 SIZE=10", "RCPT TO:<bo@ü.example>")
    assert one.events == [
        MailReceived(mailbox("zoë@b.example"), MailParameters(size=10, smtputf8=True)),
        RecipientsReceived((mailbox("bo@ü.example"),)),
    ]


def test_mail_of_another_shape(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example")
    assert one.codes(
        "MAIL FROM:<b@ü.example>", "MAIL FROM:<a>", "MAIL TO:<a@b.example>", "MAIL FROM: <>"
    ) == [*("553", "501", "501", "501")]
    assert one.codes("MAIL FROM:<> NO", "MAIL FROM:<> SIZE=x", "MAIL FROM:<> BODY=BINARYMIME") == [
        *("555", "501", "555")
    ]
    assert peer(tolerant=True).codes("EHLO c", "MAIL FROM: <>", "RCPT TO: a@b.example") == ["250"] * 3


def test_smtputf8_is_of_one_transaction(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example", "MAIL FROM:<> SMTPUTF8", "RSET", "MAIL FROM:<>")
    assert one.codes("RCPT TO:<bo@ü.example>") == ["553"]


def test_declared_too_large(peer: NewPeer) -> None:
    one = peer(size_limit=100)
    one.say("EHLO c.example")
    assert one.say("MAIL FROM:<> SIZE=101")[0].startswith("552 5.3.4")
    assert one.events == []
    assert one.codes("RCPT TO:<a@b.example>", "MAIL FROM:<> SIZE=100") == ["503", "250"]


def test_mail_needs_a_login(peer: NewPeer) -> None:
    one = peer(tls=True, auth_required=True)
    assert one.codes("MAIL FROM:<>", "EHLO c.example", "MAIL FROM:<>") == ["503", "250", "530"]
    assert one.codes("AUTH PLAIN AGFubmUAc2VjcmV0", "MAIL FROM:<>") == ["235", "250"]


def test_refused_mail(peer: NewPeer) -> None:
    one = peer()
    one.will(MailReceived, NOBODY)
    assert one.codes("EHLO c.example", "MAIL FROM:<>") == ["250", "550"]
    assert not one.dialogue.in_transaction
    assert one.codes("MAIL FROM:<>") == ["250"]


def test_a_group_of_recipients(peer: NewPeer) -> None:
    one = peer()
    one.will(RecipientsReceived, OK, NOBODY, OK)
    assert one.codes(
        "EHLO c.example",
        "MAIL FROM:<>",
        "RCPT TO:<a@b.example>",
        "RCPT TO:<bad>",
        "rcpt to:<b@b.example>",
        "RCPT TO:<x@b.example> NOTIFY=NEVER",
        "RCPT \0",
        "RCPT TO:<Postmaster>",
        "NOOP",
    ) == ["250", "250", "250", "501", "550", "555", "500", "250", "250"]
    [event] = one.of(RecipientsReceived)
    assert [recipient.local_part for recipient in event.recipients] == ["a", "b", "postmaster"]
    assert is_bare_postmaster(event.recipients[2])
    assert one.dialogue.accepted_recipients == (mailbox("a@b.example"), event.recipients[2])


def test_only_bad_recipients(peer: NewPeer) -> None:
    one = peer().open()
    assert one.codes("RCPT TO:<bad>", "RCPT TO:<>", "DATA") == ["501", "501", "503"]
    assert one.of(RecipientsReceived) == []


def test_an_incomplete_line_ends_the_group(peer: NewPeer) -> None:
    one = peer().open()
    one.send(b"RCPT TO:<a@b.example>\r\nRCPT TO:<b@b.ex")
    one.send(b"ample>\r\n")
    assert [len(event.recipients) for event in one.of(RecipientsReceived)] == [1, 1]


@pytest.mark.parametrize("at_once", [True, False])
def test_too_many_recipients(peer: NewPeer, at_once: bool) -> None:
    one = peer().open()
    one.will(RecipientsReceived, *[OK] * (100 if at_once else 1))
    lines = [f"RCPT TO:<a{number}@b.example>" for number in range(103)]
    codes = one.codes(*lines) if at_once else [code for line in lines for code in one.codes(line)]
    assert codes == ["250"] * 100 + ["452"] * 3
    assert len(one.dialogue.accepted_recipients) == 100
    assert one.codes("DATA") == ["354"]


def test_refused_recipients_leave_room(peer: NewPeer) -> None:
    one = peer(max_recipients=2).open()
    one.will(RecipientsReceived, NOBODY, OK)
    one.will(RecipientsReceived, OK)
    codes = one.codes(*(f"RCPT TO:<{name}@b.example>" for name in "abcd"))
    assert codes == ["550", "250", "250", "452"]
