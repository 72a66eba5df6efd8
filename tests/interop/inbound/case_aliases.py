"""Aliases of every kind, between two Postfix: what each says of its mail is what the sender hears [C6]."""

import smtplib
from collections.abc import Callable
from typing import Any

import pytest

from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Send = Callable[..., Any]
Wait = Callable[..., Any]
Direct = Callable[..., smtplib.SMTP]

BOB, DORA = "bob@remote.com", "dora@remote.com"


def test_an_expression_and_what_it_matched(
    remote: Postfix, home: Postfix, send: Send, draft: Draft, new_mark: NewMark
) -> None:
    mark = new_mark()
    send(remote, BOB, ["To-Carol@mirage.org"], draft(mark))
    [arrived] = home.wait_messages("carol", mark.encode())
    assert b"X-Forwarded-To: to-carol@mirage.org\n" in arrived


def test_what_is_nobodys_in_one_domain(
    remote: Postfix, home: Postfix, send: Send, draft: Draft, new_mark: NewMark
) -> None:
    mark = new_mark()
    send(remote, BOB, ["whoever@mirage.net"], draft(mark))
    assert len(home.wait_messages("all", mark.encode())) == 1


def test_senders_who_may_write(
    remote: Postfix, home: Postfix, send: Send, draft: Draft, new_mark: NewMark
) -> None:
    """Dora's Postfix hears 550 and tells her; Bob's mail goes on."""
    mark, refused = new_mark(), new_mark()
    send(remote, DORA, ["board@mirage.org"], draft(refused, author=DORA))
    [bounce] = remote.wait_messages("dora", refused.encode())
    assert b"550 5.7.1 This address takes mail from certain senders only." in b" ".join(bounce.split())
    send(remote, BOB, ["board@mirage.org"], draft(mark))
    assert len(home.wait_messages("carol", mark.encode())) == 1


def test_mail_that_is_discarded(
    site: Site, remote: Postfix, home: Postfix, send: Send, draft: Draft, new_mark: NewMark, wait: Wait
) -> None:
    """The sender hears 250 as of any other mail, the journal says why, and nobody gets anything."""
    mark = new_mark()
    send(remote, BOB, ["quiet@mirage.org"], draft(mark))
    wait(
        lambda: any("to=<quiet@" in line and "status=sent (250" in line for line in remote.log().splitlines())
    )
    assert any("quiet@mirage.org: discarded, as its file says" in line for line in site.journal)
    assert not [text for text in home.messages("alice") if mark.encode() in text]


def test_mail_that_is_refused_in_the_alias_s_words(
    remote: Postfix, send: Send, draft: Draft, new_mark: NewMark
) -> None:
    mark = new_mark()
    send(remote, BOB, ["closed@mirage.org"], draft(mark))
    [bounce] = remote.wait_messages("bob", mark.encode())
    assert b"550 5.2.1 Closed since May." in b" ".join(bounce.split())


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [
        ("later@mirage.org", (450, b"4.2.1 We are moving.")),
        ("round@mirage.org", (451, b"4.4.6 The targets of this address lead back to itself. Please")),
        ("letters@mirage.org", (550, b"5.1.1 There is no such user here.")),
        ("to-dora@mirage.org", (550, b"5.1.1 There is no such user here.")),
    ],
)
def test_what_is_answered(direct: Direct, recipient: str, answer: tuple[int, bytes]) -> None:
    with direct() as client:
        client.mail(BOB)
        code, text = client.rcpt(recipient)
    assert code == answer[0]
    assert text.startswith(answer[1])


def test_a_circle_is_an_alarm(site: Site) -> None:
    assert any("lead back to itself (round -> round)" in line for line in site.journal)
