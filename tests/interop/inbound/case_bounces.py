"""Bounces come back by the envelope senders of our own making, and by nothing else [R10, R12, V14, C4]."""

import re
import smtplib
from collections.abc import Callable
from typing import Any

import pytest

from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Send = Callable[..., Any]
Wait = Callable[..., Any]
Direct = Callable[..., smtplib.SMTP]
MakeScripted = Callable[..., ScriptedServer]

BOB = "bob@remote.com"
HOME = "203.0.113.25"
BOUNCE = b"From: MAILER-DAEMON@home.com\r\nTo: %b\r\nSubject: %b\r\n\r\nIt did not arrive.\r\n"


@pytest.fixture
def srs(direct: Direct, scripted: MakeScripted, draft: Draft, new_mark: NewMark) -> str:
    """Give an envelope sender of ours that stands for bob@remote.com."""
    server = scripted(1)
    with direct() as client:
        client.sendmail(BOB, ["s1@mirage.org"], draft(new_mark()))
    return server.messages[-1].reverse_path


def rcpt(client: smtplib.SMTP, sender: str, recipient: str) -> tuple[int, str]:
    """What RCPT is answered."""
    client.rset()
    client.mail(sender)
    code, text = client.rcpt(recipient)
    return code, text.decode()[:5]


def test_a_postfix_s_own_bounce_comes_back(
    site: Site, remote: Postfix, home: Postfix, send: Send, draft: Draft, new_mark: NewMark
) -> None:
    """The target took the mail, found nobody, and bounces to the envelope sender; Bob hears of it."""
    mark = new_mark()
    send(remote, BOB, ["lost@mirage.org"], draft(mark))
    [bounce] = remote.wait_messages("bob", mark.encode())

    assert b"Return-Path: <>\n" in bounce
    assert b"Reporting-MTA: dns; mail.home.com" in bounce
    assert re.search(rb"Received: from mail\.mirage\.org \(unknown \[192\.0\.2\.10\]\)", bounce)
    assert b"X-Forwarded-To" not in bounce.partition(b"Content-Type: multipart/report")[0]


def test_a_bounce_to_a_user_of_ours(direct: Direct, home: Postfix, new_mark: NewMark) -> None:
    """And a bounce stays one: MAIL FROM:<> at the target, too."""
    mark = new_mark()
    with direct() as client:
        client.sendmail("", ["alice@mirage.org"], BOUNCE % (b"alice@mirage.org", mark.encode()))
    [arrived] = home.wait_messages("alice", mark.encode())
    assert arrived.startswith(b"Return-Path: <>\n")


def test_who_may_use_the_way_back(direct: Direct, srs: str) -> None:
    """From <> only; what is forged, altered or too old does not exist."""
    local_part, domain = srs.split("@")
    tag, mark, days, host, user = local_part.split("=", 4)
    older = days[0] + chr(ord("A") if days[1] != "A" else ord("B"))
    with direct(HOME, "mail.home.com") as client:
        assert rcpt(client, "", srs) == (250, "2.1.5")
        assert rcpt(client, "", srs.lower()) == (250, "2.1.5"), "some servers change the case"
        assert rcpt(client, BOB, srs) == (550, "5.7.1")
        for forged in (
            f"{tag}={mark[::-1]}={days}={host}={user}@{domain}",
            f"{tag}={mark}={older}={host}={user}@{domain}",
            f"{tag}={mark}={days}=victim.test={user}@{domain}",
            f"{tag}={mark}={days}={host}=eve@{domain}",
            f"{tag}=={days}={host}={user}@{domain}",
            f"bob@{domain}",
            f"postmaster-and-more@{domain}",
        ):
            assert rcpt(client, "", forged) == (550, "5.1.1"), forged
        assert rcpt(client, "", local_part + "@mirage.org") == (550, "5.1.1")


def test_another_forwarder_s_sender_and_a_long_one(
    site: Site, direct: Direct, scripted: MakeScripted, draft: Draft, new_mark: NewMark, wait: Wait
) -> None:
    """SRS1 where it was SRS0; past 64 octets a short form, said in the journal, whose bounce is refused."""
    server = scripted(1)
    long = "b" * 60
    with direct("198.51.100.99", "stranger.test") as client:
        for sender in ("SRS0=HHH=TT=orig.test=ann@stranger.test", f"{long}@stranger.test"):
            client.sendmail(sender, ["s1@mirage.org"], draft(new_mark(), "x@stranger.test"))
    again, short = (taken.reverse_path for taken in server.messages)

    assert re.fullmatch(r"SRS1=\w+=stranger\.test==HHH=TT=orig\.test=ann@srs\.mirage\.org", again)
    assert len(short.partition("@")[0]) <= 64
    assert long not in short
    wait(lambda: any("cannot be led back" in line for line in site.journal))
    with direct(HOME, "mail.home.com") as client:
        assert rcpt(client, "", short) == (550, "5.1.1")
        assert rcpt(client, "", again)[0] == 250


def test_the_way_back_is_no_open_relay(direct: Direct, srs: str, remote: Postfix, new_mark: NewMark) -> None:
    """One bounce goes to the one server that the sender came from; its words arrive as they were."""
    mark = new_mark()
    message = BOUNCE % (srs.encode(), mark.encode())
    with direct(HOME, "mail.home.com") as client:
        client.sendmail("", [srs], message)
    [arrived] = remote.wait_messages("bob", mark.encode())
    assert arrived.endswith(message.replace(b"\r\n", b"\n"))
    assert arrived.startswith(b"Return-Path: <>\n")
