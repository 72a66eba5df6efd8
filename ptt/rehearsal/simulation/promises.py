"""What is promised to who sends, and whether it was kept in a story (DESIGN sections 2 and 5).

Kept always: a 250 means that each recipient's server has said 250 before; a 5yz comes from a server; what is
meant twice arrives twice; a domain that does not exist is refused, once name servers say so. Kept but where
SMTP itself leaves it open: a mail meant once arrives once. Each further copy must have a reason of these, and
is counted under it:

- the server's 250 did not reach us (RFC 1047), or the relay was killed before it had read it;
- our 250 did not reach a program that makes a new Message-ID with each try.

A mail meant twice may arrive once in one case: the report that the first 250 was taken was lost with one of
our units, so that the second looked like a retry (the same octets, the same Message-ID).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ptt.rehearsal.simulation.clients import Draft, MailProgram, Naming, Try
from ptt.rehearsal.simulation.doubt import Tries, is_report_lost, why_again
from ptt.rehearsal.simulation.scene import Scene
from ptt.rehearsal.simulation.targets import Taken

NOWHERE = "nowhere.example"
"""A domain that does not exist; it is written to when all disorder is over."""


@dataclass(slots=True)
class Sending:
    """A draft and all tries of it, those of each meaning together."""

    naming: Naming
    draft: Draft
    meanings: list[list[Try]]
    program: MailProgram = field(init=False)
    is_twin: bool = False
    """It was on its way twice at once: each 250 that was taken may have been an end of its own."""

    @property
    def tries(self) -> list[Try]:
        """All of them."""
        return [each for meaning in self.meanings for each in meaning]


def judge(scene: Scene, sendings: Sequence[Sending]) -> tuple[list[str], Counter[str]]:
    """The breaches, and counts of what happened."""
    breaches: list[str] = []
    counts: Counter[str] = Counter()
    for sending in sendings:
        counts["mails"] += 1
        counts["tries"] += len(sending.tries)
        if sending.draft.recipients[0].endswith(f"@{NOWHERE}"):
            breaches += _false_existence(sending)
            continue
        breaches += _false_refusals(scene, sending)
        for recipient in sending.draft.recipients:
            copies = sorted(_copies(scene, sending.draft, recipient), key=lambda taken: taken.at)
            counts["copies"] += len(copies)
            breaches += _false_acceptances(sending, recipient, copies)
            breaches += _lost_meanings(scene, sending, recipient, copies, counts)
            breaches += _doubles(scene, sending, recipient, copies, counts)
    return breaches, counts


def _false_existence(sending: Sending) -> list[str]:
    tries = sending.tries
    if str(tries[-1].code).startswith("5") and not any(each.is_250 for each in tries):
        return []
    return [f"{sending.draft.token}: {[each.final for each in tries]} for a domain that does not exist"]


def _copies(scene: Scene, draft: Draft, recipient: str) -> list[Taken]:
    token = draft.token.encode()
    return [
        taken
        for target in scene.targets
        for taken in target.taken
        if recipient in taken.recipients and token in taken.message
    ]


def _false_refusals(scene: Scene, sending: Sending) -> list[str]:
    """Whatever of ours fails is never 5yz: a server has said it, since the mail was sent first."""
    said = [
        refusal.at for target in scene.targets for refusal in target.said if refusal.reply.startswith("5")
    ]
    begin = sending.tries[0].started_at
    return [
        f"{sending.draft.token}: refused for good at {each.ended_at:.3f} by no server: {each.final}"
        for each in sending.tries
        if any(reply.startswith("5") for reply in (each.final or "", *each.replies.values()))
        and not any(begin <= at <= each.ended_at for at in said)
    ]


def _false_acceptances(sending: Sending, recipient: str, copies: Sequence[Taken]) -> list[str]:
    return [
        f"{sending.draft.token}: a 250 at {each.ended_at:.3f} without one of the server of {recipient}"
        for each in sending.tries
        if each.is_250 and not any(copy.is_told and copy.at <= each.ended_at for copy in copies)
    ]


def _lost_meanings(
    scene: Scene, sending: Sending, recipient: str, copies: Sequence[Taken], counts: Counter[str]
) -> list[str]:
    """Each meaning that ended in a 250 wants a copy of its own."""
    meant = [meaning[-1] for meaning in sending.meanings if meaning and meaning[-1].is_250]
    missing = len(meant) - len(copies)
    if missing <= 0:
        return []
    # The report is made when the program goes on, which may be with the next mail.
    if sending.naming is not Naming.LEAVES and is_report_lost(scene, [each.ended_at for each in meant]):
        counts["meant twice, taken for a retry: the report was lost with a unit or a path"] += missing
        return []
    return [f"{sending.draft.token}: meant {len(meant)} times, {recipient} has {len(copies)}"]


def _doubles(
    scene: Scene, sending: Sending, recipient: str, copies: Sequence[Taken], counts: Counter[str]
) -> list[str]:
    """Every copy more than was meant has a reason: something was in doubt when the one before was made."""
    meant = sum(1 for meaning in sending.meanings if any(each.has_sent_all for each in meaning))
    if sending.is_twin:
        meant = max(meant, _meant_by_twins(sending))
    extra = len(copies) - meant
    if extra <= 0:
        return []
    last = max(copy.at for copy in copies)
    tries = Tries(
        recipient,
        names_itself=sending.naming is Naming.KEEPS,
        began_at=sending.tries[0].started_at,
        untold=[each.ended_at for each in sending.tries if not each.is_250],
    )
    reasons = [reason for copy in copies if (reason := why_again(scene, tries, copy, last)) is not None]
    if len(reasons) < extra:
        known = "; ".join(reasons) or "none"
        return [f"{sending.draft.token}: {recipient} has {len(copies)} copies, reasons for more: {known}"]
    for reason in reasons[:extra]:
        counts[reason] += 1
    return []


def _meant_by_twins(sending: Sending) -> int:
    """Of two programs at once: what one of them goes on with after the other's 250 is meant again."""
    answered = [each.ended_at for each in sending.tries if each.is_250]
    goes_on = answered and any(each.has_sent_all and each.ended_at > min(answered) for each in sending.tries)
    return max(len(answered), 2 if goes_on else 0)


__all__ = ["Sending", "judge"]
