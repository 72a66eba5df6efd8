"""The client's dialogue: opening, TLS, login; servers that differ, leave and cheat."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.errors import MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import (
    Answered,
    Chunk,
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
    ServerClosing,
    StartTls,
)
from ptt.protocol.smtp.extensions import Extensions, Flavour
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


# Opening


def test_nothing_leaves_before_the_last_line_of_the_greeting(new_talk: Talks) -> None:
    talk = new_talk()
    assert talk.send(Hello("me.example")) == b""
    assert talk.client.outstanding == 1
    assert talk.server(b"220-mx ESMTP Postfix\r\n") == []
    assert talk.sent() == b""
    assert talk.server(b"220 mx ESMTP Postfix\r\n") == [
        GreetingReceived(RemoteReply(220, None, ("mx ESMTP Postfix", "mx ESMTP Postfix")))
    ]
    assert talk.sent() == b"EHLO me.example\r\n"


def test_ehlo_is_read_when_its_last_line_is_there(new_talk: Talks) -> None:
    talk = new_talk()
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


def test_odd_offers_are_read(greeted: Talks) -> None:
    talk = greeted(b"250-\r\n250-auth=plain LOGIN\r\n250-Auth SCRAM-SHA-256\r\n250-\r\n250 5.0.0 size\r\n")

    assert talk.client.extensions == Extensions("", {"AUTH": ("plain", "LOGIN", "SCRAM-SHA-256"), "SIZE": ()})
    assert talk.client.extensions.auth_mechanisms == ("PLAIN", "LOGIN", "SCRAM-SHA-256")


def test_helo_where_ehlo_is_unknown(new_talk: Talks) -> None:
    talk = new_talk()
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
def test_a_refused_hello(
    new_talk: Talks, hello: Hello, settings: ClientSettings, refusal: RemoteReply
) -> None:
    talk = new_talk(settings)
    talk.server(b"220 ready\r\n")
    talk.send(hello)
    assert talk.server(b"%d\r\n" % refusal.code) == [Greeted(refusal, None)]
    assert talk.client.extensions is None
    assert talk.client.is_idle


def test_a_refused_helo(new_talk: Talks) -> None:
    talk = new_talk()
    talk.server(b"220 ready\r\n")
    talk.send(Hello("me.example"))
    talk.server(b"550 no\r\n")
    talk.sent()
    assert talk.server(b"550 no\r\n") == [Greeted(reply(550, "no"), None)]


@pytest.mark.parametrize("code", [554, 450, 521])
def test_a_greeting_that_refuses(new_talk: Talks, code: int) -> None:
    talk = new_talk()
    assert talk.server(b"%d go away\r\n" % code) == [GreetingReceived(reply(code, "go away"))]
    assert talk.send(Quit()) == b"QUIT\r\n"
    assert talk.server(b"221 bye\r\n") == [Answered(Quit(), reply(221, "bye"))]
    assert talk.client.closed


def test_lmtp_says_lhlo(new_talk: Talks) -> None:
    talk = new_talk(PRIVATE_LMTP)
    talk.server(b"220 ready\r\n")
    assert talk.send(Hello("unit.example")) == b"LHLO unit.example\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "münchen.example"])
def test_a_name_that_cannot_be_said(new_talk: Talks, name: str) -> None:
    with pytest.raises(MisuseError):
        new_talk().client.send(Hello(name))


# TLS


def test_starttls(greeted: Talks) -> None:
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
def test_nothing_may_stand_behind_the_answer_to_starttls(greeted: Talks, pieces: tuple[bytes, ...]) -> None:
    talk = greeted(ALL)
    talk.send(StartTls())
    for piece in pieces:
        talk.client.receive_data(piece)
    events = talk.told()

    assert events[-1] == ProtocolBroken("octets in clear behind the answer to STARTTLS")
    assert events[:-1] == ([Answered(StartTls(), reply(220, "go"))] if pieces[0] == b"220 go\r\n" else [])
    with pytest.raises(MisuseError):
        talk.client.tls_established()


def test_a_refused_starttls_leaves_the_connection_as_it_was(greeted: Talks) -> None:
    talk = greeted(ALL)
    talk.send(StartTls())
    assert talk.server(b"454 not now\r\n") == [Answered(StartTls(), reply(454, "not now"))]
    assert talk.client.is_idle
    assert not talk.client.tls
    with pytest.raises(MisuseError):
        talk.client.tls_established()


def test_starttls_where_it_may_not_be(new_talk: Talks, greeted: Talks) -> None:
    for talk in (greeted(GMAIL_LIKE), new_talk(), greeted(ALL, tls=True)):
        with pytest.raises(MisuseError):
            talk.client.send(StartTls())


def test_our_own_unit_is_asked_for_tls_first_of_all(new_talk: Talks) -> None:
    talk = new_talk(PRIVATE_LMTP)
    talk.server(b"220 ready\r\n")
    assert talk.send(StartTls()) == b"STARTTLS\r\n"


def test_implicit_tls(new_talk: Talks) -> None:
    assert new_talk(tls=True).client.tls
    talk = new_talk()
    talk.client.tls_established()
    assert talk.client.tls
    assert talk.server(b"220 ready\r\n") == [GreetingReceived(reply(220, "ready"))]
    with pytest.raises(MisuseError):
        talk.client.tls_established()


def test_tls_is_not_first_once_something_was_read(new_talk: Talks) -> None:
    talk = new_talk()
    talk.server(b"22")
    with pytest.raises(MisuseError):
        talk.client.tls_established()


# Login


def test_plain_in_one_line(greeted: Talks) -> None:
    talk = greeted(ALL, tls=True)
    assert talk.send(Login("tim", "tanstaaftanstaaf")) == b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"
    assert talk.server(b"235 2.7.0 welcome\r\n") == [
        Answered(Login("tim", "tanstaaftanstaaf"), reply(235, "welcome", "2.7.0"))
    ]
    assert talk.client.is_idle


def test_plain_is_said_again_to_a_server_that_overheard_it(greeted: Talks) -> None:
    talk = greeted(ALL, tls=True)
    talk.send(Login("tim", "tanstaaftanstaaf"))
    assert talk.server(b"334 \r\n") == []
    assert talk.sent() == b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"
    assert talk.server(b"535 no\r\n") == [Answered(Login("tim", "tanstaaftanstaaf"), reply(535, "no"))]


def test_a_long_password_has_a_line_of_its_own(greeted: Talks) -> None:
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
def test_login(greeted: Talks, prompts: tuple[bytes, bytes]) -> None:
    talk = greeted(b"250-mx.example\r\n250 AUTH LOGIN\r\n", tls=True)
    assert talk.send(Login("tim", "pw")) == b"AUTH LOGIN\r\n"
    talk.server(b"334 " + prompts[0] + b"\r\n")
    assert talk.sent() == b"dGlt\r\n"
    talk.server(b"334 " + prompts[1] + b"\r\n")
    assert talk.sent() == b"cHc=\r\n"
    assert talk.server(b"235 ok\r\n") == [Answered(Login("tim", "pw"), reply(235, "ok"))]


@pytest.mark.parametrize("prompt", [b"UGFzc3dvcmQ6", b"", b"!", b"VXNl", b"VXN"])
def test_another_prompt_gets_no_secret(greeted: Talks, prompt: bytes) -> None:
    talk = greeted(b"250-mx.example\r\n250 AUTH LOGIN\r\n", tls=True)
    talk.send(Login("tim", "pw"))
    talk.server(b"334 " + prompt + b"\r\n")
    assert talk.sent() == b"*\r\n"
    assert talk.server(b"501 cancelled\r\n") == [Answered(Login("tim", "pw"), reply(501, "cancelled"))]


def test_a_server_that_goes_on_asking(greeted: Talks) -> None:
    talk = greeted(ALL, tls=True)
    talk.send(Login("tim", "pw"))
    for _ in range(2):
        talk.server(b"334\r\n")
        talk.sent()
    assert talk.server(b"334\r\n") == [ProtocolBroken("a challenge after the login was cancelled")]


def test_where_no_login_may_be(new_talk: Talks, greeted: Talks) -> None:
    login = Login("tim", "pw")
    for talk, command in (
        (greeted(ALL), login),
        (greeted(GMAIL_LIKE, tls=True), login),
        (new_talk(tls=True), login),
        (greeted(ALL, tls=True), Login("a\0b", "pw")),
        (greeted(ALL, tls=True), Login("tim", "a\0b")),
    ):
        with pytest.raises(MisuseError):
            talk.client.send(command)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Login("tim", "secret"))


# The server leaves, or cheats


def test_421_answers_all_that_waits(greeted: Talks) -> None:
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


def test_421_at_the_greeting_and_while_idle(new_talk: Talks, greeted: Talks) -> None:
    bye = reply(421)
    assert new_talk().server(b"421\r\n") == [GreetingReceived(bye), ServerClosing(bye)]
    assert greeted().server(b"421\r\n") == [ServerClosing(bye)]


def test_421_within_a_message_and_within_the_verdicts(greeted: Talks, in_body: Talks) -> None:
    bye = reply(421)
    assert in_body().server(b"421\r\n") == [FinalAnswered((bye,)), ServerClosing(bye)]

    talk = greeted(ALL, PRIVATE_LMTP)
    talk.send(MAIL, ANNE, BOB, CARL, Chunk((), last=True))
    talk.server(b"250\r\n" * 4)
    assert talk.server(b"250\r\n421\r\n") == [FinalAnswered((OK, bye, bye)), ServerClosing(bye)]


def test_a_reply_that_nothing_asked_for(new_talk: Talks, greeted: Talks) -> None:
    broken = ProtocolBroken("a reply that nothing asked for")
    assert greeted().server(b"250\r\n") == [broken]
    assert new_talk().server(b"220 ready\r\n250\r\n")[-1] == broken
    talk = greeted()
    talk.send(MAIL)
    assert talk.server(b"250\r\n250\r\n") == [Answered(MAIL, OK), broken]


def test_an_answer_may_not_come_before_its_command(greeted: Talks) -> None:
    talk = greeted(PLAIN)
    talk.client.send(MAIL, ANNE)
    talk.sent()
    assert talk.server(b"250\r\n250\r\n") == [
        Answered(MAIL, OK),
        ProtocolBroken("a reply that nothing asked for"),
    ]


def test_a_reply_of_the_wrong_kind(greeted: Talks) -> None:
    for code, command in ((b"354", MAIL), (b"250", Data()), (b"334", Noop())):
        talk = greeted()
        talk.send(command)
        assert talk.server(code + b"\r\n") == [
            ProtocolBroken(f"{code.decode()} where another kind of reply is due")
        ]


def test_rubbish(greeted: Talks) -> None:
    talk = greeted()
    talk.send(MAIL)
    assert talk.server(b"hello?\r\n250\r\n") == [ProtocolBroken("a line that is no reply")]
    assert talk.client.closed
    assert talk.server(b"250\r\n") == []
    assert talk.server(b"") == []


def test_the_end_of_the_connection(new_talk: Talks, greeted: Talks) -> None:
    broken = [ProtocolBroken("the server closed the connection")]
    talk = new_talk()
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
