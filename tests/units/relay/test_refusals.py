"""What real refusals mean, and how they are told. The texts stand in ``refusals.txt``."""

import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox
from ptt.protocol.smtp.attempt import Stage
from ptt.protocol.smtp.reply import MAX_REPLY_LINE_OCTETS, RemoteReply, Reply
from ptt.protocol.smtp.reply_reader import ReplyReader
from ptt.units.relay.refusal_rules import RefusalClass
from ptt.units.relay.refusals import classify, for_stranger, for_submission, waiting_time_s

M, U = RefusalClass.MESSAGE, RefusalClass.ABOUT_US

OTHER = "mx.example.net"


def remote(text: str) -> RemoteReply:
    """The reply in ``text``, read as from the wire; lines are parted by `` / ``."""
    reader = ReplyReader()
    reader.feed(text.replace(" / ", "\r\n").encode() + b"\r\n")
    reply = reader.next_reply()
    assert isinstance(reply, RemoteReply), text
    return reply


def read_rows() -> list[tuple[str, Stage, str, RefusalClass, RefusalClass]]:
    """Host, stage, what it said, what it is about in our own mail, and in a stranger's that we pass on."""
    rows = []
    for line in Path(__file__).with_name("refusals.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            classes, host, stage, text = line.split(" | ", 3)
            own, _, forwarded = classes.partition(", forwarded: ")
            rows.append((host, Stage(stage), text, RefusalClass(own), RefusalClass(forwarded or own)))
    return rows


ROWS = read_rows()


@pytest.mark.parametrize(("host", "stage", "text", "own", "forwarded"), ROWS)
def test_what_a_refusal_is_about(
    host: str, stage: Stage, text: str, own: RefusalClass, forwarded: RefusalClass
) -> None:
    reply = remote(text)

    assert classify(host, reply, stage=stage) is own
    assert classify(host, reply, stage=stage, is_forwarded=True) is forwarded


BOB = Mailbox("bob", Name.of("example.net"), b"bob@example.net")


@pytest.mark.parametrize(("host", "stage", "text", "own", "_forwarded"), ROWS)
def test_how_it_is_told(host: str, stage: Stage, text: str, own: RefusalClass, _forwarded: object) -> None:
    theirs = remote(text)
    ours = for_submission(host, theirs, BOB, stage=stage)

    assert ours.is_permanent == (own is M and theirs.is_permanent)
    if own is U:
        assert (ours.code, ours.enhanced) == (451, "4.7.1")
    if own is M and theirs.code in (550, 551, 552, 553, 554):
        assert ours.code == theirs.code
        assert theirs.enhanced is None or ours.enhanced == theirs.enhanced
    assert ours.text[0] == ours.text[-1]
    assert "bob@example.net" in ours.text[0]
    assert host in ours.text[0]
    assert re.fullmatch(r"[A-Z].*\.", ours.text[0])
    assert all(line in ours.text for line in theirs.printable if line.strip())


@pytest.mark.parametrize(("host", "stage", "text", "own", "forwarded"), ROWS)
def test_how_it_is_told_to_a_stranger(
    host: str, stage: Stage, text: str, own: RefusalClass, forwarded: RefusalClass
) -> None:
    theirs = remote(text)
    assert for_stranger(host, theirs, stage=stage).is_permanent == (own is M and theirs.is_permanent)
    ours = for_stranger(host, theirs, stage=stage, is_forwarded=True)

    assert ours.is_permanent == (forwarded is M and theirs.is_permanent)
    if forwarded in {U, RefusalClass.RATE, RefusalClass.GREYLISTED}:
        assert (ours.code, ours.enhanced) == (451, "4.7.1")
    assert len(ours.text) == 1
    assert re.fullmatch(r"The mailbox behind this address [A-Za-z0-9 .]+\.", ours.text[0])


def test_a_refusal_of_the_mailbox() -> None:
    assert for_submission("mx.example.net", remote("550 5.1.1 <bob>: User unknown"), BOB) == Reply(
        550,
        "5.1.1",
        "Mail to <bob@example.net> was not delivered: its server "
        "mx.example.net says that there is no such mailbox.",
        "mx.example.net said: 550 5.1.1",
        "<bob>: User unknown",
        "Mail to <bob@example.net> was not delivered: its server "
        "mx.example.net says that there is no such mailbox.",
    )


@pytest.mark.parametrize(
    ("text", "code", "enhanced"),
    [
        ("550 no", 550, "5.0.0"),
        ("550 4.2.2 no", 550, "5.0.0"),
        ("551 5.7.1 no", 551, "5.7.1"),
        ("421 5.7.320 no", 451, "4.0.0"),
        ("421 4.4.5 no", 451, "4.4.5"),
        ("452 4.2.2 full", 452, "4.2.2"),
        ("504 5.5.4 no", 554, "5.5.4"),
    ],
)
def test_codes_that_a_client_may_hear(text: str, code: int, enhanced: str) -> None:
    reply = for_submission(OTHER, remote(text), BOB)

    assert (reply.code, reply.enhanced) == (code, enhanced)


def test_a_temporary_refusal_of_the_message_says_so() -> None:
    reply = for_submission(OTHER, remote("450 4.7.1 a link in it is listed in SURBL"), BOB)

    assert reply.is_temporary
    assert "says that it may not be delivered there. Please send it again later." in reply.text[0]


@pytest.mark.parametrize(
    ("text", "seconds", "minutes"),
    [
        ("Greylisted, please try again in 299 seconds", 299, "about 5 minutes"),
        ("Greylisted for 5 minutes", 300, "about 5 minutes"),
        ("greylisted, retry in 1 min", 60, "about 1 minute."),
        ("greylisting in action, come back after 2 hours", 7200, "about 120 minutes"),
        ("Greylisted in 99999 hours", 21600, "about 360 minutes"),
        ("Greylisted in 0 seconds", 1, "about 1 minute."),
        ("Greylisted", 300, "about 5 minutes"),
    ],
)
def test_how_long_to_wait(text: str, seconds: int, minutes: str) -> None:
    reply = remote(f"450 4.2.0 {text}")

    assert waiting_time_s(reply) == seconds
    assert minutes in for_submission(OTHER, reply, BOB).text[0]
    assert "Nothing was lost." in for_submission(OTHER, reply, BOB).text[0]


def test_addresses_are_shown_in_ascii_and_bounded() -> None:
    long = Mailbox("ü" * 64, Name.of(".".join(["label" * 10] * 4)), b"x")
    literal = Mailbox("bob", AddressLiteral(IPv4Address("192.0.2.1")), b"bob@[192.0.2.1]")

    assert "<" + "?" * 64 + "@label" in for_submission(OTHER, remote("550 no"), long).text[0]
    assert "<bob@[192.0.2.1]>" in for_submission(OTHER, remote("550 no"), literal).text[0]


texts = st.lists(st.text(max_size=700), min_size=1, max_size=130).map(tuple)
enhanced_codes = st.none() | st.from_regex(r"[245]\.\d{1,3}\.\d{1,3}", fullmatch=True).filter(str.isascii)
anyhow = st.builds(RemoteReply, st.integers(200, 999), enhanced_codes, texts)


@given(st.text(max_size=300), anyhow, st.none() | st.sampled_from(Stage), st.booleans())
def test_any_refusal_can_be_told(host: str, reply: RemoteReply, stage: Stage | None, forwarded: bool) -> None:
    assert classify(host, reply, stage=stage, is_forwarded=forwarded) in RefusalClass
    ours = for_submission(host, reply, BOB, stage=stage)

    assert ours.is_temporary or ours.is_permanent
    assert reply.is_permanent or not ours.is_permanent
    assert ours.text[0] == ours.text[-1]
    lines = ours.encode().split(b"\r\n")
    assert len(lines) < 20
    assert all(len(line) + 2 <= MAX_REPLY_LINE_OCTETS for line in lines)
    assert ours.lines()[0].endswith(ours.text[0])  # not cut
