"""Servers that do not trust newcomers: postscreen, greylisting, a judge of DMARC, and one that asks back."""

import smtplib
from collections.abc import Callable
from typing import Any

import pytest

from ptt.rehearsal.peers.exim import Exim
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Post = Callable[..., tuple[int, bytes]]
Wait = Callable[..., Any]

STRANGER = "198.51.100.99"
EXIM = "198.51.100.26"


def test_postscreen_and_greylisting(
    site: Site, careful: Any, post: Post, draft: Draft, new_mark: NewMark, wait: Wait
) -> None:
    """Not now, in the client's session; her retry is delivered once, and their judge says pass [R8 Z1]."""
    mark = new_mark()
    message = draft(mark)
    told = [post("paul@careful.org", message)]
    while told[-1][0] != 250:
        assert told[-1][0] in {450, 451}, told
        assert b"Nothing was lost" in told[-1][1]
        assert len(told) < 10
        wait(lambda: careful.greylist.decide("192.0.2.10", "alice@mirage.org", "paul@careful.org") == "dunno")
        told.append(post("paul@careful.org", message))

    assert len(told) > 1
    assert any(b"asks to wait" in text for _, text in told)
    [arrived] = careful.postfix.wait_messages("paul", mark.encode())
    log = careful.postfix.log()
    for test in ("PASS NEW [192.0.2.10]", "NOQUEUE: reject: RCPT from [192.0.2.10]", "Greylisted"):
        assert test in log, log[-3000:]
    judged = arrived.partition(b"\nReceived: from submission")[0].decode()
    for verdict in ("dkim=pass", "dmarc=pass (p=reject dis=none) header.from=mirage.org", "spf=pass"):
        assert verdict in judged, judged


def test_the_judge_can_say_no(careful: Any, draft: Draft, new_mark: NewMark, wait: Wait) -> None:
    """Mail in our name that is not ours, straight to that server."""
    message = draft(new_mark(), to="paul@careful.org")

    def bring() -> tuple[int, bytes]:
        with smtplib.SMTP(
            "198.51.100.40", 25, "x.sender.net", timeout=60, source_address=(STRANGER, 0)
        ) as client:
            client.ehlo()
            client.docmd("MAIL", "FROM:<x@sender.net>")
            answer = client.docmd("RCPT", "TO:<paul@careful.org>")
            return client.data(message) if answer[0] == 250 else answer

    code, text = wait(lambda: (said := bring())[0] != 450 and said)
    assert (code, text) == (550, b"5.7.1 rejected by DMARC policy for mirage.org")


@pytest.mark.parametrize("sender", ["x@lists.net", ""], ids=["a named list", "the null sender"])
def test_no_laundering(
    careful: Any, bring_in: Post, draft: Draft, new_mark: NewMark, wait: Wait, sender: str
) -> None:
    """A forged author of ours comes to no pass there, not by a list that the operator named either [R19]."""
    mark = new_mark()
    message = draft(mark, "alice@mirage.org", "paul@mirage.org")

    def bring() -> tuple[int, bytes]:
        return bring_in(sender, "paul@mirage.org", message, source=STRANGER)

    code, text = wait(lambda: (said := bring())[0] != 451 and said)
    assert (code, text[:5]) == (550, b"5.7.1"), text
    assert careful.postfix.wait_messages("paul", mark.encode(), count=0) == []


def test_exim_asks_back(
    site: Site, exim: Exim, post: Post, bring_in: Post, draft: Draft, new_mark: NewMark, wait: Wait
) -> None:
    """Its callouts about a user of ours and about a rewritten sender are answered, so it takes both mails."""
    out, back = new_mark(), new_mark()
    code, text = post("erik@exim.net", draft(out))
    assert code == 250, text
    assert exim.asked_about("alice@mirage.org")

    code, text = bring_in(
        "bob@sender.net", "erik@mirage.org", draft(back, "bob@sender.net", "erik@mirage.org")
    )
    assert code == 250, text
    wait(lambda: [back for message in exim.messages("erik") if back.encode() in message])
    assert len([1 for message in exim.messages("erik") if out.encode() in message]) == 1
    assert exim.asked_about("@srs.mirage.org")
    peers = [line for line in site.journal if f'"{EXIM}"' in line and "alice@mirage.org" in line]
    assert all('"reverse_path":""' in line and '"size":0' in line for line in peers), peers


def test_exim_as_a_second_server_of_ours(
    exim: Exim, draft: Draft, new_mark: NewMark, slow: Any, wait: Wait
) -> None:
    """Before it takes mail for us it asks us about the recipient: MAIL FROM:<>, RCPT, QUIT."""
    mark = new_mark()
    with smtplib.SMTP(EXIM, 25, "mx.sender.net", timeout=60, source_address=("198.51.100.61", 0)) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<erik@exim.net>")
        assert client.docmd("RCPT", "TO:<nobody@mirage.org>")[0] == 550
        code, text = client.docmd("RCPT", "TO:<alice@mirage.org>")
        assert code == 250, text
        assert client.data(draft(mark, "erik@exim.net", "alice@mirage.org"))[0] == 250

    wait(lambda: [1 for taken in slow.messages if mark.encode() in taken.data])
    assert len([1 for taken in slow.messages if mark.encode() in taken.data]) == 1


def test_callouts_by_hand(site: Site, draft: Draft) -> None:
    """Users and postmaster are there, others are not."""
    with smtplib.SMTP("192.0.2.10", 25, "mx.sender.net", timeout=60) as client:
        client.ehlo()
        for address, code in (
            ("alice@mirage.org", 250),
            ("postmaster@mirage.org", 250),
            ("nobody@mirage.org", 550),
        ):
            assert client.docmd("MAIL", "FROM:<>")[0] == 250
            assert client.docmd("RCPT", f"TO:<{address}>")[0] == code, address
            assert client.rset()[0] == 250
