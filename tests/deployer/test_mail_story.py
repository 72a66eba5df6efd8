"""``ptt trace --file``: a mail file's way and make, whatever its author wrote."""

from hypothesis import given
from hypothesis import strategies as st

from ptt.deployer.mail_story import tell_story

MAIL = b"""\
Authentication-Results: mail.home.com; spf=pass smtp.mailfrom=srs.mirage.org; dkim=pass header.d=remote.com\r
Received: from mail.mirage.org (mail.mirage.org [192.0.2.10])\r
\tby mail.home.com with ESMTPS id 42; Mon, 05 Jan 2026 10:00:03 +0000\r
Received: from mx1.remote.com ([198.51.100.25]) by mail.mirage.org (digest (of us))\r
 with ESMTPS id f38395fba26c0aefa94e; Mon, 05 Jan 2026 10:00:00 +0000\r
Received: nonsense\r
From: Bob <bob@remote.com>\r
To: alice@mirage.org\r
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain; charset=utf-8\r
\r
Hello\r
--b\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename="a.pdf"\r
\r
x\r
--b--\r
"""


def test_the_way_the_verdicts_and_the_parts() -> None:
    story = tell_story(MAIL)
    assert story.subject == "Grüße"
    assert story.sentence == (
        "Mail from Bob <bob@remote.com>: came by 3 servers in 3 s; mail.home.com says spf=pass dkim=pass."
    )
    assert [(hop.sender, hop.by, hop.id, hop.after_s) for hop in story.hops] == [
        ("", "", "", None),
        ("mx1.remote.com", "mail.mirage.org", "f38395fba26c0aefa94e", None),
        ("mail.mirage.org", "mail.home.com", "42", 3.0),
    ]
    assert [(part.depth, part.media_type, part.filename) for part in story.parts] == [
        (0, "multipart/mixed", ""),
        (1, "text/plain", ""),
        (1, "application/pdf", "a.pdf"),
    ]


def test_what_says_nothing() -> None:
    assert tell_story(b"").sentence == (
        "Mail from nobody: came by 0 servers; nobody says whether it is genuine."
    )


@given(st.binary(max_size=400))
def test_no_octets_break_it_or_move_a_terminal(octets: bytes) -> None:
    story = tell_story(b"Subject: " + octets + b"\r\nReceived: " + octets)
    assert story.parts
    assert "\x1b" not in story.subject + story.sentence + story.sender
