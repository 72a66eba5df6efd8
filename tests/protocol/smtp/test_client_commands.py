"""What the client's commands carry, and which of them leave together."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.errors import MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import (
    Answered,
    ClientCommand,
    Data,
    Hello,
    Login,
    Mail,
    Noop,
    Quit,
    Recipient,
    ReportTaken,
    Reset,
    StartTls,
)
from ptt.protocol.smtp.events import BodyType, MailParameters
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.reply import RemoteReply

Talks = Callable[..., Any]

GMAIL_LIKE = (
    b"250-mx.example\r\n250-SIZE 157286400\r\n250-8BITMIME\r\n250-PIPELINING\r\n"
    b"250-CHUNKING\r\n250 SMTPUTF8\r\n"
)
ALL = (
    b"250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE 1000\r\n"
    b"250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-REQUIRETLS\r\n250-PRDR\r\n250 XPTT\r\n"
)
PLAIN = b"250 mx.example\r\n"
FOREIGN = ClientSettings()
PRIVATE_LMTP = ClientSettings(Flavour.LMTP, private=True)


def mailbox(local_part: str) -> Mailbox:
    return Mailbox(local_part, Name.of("example.org"), f"{local_part}@example.org".encode())


ANNE, BOB, CARL = Recipient(mailbox("anne")), Recipient(mailbox("bob")), Recipient(mailbox("carl"))
MAIL = Mail(mailbox("sender"))


def reply(code: int, text: str = "", enhanced: str | None = None) -> RemoteReply:
    return RemoteReply(code, enhanced, (text,))


OK, LATER, NEVER = reply(250), reply(451), reply(550)


# Parameters of MAIL


@pytest.mark.parametrize(
    ("parameters", "wire"),
    [
        (MailParameters(), b""),
        (MailParameters(size=999), b" SIZE=999"),
        (MailParameters(body=BodyType.EIGHT_BIT_MIME, smtputf8=True), b" BODY=8BITMIME SMTPUTF8"),
        (MailParameters(body=BodyType.SEVEN_BIT), b" BODY=7BIT"),
        (MailParameters(requiretls=True, prdr=True), b" REQUIRETLS PRDR"),
        (MailParameters(trace_id="4f-x"), b" XPTT=4f-x"),
        (MailParameters(trace_id="4f", login="a+b=c:é x"), b" XPTT=4f:a+2Bb+3Dc:+C3+A9+20x"),
    ],
)
def test_parameters(greeted: Talks, parameters: MailParameters, wire: bytes) -> None:
    talk = greeted(ALL, ClientSettings(private=True))
    assert talk.send(Mail(None, parameters)) == b"MAIL FROM:<>" + wire + b"\r\n"


def test_what_says_nothing_is_left_out_where_it_is_not_offered(greeted: Talks) -> None:
    talk = greeted(PLAIN)
    assert talk.send(Mail(None, MailParameters(size=1, body=BodyType.SEVEN_BIT))) == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(
    "parameters",
    [
        MailParameters(body=BodyType.EIGHT_BIT_MIME),
        MailParameters(smtputf8=True),
        MailParameters(requiretls=True),
        MailParameters(prdr=True),
        MailParameters(trace_id="4f"),
    ],
)
def test_what_must_hold_is_not_left_out(greeted: Talks, parameters: MailParameters) -> None:
    talk = greeted(PLAIN, ClientSettings(private=True))
    with pytest.raises(MisuseError):
        talk.client.send(Mail(None, parameters))
    assert talk.sent() == b""


def test_xptt_stays_at_home(greeted: Talks) -> None:
    for command in (Mail(None, MailParameters(trace_id="4f")), ReportTaken(("4f",))):
        with pytest.raises(MisuseError):
            greeted(ALL).client.send(command)
    for command in (
        Mail(None, MailParameters(login="anne")),
        Mail(None, MailParameters(trace_id="4:f")),
        ReportTaken(()),
    ):
        with pytest.raises(MisuseError):
            greeted(ALL, ClientSettings(private=True)).client.send(command)


def test_a_report_goes_with_the_rest(greeted: Talks) -> None:
    talk = greeted(ALL, ClientSettings(private=True))
    report = ReportTaken(("4f", "5 f"))
    assert talk.send(report, MAIL) == b"XPTT TAKEN 4f 5+20f\r\nMAIL FROM:<sender@example.org>\r\n"
    assert talk.server(b"250 ok\r\n") == [Answered(report, reply(250, "ok"))]


def test_addresses_beyond_ascii_need_smtputf8(greeted: Talks) -> None:
    beyond = mailbox("zoë")
    talk = greeted(ALL)
    with pytest.raises(MisuseError):
        talk.client.send(Mail(beyond))
    assert talk.send(Mail(beyond, MailParameters(smtputf8=True)), Recipient(beyond)) == (
        "MAIL FROM:<zoë@example.org> SMTPUTF8\r\nRCPT TO:<zoë@example.org>\r\n".encode()
    )
    talk.client.send(Reset(), MAIL)
    with pytest.raises(MisuseError):
        talk.client.send(Recipient(beyond))


def test_no_address_ends_the_line(greeted: Talks) -> None:
    evil = Mailbox("a", Name.of("example.org"), b"a@example.org>\r\nDATA")
    talk = greeted()
    for command in (Mail(evil), Recipient(evil)):
        with pytest.raises(MisuseError):
            talk.client.send(command)


# Groups


def test_a_group_leaves_at_once_and_data_when_all_verdicts_are_there(greeted: Talks) -> None:
    talk = greeted()
    assert talk.send(MAIL, ANNE, BOB, Data()) == (
        b"MAIL FROM:<sender@example.org>\r\nRCPT TO:<anne@example.org>\r\nRCPT TO:<bob@example.org>\r\n"
    )
    assert talk.client.outstanding == 3
    assert talk.server(b"250\r\n250\r\n") == [Answered(MAIL, OK), Answered(ANNE, OK)]
    assert talk.sent() == b""
    assert talk.server(b"550\r\n") == [Answered(BOB, NEVER)]
    assert talk.client.accepted_recipients == 1
    assert talk.sent() == b"DATA\r\n"
    assert talk.server(b"354\r\n") == [Answered(Data(), reply(354))]


def test_without_pipelining_one_leaves_after_the_other(greeted: Talks) -> None:
    talk = greeted(PLAIN)
    for command, wire in (
        (MAIL, b"MAIL FROM:<sender@example.org>\r\n"),
        (ANNE, b"RCPT TO:<anne@example.org>\r\n"),
        (Reset(), b"RSET\r\n"),
    ):
        if command is MAIL:
            talk.client.send(MAIL, ANNE, Reset())
        assert talk.sent() == wire
        assert talk.sent() == b""
        assert talk.server(b"250\r\n") == [Answered(command, OK)]


def test_noop_and_quit_end_a_group(greeted: Talks) -> None:
    talk = greeted()
    assert talk.send(Reset(), Noop(), Reset(), Quit()) == b"RSET\r\nNOOP\r\n"
    assert talk.server(b"250\r\n250\r\n") == [Answered(Reset(), OK), Answered(Noop(), OK)]
    assert talk.sent() == b"RSET\r\nQUIT\r\n"
    with pytest.raises(MisuseError):
        talk.client.send(Noop())
    assert talk.server(b"250\r\n221\r\n") == [Answered(Reset(), OK), Answered(Quit(), reply(221))]
    assert talk.client.closed


@pytest.mark.parametrize("decisive", [Hello("me.example"), StartTls(), Login("tim", "pw"), Data(), Quit()])
def test_nothing_is_queued_behind_what_decides(greeted: Talks, decisive: ClientCommand) -> None:
    talk = greeted(ALL, tls=isinstance(decisive, Login))
    talk.client.send(decisive)
    with pytest.raises(MisuseError):
        talk.client.send(Reset())


def test_mail_within_a_transaction(greeted: Talks) -> None:
    talk = greeted()
    talk.send(MAIL)
    with pytest.raises(MisuseError):
        talk.client.send(MAIL)  # not answered yet
    talk.server(b"250\r\n")
    with pytest.raises(MisuseError):
        talk.client.send(MAIL)
    talk.send(Reset(), MAIL)
    talk.server(b"250\r\n550\r\n")
    assert talk.send(MAIL) == b"MAIL FROM:<sender@example.org>\r\n"


def test_a_question_and_the_next_one(greeted: Talks) -> None:
    talk = greeted()
    assert talk.send(MAIL, ANNE, Reset()).count(b"\r\n") == 3
    talk.server(b"250\r\n250\r\n")
    assert talk.client.accepted_recipients == 1
    assert talk.send(MAIL, BOB).count(b"\r\n") == 2
    talk.server(b"250\r\n")
    assert talk.client.accepted_recipients == 0
    assert talk.server(b"250\r\n250\r\n") == [Answered(MAIL, OK), Answered(BOB, OK)]
    assert talk.client.accepted_recipients == 1


def test_ehlo_ends_a_transaction(greeted: Talks) -> None:
    talk = greeted()
    talk.send(MAIL, ANNE)
    talk.server(b"250\r\n250\r\n")
    talk.send(Hello("me.example"))
    talk.server(GMAIL_LIKE)
    assert talk.client.accepted_recipients == 0
    assert talk.send(MAIL) == b"MAIL FROM:<sender@example.org>\r\n"
