"""The scenes of the demonstration: each does something real and tells what came of it, with checks.

A check is a fact that can be false; ``ptt demo --check`` prints one line for each and fails if any does.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ptt.protocol.mail.address import mailbox
from ptt.rehearsal.demo.stage import Stage
from ptt.rehearsal.internet.people import Sender, Told
from ptt.rehearsal.internet.remote_server import Accepted
from ptt.rehearsal.our_service import SELECTORS

RETRY_AFTER_S = 1.0  # a real server waits five minutes; the demonstration does not
ARRIVAL_S = 20.0
MS = 1000.0


@dataclass(frozen=True, slots=True)
class Check:
    """One fact."""

    name: str
    holds: bool
    shown: str = ""
    """What was seen, for when it does not hold."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What happened, as a person would tell it, and the facts."""

    title: str
    lines: tuple[str, ...]
    checks: tuple[Check, ...]


Play = Callable[[Stage], Awaitable[Scene]]


def _message(
    sender: str, recipient: str, subject: str, text: str = "Hello,\r\n\r\n.this line begins with a dot\r\n"
) -> bytes:
    return (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject.replace(' ', '-')}@{sender.partition('@')[2]}>\r\n"
        f"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n\r\n{text}"
    ).encode()


async def bob_writes_to_alice(stage: Stage) -> Scene:
    """Mail from outside comes through receiver, spam_filter and relay to Alice's own mailbox."""
    home = stage.servers["home.com"]
    message = _message("bob@remote.com", "alice@mirage.org", "hello alice")
    before = len(home.accepted)
    told = await stage.remote("remote.com").send(
        mailbox("bob@remote.com"), [mailbox("alice@mirage.org")], message
    )
    got = home.accepted[before:]
    unchanged = bool(got) and got[0].message.endswith(message)
    sender = str(got[0].reverse_path) if got else "-"
    stamped = _field(got[0].message, "Authentication-Results") if got else ""
    verdict = " ".join(re.findall(r"(?<![.\w])(?:spf|dkim|dmarc)=\w+", stamped)) or "-"
    label = _field(got[0].message, "X-Spamtacus") if got else "-"
    return Scene(
        "Bob (bob@remote.com) writes to alice@mirage.org",
        (
            f"remote.com -> receiver -> spam_filter -> relay -> mail.home.com   {_outcome(told)}",
            f"at our door: {verdict}; spam: {label}",
            f"envelope sender rewritten: {sender}",
            f"author's octets unchanged: {_yes(unchanged)}; at home.com: {got[0].results if got else '-'}",
            _lead(told, got),
        ),
        (
            Check("inbound mail is accepted", told.is_accepted, told.text),
            Check("it arrived once at home.com", len(got) == 1, f"{len(got)} times"),
            Check("250 came after home.com's 250", bool(got) and told.at >= got[0].at),
            Check("the author's octets are unchanged", unchanged),
            Check("the envelope sender is ours (SRS)", sender.endswith("@srs.mirage.org"), sender),
            Check("SPF passes at home.com", bool(got) and "spf=pass" in got[0].results),
        ),
    )


async def alice_answers(stage: Stage) -> Scene:
    """Mail of a user goes out signed."""
    remote = stage.servers["remote.com"]
    before = len(remote.accepted)
    message = _message("alice@mirage.org", "bob@remote.com", "hello bob")
    told = await stage.alice().send(mailbox("alice@mirage.org"), [mailbox("bob@remote.com")], message)
    got = remote.accepted[before:]
    results = got[0].results if got else "-"
    unchanged = bool(got) and got[0].message.endswith(message)
    return Scene(
        "Alice answers from her mail program (port 465, TLS, her password)",
        (
            f"submission -> signer -> relay -> mx1.remote.com   {_outcome(told)}",
            f"signed rsa-sha256 and ed25519-sha256; at remote.com: {results}",
            _lead(told, got),
        ),
        (
            Check("outbound mail is accepted", told.is_accepted, told.text),
            Check("it arrived once at remote.com", len(got) == 1, f"{len(got)} times"),
            Check("250 came after remote.com's 250", bool(got) and told.at >= got[0].at),
            Check("both signatures verify", results.count("dkim=pass") == len(SELECTORS), results),
            Check("DMARC passes at remote.com", "dmarc=pass" in results, results),
            Check("what Alice wrote is unchanged", unchanged),
        ),
    )


async def alice_writes_to_nobody(stage: Stage) -> Scene:
    """The recipient's own server answers in the mail program, before a byte of the message is sent."""
    told = await stage.alice().send(
        mailbox("alice@mirage.org"),
        [mailbox("nobody@remote.com")],
        _message("alice@mirage.org", "nobody@remote.com", "anybody there"),
    )
    late = await stage.alice().send(
        mailbox("alice@mirage.org"),
        [mailbox("nobody@yahoo-like.net")],
        _message("alice@mirage.org", "nobody@yahoo-like.net", "anybody there either"),
    )
    return Scene(
        "Alice writes to nobody@remote.com",
        (
            f"refused in her mail program after {told.took_s * MS:.0f} ms: {told.text.split(' / ')[0]}",
            f"and where a server tells only after the data: {late.text.split(' / ')[0]}",
        ),
        (
            Check(
                "an unknown user is refused at once",
                told.reply is not None and told.reply.is_permanent,
                told.text,
            ),
            Check(
                "also by a server that tells late",
                late.reply is not None and late.reply.is_permanent,
                late.text,
            ),
        ),
    )


async def the_relay_is_killed(stage: Stage) -> Scene:
    """Whoever handed mail over still has it, and a retry makes no second copy."""
    remote = stage.servers["remote.com"]
    before = len(remote.accepted)
    message = _message("alice@mirage.org", "bob@remote.com", "killed on the way")
    hold = remote.hold = asyncio.Event()
    remote.waiting.clear()
    sending = asyncio.ensure_future(_send(stage.alice(), message))
    async with asyncio.timeout(ARRIVAL_S):
        await remote.waiting.wait()
    stage.service.host.kill("relay")
    first = await sending
    remote.hold = None
    hold.set()
    await asyncio.sleep(RETRY_AFTER_S)
    await stage.service.host.ready(ARRIVAL_S)  # a slow machine has the next relay later than that
    second = await _send(stage.alice(), message)
    copies = len(remote.accepted) - before
    return Scene(
        "The relay is killed before the recipient's server has taken the message",
        (
            f"Alice was told: {first.text}",
            f"she sends again: {_outcome(second)}",
            f"copies at remote.com: {copies}: nothing lost, nothing doubled",
        ),
        (
            Check("no 250 without delivery", not first.is_accepted, first.text),
            Check("the fault is temporary", first.reply is None or first.reply.is_temporary, first.text),
            Check("the retry is accepted", second.is_accepted, second.text),
            Check("delivered exactly once", copies == 1, f"{copies} copies"),
        ),
    )


async def _send(sender: Sender, message: bytes) -> Told:
    return await sender.send(mailbox("alice@mirage.org"), [mailbox("bob@remote.com")], message)


def _outcome(told: Told) -> str:
    if told.is_accepted:
        return f"accepted after {told.took_s * MS:.0f} ms"
    return f"not accepted: {told.text}"


def _yes(fact: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if fact else "no"


def _lead(told: Told, got: list[Accepted]) -> str:
    if not (told.is_accepted and got):
        return "no 250 was given"
    return f"250 was given {(told.at - got[0].at) * MS:.1f} ms after the recipient's own server gave its 250"


def _field(message: bytes, name: str) -> str:
    match = re.search(rb"^" + name.encode() + rb":((?:.*\r\n[ \t])*.*)\r\n", message, re.MULTILINE)
    return " ".join(match[1].decode("utf-8", "replace").split()) if match else "-"


OUTBOUND: tuple[Play, ...] = (alice_answers, alice_writes_to_nobody, the_relay_is_killed)
INBOUND: tuple[Play, ...] = (bob_writes_to_alice,)
