"""From what servers said to what a recipient is answered.

Each target comes to ``Delivered | Refused | Failed``, each recipient to one reply.
250 arises only from ``Delivered``, and ``Delivered`` only from a server's 2yz after the end of the data; but
for an alias that says that its mail is to be discarded.
Doubt is temporary. Several targets of one recipient: any temporary or unknown is 451; none delivered is the
refusal; some delivered and the others refused for good is 250 and an alarm that names the dead target, or
554 where the user needs all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from ptt.errors import MisuseError
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import Broke, Lacks, NotAsked, NoTls, Said, Stage, TlsBroke, Word
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.security import NO_TLS, TLS_BROKE, lack_reply

Wording = Callable[[Said, Mailbox], Reply]
"""How a server's refusal of a recipient is passed on: as a reply of ours, never 2yz."""

NOT_REACHED = Reply(
    451, "4.4.1", "The recipient's mail server cannot be reached now. Please try again later."
)
LOST = Reply(451, "4.4.2", "The connection to the recipient's mail server broke. Please try again later.")
STILL_OPEN = Reply(
    451,
    "4.4.7",
    "The recipient's mail server has not answered yet. Please send the same message again later:",
    "if it has been delivered meanwhile, that will be noticed, and no second copy is made.",
)
NOT_SENT = Reply(
    451,
    "4.4.0",
    "Nothing was sent, because not every recipient's server took the message. Please try again later.",
)
SOME_MISSING = Reply(
    554, "5.3.0", "The message reached some of the mailboxes behind this address, but not all."
)
DISCARDED = Reply(250, "2.0.0", "Discarded, as the owner of this address wishes.")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok.")
MAX_QUOTED_CHARACTERS = 200  # of a server's words in our 250


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target's server has taken the message. ``words`` are its own, for the trace."""

    host: str
    words: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The target's server said no, 4yz or 5yz; ``reply`` is what we make of it."""

    reply: Reply

    def __post_init__(self) -> None:
        if not (self.reply.is_temporary or self.reply.is_permanent):
            raise MisuseError(f"{self.reply} is no refusal")


@dataclass(frozen=True, slots=True)
class Failed:
    """No verdict. ``reason`` is private; ``is_open``: the target may have the message all the same."""

    reason: str
    reply: Reply
    is_open: bool = False

    def __post_init__(self) -> None:
        if not self.reply.is_temporary:
            raise MisuseError(f"{self.reply} for a failure of which nothing is known")


Outcome = Delivered | Refused | Failed


@dataclass(frozen=True, slots=True)
class Judged:
    """One recipient's reply; ``alarm`` is for the operator."""

    reply: Reply
    alarm: str | None = None


def outcome_at_end(word: Word, recipient: Mailbox, wording: Wording) -> Outcome:
    """What the last word about a target means after the data."""
    if isinstance(word, Said) and word.reply.is_completed:
        if word.stage is not Stage.END:
            return Failed(f"{word.host} was never given the end of the data", NOT_SENT)
        return Delivered(word.host, " ".join(word.reply.printable)[:MAX_QUOTED_CHARACTERS])
    return refusal(word, recipient, wording)


def refusal(word: Word, recipient: Mailbox, wording: Wording) -> Refused | Failed:
    """What a word that is no 2yz means."""
    match word:
        case Said(host, stage, reply):
            if reply.is_completed or reply.is_intermediate:
                return Failed(f"{host} said {reply} to {stage}", LOST)
            return Refused(wording(word, recipient))
        case Broke(host, Stage.CONNECTION | Stage.GREETING, reason):
            return Failed(f"{host}: {reason}", NOT_REACHED)
        case Broke(host, stage, reason):
            return Failed(f"{host} at {stage}: {reason}", LOST, is_open=stage is Stage.END)
        case NoTls():
            return Refused(NO_TLS)
        case TlsBroke(host, reason):
            return Failed(f"{host}: {reason}", TLS_BROKE)
        case Lacks(_, keyword):
            return Refused(lack_reply(keyword))
        case NotAsked(reply):
            return Refused(reply)
        case _:  # pragma: no cover - the checker knows that there is no other
            assert_never(word)


def at_recipient(outcomes: Sequence[Refused | Failed | None], *, needs_all: bool) -> Reply:
    """The answer to RCPT from its targets' first words; None stands for a target whose server said yes."""
    refusals = [outcome for outcome in outcomes if outcome is not None]
    temporary = _temporary(refusals)
    if temporary is not None:
        return temporary
    if not refusals or (len(refusals) < len(outcomes) and not needs_all):
        return RECIPIENT_OK
    return refusals[0].reply


def at_end(
    outcomes: Sequence[Outcome], *, is_ours: bool, needs_all: bool, is_discarded: bool = False
) -> Judged:
    """The answer after the data from the outcomes of all targets of a recipient.

    ``is_ours``: an address of ours, whose targets' hosts are not told (they reveal the mailbox).
    ``is_discarded``: its file says so; it has no targets then.
    """
    if is_discarded and not outcomes:
        return Judged(DISCARDED)
    if not outcomes:
        raise MisuseError("a recipient without targets")
    refusals = [outcome for outcome in outcomes if not isinstance(outcome, Delivered)]
    delivered = [outcome for outcome in outcomes if isinstance(outcome, Delivered)]
    temporary = _temporary(refusals)
    if temporary is not None:
        return Judged(temporary)
    if not delivered:
        return Judged(refusals[0].reply)
    if not refusals:
        return Judged(_delivered(delivered, is_ours=is_ours))
    alarm = "a target is dead: " + "; ".join(str(outcome.reply) for outcome in refusals)
    return Judged(SOME_MISSING if needs_all else _delivered(delivered, is_ours=is_ours), alarm)


def _temporary(refusals: Sequence[Refused | Failed]) -> Reply | None:
    return next((outcome.reply for outcome in refusals if outcome.reply.is_temporary), None)


def _delivered(delivered: Sequence[Delivered], *, is_ours: bool) -> Reply:
    """The only place where a message that somebody has is answered 250."""
    if is_ours:
        return Reply(250, "2.0.0", "Delivered.")
    first = delivered[0]
    return Reply(250, "2.0.0", f"Delivered. {first.host}: {first.words}")
