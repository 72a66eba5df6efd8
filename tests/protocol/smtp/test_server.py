"""The server's dialogue: order, greeting, EHLO, TLS, patience, leaving."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.errors import MisuseError
from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import (
    DataFinished,
    DataRequested,
    FinalReplyTaken,
    MailReceived,
    QuitReceived,
    RecipientsReceived,
    TakenReported,
    TlsRequested,
    TransactionAborted,
)
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.order import ORDER, State, Verb
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.server import ServerDialogue

NewPeer = Callable[..., Any]

LEAVING = Reply(421, "4.3.2", "Leaving.")
OK = Reply(250, "2.0.0", "Fine.")


def test_greeting(peer: NewPeer) -> None:
    one = peer(greet=False)
    one.dialogue.receive_data(b"NOOP\r\n")
    assert one.dialogue.next_event() is None
    one.dialogue.greeting()
    assert one.output() == ["220 mx.example ESMTP PTT"]
    assert one.say() == ["250 2.0.0 Here we are."]
    other = peer(greet=False, flavour=Flavour.LMTP)
    other.dialogue.greeting()
    assert other.output() == ["220 mx.example LMTP PTT"]


def test_refused_for_now(peer: NewPeer) -> None:
    one = peer(greet=False)
    one.dialogue.refuse(LEAVING)
    assert one.say("EHLO a") == ["421 4.3.2 Leaving."]
    assert one.events == [QuitReceived(LEAVING)]
    assert one.dialogue.closing
    assert one.say("NOOP") == []


def test_refused_for_good(peer: NewPeer) -> None:
    one = peer(greet=False)
    one.dialogue.refuse(Reply(554, "5.7.1", "Not you."))
    assert one.output() == ["554 5.7.1 Not you."]
    assert one.codes("EHLO a", "MAIL FROM:<>", "QUIT") == ["503", "503", "221"]


def test_a_refusal_refuses(peer: NewPeer) -> None:
    with pytest.raises(MisuseError):
        peer(greet=False).dialogue.refuse(OK)


def test_ehlo(peer: NewPeer) -> None:
    one = peer()
    assert (one.dialogue.client_name, one.dialogue.extended) == (None, False)
    assert one.say("EHLO c.example") == [
        "250-mx.example",
        "250-PIPELINING",
        "250-CHUNKING",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-SIZE 36700160",
        "250-ENHANCEDSTATUSCODES",
        "250-STARTTLS",
        "250-LIMITS RCPTMAX=100",
        "250-PRDR",
        "250 XPTT",
    ]
    assert (one.dialogue.client_name, one.dialogue.extended, one.dialogue.tls) == ("c.example", True, False)
    assert one.say("HELO d.example") == ["250 mx.example"]
    assert (one.dialogue.client_name, one.dialogue.extended) == ("d.example", False)


def offer(lines: list[str]) -> set[str]:
    return {line[4:].split()[0] for line in lines[1:]}


def test_offers_under_tls(peer: NewPeer) -> None:
    lines = peer(tls=True).say("EHLO c.example")
    assert "250-AUTH PLAIN LOGIN" in lines
    assert {"AUTH", "REQUIRETLS", "XPTT"} <= offer(lines)
    assert "STARTTLS" not in offer(lines)
    assert "AUTH" not in offer(peer(tls=True, auth_mechanisms=()).say("EHLO c.example"))
    assert offer(peer(offers=frozenset({Keyword.SIZE})).say("EHLO c.example")) == {"SIZE"}


def test_offers_of_lmtp(peer: NewPeer) -> None:
    offered = offer(peer(flavour=Flavour.LMTP, tls_required=True).say("LHLO c.example"))
    assert "STARTTLS" in offered
    assert not offered & {"PRDR", "XPTT", "AUTH", "REQUIRETLS"}


@pytest.mark.parametrize(
    ("flavour", "line", "code"),
    [
        (Flavour.SMTP, "LHLO a", "500"),
        (Flavour.LMTP, "EHLO a", "500"),
        (Flavour.LMTP, "HELO a", "500"),
        (Flavour.LMTP, "LHLO a", "250"),
        (Flavour.SMTP, "EHLO", "501"),
        (Flavour.SMTP, "HELO", "501"),
        (Flavour.SMTP, "EHLO a b", "501"),
        (Flavour.SMTP, "FOO", "500"),
        (Flavour.SMTP, "", "500"),
        (Flavour.SMTP, "RSET now", "501"),
        (Flavour.SMTP, "RSET", "250"),
        (Flavour.SMTP, "QUIT now", "501"),
        (Flavour.SMTP, "NOOP now", "250"),
        (Flavour.SMTP, "VRFY anne", "252"),
        (Flavour.SMTP, "EXPN list", "502"),
        (Flavour.SMTP, "HELP me", "214"),
        (Flavour.SMTP, "MAIL FROM:<>", "503"),
        (Flavour.SMTP, "RCPT TO:<a@b.example>", "503"),
        (Flavour.SMTP, "DATA", "503"),
        (Flavour.SMTP, "AUTH PLAIN", "503"),
        (Flavour.SMTP, "STARTTLS", "503"),
        (Flavour.SMTP, "XPTT TAKEN a", "503"),
        (Flavour.SMTP, "QUIT", "221"),
    ],
)
def test_first_command(peer: NewPeer, flavour: Flavour, line: str, code: str) -> None:
    assert peer(flavour=flavour).codes(line) == [code]


def test_ehlo_is_tolerant_at_the_submission_ports(peer: NewPeer) -> None:
    one = peer(tolerant=True)
    assert one.codes("EHLO my computer") == ["250"]
    assert one.dialogue.client_name == "my computer"


def test_order_in_a_transaction(peer: NewPeer) -> None:
    one = peer(tls=True)
    commands = ("RCPT TO:<a@b.example>", "DATA")
    assert one.codes("EHLO c.example", *commands[:1]) == ["250", "503"]
    assert one.codes(*commands[1:]) == ["503"]
    assert one.codes("MAIL FROM:<>", "MAIL FROM:<>", "AUTH PLAIN", "STARTTLS", "DATA") == [
        *("250", "503", "503", "503", "503")
    ]
    assert one.dialogue.in_transaction
    assert one.codes("RCPT TO:<a@b.example>", "DATA now") == ["250", "501"]
    assert one.dialogue.accepted_recipients == (mailbox("a@b.example"),)
    assert one.codes("MAIL FROM:<>", "DATA") == ["503", "354"]
    assert one.codes(".") == ["250"]
    assert not one.dialogue.in_transaction
    assert one.dialogue.accepted_recipients == ()


def test_every_command_has_its_place() -> None:
    assert set(ORDER) == set(State)
    assert set(ServerDialogue._RUN) | {Verb.BDAT} == set(Verb)


@pytest.mark.parametrize("line", ["RSET", "EHLO d.example", "HELO d.example"])
def test_the_transaction_is_reset(peer: NewPeer, line: str) -> None:
    one = peer().open("d@e.example")
    assert one.codes(line) == ["250"]
    assert one.events[-1] == TransactionAborted()
    assert not one.dialogue.in_transaction
    assert one.codes("RCPT TO:<d@e.example>") == ["503"]
    one.say(line)
    assert one.of(TransactionAborted) == [TransactionAborted()]


def test_a_bad_ehlo_changes_nothing(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert one.codes("EHLO a b", "RCPT TO:<f@e.example>") == ["501", "250"]
    assert one.dialogue.client_name == "c.example"


def test_quit_in_a_transaction(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert one.codes("QUIT", "NOOP") == ["221"]
    assert one.events[-2:] == [TransactionAborted(), QuitReceived(wording.GOODBYE)]
    assert one.dialogue.closing
    assert one.dialogue.next_event() is None


def test_several_mails(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example")
    for _ in range(3):
        assert one.codes("MAIL FROM:<>", "RCPT TO:<a@b.example>", "DATA") == ["250", "250", "354"]
        assert one.codes("text", ".") == ["250"]
    assert one.of(DataFinished) == [DataFinished(6)] * 3
    assert one.message == b"text\r\n" * 3


def test_replies_keep_their_order(peer: NewPeer) -> None:
    one = peer()
    one.will(MailReceived, None)
    lines = ("EHLO c.example", "MAIL FROM:<>", "RCPT TO:<a@b.example>", "NOOP")
    assert one.codes(*lines) == ["250"]
    assert one.dialogue.waits_for_reply
    assert one.dialogue.replies_wanted == 1
    assert one.say("RSET") == []
    one.dialogue.reply(OK)
    assert one.codes() == ["250", "250", "250", "250"]
    assert one.dialogue.replies_wanted == 0


def test_misuse(peer: NewPeer) -> None:
    one = peer()
    with pytest.raises(MisuseError):
        one.dialogue.reply(OK)
    with pytest.raises(MisuseError):
        one.dialogue.tls_established()
    with pytest.raises(MisuseError):
        one.dialogue.shut_down(OK)
    one.will(MailReceived, None)
    one.say("EHLO c.example", "MAIL FROM:<>")
    for replies in ((), (OK, OK), (Reply(354, None, "Go."),)):
        with pytest.raises(MisuseError):
            one.dialogue.reply(*replies)
    one.dialogue.reply(OK)
    one.will(DataRequested, None)
    one.say("RCPT TO:<a@b.example>", "DATA")
    with pytest.raises(MisuseError):
        one.dialogue.reply(OK)


def test_an_event_is_handed_out_before_it_is_answered(peer: NewPeer) -> None:
    one = peer()
    one.dialogue.receive_data(b"EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n")
    one.run()
    one.dialogue.receive_data(b"text\r\n.\r\n")
    assert one.dialogue.next_event() is not None
    assert not one.dialogue.waits_for_reply
    with pytest.raises(MisuseError):
        one.dialogue.reply(OK)
    assert one.dialogue.next_event() == DataFinished(6)
    assert one.dialogue.waits_for_reply


# TLS


def test_starttls(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example")
    assert one.codes("STARTTLS now", "STARTTLS") == ["501", "220"]
    assert one.events == [TlsRequested()]
    one.dialogue.receive_data(b"EHLO d.example\r\nSTARTTLS\r\n")
    assert one.dialogue.next_event() is None
    assert one.output() == []
    one.dialogue.tls_established()
    assert (one.dialogue.tls, one.dialogue.client_name, one.dialogue.extended) == (True, None, False)
    assert one.codes() == ["250", "503"]


def test_nothing_said_before_tls_counts(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example", "STARTTLS")
    one.dialogue.tls_established()
    assert one.codes("MAIL FROM:<>") == ["503"]


def test_commands_behind_starttls_never_run(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example")
    assert one.codes("STARTTLS", "MAIL FROM:<>") == ["554"]
    assert one.events == [QuitReceived(wording.COMMANDS_BEHIND_STARTTLS)]


def test_no_starttls_where_it_is_not_offered(peer: NewPeer) -> None:
    assert peer(offers=frozenset()).codes("EHLO c.example", "STARTTLS") == ["250", "502"]


def test_tls_required(peer: NewPeer) -> None:
    one = peer(tls_required=True)
    assert one.codes("NOOP", "EHLO c.example", "MAIL FROM:<>", "RSET", "VRFY a", "HELO a", "AUTH PLAIN") == [
        *("250", "250", "530", "530", "530", "530", "530")
    ]
    assert one.say("BDAT 4", "NO", "MAIL FROM:<>")[0] == "530 5.7.0 Must issue a STARTTLS command first."
    assert one.codes("STARTTLS") == ["220"]
    one.dialogue.tls_established()
    assert one.codes("EHLO c.example", "MAIL FROM:<>") == ["250", "250"]
    assert peer(tls_required=True).codes("QUIT") == ["221"]


# Patience


@pytest.mark.parametrize("line", ["FOO", "MAIL", "EHLO", "DATA", "NOOP\0", "STARTTLS", "RSET x"])
def test_bad_commands(peer: NewPeer, line: str) -> None:
    one = peer()
    for _ in range(24):
        assert one.codes(line) != ["421"]
    assert one.codes(line) == ["421"]
    assert one.events == [QuitReceived(wording.TOO_MANY_BAD_COMMANDS)]


def test_bad_recipients(peer: NewPeer) -> None:
    one = peer().open()
    codes = one.codes(*["RCPT TO:<d@e.example>", "RCPT TO:<bad>"] * 30, "DATA")
    assert codes == ["250", "501"] * 24 + ["250", "421"]
    assert one.events[-2:] == [TransactionAborted(), QuitReceived(wording.TOO_MANY_BAD_COMMANDS)]


def test_an_accepted_mail_restores_patience(peer: NewPeer) -> None:
    one = peer()
    for _ in range(3):
        one.say(*["FOO"] * 20)
        one.open("d@e.example")
        one.say("DATA")
        assert one.codes("text", ".") == ["250"]
    assert one.codes(*["FOO"] * 24) == ["500"] * 24


@pytest.mark.parametrize("line", ["RSET", "NOOP", "VRFY a", "EXPN a", "HELP", "EHLO a"])
def test_idle_commands(peer: NewPeer, line: str) -> None:
    one = peer(max_idle_commands=10)
    for _ in range(9):
        assert one.codes(line) != ["421"]
    assert one.codes(line) == ["421"]
    assert one.events == [QuitReceived(wording.TOO_MANY_IDLE_COMMANDS)]


def test_questions_about_recipients_go_on_for_ever(peer: NewPeer) -> None:
    one = peer(max_idle_commands=10)
    one.say("EHLO c.example")
    for _ in range(30):
        assert one.codes("MAIL FROM:<>", "RCPT TO:<a@b.example>", "RSET") == ["250"] * 3


def test_what_pipelining_draws_is_not_bad(peer: NewPeer) -> None:
    one = peer(max_bad_commands=2)
    one.say("EHLO c.example")
    one.will(MailReceived, Reply(450, "4.7.1", "Later."))
    assert one.codes("MAIL FROM:<>", *["RCPT TO:<a@b.example>"] * 3, "DATA") == ["450", *["503"] * 4]
    one.will(RecipientsReceived, Reply(550, "5.1.1", "Nobody."))
    assert one.codes("MAIL FROM:<>", "RCPT TO:<a@b.example>", "DATA") == ["250", "550", "503"]
    assert one.codes("RSET", "RCPT TO:<a@b.example>", "DATA") == ["250", "503", "421"]


# Lines


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"\xff\r\n", b"NO" * 3000 + b"\r\n"])
def test_unfit_lines(peer: NewPeer, line: bytes) -> None:
    for piece in (0, 1):
        one = peer()
        assert [reply[:3] for reply in one.send(line + b"NOOP\r\n", piece=piece)] == ["500", "250"]


def test_an_endless_line(peer: NewPeer) -> None:
    one = peer()
    assert one.send(b"x" * 200_000, piece=1000) == [str(wording.LINE_ENDLESS)]
    assert one.dialogue.closing


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT a:25 HTTP/1.1"])
def test_http(peer: NewPeer, line: str) -> None:
    one = peer()
    assert one.codes(line, "Host: a", "", "EHLO c.example") == ["502"]
    assert one.dialogue.closing


# Leaving


def test_shut_down(peer: NewPeer) -> None:
    one = peer()
    one.say("EHLO c.example")
    one.dialogue.shut_down(LEAVING)
    assert one.say() == []
    assert one.codes("MAIL FROM:<>") == ["421"]
    assert one.events == [QuitReceived(LEAVING)]


def test_shut_down_in_a_transaction(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.dialogue.shut_down(LEAVING)
    assert one.codes("RCPT TO:<f@e.example>", "DATA") == ["250", "354"]
    assert one.codes("text", ".", "MAIL FROM:<>") == ["250", "421"]


def test_the_caller_leaves(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.will(RecipientsReceived, OK, LEAVING, OK)
    recipients = [f"RCPT TO:<{name}@e.example>" for name in "abc"]
    assert one.codes(*recipients, "NOOP") == ["250", "421"]
    assert one.events[-2:] == [TransactionAborted(), QuitReceived(LEAVING)]


def test_the_end_of_the_input(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.dialogue.receive_data(b"NOOP\r\nRSE")
    one.dialogue.receive_eof()
    assert one.codes() == ["250"]
    assert one.events[-1] == TransactionAborted()
    assert one.dialogue.closing
    idle = peer()
    idle.dialogue.receive_eof()
    assert idle.dialogue.next_event() is None
    assert idle.dialogue.closing


def test_the_end_of_the_input_before_an_answer(peer: NewPeer) -> None:
    one = peer()
    one.will(MailReceived, None)
    one.say("EHLO c.example", "MAIL FROM:<>", "NOOP")
    one.dialogue.receive_eof()
    assert one.dialogue.next_event() is None
    assert not one.dialogue.closing
    one.dialogue.reply(OK)
    assert one.codes() == ["250", "250"]
    assert one.events[-1] == TransactionAborted()


# What a peer has read


def test_a_command_shows_that_the_final_reply_was_read(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.say("DATA")
    one.say("text", ".")
    assert one.of(FinalReplyTaken) == []
    one.say("MAIL FROM:<>", "NOOP")
    assert [type(event) for event in one.events[-2:]] == [FinalReplyTaken, MailReceived]


def test_a_pipelined_command_shows_nothing(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.say("DATA")
    assert one.codes("text", ".", "NOOP") == ["250", "250"]
    assert one.of(FinalReplyTaken) == []
    one.say("QUIT")
    assert [type(event) for event in one.events[-2:]] == [FinalReplyTaken, QuitReceived]


def test_a_refused_message_needs_no_taking(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.will(DataFinished, Reply(451, "4.3.0", "Later."))
    one.say("DATA")
    one.say("text", ".")
    one.say("FOO")
    assert one.of(FinalReplyTaken) == []


def test_an_answer_waits_to_be_taken_and_input_to_be_used(peer: NewPeer) -> None:
    dialogue = peer().open("d@e.example").dialogue
    assert (dialogue.final_reply_waits, dialogue.unread_octets) == (False, 0)
    dialogue.receive_data(b"DATA\r\n")
    assert (type(dialogue.next_event()), dialogue.unread_octets) == (DataRequested, 0)
    dialogue.reply(Reply(354, None, "Go."))
    dialogue.receive_data(b"text\r\n.\r\nQUIT\r\n")
    while type(dialogue.next_event()) is not DataFinished:
        pass
    assert (dialogue.final_reply_waits, dialogue.unread_octets) == (False, 6)
    dialogue.reply(Reply(250, "2.0.0", "Kept."))
    assert dialogue.final_reply_waits
    assert type(dialogue.next_event()) is QuitReceived
    assert (dialogue.final_reply_waits, dialogue.unread_octets) == (True, 0)


# XPTT


def test_reports(peer: NewPeer) -> None:
    one = peer(flavour=Flavour.LMTP, tls=True)
    one.say("LHLO c.example")
    assert one.codes("XPTT TAKEN a b", "XPTT LEFT a", "XPTT") == ["250", "501", "501"]
    assert one.events == [TakenReported(("a", "b"))]


def test_no_reports_where_they_are_not_offered(peer: NewPeer) -> None:
    one = peer(offers=frozenset())
    assert one.codes("EHLO c.example", "XPTT TAKEN a") == ["250", "500"]
    assert peer(tls_required=True).codes("EHLO c.example", "XPTT TAKEN a") == ["250", "500"]
