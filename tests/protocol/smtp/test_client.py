"""The client's dialogue against servers that behave, that differ, and that cheat."""

import pytest

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientDialogue, ClientSettings
from ptt.protocol.smtp.commands import (
    Answered,
    Chunk,
    ClientCommand,
    ClientEvent,
    Data,
    FinalAnswered,
    Greeted,
    GreetingReceived,
    Hello,
    Login,
    Mail,
    Noop,
    ProtocolBroken,
    Quit,
    Recipient,
    ReportTaken,
    Reset,
    ServerClosing,
    StartTls,
)
from ptt.protocol.smtp.events import BodyType, MailParameters
from ptt.protocol.smtp.extensions import Extensions, Flavour
from ptt.protocol.smtp.reply import RemoteReply

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


class Talk:
    """A dialogue, with what it sent and what it told in the form that tests read easily."""

    def __init__(self, settings: ClientSettings = FOREIGN, *, tls: bool = False) -> None:
        self.client = ClientDialogue(settings, tls=tls)

    def sent(self) -> bytes:
        return b"".join(self.client.data_to_send())

    def told(self) -> list[ClientEvent]:
        events = []
        while (event := self.client.next_event()) is not None:
            events.append(event)
        return events

    def send(self, *commands: ClientCommand) -> bytes:
        self.client.send(*commands)
        return self.sent()

    def server(self, wire: bytes) -> list[ClientEvent]:
        self.client.receive_data(wire)
        return self.told()

    def body(self, *pieces: bytes, last: bool = True) -> bytes:
        assert self.client.send_body(pieces, last=last) is None
        return self.sent()


def greeted(
    offer: bytes = GMAIL_LIKE,
    settings: ClientSettings = FOREIGN,
    *,
    tls: bool = False,
) -> Talk:
    """A dialogue behind its EHLO."""
    talk = Talk(settings, tls=tls)
    talk.server(b"220 ready\r\n")
    talk.send(Hello("me.example"))
    talk.server(offer)
    return talk


def in_body(offer: bytes = GMAIL_LIKE, settings: ClientSettings = FOREIGN) -> Talk:
    """A dialogue behind 354, two recipients accepted."""
    talk = greeted(offer, settings)
    talk.send(MAIL, ANNE, BOB)
    while talk.client.outstanding:
        talk.server(b"250 ok\r\n" * talk.client.outstanding)
    talk.send(Data())
    talk.server(b"354 go\r\n")
    return talk


# Opening


def test_nothing_leaves_before_the_last_line_of_the_greeting() -> None:
    talk = Talk()
    assert talk.send(Hello("me.example")) == b""
    assert talk.client.outstanding == 1
    assert talk.server(b"220-mx ESMTP Postfix\r\n") == []
    assert talk.sent() == b""
    assert talk.server(b"220 mx ESMTP Postfix\r\n") == [
        GreetingReceived(RemoteReply(220, None, ("mx ESMTP Postfix", "mx ESMTP Postfix")))
    ]
    assert talk.sent() == b"EHLO me.example\r\n"


def test_ehlo_is_read_when_its_last_line_is_there() -> None:
    talk = Talk()
    talk.server(b"220 ready\r\n")
    talk.send(Hello("me.example"))
    before = talk.client.extensions
    for line in GMAIL_LIKE.splitlines(keepends=True)[:-1]:
        assert talk.server(line) == []
    [event] = talk.server(b"250 SMTPUTF8\r\n")

    assert before is None
    assert isinstance(event, Greeted)
    assert event.extensions is talk.client.extensions
    assert event.extensions == Extensions(
        "mx.example",
        {"SIZE": ("157286400",), "8BITMIME": (), "PIPELINING": (), "CHUNKING": (), "SMTPUTF8": ()},
    )
    assert talk.client.is_idle


def test_odd_offers_are_read() -> None:
    talk = greeted(b"250-\r\n250-auth=plain LOGIN\r\n250-Auth SCRAM-SHA-256\r\n250-\r\n250 5.0.0 size\r\n")

    assert talk.client.extensions == Extensions("", {"AUTH": ("plain", "LOGIN", "SCRAM-SHA-256"), "SIZE": ()})
    assert talk.client.extensions.auth_mechanisms == ("PLAIN", "LOGIN", "SCRAM-SHA-256")


def test_helo_where_ehlo_is_unknown() -> None:
    talk = Talk()
    talk.server(b"220 old\r\n")
    talk.send(Hello("me.example"))
    assert talk.server(b"502 what?\r\n") == []
    assert talk.sent() == b"HELO me.example\r\n"
    assert talk.server(b"250-old.example\r\n250 PIPELINING\r\n") == [
        Greeted(RemoteReply(250, None, ("old.example", "PIPELINING")), Extensions("old.example", {}))
    ]
    assert talk.send(MAIL, ANNE) == b"MAIL FROM:<sender@example.org>\r\n"


@pytest.mark.parametrize(
    ("hello", "settings", "refusal"),
    [
        (Hello("me.example", fall_back=False), ClientSettings(), NEVER),
        (Hello("me.example"), ClientSettings(), LATER),
        (Hello("me.example"), PRIVATE_LMTP, NEVER),
    ],
)
def test_a_refused_hello(hello: Hello, settings: ClientSettings, refusal: RemoteReply) -> None:
    talk = Talk(settings)
    talk.server(b"220 ready\r\n")
    talk.send(hello)
    assert talk.server(b"%d\r\n" % refusal.code) == [Greeted(refusal, None)]
    assert talk.client.extensions is None
    assert talk.client.is_idle


def test_a_refused_helo() -> None:
    talk = Talk()
    talk.server(b"220 ready\r\n")
    talk.send(Hello("me.example"))
    talk.server(b"550 no\r\n")
    talk.sent()
    assert talk.server(b"550 no\r\n") == [Greeted(reply(550, "no"), None)]


@pytest.mark.parametrize("code", [554, 450, 521])
def test_a_greeting_that_refuses(code: int) -> None:
    talk = Talk()
    assert talk.server(b"%d go away\r\n" % code) == [GreetingReceived(reply(code, "go away"))]
    assert talk.send(Quit()) == b"QUIT\r\n"
    assert talk.server(b"221 bye\r\n") == [Answered(Quit(), reply(221, "bye"))]
    assert talk.client.closed


def test_lmtp_says_lhlo() -> None:
    talk = Talk(PRIVATE_LMTP)
    talk.server(b"220 ready\r\n")
    assert talk.send(Hello("unit.example")) == b"LHLO unit.example\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "münchen.example"])
def test_a_name_that_cannot_be_said(name: str) -> None:
    with pytest.raises(MisuseError):
        Talk().client.send(Hello(name))


# TLS


def test_starttls() -> None:
    talk = greeted(ALL)
    assert talk.send(StartTls()) == b"STARTTLS\r\n"
    assert talk.server(b"220 go\r\n") == [Answered(StartTls(), reply(220, "go"))]
    assert not talk.client.is_idle
    assert talk.sent() == b""
    with pytest.raises(MisuseError):
        talk.client.send(Hello("me.example"))
    talk.client.tls_established()
    assert talk.client.tls
    assert talk.client.extensions is None
    with pytest.raises(MisuseError):
        talk.client.send(MAIL)
    assert talk.send(Hello("me.example")) == b"EHLO me.example\r\n"


@pytest.mark.parametrize(
    "pieces", [(b"220 go\r\n250 mx.example\r\n",), (b"220 go\r\n", b"2"), (b"22", b"0 go\n2")]
)
def test_nothing_may_stand_behind_the_answer_to_starttls(pieces: tuple[bytes, ...]) -> None:
    talk = greeted(ALL)
    talk.send(StartTls())
    for piece in pieces:
        talk.client.receive_data(piece)
    events = talk.told()

    assert events[-1] == ProtocolBroken("octets in clear behind the answer to STARTTLS")
    assert events[:-1] == ([Answered(StartTls(), reply(220, "go"))] if pieces[0] == b"220 go\r\n" else [])
    with pytest.raises(MisuseError):
        talk.client.tls_established()


def test_a_refused_starttls_leaves_the_connection_as_it_was() -> None:
    talk = greeted(ALL)
    talk.send(StartTls())
    assert talk.server(b"454 not now\r\n") == [Answered(StartTls(), reply(454, "not now"))]
    assert talk.client.is_idle
    assert not talk.client.tls
    with pytest.raises(MisuseError):
        talk.client.tls_established()


def test_starttls_where_it_may_not_be() -> None:
    for talk in (greeted(GMAIL_LIKE), Talk(), greeted(ALL, tls=True)):
        with pytest.raises(MisuseError):
            talk.client.send(StartTls())


def test_our_own_unit_is_asked_for_tls_first_of_all() -> None:
    talk = Talk(PRIVATE_LMTP)
    talk.server(b"220 ready\r\n")
    assert talk.send(StartTls()) == b"STARTTLS\r\n"


def test_implicit_tls() -> None:
    assert Talk(tls=True).client.tls
    talk = Talk()
    talk.client.tls_established()
    assert talk.client.tls
    assert talk.server(b"220 ready\r\n") == [GreetingReceived(reply(220, "ready"))]
    with pytest.raises(MisuseError):
        talk.client.tls_established()


def test_tls_is_not_first_once_something_was_read() -> None:
    talk = Talk()
    talk.server(b"22")
    with pytest.raises(MisuseError):
        talk.client.tls_established()


# Login


def test_plain_in_one_line() -> None:
    talk = greeted(ALL, tls=True)
    assert talk.send(Login("tim", "tanstaaftanstaaf")) == b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"
    assert talk.server(b"235 2.7.0 welcome\r\n") == [
        Answered(Login("tim", "tanstaaftanstaaf"), reply(235, "welcome", "2.7.0"))
    ]
    assert talk.client.is_idle


def test_plain_is_said_again_to_a_server_that_overheard_it() -> None:
    talk = greeted(ALL, tls=True)
    talk.send(Login("tim", "tanstaaftanstaaf"))
    assert talk.server(b"334 \r\n") == []
    assert talk.sent() == b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"
    assert talk.server(b"535 no\r\n") == [Answered(Login("tim", "tanstaaftanstaaf"), reply(535, "no"))]


def test_a_long_password_has_a_line_of_its_own() -> None:
    talk = greeted(ALL, tls=True)
    assert talk.send(Login("tim", "x" * 400)) == b"AUTH PLAIN\r\n"
    talk.server(b"334\r\n")
    assert len(talk.sent()) > 512


@pytest.mark.parametrize(
    ("prompts"),
    [
        (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"),
        (b"VXNlciBOYW1lAA==", b"UGFzc3dvcmQA"),
        (b"dXNlcm5hbWU6", b"cGFzc3dvcmQ6"),
    ],
)
def test_login(prompts: tuple[bytes, bytes]) -> None:
    talk = greeted(b"250-mx.example\r\n250 AUTH LOGIN\r\n", tls=True)
    assert talk.send(Login("tim", "pw")) == b"AUTH LOGIN\r\n"
    talk.server(b"334 " + prompts[0] + b"\r\n")
    assert talk.sent() == b"dGlt\r\n"
    talk.server(b"334 " + prompts[1] + b"\r\n")
    assert talk.sent() == b"cHc=\r\n"
    assert talk.server(b"235 ok\r\n") == [Answered(Login("tim", "pw"), reply(235, "ok"))]


@pytest.mark.parametrize("prompt", [b"UGFzc3dvcmQ6", b"", b"!", b"VXNl", b"VXN"])
def test_another_prompt_gets_no_secret(prompt: bytes) -> None:
    talk = greeted(b"250-mx.example\r\n250 AUTH LOGIN\r\n", tls=True)
    talk.send(Login("tim", "pw"))
    talk.server(b"334 " + prompt + b"\r\n")
    assert talk.sent() == b"*\r\n"
    assert talk.server(b"501 cancelled\r\n") == [Answered(Login("tim", "pw"), reply(501, "cancelled"))]


def test_a_server_that_goes_on_asking() -> None:
    talk = greeted(ALL, tls=True)
    talk.send(Login("tim", "pw"))
    for _ in range(2):
        talk.server(b"334\r\n")
        talk.sent()
    assert talk.server(b"334\r\n") == [ProtocolBroken("a challenge after the login was cancelled")]


def test_where_no_login_may_be() -> None:
    login = Login("tim", "pw")
    for talk, command in (
        (greeted(ALL), login),
        (greeted(GMAIL_LIKE, tls=True), login),
        (Talk(tls=True), login),
        (greeted(ALL, tls=True), Login("a\0b", "pw")),
        (greeted(ALL, tls=True), Login("tim", "a\0b")),
    ):
        with pytest.raises(MisuseError):
            talk.client.send(command)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Login("tim", "secret"))


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
def test_parameters(parameters: MailParameters, wire: bytes) -> None:
    talk = greeted(ALL, ClientSettings(private=True))
    assert talk.send(Mail(None, parameters)) == b"MAIL FROM:<>" + wire + b"\r\n"


def test_what_says_nothing_is_left_out_where_it_is_not_offered() -> None:
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
def test_what_must_hold_is_not_left_out(parameters: MailParameters) -> None:
    talk = greeted(PLAIN, ClientSettings(private=True))
    with pytest.raises(MisuseError):
        talk.client.send(Mail(None, parameters))
    assert talk.sent() == b""


def test_xptt_stays_at_home() -> None:
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


def test_a_report_goes_with_the_rest() -> None:
    talk = greeted(ALL, ClientSettings(private=True))
    report = ReportTaken(("4f", "5 f"))
    assert talk.send(report, MAIL) == b"XPTT TAKEN 4f 5+20f\r\nMAIL FROM:<sender@example.org>\r\n"
    assert talk.server(b"250 ok\r\n") == [Answered(report, reply(250, "ok"))]


def test_addresses_beyond_ascii_need_smtputf8() -> None:
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


def test_no_address_ends_the_line() -> None:
    evil = Mailbox("a", Name.of("example.org"), b"a@example.org>\r\nDATA")
    talk = greeted()
    for command in (Mail(evil), Recipient(evil)):
        with pytest.raises(MisuseError):
            talk.client.send(command)


# Groups


def test_a_group_leaves_at_once_and_data_when_all_verdicts_are_there() -> None:
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


def test_without_pipelining_one_leaves_after_the_other() -> None:
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


def test_noop_and_quit_end_a_group() -> None:
    talk = greeted()
    assert talk.send(Reset(), Noop(), Reset(), Quit()) == b"RSET\r\nNOOP\r\n"
    assert talk.server(b"250\r\n250\r\n") == [Answered(Reset(), OK), Answered(Noop(), OK)]
    assert talk.sent() == b"RSET\r\nQUIT\r\n"
    with pytest.raises(MisuseError):
        talk.client.send(Noop())
    assert talk.server(b"250\r\n221\r\n") == [Answered(Reset(), OK), Answered(Quit(), reply(221))]
    assert talk.client.closed


@pytest.mark.parametrize("decisive", [Hello("me.example"), StartTls(), Login("tim", "pw"), Data(), Quit()])
def test_nothing_is_queued_behind_what_decides(decisive: ClientCommand) -> None:
    talk = greeted(ALL, tls=isinstance(decisive, Login))
    talk.client.send(decisive)
    with pytest.raises(MisuseError):
        talk.client.send(Reset())


def test_mail_within_a_transaction() -> None:
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


def test_a_question_and_the_next_one() -> None:
    talk = greeted()
    assert talk.send(MAIL, ANNE, Reset()).count(b"\r\n") == 3
    talk.server(b"250\r\n250\r\n")
    assert talk.client.accepted_recipients == 1
    assert talk.send(MAIL, BOB).count(b"\r\n") == 2
    talk.server(b"250\r\n")
    assert talk.client.accepted_recipients == 0
    assert talk.server(b"250\r\n250\r\n") == [Answered(MAIL, OK), Answered(BOB, OK)]
    assert talk.client.accepted_recipients == 1


def test_ehlo_ends_a_transaction() -> None:
    talk = greeted()
    talk.send(MAIL, ANNE)
    talk.server(b"250\r\n250\r\n")
    talk.send(Hello("me.example"))
    talk.server(GMAIL_LIKE)
    assert talk.client.accepted_recipients == 0
    assert talk.send(MAIL) == b"MAIL FROM:<sender@example.org>\r\n"


# DATA


def test_a_message() -> None:
    talk = in_body()
    piece = b"Subject: x\r\n\r\n"
    assert talk.client.send_body([piece], last=False) is None
    [buffer] = talk.client.data_to_send()
    assert buffer is piece
    assert talk.client.outstanding == 1
    with pytest.raises(MisuseError):
        talk.client.send(Reset())
    assert talk.body(b"text\r\n", last=False) == b"text\r\n"
    assert talk.body(b".\r\n") == b"..\r\n.\r\n"
    with pytest.raises(MisuseError):
        talk.client.send_body([b"more\r\n"], last=True)
    assert talk.server(b"250 2.0.0 queued\r\n") == [FinalAnswered((reply(250, "queued", "2.0.0"),))]
    assert talk.client.is_idle
    assert talk.client.accepted_recipients == 0
    assert talk.send(MAIL) == b"MAIL FROM:<sender@example.org>\r\n"


def test_a_refused_data() -> None:
    talk = greeted()
    talk.send(MAIL, ANNE)
    talk.server(b"250\r\n250\r\n")
    talk.send(Data())
    assert talk.server(b"451\r\n") == [Answered(Data(), LATER)]
    with pytest.raises(MisuseError):
        talk.client.send_body([], last=True)


def test_no_recipient_and_yet_354() -> None:
    talk = greeted()
    talk.client.send(MAIL, ANNE, Data())
    talk.sent()
    talk.server(b"250\r\n550\r\n")
    assert talk.sent() == b"DATA\r\n"
    assert talk.server(b"354 go\r\n") == []
    assert talk.sent() == b".\r\n"
    assert talk.server(b"554 no recipients\r\n") == [Answered(Data(), reply(554, "no recipients"))]
    assert talk.client.is_idle


def test_lmtp_never_says_354_without_a_recipient() -> None:
    talk = greeted(ALL, PRIVATE_LMTP)
    talk.send(MAIL, Data())
    talk.server(b"250\r\n")
    talk.sent()
    assert talk.server(b"354 go\r\n") == [ProtocolBroken("354 without a recipient")]


@pytest.mark.parametrize("refusal", [LATER, NEVER])
def test_a_refusal_while_the_message_is_sent(refusal: RemoteReply) -> None:
    talk = in_body()
    talk.body(b"text\r\n", last=False)
    assert talk.server(b"%d\r\n" % refusal.code) == [FinalAnswered((refusal,))]
    assert talk.client.body_refused
    assert talk.client.closed
    assert talk.body(b"more\r\n") == b""
    assert talk.send(Quit()) == b""


def test_a_refusal_before_the_end_was_taken() -> None:
    talk = in_body()
    talk.client.send_body([b"text\r\n"], last=True)
    assert talk.server(b"550\r\n") == [FinalAnswered((NEVER,))]
    assert talk.client.closed
    assert talk.sent() == b""


def test_nothing_is_accepted_before_its_end() -> None:
    for code in (b"250", b"354"):
        talk = in_body()
        talk.client.send_body([b"text\r\n"], last=True)
        [event] = talk.server(code + b"\r\n")
        assert isinstance(event, ProtocolBroken)


def test_a_message_with_bad_line_ends_gets_no_end() -> None:
    for piece in (b"a\nb\r\n", b"no end"):
        talk = in_body()
        assert isinstance(talk.client.send_body([piece], last=True), Malformed)
        [event] = talk.told()
        assert isinstance(event, ProtocolBroken)
        assert talk.sent() == b""
        assert talk.client.closed
        assert talk.client.send_body([b"x\r\n"], last=True) is None


# BDAT


def test_chunks_leave_with_the_group_and_are_not_copied() -> None:
    talk = greeted()
    part = b"Subject: x\r\n"
    chunk, last = Chunk((part, b"\r\n")), Chunk((b"text\r\n",), last=True)
    talk.client.send(MAIL, ANNE, chunk, last)
    buffers = talk.client.data_to_send()

    assert buffers == [
        b"MAIL FROM:<sender@example.org>\r\nRCPT TO:<anne@example.org>\r\nBDAT 14\r\n",
        part,
        b"\r\n",
        b"BDAT 6 LAST\r\n",
        b"text\r\n",
    ]
    assert buffers[1] is part
    assert talk.server(b"250\r\n250\r\n250\r\n250\r\n") == [
        Answered(MAIL, OK),
        Answered(ANNE, OK),
        Answered(chunk, OK),
        FinalAnswered((OK,)),
    ]


def test_an_empty_last_chunk() -> None:
    talk = greeted()
    assert talk.send(MAIL, ANNE, Chunk((), last=True)).endswith(b"BDAT 0 LAST\r\n")


def test_behind_the_last_chunk_all_waits() -> None:
    talk = greeted()
    talk.send(MAIL, ANNE, Chunk((b"a\r\n",), last=True))
    assert talk.send(Reset(), MAIL) == b""
    assert talk.server(b"250\r\n250\r\n550\r\n")[-1] == FinalAnswered((NEVER,))
    assert talk.sent() == b"RSET\r\nMAIL FROM:<sender@example.org>\r\n"


def test_a_refused_chunk_ends_the_message() -> None:
    talk = greeted()
    chunk = Chunk((b"a\r\n",))
    talk.send(MAIL, ANNE, chunk, chunk, Chunk((), last=True))
    talk.server(b"250\r\n250\r\n250\r\n")
    assert talk.server(b"552 too much\r\n") == [FinalAnswered((reply(552, "too much"),))]
    assert talk.client.body_refused
    assert talk.send(chunk, Chunk((), last=True)) == b""
    assert talk.server(b"503 no\r\n") == []
    assert talk.client.is_idle
    with pytest.raises(MisuseError):
        talk.client.send(MAIL)
    assert talk.send(Reset(), MAIL, ANNE, chunk).count(b"\r\n") == 5
    assert not talk.client.body_refused


def test_a_late_last_chunk_of_lmtp_is_refused_for_each() -> None:
    talk = greeted(ALL, PRIVATE_LMTP)
    chunk = Chunk((b"a\r\n",))
    talk.send(MAIL, ANNE, BOB, chunk, chunk, Chunk((), last=True))
    talk.server(b"250\r\n" * 3)
    assert talk.server(b"550\r\n") == [FinalAnswered((NEVER, NEVER))]
    assert talk.server(b"550\r\n550\r\n") == []
    assert talk.client.outstanding == 1
    assert talk.server(b"550\r\n") == []
    assert talk.client.is_idle


def test_chunks_that_wait_behind_a_refused_one_do_not_leave() -> None:
    talk = greeted(b"250-mx.example\r\n250 CHUNKING\r\n")
    talk.client.send(MAIL, ANNE, Chunk((b"a\r\n",)), Chunk((b"b\r\n",)), Chunk((), last=True), Reset(), MAIL)
    for _ in range(2):
        talk.sent()
        talk.server(b"250\r\n")
    assert talk.sent() == b"BDAT 3\r\na\r\n"
    assert talk.server(b"452\r\n") == [FinalAnswered((reply(452),))]
    assert not talk.client.body_refused
    assert talk.sent() == b"RSET\r\n"


def test_a_reset_under_way_behind_a_refused_chunk_is_answered() -> None:
    talk = greeted()
    talk.send(MAIL, ANNE, Chunk((b"a\r\n",)), Reset())
    assert talk.server(b"250\r\n250\r\n550\r\n250\r\n")[2:] == [
        FinalAnswered((NEVER,)),
        Answered(Reset(), OK),
    ]
    assert talk.client.is_idle


def test_chunks_need_an_offer() -> None:
    for talk in (greeted(PLAIN), Talk()):
        with pytest.raises(MisuseError):
            talk.client.send(Chunk((), last=True))


# Verdicts


def test_lmtp_answers_for_each_accepted_recipient() -> None:
    for finish in ("data", "chunk"):
        talk = greeted(ALL, PRIVATE_LMTP)
        talk.send(MAIL, ANNE, BOB, CARL)
        talk.server(b"250\r\n250\r\n550\r\n250\r\n")
        if finish == "data":
            talk.send(Data())
            talk.server(b"354\r\n")
            talk.body(b"text\r\n")
        else:
            talk.send(Chunk((b"text\r\n",), last=True))
        assert talk.server(b"250\r\n") == []
        assert talk.client.outstanding == 1
        assert talk.server(b"451\r\n") == [FinalAnswered((OK, LATER))]
        assert talk.client.is_idle


def test_lmtp_without_an_accepted_recipient() -> None:
    talk = greeted(ALL, PRIVATE_LMTP)
    talk.send(MAIL, ANNE, Chunk((b"text\r\n",), last=True))
    assert talk.server(b"250\r\n550\r\n503\r\n")[-1] == FinalAnswered((reply(503),))


def test_lmtp_refuses_early_for_each() -> None:
    talk = in_body(ALL, PRIVATE_LMTP)
    assert talk.server(b"451\r\n") == [FinalAnswered((LATER, LATER))]


@pytest.mark.parametrize(
    ("wire", "replies"),
    [
        (b"353 wait\r\n250\r\n550\r\n250\r\n", (OK, NEVER)),
        (b"353 wait\r\n250\r\n550\r\n451\r\n", (LATER, NEVER)),
        (b"353 wait\r\n451\r\n550\r\n550\r\n", (LATER, NEVER)),
        (b"250\r\n", (OK, OK)),
        (b"550\r\n", (NEVER, NEVER)),
    ],
)
def test_prdr(wire: bytes, replies: tuple[RemoteReply, ...]) -> None:
    talk = greeted(ALL)
    talk.send(Mail(None, MailParameters(prdr=True)), ANNE, BOB)
    talk.server(b"250\r\n250\r\n250\r\n")
    talk.send(Data())
    talk.server(b"354\r\n")
    talk.body(b"text\r\n")
    for line in wire.splitlines(keepends=True)[:-1]:
        assert talk.server(line) == []
    assert talk.server(wire.splitlines(keepends=True)[-1]) == [FinalAnswered(replies)]
    assert talk.client.is_idle


def test_353_where_nobody_asked_for_it() -> None:
    for prdr, wire in ((False, b"353\r\n"), (True, b"353\r\n353\r\n"), (True, b"353\r\n250\r\n353\r\n")):
        talk = greeted(ALL)
        talk.send(Mail(None, MailParameters(prdr=prdr)), ANNE, BOB, Chunk((), last=True))
        talk.server(b"250\r\n250\r\n250\r\n")
        assert talk.server(wire) == [ProtocolBroken("353 where another kind of reply is due")]


# The server leaves, or cheats


def test_421_answers_all_that_waits() -> None:
    talk = greeted()
    talk.client.send(MAIL, ANNE, Data())
    talk.sent()
    bye = RemoteReply(421, "4.7.0", ("bye",))
    assert talk.server(b"421 4.7.0 bye\r\n250\r\n") == [
        Answered(MAIL, bye),
        Answered(ANNE, bye),
        ServerClosing(bye),
    ]
    assert talk.client.closed
    assert talk.sent() == b""


def test_421_at_the_greeting_and_while_idle() -> None:
    bye = reply(421)
    assert Talk().server(b"421\r\n") == [GreetingReceived(bye), ServerClosing(bye)]
    assert greeted().server(b"421\r\n") == [ServerClosing(bye)]


def test_421_within_a_message_and_within_the_verdicts() -> None:
    bye = reply(421)
    assert in_body().server(b"421\r\n") == [FinalAnswered((bye,)), ServerClosing(bye)]

    talk = greeted(ALL, PRIVATE_LMTP)
    talk.send(MAIL, ANNE, BOB, CARL, Chunk((), last=True))
    talk.server(b"250\r\n" * 4)
    assert talk.server(b"250\r\n421\r\n") == [FinalAnswered((OK, bye, bye)), ServerClosing(bye)]


def test_a_reply_that_nothing_asked_for() -> None:
    broken = ProtocolBroken("a reply that nothing asked for")
    assert greeted().server(b"250\r\n") == [broken]
    assert Talk().server(b"220 ready\r\n250\r\n")[-1] == broken
    talk = greeted()
    talk.send(MAIL)
    assert talk.server(b"250\r\n250\r\n") == [Answered(MAIL, OK), broken]


def test_an_answer_may_not_come_before_its_command() -> None:
    talk = greeted(PLAIN)
    talk.client.send(MAIL, ANNE)
    talk.sent()
    assert talk.server(b"250\r\n250\r\n") == [
        Answered(MAIL, OK),
        ProtocolBroken("a reply that nothing asked for"),
    ]


def test_a_reply_of_the_wrong_kind() -> None:
    for code, command in ((b"354", MAIL), (b"250", Data()), (b"334", Noop())):
        talk = greeted()
        talk.send(command)
        assert talk.server(code + b"\r\n") == [
            ProtocolBroken(f"{code.decode()} where another kind of reply is due")
        ]


def test_rubbish() -> None:
    talk = greeted()
    talk.send(MAIL)
    assert talk.server(b"hello?\r\n250\r\n") == [ProtocolBroken("a line that is no reply")]
    assert talk.client.closed
    assert talk.server(b"250\r\n") == []
    assert talk.server(b"") == []


def test_the_end_of_the_connection() -> None:
    broken = [ProtocolBroken("the server closed the connection")]
    talk = Talk()
    talk.client.receive_eof()
    assert talk.told() == broken
    talk.client.receive_eof()
    assert talk.told() == []

    talk = greeted()
    talk.client.receive_eof()
    assert talk.told() == []
    assert talk.client.closed
    assert not talk.client.is_idle

    talk = greeted()
    talk.client.send(Noop())
    talk.client.receive_eof()
    assert talk.told() == broken

    talk = greeted()
    talk.send(Quit())
    talk.client.receive_eof()
    assert talk.told() == []

    talk = greeted(ALL, PRIVATE_LMTP)
    talk.send(MAIL, ANNE, BOB, Chunk((), last=True))
    talk.server(b"250\r\n" * 4)
    talk.client.receive_eof()
    assert talk.told() == broken
