"""The client's messages: by DATA and by BDAT, and the verdicts on them."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import (
    Answered,
    Chunk,
    Data,
    FinalAnswered,
    Mail,
    ProtocolBroken,
    Quit,
    Recipient,
    Reset,
)
from ptt.protocol.smtp.events import MailParameters
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


# DATA


def test_a_message(in_body: Talks) -> None:
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


def test_a_refused_data(greeted: Talks) -> None:
    talk = greeted()
    talk.send(MAIL, ANNE)
    talk.server(b"250\r\n250\r\n")
    talk.send(Data())
    assert talk.server(b"451\r\n") == [Answered(Data(), LATER)]
    with pytest.raises(MisuseError):
        talk.client.send_body([], last=True)


def test_no_recipient_and_yet_354(greeted: Talks) -> None:
    talk = greeted()
    talk.client.send(MAIL, ANNE, Data())
    talk.sent()
    talk.server(b"250\r\n550\r\n")
    assert talk.sent() == b"DATA\r\n"
    assert talk.server(b"354 go\r\n") == []
    assert talk.sent() == b".\r\n"
    assert talk.server(b"554 no recipients\r\n") == [Answered(Data(), reply(554, "no recipients"))]
    assert talk.client.is_idle


def test_lmtp_never_says_354_without_a_recipient(greeted: Talks) -> None:
    talk = greeted(ALL, PRIVATE_LMTP)
    talk.send(MAIL, Data())
    talk.server(b"250\r\n")
    talk.sent()
    assert talk.server(b"354 go\r\n") == [ProtocolBroken("354 without a recipient")]


@pytest.mark.parametrize("refusal", [LATER, NEVER])
def test_a_refusal_while_the_message_is_sent(in_body: Talks, refusal: RemoteReply) -> None:
    talk = in_body()
    talk.body(b"text\r\n", last=False)
    assert talk.server(b"%d\r\n" % refusal.code) == [FinalAnswered((refusal,))]
    assert talk.client.body_refused
    assert talk.client.closed
    assert talk.body(b"more\r\n") == b""
    assert talk.send(Quit()) == b""


def test_a_refusal_before_the_end_was_taken(in_body: Talks) -> None:
    talk = in_body()
    talk.client.send_body([b"text\r\n"], last=True)
    assert talk.server(b"550\r\n") == [FinalAnswered((NEVER,))]
    assert talk.client.closed
    assert talk.sent() == b""


def test_nothing_is_accepted_before_its_end(in_body: Talks) -> None:
    for code in (b"250", b"354"):
        talk = in_body()
        talk.client.send_body([b"text\r\n"], last=True)
        [event] = talk.server(code + b"\r\n")
        assert isinstance(event, ProtocolBroken)


def test_a_message_with_bad_line_ends_gets_no_end(in_body: Talks) -> None:
    for piece in (b"a\nb\r\n", b"no end"):
        talk = in_body()
        assert isinstance(talk.client.send_body([piece], last=True), Malformed)
        [event] = talk.told()
        assert isinstance(event, ProtocolBroken)
        assert talk.sent() == b""
        assert talk.client.closed
        assert talk.client.send_body([b"x\r\n"], last=True) is None


# BDAT


def test_chunks_leave_with_the_group_and_are_not_copied(greeted: Talks) -> None:
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


def test_an_empty_last_chunk(greeted: Talks) -> None:
    talk = greeted()
    assert talk.send(MAIL, ANNE, Chunk((), last=True)).endswith(b"BDAT 0 LAST\r\n")


def test_behind_the_last_chunk_all_waits(greeted: Talks) -> None:
    talk = greeted()
    talk.send(MAIL, ANNE, Chunk((b"a\r\n",), last=True))
    assert talk.send(Reset(), MAIL) == b""
    assert talk.server(b"250\r\n250\r\n550\r\n")[-1] == FinalAnswered((NEVER,))
    assert talk.sent() == b"RSET\r\nMAIL FROM:<sender@example.org>\r\n"


def test_a_refused_chunk_ends_the_message(greeted: Talks) -> None:
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


def test_a_late_last_chunk_of_lmtp_is_refused_for_each(greeted: Talks) -> None:
    talk = greeted(ALL, PRIVATE_LMTP)
    chunk = Chunk((b"a\r\n",))
    talk.send(MAIL, ANNE, BOB, chunk, chunk, Chunk((), last=True))
    talk.server(b"250\r\n" * 3)
    assert talk.server(b"550\r\n") == [FinalAnswered((NEVER, NEVER))]
    assert talk.server(b"550\r\n550\r\n") == []
    assert talk.client.outstanding == 1
    assert talk.server(b"550\r\n") == []
    assert talk.client.is_idle


def test_chunks_that_wait_behind_a_refused_one_do_not_leave(greeted: Talks) -> None:
    talk = greeted(b"250-mx.example\r\n250 CHUNKING\r\n")
    talk.client.send(MAIL, ANNE, Chunk((b"a\r\n",)), Chunk((b"b\r\n",)), Chunk((), last=True), Reset(), MAIL)
    for _ in range(2):
        talk.sent()
        talk.server(b"250\r\n")
    assert talk.sent() == b"BDAT 3\r\na\r\n"
    assert talk.server(b"452\r\n") == [FinalAnswered((reply(452),))]
    assert not talk.client.body_refused
    assert talk.sent() == b"RSET\r\n"


def test_a_reset_under_way_behind_a_refused_chunk_is_answered(greeted: Talks) -> None:
    talk = greeted()
    talk.send(MAIL, ANNE, Chunk((b"a\r\n",)), Reset())
    assert talk.server(b"250\r\n250\r\n550\r\n250\r\n")[2:] == [
        FinalAnswered((NEVER,)),
        Answered(Reset(), OK),
    ]
    assert talk.client.is_idle


def test_a_refused_chunk_leaves_the_next_transaction_alone(greeted: Talks) -> None:
    talk = greeted()
    chunk, last = Chunk((b"a\r\n",)), Chunk((b"b\r\n",), last=True)
    talk.send(MAIL, ANNE, chunk, chunk, Reset(), MAIL, BOB, last)
    assert talk.server(b"250\r\n250\r\n552\r\n")[2:] == [FinalAnswered((reply(552),))]
    assert not talk.client.body_refused
    assert talk.server(b"503\r\n250\r\n250\r\n250\r\n250\r\n") == [
        Answered(Reset(), OK),
        Answered(MAIL, OK),
        Answered(BOB, OK),
        FinalAnswered((OK,)),
    ]


def test_chunks_need_an_offer(new_talk: Talks, greeted: Talks) -> None:
    for talk in (greeted(PLAIN), new_talk()):
        with pytest.raises(MisuseError):
            talk.client.send(Chunk((), last=True))


# Verdicts


def test_lmtp_answers_for_each_accepted_recipient(greeted: Talks) -> None:
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


def test_lmtp_without_an_accepted_recipient(greeted: Talks) -> None:
    talk = greeted(ALL, PRIVATE_LMTP)
    talk.send(MAIL, ANNE, Chunk((b"text\r\n",), last=True))
    assert talk.server(b"250\r\n550\r\n503\r\n")[-1] == FinalAnswered((reply(503),))


def test_lmtp_refuses_early_for_each(in_body: Talks) -> None:
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
def test_prdr(greeted: Talks, wire: bytes, replies: tuple[RemoteReply, ...]) -> None:
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


def test_353_where_nobody_asked_for_it(greeted: Talks) -> None:
    for prdr, wire in ((False, b"353\r\n"), (True, b"353\r\n353\r\n"), (True, b"353\r\n250\r\n353\r\n")):
        talk = greeted(ALL)
        talk.send(Mail(None, MailParameters(prdr=prdr)), ANNE, BOB, Chunk((), last=True))
        talk.server(b"250\r\n250\r\n250\r\n")
        assert talk.server(wire) == [ProtocolBroken("353 where another kind of reply is due")]
