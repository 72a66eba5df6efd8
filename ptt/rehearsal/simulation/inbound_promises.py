"""What is promised to strangers who write to our users, and whether it was kept in a story.

Kept always: a 250 means that a target's server has said 250 before; a 5yz comes from a target's server, or is
about the address or the message itself; who was answered has one true answer; everybody has one in the
end; what is meant twice arrives twice. Kept but where SMTP itself leaves it open: a letter meant once is
in each target's mailbox once. Each further copy must have a reason, as in ``promises``: the server's 250 did
not reach us, or the relay was killed before it had read it; or the letter has no Message-ID and our 250 was
lost.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ptt.rehearsal.simulation.doubt import Tries, is_report_lost, why_again
from ptt.rehearsal.simulation.scene import TARGETS_OF, Scene
from ptt.rehearsal.simulation.senders import Attempt, Delivery, Letter
from ptt.rehearsal.simulation.targets import Taken

DELIVERED = 250  # RFC 5321 §4.2.3


@dataclass(slots=True)
class Posting:
    """A letter and its deliveries, one for each time that it was meant. ``is_forged``: to be refused."""

    letter: Letter
    is_forged: bool = False
    meanings: list[Delivery] = field(default_factory=list)


@dataclass(slots=True)
class _Case:
    """One recipient of a posting, with what the servers have for it."""

    scene: Scene
    posting: Posting
    recipient: str
    copies: dict[str, list[Taken]]
    """By target."""

    @property
    def name(self) -> str:
        return f"{self.posting.letter.token} {self.recipient}"

    @property
    def attempts(self) -> list[Attempt]:
        return [
            attempt
            for delivery in self.posting.meanings
            for attempt in delivery.attempts
            if self.recipient in attempt.recipients
        ]

    @property
    def ends(self) -> list[Attempt]:
        """Those that were told 250, one a meaning at most."""
        return [attempt for attempt in self.attempts if attempt.code(self.recipient) == DELIVERED]

    @property
    def tries(self) -> Tries:
        return Tries(
            self.recipient,
            names_itself=self.posting.letter.is_named,
            began_at=self.attempts[0].started_at,
            untold=[each.ended_at for each in self.attempts if each.code(self.recipient) != DELIVERED],
        )

    @property
    def all_copies(self) -> list[Taken]:
        return [copy for copies in self.copies.values() for copy in copies]


def judge(scene: Scene, postings: Sequence[Posting]) -> tuple[list[str], Counter[str]]:
    """The breaches, and counts of what happened."""
    breaches: list[str] = []
    counts: Counter[str] = Counter()
    for posting in postings:
        counts["letters"] += 1
        counts["transactions"] += sum(len(delivery.attempts) for delivery in posting.meanings)
        for recipient in posting.letter.recipients:
            case = _Case(scene, posting, recipient, _copies(scene, posting.letter, recipient))
            counts["recipients"] += 1
            counts["copies"] += len(case.all_copies)
            breaches += _endless(case)
            breaches += _false_acceptances(case)
            breaches += _false_refusals(case)
            breaches += _untrue_refusals(case)
            breaches += _lost_meanings(case, counts)
            breaches += _doubles(case, counts)
    return breaches, counts


def _copies(scene: Scene, letter: Letter, recipient: str) -> dict[str, list[Taken]]:
    token = letter.token.encode()
    found = {
        mailbox: [
            taken
            for target in scene.targets
            for taken in target.taken
            if mailbox in taken.recipients and token in taken.message
        ]
        for mailbox in TARGETS_OF.get(recipient, ())
    }
    return {mailbox: sorted(copies, key=lambda taken: taken.at) for mailbox, copies in found.items()}


def _endless(case: _Case) -> list[str]:
    """After all disorder each has its answer while the letter is still in the queue."""
    return [
        f"{case.name}: no answer after {len(delivery.attempts)} tries"
        for delivery in case.posting.meanings
        if case.recipient in delivery.open_recipients
    ]


def _false_acceptances(case: _Case) -> list[str]:
    return [
        f"{case.name}: a 250 at {attempt.ended_at:.3f} without one of a target's server"
        for attempt in case.ends
        if case.posting.is_forged
        or not any(copy.is_told and copy.at <= attempt.ended_at for copy in case.all_copies)
    ]


def _false_refusals(case: _Case) -> list[str]:
    """Whatever of ours fails is never 5yz."""
    if case.posting.is_forged or case.recipient not in TARGETS_OF:
        return []
    begin = case.attempts[0].started_at
    domains = {mailbox.partition("@")[2] for mailbox in case.copies}
    said = [
        refusal.at
        for target in case.scene.targets
        if any(target.name.endswith(domain) for domain in domains)
        for refusal in target.said
        if refusal.reply.startswith("5") and "spamhaus" not in refusal.reply
    ]
    return [
        f"{case.name}: refused for good at {attempt.ended_at:.3f} by no server: {answer}"
        for attempt in case.attempts
        if (answer := attempt.answers.get(case.recipient, "")).startswith("5")
        and not any(begin <= at <= attempt.ended_at for at in said)
    ]


def _untrue_refusals(case: _Case) -> list[str]:
    """Who is told 5yz has not got it by the same meaning, as far as we can know."""
    return [
        f"{case.name}: refused for good, though it is delivered"
        for delivery in case.posting.meanings
        if delivery.ended.get(case.recipient, "").startswith("5")
        for copy in case.all_copies
        if delivery.attempts[0].started_at <= copy.at <= delivery.attempts[-1].ended_at
        if why_again(case.scene, case.tries, copy, copy.at) is None
    ]


def _lost_meanings(case: _Case, counts: Counter[str]) -> list[str]:
    """Each meaning that ended in a 250 wants a copy of its own."""
    ends = case.ends
    missing = len(ends) - max(map(len, case.copies.values()), default=0)
    if missing <= 0:
        return []
    if is_report_lost(case.scene, [each.ended_at for each in ends]):
        counts["meant twice, taken for a retry: the report was lost with a unit or a path"] += missing
        return []
    return [f"{case.name}: meant {len(ends)} times, {len(ends) - missing} copies"]


def _doubles(case: _Case, counts: Counter[str]) -> list[str]:
    """Every copy more than was meant has a reason: something was in doubt when the one before was made."""
    meant = sum(
        any(attempt.has_sent_all and case.recipient in attempt.recipients for attempt in delivery.attempts)
        for delivery in case.posting.meanings
    )
    breaches = []
    for mailbox, copies in case.copies.items():
        extra = len(copies) - meant
        last = max((copy.at for copy in copies), default=0.0)
        reasons = [
            reason for copy in copies if (reason := why_again(case.scene, case.tries, copy, last)) is not None
        ]
        if extra > len(reasons):
            known = "; ".join(reasons) or "none"
            breaches.append(f"{case.name}: {mailbox} has {len(copies)} copies, reasons for more: {known}")
        elif extra > 0:
            counts.update(reasons[:extra])
    return breaches


__all__ = ["Posting", "judge"]
