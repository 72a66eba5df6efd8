"""What one transaction knows: its recipients and targets, each server's last word, what the ledger says.

Pure bookkeeping between ``routing``, ``ledger`` and ``outcome``: it says which target still has to be
delivered, whether the end of the data may be given, and in the end each recipient's reply. A target is one
copy however many recipients lead to it: what the ledger knows of it through one of them counts for all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import NotAsked, Word, describe, is_accepted, is_temporary
from ptt.protocol.smtp.reply import Reply
from ptt.records.users import RelayUser
from ptt.units.relay.entry import Entry
from ptt.units.relay.fingerprint import Fingerprint
from ptt.units.relay.ledger import Decision, Deliver, Join, Keys, Known
from ptt.units.relay.outcome import (
    STILL_OPEN,
    Delivered,
    Failed,
    Judged,
    Outcome,
    Refused,
    Wording,
    at_end,
    at_recipient,
    outcome_at_end,
    refusal,
)
from ptt.units.relay.routing import UNKNOWN_USER, Lane, Routed, Router, Target


@dataclass(frozen=True, slots=True)
class Pair:
    """A recipient and one of its targets: what the ledger has entries about."""

    routed: Routed
    target: Target

    @property
    def key(self) -> tuple[Mailbox, Target]:
        """What makes it the same pair."""
        return (self.routed.recipient, self.target)


@dataclass(slots=True)
class Transaction:
    """See the module. ``wording`` gives the words of refusals for a user of ours, or for nobody of ours."""

    router: Router
    wording: Callable[[RelayUser | None], Wording]
    accepted: list[Routed] = field(default_factory=list)
    words: dict[Target, Word] = field(default_factory=dict)
    known: dict[Target, Outcome] = field(default_factory=dict)
    joined: dict[Target, Entry] = field(default_factory=dict)
    ending: set[Target] = field(default_factory=set)
    """Targets that are being given the end of the data; their words still speak of RCPT."""
    waiting: set[Target] = field(default_factory=set)
    """Targets that have the end of the data and have not answered."""
    notes: list[str] = field(default_factory=list)
    """What else the journal should say."""
    _decisions: dict[tuple[Mailbox, Target], Decision] = field(default_factory=dict)
    _pairs: list[Pair] = field(default_factory=list)
    _paired: int = 0
    """Of so many accepted recipients are the pairs; a recipient is never taken back."""

    # At RCPT

    def route(self, recipients: Sequence[Mailbox]) -> list[Routed | Reply]:
        """Find out where a group of recipients goes."""
        return [self.router.route(recipient) for recipient in recipients]

    def unasked(self, routes: Iterable[Routed | Reply]) -> dict[Lane, list[Target]]:
        """The targets of these that no server has been asked about, by lane."""
        lanes: dict[Lane, dict[Target, None]] = {}
        for routed in routes:
            for target in routed.targets if isinstance(routed, Routed) else ():
                if target not in self.words:
                    lanes.setdefault(target.lane, {})[target] = None
        return {lane: list(targets) for lane, targets in lanes.items()}

    def answer(self, routed: Routed | Reply) -> Reply:
        """The reply to RCPT, now that its targets' servers have spoken; remembers who was accepted."""
        if isinstance(routed, Reply):
            return routed
        wording = self.wording(routed.user)
        refusals: list[Refused | Failed | None] = [Refused(UNKNOWN_USER) for _ in routed.dead]
        for target in routed.targets:
            word = self.words[target]
            refusals.append(None if is_accepted(word) else refusal(word, routed.recipient, wording))
        reply = at_recipient(refusals, needs_all=routed.user is not None and routed.user.needs_all)
        if reply.is_completed:
            self.accepted.append(routed)
            if routed.is_discarded:
                self.notes.append(f"{routed.recipient}: discarded, as its file says")
        return reply

    # Before the end of the data

    def pairs(self) -> list[Pair]:
        """All (recipient, target) of the accepted recipients, each once."""
        if self._paired != len(self.accepted):
            pairs = {
                pair.key: pair
                for routed in self.accepted
                for target in routed.targets
                for pair in [Pair(routed, target)]
            }
            self._pairs, self._paired = list(pairs.values()), len(self.accepted)
        return self._pairs

    def keys(
        self, fingerprint: Fingerprint, reverse_path: Mailbox | None, login: str | None
    ) -> list[tuple[Pair, Keys]]:
        """What the ledger is asked: about every pair whose server has accepted the recipient."""
        return [
            (
                pair,
                Keys(
                    fingerprint.exact_key(reverse_path, pair.routed.recipient, pair.target.mailbox),
                    None
                    if login is None
                    else fingerprint.loose_key(login, pair.routed.recipient, pair.target.mailbox),
                    fingerprint.names_itself,
                ),
            )
            for pair in self.pairs()
            if is_accepted(self.words[pair.target])
        ]

    def decided(self, pair: Pair, decision: Decision) -> None:
        """Take what the ledger says. Delivered before counts for all, then a run to join."""
        self._decisions[pair.key] = decision
        target = pair.target
        match decision:
            case Known(outcome=Delivered() as outcome):
                self.known[target] = outcome
                self.joined.pop(target, None)
            case Join(entry) if target not in self.known:
                self.joined[target] = entry
            case _:
                pass

    def settle_refusals(self) -> None:
        """After all decisions: a target is refused from memory if nobody is to deliver it."""
        for pair in self.pairs():
            decision = self._decisions.get(pair.key)
            if isinstance(decision, Known) and not self._is_delivered_by_anyone(pair.target):
                self.known.setdefault(pair.target, decision.outcome)

    def refuse_all(self, reply: Reply) -> None:
        """Nobody gets the message: it is refused for what it is."""
        for pair in self.pairs():
            self.words[pair.target] = NotAsked(reply)

    def wanted(self, lane: Lane) -> tuple[Target, ...]:
        """The targets of a lane that a recipient still needs and whose server accepts them."""
        targets = dict.fromkeys(pair.target for pair in self.pairs())
        return tuple(
            target
            for target in targets
            if target.lane == lane
            and target not in self.known
            and target not in self.joined
            and is_accepted(self.words[target])
        )

    def may_end(self) -> bool:
        """Whether everybody who is to get the end of the data has taken the rest, or has refused for good."""
        return not any(
            is_temporary(self.words[pair.target])
            for pair in self.pairs()
            if pair.target not in self.known and pair.target not in self.joined
        )

    # After it

    def outcome(self, pair: Pair) -> Outcome:
        """What became of a target, for one of its recipients."""
        if pair.target in self.known:
            return self.known[pair.target]
        if pair.target in self.joined:
            return Failed("another try is still running", STILL_OPEN, is_open=True)
        if pair.target in self.waiting:
            return Failed("no answer to the end of the data yet", STILL_OPEN, is_open=True)
        return outcome_at_end(self.words[pair.target], pair.routed.recipient, self.wording(pair.routed.user))

    def to_settle(self, *, joins_ended: bool) -> list[tuple[Entry, Outcome]]:
        """The ledger's entries of this transaction whose outcome has come since; each is given once.

        ``joins_ended`` False leaves those that hang on another transaction, which may hang on this one.
        """
        settled = []
        for pair in self.pairs():
            decision = self._decisions.get(pair.key)
            if not isinstance(decision, Deliver) or pair.target in self.waiting or pair.target in self.ending:
                continue
            if joins_ended or pair.target not in self.joined:
                settled.append((decision.entry, self.outcome(pair)))
                del self._decisions[pair.key]
        return settled

    def left_open(self) -> list[Entry]:
        """The entries that nobody will settle any more; each is given once."""
        entries = [decision.entry for decision in self._decisions.values() if isinstance(decision, Deliver)]
        self._decisions.clear()
        return entries

    def judged(self) -> list[Judged]:
        """One reply for each accepted recipient, in their order (RFC 2033 §4.2)."""
        return [
            at_end(
                [
                    *(Refused(UNKNOWN_USER) for _ in routed.dead),
                    *(self.outcome(Pair(routed, target)) for target in routed.targets),
                ],
                is_ours=routed.user is not None,
                needs_all=routed.user is not None and routed.user.needs_all,
                is_discarded=routed.is_discarded,
            )
            for routed in self.accepted
        ]

    def describe(self) -> list[str]:
        """What was learned about each target, for the journal."""
        return [
            *(
                f"{target.mailbox}: {self.known.get(target) or describe(word)}"
                for target, word in self.words.items()
            ),
            *self.notes,
        ]

    def _is_delivered_by_anyone(self, target: Target) -> bool:
        return target in self.joined or any(
            isinstance(decision, Deliver)
            for (_, other), decision in self._decisions.items()
            if other == target
        )
