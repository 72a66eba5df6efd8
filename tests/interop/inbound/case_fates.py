"""Whatever happens at the target: the sender hears it in its session, tries again, and delivers exactly once.

All kinds of failure run at the same time: a server for each, a message for each in the sender's queue.
"""

import re
import smtplib
import time
from collections.abc import Callable
from typing import Any

import pytest

from ptt.rehearsal.peers.exim import Exim
from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import LEAVE, ScriptedServer, Step
from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Send = Callable[..., Any]
Wait = Callable[..., Any]
Direct = Callable[..., smtplib.SMTP]
MakeScripted = Callable[..., ScriptedServer]

BOB = "bob@remote.com"
PATIENCE_S = 15.0
FAILURES: dict[str, dict[Step, bytes]] = {
    "connection closed": {Step.GREETING: LEAVE},
    "421 greeting": {Step.GREETING: b"421 4.3.2 busy\r\n"},
    "closed at EHLO": {Step.EHLO: LEAVE},
    "4yz at MAIL": {Step.MAIL: b"451 4.3.0 not now\r\n"},
    "closed at MAIL": {Step.MAIL: LEAVE},
    "4yz at RCPT": {Step.RCPT: b"450 4.2.1 mailbox busy\r\n"},
    "greylisted": {Step.RCPT: b"450 4.2.0 Greylisted, try again in 300 seconds\r\n"},
    "4yz at DATA": {Step.DATA: b"451 4.3.0 not now\r\n"},
    "closed at DATA": {Step.DATA: LEAVE},
    "closed in the message": {Step.BODY: LEAVE},
    "4yz after the data": {Step.END: b"451 4.3.0 not now\r\n"},
    "mailbox full for now": {Step.END: b"452 4.2.2 mailbox full\r\n"},
    "closed after the data": {Step.END: LEAVE},
}


def until_empty(server: Postfix | Exim) -> None:
    """Flush until nothing is left in the queue."""
    deadline = time.monotonic() + PATIENCE_S
    while server.queued():
        assert time.monotonic() < deadline, server.log()[-3000:]
        server.flush()
        time.sleep(0.3)


@pytest.mark.parametrize("sender", ["postfix", "exim"])
def test_a_retry_delivers_exactly_once(
    request: pytest.FixtureRequest,
    sender: str,
    scripted: MakeScripted,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
    wait: Wait,
) -> None:
    server = request.getfixturevalue("remote" if sender == "postfix" else "exim")
    author = BOB if sender == "postfix" else "erik@exim.net"
    failing = {name: scripted(n, script) for n, (name, script) in enumerate(FAILURES.items(), 5)}
    messages = {name: draft(new_mark(), author) for name in failing}
    down = draft(new_mark(), author)
    for n, message in enumerate([*messages.values(), down], 5):
        send(server, author, [f"s{n}@mirage.org"], message)
    numbers = range(5, 5 + len(FAILURES) + 1)
    waits = r"(?s)(to=<s{n}@mirage\.org>[^\n]*status=deferred|== s{n}@mirage\.org [^\n]*defer)"
    wait(lambda: all(re.search(waits.format(n=n), server.log()) for n in numbers), PATIENCE_S)
    assert all(each.messages == [] for each in failing.values())

    for each in failing.values():
        each.script.clear()
    late = scripted(numbers[-1])
    until_empty(server)
    copies = {
        name: sum(taken.data.endswith(messages[name]) for taken in each.messages)
        for name, each in failing.items()
    }
    assert copies == dict.fromkeys(FAILURES, 1)
    assert [taken.data.endswith(down) for taken in late.messages] == [True]
    print(f"{sender}: {len(copies) + 1} kinds of failure, each delivered once by a retry")


REFUSALS = {
    "unknown after the data": (b"550 5.1.1 no such user box@here\r\n", "550 5.1.1"),
    "mailbox full": (b"552 5.2.2 mailbox of box is full\r\n", "552 5.2.2"),
    "spam": (b"554 5.7.1 looks like spam, see http://s.test/box\r\n", "554 5.7.1"),
    "without enhanced code": (b"550 no\r\n", "550 5.0.0"),
    "too large": (b"552 5.3.4 too large for box\r\n", "552 5.3.4"),
}


@pytest.mark.parametrize("step", [Step.RCPT, Step.END])
def test_a_refusal_for_good_reaches_the_sender_s_session(
    remote: Postfix,
    scripted: MakeScripted,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
    wait: Wait,
    step: Step,
) -> None:
    """Its code and our sentence, never the target's words; Postfix bounces, once [R9, V11]."""
    marks = {}
    for n, (name, (says, _)) in enumerate(REFUSALS.items(), 5):
        scripted(n, {step: says})
        marks[name] = new_mark()
        send(remote, BOB, [f"s{n}@mirage.org"], draft(marks[name]))
    for name, (_, code) in REFUSALS.items():
        [bounce] = remote.wait_messages("bob", marks[name].encode())
        report = " ".join(bounce.partition(b"message/rfc822")[0].decode().split())
        assert f"said: {code} The mailbox behind this address does not take the message" in report, report
        assert "box@" not in report
        assert "s.test" not in report


ABOUT_US = {
    21: b"554 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using zen.spamhaus.org\r\n",
    22: b"550 5.7.25 The IP address sending this message does not have a PTR record\r\n",
    23: b"550 5.7.1 [192.0.2.10] our system has detected an unusual rate; reputation\r\n",
}


@pytest.mark.parametrize("number", ABOUT_US)
def test_a_target_refuses_our_address(
    site: Site,
    direct: Direct,
    scripted: MakeScripted,
    draft: Draft,
    new_mark: NewMark,
    wait: Wait,
    number: int,
) -> None:
    """451 4.7.1 to the sender, an alarm for the operator, and the target is left alone for a while [R20]."""
    server = scripted(number, {Step.END if number % 2 else Step.MAIL: ABOUT_US[number]})
    with direct() as client:
        for _ in range(2):
            client.mail(BOB)
            assert client.rcpt(f"s{number}@mirage.org")[0] == 250
            code, text = client.data(draft(new_mark()))
            assert (code, text[:5]) == (451, b"4.7.1"), text
    host = f"mx.s{number}.test"
    wait(lambda: any("refused for what we are" in line and host in line for line in site.journal))
    assert len(server.talks) == 1, "the second mail was not shown to it"


def fates(scripted: MakeScripted, first: int) -> list[ScriptedServer]:
    """Three targets: one takes it, one refuses after the data, one cannot now."""
    scripts: tuple[dict[Step, bytes], ...] = (
        {},
        {Step.END: b"550 5.7.1 not this one\r\n"},
        {Step.END: b"451 4.3.0 not now\r\n"},
    )
    return [scripted(first + n, script) for n, script in enumerate(scripts)]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)], ids=str)
def test_mixed_fates_from_a_postfix(
    remote: Postfix,
    scripted: MakeScripted,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
    order: tuple[int, ...],
) -> None:
    """One transaction, three ends: each recipient comes to its true answer, nobody has two copies [R21]."""
    servers, message, before = fates(scripted, 25), draft(mark := new_mark()), len(remote.log())
    send(remote, BOB, [f"s{25 + n}@mirage.org" for n in order], message)
    for _ in range(3):
        remote.flush()
        time.sleep(0.3)
    servers[2].script.clear()
    until_empty(remote)

    assert [sum(taken.data.endswith(message) for taken in server.messages) for server in servers] == [1, 0, 1]
    said = remote.log()[before:]
    ends = {n: re.findall(rf"to=<s{25 + n}@mirage\.org>[^\n]*status=(sent|bounced)", said) for n in range(3)}
    assert ends == {0: ["sent"], 1: ["bounced"], 2: ["sent"]}
    bounces = remote.wait_messages("bob", mark.encode())
    assert len(bounces) == 1
    report = bounces[0].partition(b"message/rfc822")[0]
    assert [n for n in range(3) if b"s%d@mirage.org" % (25 + n) in report] == [1]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)], ids=str)
@pytest.mark.parametrize("author", ["erik", "plain"])
def test_mixed_fates_from_an_exim(
    exim: Exim,
    scripted: MakeScripted,
    send: Send,
    draft: Draft,
    new_mark: NewMark,
    wait: Wait,
    author: str,
    order: tuple[int, ...],
) -> None:
    """With PRDR, which it asks for by itself, each recipient has its answer at once; without, by splitting.

    Exim takes a refusal after the data for those, too, to whom RCPT was answered 452: so we never say 452.
    """
    servers, before = fates(scripted, 25), len(exim.log())
    # A retry is known by sender and recipients: what one mail left behind must not split the next.
    address = f"{author}{order[0]}@exim.net" if author == "erik" else f"{author}@exim.net"
    message = draft(new_mark(), address)
    send(exim, address, [f"s{25 + n}@mirage.org" for n in order], message)
    wait(lambda: " == s27@mirage.org" in exim.log()[before:])
    if author == "erik":
        assert len(servers[0].messages) == 1
        assert "PRDR" in exim.log()[before:]
    for _ in range(3):
        exim.flush()
    servers[2].script.clear()
    until_empty(exim)

    assert [sum(taken.data.endswith(message) for taken in server.messages) for server in servers] == [1, 0, 1]
    said = exim.log()[before:]
    ends = {n: re.findall(rf" (=>|->|\*\*) s{25 + n}@mirage\.org", said) for n in range(3)}
    assert ends[1] == ["**"]
    assert all(len(ends[n]) == 1 and ends[n] != ["**"] for n in (0, 2)), ends


def test_prdr_by_hand(direct: Direct, scripted: MakeScripted, draft: Draft, new_mark: NewMark) -> None:
    """A reply for each recipient, then one for all (draft-hall-prdr)."""
    fates(scripted, 25)
    with direct() as client:
        assert client.docmd("MAIL", f"FROM:<{BOB}> PRDR")[0] == 250
        for n in (25, 26, 27):
            client.rcpt(f"s{n}@mirage.org")
        assert client.docmd("DATA")[0] == 354
        client.send(draft(new_mark()).replace(b"\r\n.", b"\r\n..") + b".\r\n")
        codes = [client.getreply()[0] for _ in range(5)]
        assert codes[:4] == [353, 250, 550, 451]
        assert client.docmd("NOOP")[0] == 250
