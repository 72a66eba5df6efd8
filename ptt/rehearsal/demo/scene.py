"""What a scene of the demonstration comes to: lines for a person, facts for a program.

A check is a fact that can be false; ``ptt demo --check`` prints one line for each and fails if any does.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ptt.protocol.mail.address import mailbox
from ptt.rehearsal.demo.stage import Stage
from ptt.rehearsal.internet.people import Sender, Told
from ptt.rehearsal.internet.remote_server import Accepted

ALICE = "alice@mirage.org"
MS = 1000.0
_VERDICT = re.compile(r"(?<![.\w])(spf|dkim|dmarc)=(\w+)")


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


async def send(sender: Sender, author: str, recipient: str, message: bytes) -> Told:
    """Hand one letter over."""
    return await sender.send(mailbox(author), [mailbox(recipient)], message)


def outcome(told: Told) -> str:
    """What the one who sent was told."""
    if told.is_accepted:
        return f"accepted after {told.took_s * MS:.0f} ms"
    return f"not accepted: {sentence(told)}"


def sentence(told: Told) -> str:
    """The first line of what was said."""
    return told.text.split(" / ")[0]


def is_refused(told: Told) -> bool:
    """Refused for good."""
    return told.reply is not None and told.reply.is_permanent


def is_deferred(told: Told) -> bool:
    """Refused for now."""
    return told.reply is not None and told.reply.is_temporary


def outcome_and_lead(told: Told, got: Sequence[Accepted]) -> str:
    """Both in one."""
    return f"{outcome(told)}: {lead(told, got)}" if told.is_accepted and got else outcome(told)


def lead(told: Told, got: Sequence[Accepted]) -> str:
    """The promise: ours came after theirs."""
    if not (told.is_accepted and got):
        return "no 250 was given"
    return f"250 came {(told.at - got[0].at) * MS:.1f} ms after that server's own 250"


def verdicts(text: str) -> str:
    """The words that count, as a person reads them: ``SPF pass · DKIM pass · DMARC pass``."""
    return " · ".join(f"{method.upper()} {result}" for method, result in _VERDICT.findall(text)) or "-"


def passed(results: str) -> str:
    """The same in few words where all is well: ``SPF, 2 DKIM, DMARC pass``."""
    found = _VERDICT.findall(results)
    if not found or any(result != "pass" for _, result in found):
        return verdicts(results)
    counted = Counter(method.upper() for method, _ in found)
    return (
        ", ".join(f"{count} {method}" if count > 1 else method for method, count in counted.items()) + " pass"
    )


def field_of(message: bytes, name: str) -> str:
    """The topmost field of this name, unfolded."""
    match = re.search(rb"^" + name.encode() + rb":((?:.*\r\n[ \t])*.*)\r\n", message, re.MULTILINE)
    return " ".join(match[1].decode("utf-8", "replace").split()) if match else "-"


def label_of(message: bytes) -> str:
    """What the spam filter has said, with its score: ``not spam (0.02)``."""
    words = {"yes": "spam", "no": "not spam"}
    said, score = field_of(message, "X-Spamtacus"), field_of(message, "X-Spamtacus-Score")
    return f"{words.get(said, said)} ({score})"
