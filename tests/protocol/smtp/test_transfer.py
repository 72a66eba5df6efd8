"""DATA and BDAT in the server's dialogue: verdicts, refusals, what is swallowed."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    QuitReceived,
    TransactionAborted,
)
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.receiving import MAX_SWALLOWED_OCTETS
from ptt.protocol.smtp.reply import Reply

NewPeer = Callable[..., Any]
OK = Reply(250, "2.0.0", "Fine.")
LATER = Reply(451, "4.3.0", "Later.")
NEVER = Reply(550, "5.7.1", "Never.")
LEAVING = Reply(421, "4.3.2", "Leaving.")


def codes(lines: list[str]) -> list[str]:
    return [line[:3] for line in lines]


@pytest.mark.parametrize("piece", [0, 1])
def test_data(peer: NewPeer, piece: int) -> None:
    one = peer().open("d@e.example")
    assert one.codes("DATA") == ["354"]
    assert codes(one.send(b"..\r\n.x\r\n\r\n.\r\nNOOP\r\n", piece=piece)) == ["250", "250"]
    assert one.message == b".\r\nx\r\n\r\n"
    assert one.of(DataFinished) == [DataFinished(8)]


def test_refused_data(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.will(DataRequested, LATER)
    assert one.codes("DATA") == ["451"]
    assert one.dialogue.in_transaction
    assert one.codes("DATA") == ["354"]


def test_data_before_354(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert one.codes("DATA", "text", ".") == ["503"]
    assert one.events[-2:] == [TransactionAborted(), QuitReceived(wording.DATA_TOO_EARLY)]
    assert one.of(DataRequested) == []


@pytest.mark.parametrize("reply", [Reply(354, None, "Go."), LATER])
def test_data_before_the_answer_of_the_caller(peer: NewPeer, reply: Reply) -> None:
    one = peer().open("d@e.example")
    one.will(DataRequested, None)
    one.say("DATA")
    one.say("MAIL FROM:<>")
    one.dialogue.reply(reply)
    assert one.codes() == ["503"]
    assert one.dialogue.closing


def test_data_behind_a_data_that_cannot_be(peer: NewPeer) -> None:
    one = peer()
    assert one.codes("EHLO c.example", "DATA", "MAIL FROM:<>") == ["250", "503"]
    assert one.dialogue.closing


def test_verdicts(peer: NewPeer) -> None:
    for verdict in (OK, LATER, NEVER):
        one = peer().open("d@e.example")
        one.will(DataFinished, verdict)
        one.say("DATA")
        assert one.codes("text", ".", "RSET") == [str(verdict.code), "250"]
        assert one.of(TransactionAborted) == []


def test_the_verdict_is_to_leave(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.will(DataFinished, LEAVING)
    one.say("DATA")
    assert one.codes("text", ".", "NOOP") == ["421"]
    assert one.events[-1] == QuitReceived(LEAVING)


def test_verdicts_of_lmtp(peer: NewPeer) -> None:
    one = peer(flavour=Flavour.LMTP).open("d@e.example", "f@e.example", "g@e.example", hello="LHLO c.example")
    one.will(DataFinished, OK, NEVER, LATER)
    one.say("DATA")
    assert one.codes("text", ".", "NOOP") == ["250", "550", "451", "250"]


def test_lmtp_without_recipients(peer: NewPeer) -> None:
    one = peer(flavour=Flavour.LMTP).open(hello="LHLO c.example")
    assert one.codes("BDAT 0 LAST", "DATA") == ["503", "503"]


def test_prdr(peer: NewPeer) -> None:
    one = peer().open("d@e.example", "f@e.example", mail="MAIL FROM:<a@b.example> PRDR")
    one.will(DataFinished, OK, NEVER, OK)
    one.say("DATA")
    assert one.codes("text", ".") == ["353", "250", "550", "250"]
    alone = peer().open("d@e.example", mail="MAIL FROM:<a@b.example> PRDR")
    alone.say("DATA")
    assert alone.codes("text", ".") == ["250"]


@pytest.mark.parametrize("piece", [0, 1, 3])
@pytest.mark.parametrize(
    ("body", "reply"),
    [(b"a\nb\r\n.\r\n", wording.BARE_LINE_END_IN_MESSAGE), (b"x" * 101 + b"\r\n.\r\n", wording.TOO_LARGE)],
)
def test_spoilt_data(peer: NewPeer, piece: int, body: bytes, reply: Reply) -> None:
    one = peer(size_limit=100).open("d@e.example")
    one.say("DATA")
    assert one.send(body + b"NOOP\r\n", piece=piece) == [str(reply), "250 2.0.0 Here we are."]
    assert one.of(TransactionAborted) == [TransactionAborted(reply)]
    assert one.of(DataFinished) == []
    assert one.codes("MAIL FROM:<>") == ["250"]


def test_a_spoilt_message_is_known_before_its_end(peer: NewPeer) -> None:
    one = peer(size_limit=100).open("d@e.example")
    one.say("DATA")
    assert one.send(b"x" * 200 + b"\r\nMAIL FROM:<>\r\n") == []
    assert one.events[-1] == TransactionAborted(wording.TOO_LARGE)
    assert not one.dialogue.in_transaction
    one.dialogue.shut_down(LEAVING)
    assert one.say("HELP", "RSET") == []
    assert one.codes(".", "NOOP") == ["552", "421"]


def test_spoilt_data_of_lmtp_and_prdr(peer: NewPeer) -> None:
    one = peer(flavour=Flavour.LMTP).open("d@e.example", "f@e.example", hello="LHLO c.example")
    one.say("DATA")
    assert codes(one.send(b"\n\r\n.\r\nNOOP\r\n")) == ["550", "550", "250"]
    other = peer().open("d@e.example", "f@e.example", mail="MAIL FROM:<> PRDR")
    other.say("DATA")
    assert codes(other.send(b"\n\r\n.\r\nNOOP\r\n")) == ["550", "250"]


def test_endless_data(peer: NewPeer) -> None:
    one = peer(size_limit=100).open("d@e.example")
    one.say("DATA")
    piece = b"x" * (1 << 23)
    replies: list[str] = []
    for _ in range(MAX_SWALLOWED_OCTETS // len(piece) + 2):
        replies += one.send(piece)
    assert replies == [str(wording.ENDLESS_MESSAGE)]


# BDAT


@pytest.mark.parametrize("piece", [0, 1])
def test_chunks(peer: NewPeer, piece: int) -> None:
    one = peer().open("d@e.example")
    wire = b"BDAT 5\r\n.a\r\n.BDAT 0\r\nBDAT 3 LAST\r\nb\r\nNOOP\r\n"
    assert one.send(wire, piece=piece) == [
        "250 2.0.0 5 octets received.",
        "250 2.0.0 0 octets received.",
        "250 2.0.0 Fine.",
        "250 2.0.0 Here we are.",
    ]
    assert one.message == b".a\r\n.b\r\n"
    assert one.of(DataRequested) == [DataRequested(chunked=True)]
    assert one.of(DataFinished) == [DataFinished(8)]


def test_a_message_without_a_line_end_gets_one(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert codes(one.send(b"BDAT 1 LAST\r\na")) == ["250"]
    assert one.message == b"a\r\n"
    assert one.of(DataFinished) == [DataFinished(3)]


def test_chunks_are_pipelined_behind_the_envelope(peer: NewPeer) -> None:
    one = peer()
    wire = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.example>\r\nBDAT 2 LAST\r\n\r\nMAIL FROM:<>\r\nQUIT\r\n"
    assert codes(one.send(wire))[-5:] == ["250", "250", "250", "250", "221"]


def test_order_of_chunks(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert codes(one.send(b"BDAT 1\r\na")) == ["250"]
    assert one.codes("MAIL FROM:<>", "RCPT TO:<f@e.example>", "STARTTLS") == ["503"] * 3
    assert one.codes("DATA") == ["503"]
    assert codes(one.send(b"BDAT 2 LAST\r\n\r\n")) == ["250"]
    assert codes(one.send(b"BDAT 6 LAST\r\nRSET\r\nNOOP\r\n")) == ["503", "250"]


def test_reset_between_chunks(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert codes(one.send(b"BDAT 1\r\naRSET\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")) == [
        "250",
        "250",
        "503",
        "250",
    ]
    assert one.of(TransactionAborted) == [TransactionAborted()]
    one.open("f@e.example")
    one.send(b"BDAT 3 LAST\r\nb\r\n")
    assert one.of(DataFinished) == [DataFinished(3)]


@pytest.mark.parametrize("argument", ["", "x", "-1", "1 LAST LAST"])
def test_malformed_chunks(peer: NewPeer, argument: str) -> None:
    one = peer().open("d@e.example")
    assert one.codes(f"BDAT {argument}", "RSET") == ["501"]
    assert one.dialogue.closing


def test_chunks_where_they_are_not_offered(peer: NewPeer) -> None:
    one = peer(offers=frozenset({Keyword.SIZE})).open("d@e.example")
    assert codes(one.send(b"BDAT 6 LAST\r\nRSET\r\nNOOP\r\n")) == ["502", "250"]


@pytest.mark.parametrize("piece", [0, 1])
def test_refused_chunks(peer: NewPeer, piece: int) -> None:
    one = peer().open("d@e.example")
    one.will(DataRequested, LATER)
    wire = b"BDAT 6\r\nRSET\r\nBDAT 6\r\nQUIT\r\nMAIL FROM:<>\r\nBDAT 0 LAST\r\nMAIL FROM:<>\r\n"
    assert codes(one.send(wire, piece=piece)) == ["451", "451", "503", "451", "250"]
    assert one.of(TransactionAborted) == [TransactionAborted(LATER)]
    assert one.of(DataReceived) == []


def test_refused_last_chunk_of_lmtp(peer: NewPeer) -> None:
    one = peer(flavour=Flavour.LMTP).open("d@e.example", "f@e.example", hello="LHLO c.example")
    one.will(DataRequested, NEVER)
    assert codes(one.send(b"BDAT 6 LAST\r\nRSET\r\nNOOP\r\n")) == ["550", "550", "250"]


def test_refused_chunks_of_lmtp(peer: NewPeer) -> None:
    one = peer(flavour=Flavour.LMTP).open("d@e.example", "f@e.example", hello="LHLO c.example")
    one.will(DataRequested, NEVER)
    assert codes(one.send(b"BDAT 2\r\n\r\nBDAT 2\r\n\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n")) == [
        *("550", "550", "550", "550", "250")
    ]


def test_reset_after_refused_chunks(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.will(DataRequested, LATER)
    assert codes(one.send(b"BDAT 2\r\n\r\nRSET\r\nMAIL FROM:<>\r\n")) == ["451", "250", "250"]
    one.say("RCPT TO:<f@e.example>")
    assert codes(one.send(b"BDAT 3 LAST\r\nb\r\n")) == ["250"]


def test_a_refused_chunk_is_forgotten_by_the_next_data(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.will(DataRequested, LATER)
    one.send(b"BDAT 2\r\n\r\nRSET\r\n")
    one.open("f@e.example")
    one.say("DATA")
    assert codes(one.send(b"a\nb\r\n.\r\n")) == ["550"]
    one.open("f@e.example")
    one.say("DATA")
    assert one.codes("text", ".") == ["250"]


def test_the_caller_leaves_at_a_chunk(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    one.will(DataRequested, LEAVING)
    assert codes(one.send(b"BDAT 6\r\nRSET\r\nBDAT 6\r\nQUIT\r\n")) == ["421"]
    assert one.events[-1] == QuitReceived(LEAVING)


@pytest.mark.parametrize("piece", [0, 1])
def test_spoilt_chunks(peer: NewPeer, piece: int) -> None:
    one = peer().open("d@e.example")
    wire = b"BDAT 3\r\na\r\nBDAT 3\r\n\nb\nBDAT 1\r\nxBDAT 1 LAST\r\nyNOOP\r\n"
    assert codes(one.send(wire, piece=piece)) == ["250", "550", "550", "550", "250"]
    assert one.of(TransactionAborted) == [TransactionAborted(wording.BARE_LINE_END_IN_MESSAGE)]
    assert one.of(DataFinished) == []


def test_a_last_chunk_that_ends_with_a_cr(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert codes(one.send(b"BDAT 2 LAST\r\na\rNOOP\r\n")) == ["550", "250"]


def test_chunks_that_are_too_large(peer: NewPeer) -> None:
    one = peer(size_limit=10).open("d@e.example")
    assert codes(one.send(b"BDAT 11\r\n0123456789aBDAT 1 LAST\r\nbNOOP\r\n")) == ["552", "552", "250"]
    assert one.of(DataRequested) == []
    one.open("d@e.example")
    assert codes(one.send(b"BDAT 8\r\n01234567BDAT 3 LAST\r\n89aNOOP\r\n")) == ["250", "552", "250"]
    one.open("d@e.example")
    assert codes(one.send(b"BDAT 8\r\n01234567BDAT 1 LAST\r\n8NOOP\r\n")) == ["250", "552", "250"]
    assert one.of(DataFinished) == []


def test_an_endless_chunk(peer: NewPeer) -> None:
    one = peer().open("d@e.example")
    assert one.codes(f"BDAT {MAX_SWALLOWED_OCTETS + 1}") == ["552"]
    assert one.dialogue.closing


def test_too_many_chunks_in_the_wrong_place(peer: NewPeer) -> None:
    one = peer(max_bad_commands=3)
    one.say("EHLO c.example")
    assert codes(one.send(b"BDAT 1\r\na" * 4)) == ["503", "503", "421"]
    assert one.dialogue.closing
