"""A stranger's message on its way to the targets of our users, and a bounce on its way back.

RCPT is answered from the list alone: a target is connected only when the message is here, judged by the units
before us. Each alias has a transaction of its own [R14], with an envelope sender in its SRS domain [R10] and
its loop token in the trace [R15]; each target is served at its own pace, and none waits for another. What
ended differently for several recipients is remembered, so that the retry comes split [R21]. A provider that
has refused us is left alone for a while [R20]. A message over 1 MB goes on while it comes, as outbound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Protocol

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import NotAsked, Said, Stage, Word, is_accepted
from ptt.protocol.smtp.events import MailReceived
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.units.relay.bounces import NOT_LED_BACK, Bounces
from ptt.units.relay.brakes import Brakes
from ptt.units.relay.delivery import Delivery, Means, Remote
from ptt.units.relay.outcome import Delivered, Judged
from ptt.units.relay.routing import Lane, Routed
from ptt.units.relay.security import Envelope
from ptt.units.relay.splitting import Hint, Splits, standing_of
from ptt.units.relay.transaction import Pair, Transaction
from ptt.units.relay.wording import about_us

LOOPED = Reply(554, "5.4.6", "The message has passed this address before: it is going round.")
END_ROOM_S = 10.0  # of the time to answer, kept for the verdict: a server that is slower before is given up
TOKEN_OCTETS = 12  # hexadecimal digits of 96 bits: no stranger guesses one to have mail refused

UNASKED = Said("no server yet", Stage.RECIPIENT, RemoteReply(250, None, ("not asked",)))
"""Stands for the word of a server that is asked when the message is here."""


class TraceField(Protocol):
    """Writes our Received field."""

    def __call__(self, trace_id: str, *, tokens: tuple[str, ...] = ()) -> bytes:
        """Write the field with these loop tokens."""
        ...


@dataclass(slots=True)
class Memory:
    """What all of a relay's inbound transactions share."""

    bounces: Bounces
    splits: Splits = field(default_factory=Splits)
    brakes: Brakes = field(default_factory=Brakes)


class InboundDelivery(Delivery):
    """See the module; used as ``Delivery`` is. ``shared``: what outlives a transaction."""

    is_inbound = True

    def __init__(
        self, means: Means, mail: MailReceived, transaction: Transaction, received: TraceField, shared: Memory
    ) -> None:
        super().__init__(means, mail, transaction, received)
        self.login = None  # a stranger has none, whatever is said
        self._shared = shared
        self._trace_field = received
        self._hint = Hint(mail.reverse_path, mail.parameters.size)
        self._envelope = replace(
            self._envelope, size=None
        )  # declared before the stamps of the units before us
        self._begun: set[Lane] = set()

    # RCPT

    async def recipients(self, group: Sequence[Mailbox]) -> tuple[Reply, ...]:
        """Answer from the list; no server is asked."""
        routes = self.transaction.route(group)
        return tuple(map(self._recipient, group, routes))

    def _recipient(self, recipient: Mailbox, routed: Routed | Reply) -> Reply:
        if routed == NOT_LED_BACK:
            self.transaction.notes.append(f"a bounce for a sender too long to be led back: {recipient}")
        if isinstance(routed, Reply):
            return routed
        accepted = self.transaction.accepted
        first = accepted[0].recipient if accepted else None
        split = self._shared.splits.at_recipient(self._hint, first, recipient, self._means.unix_time())
        if split is not None:
            return split
        for target in routed.targets:
            self.transaction.words.setdefault(target, UNASKED)
        return self.transaction.answer(routed)

    # The message

    async def finish(self, ended_at: float) -> tuple[Judged, ...]:
        """Deliver; what ended differently is remembered for the retry."""
        judged = await super().finish(ended_at)
        pairs = zip(self.transaction.accepted, judged, strict=True)
        standings = {routed.recipient: standing_of(each.reply) for routed, each in pairs}
        self._shared.splits.at_end(self._hint, standings, self._means.unix_time())
        return tuple(map(self._named, self.transaction.accepted, judged))

    def _named(self, routed: Routed, judged: Judged) -> Judged:
        """An alarm that names the dead targets, which our words to strangers hide."""
        if judged.alarm is None:
            return judged
        outcomes = [(target, self.transaction.outcome(Pair(routed, target))) for target in routed.targets]
        refusing = [target.mailbox for target, outcome in outcomes if not isinstance(outcome, Delivered)]
        dead = ", ".join(map(str, (*routed.dead, *refusing)))
        return replace(judged, alarm=f"{routed.recipient}: {dead}: {judged.alarm}")

    # Within

    async def _begin_streaming(self, deadline: float) -> None:
        self._note_bytes(None)
        self._refuse_loops()
        await self._means.together(*(self._open(lane, deadline) for lane in self._lanes()))
        await self._pass_on(deadline)

    async def _pass_on(self, deadline: float) -> None:
        """Write all that is held but the last piece; who has failed is out, the others go on."""
        await self._transfer(self._held[-1:], deadline)

    async def _deliver(self, ended_at: float) -> None:
        deadlines = self._means.deadlines
        answer_by = ended_at + deadlines.answer_s
        taken_by = min(answer_by, max(ended_at + deadlines.taken_s, answer_by - END_ROOM_S))
        self._late_deadline = ended_at + deadlines.late_s
        await self._consult_ledger()
        if not self._is_streaming:
            self._note_bytes(self.size)
            self._refuse_loops()
        lanes = self._lanes()
        self.transaction.ending.update(pair.target for pair in self.transaction.pairs())
        await self._means.together(*(self._serve(lane, taken_by, answer_by) for lane in lanes))
        self._let_go()

    async def _serve(self, lane: Lane, taken_by: float, answer_by: float) -> None:
        """One alias's targets at one destination, from the first word to the last."""
        transaction = self.transaction
        last = self._held
        if not self._is_streaming:
            await self._open(lane, taken_by)
            if (remote := self._remotes.get(lane)) is not None and transaction.wanted(lane):
                await self._transfer_to(lane, remote, last, taken_by)
            last = []
        remote = self._remotes.get(lane)
        if remote is not None and transaction.wanted(lane) and not self.is_abandoned:
            await self._end(lane, remote, last, answer_by)
        elif remote is not None:
            await remote.release()
        targets = [pair.target for pair in transaction.pairs() if pair.target.lane == lane]
        transaction.ending.difference_update(targets)
        self._settle(joins_ended=False)
        self._heed([transaction.words[target] for target in targets if target not in transaction.known])

    async def _open(self, lane: Lane, deadline: float) -> None:
        """Ask the servers of a lane for the targets that have nothing yet."""
        targets = self.transaction.wanted(lane)
        remote = await self._means.find_way(lane) if targets else None
        if remote is None:
            return
        if isinstance(remote, Word):
            self.transaction.words.update(dict.fromkeys(targets, remote))
            return
        self._remotes[lane] = remote
        await self._request(lane, remote, targets, deadline)

    async def _transfer_to(
        self, lane: Lane, remote: Remote, pieces: Sequence[bytes], deadline: float
    ) -> None:
        if lane not in self._begun:
            self._begun.add(lane)
            pieces = [*self._trace(lane), *pieces]
        await super()._transfer_to(lane, remote, pieces, deadline)

    def _envelope_of(self, lane: Lane) -> Envelope:
        envelope = self._envelope
        if envelope.size is not None:
            envelope = replace(envelope, size=envelope.size + sum(map(len, self._trace(lane))))
        if lane.alias is None or envelope.reverse_path is None:
            return replace(envelope, reverse_path=None)  # a bounce stays one
        now = self._means.unix_time()
        sender = self._shared.bounces.sender(envelope.reverse_path, lane.alias, now)
        if sender.is_short:
            note = f"bounces to {sender.mailbox} cannot be led back, the sender's address is too long"
            self.transaction.notes += [note] if note not in self.transaction.notes else []
        return replace(envelope, reverse_path=sender.mailbox)

    def _trace(self, lane: Lane) -> tuple[bytes, ...]:
        """What we put in front of the message for an alias."""
        if lane.alias is None:
            return (self._trace_field(self.trace_id),)
        received = self._trace_field(self.trace_id, tokens=(self._token(lane.alias),))
        alias = lane.alias.canonical()
        # A UTF-8 field would need SMTPUTF8 of a server that has to take the author's ASCII.
        return (received, b"X-Forwarded-To: %b\r\n" % alias) if alias.isascii() else (received,)

    def _token(self, alias: Mailbox) -> str:
        key = blake2b(self._means.ledger_key, digest_size=32).digest()
        return blake2b(alias.canonical(), key=key, digest_size=TOKEN_OCTETS, person=b"loop token").hexdigest()

    def _refuse_loops(self) -> None:
        seen = self._reader.loop_tokens
        for target in self.transaction.words:
            alias = target.lane.alias
            if seen and alias is not None and self._token(alias) in seen:
                self.transaction.words[target] = NotAsked(LOOPED)

    def _lanes(self) -> list[Lane]:
        return list(dict.fromkeys(pair.target.lane for pair in self.transaction.pairs()))

    def _heed(self, words: Sequence[Word]) -> None:
        """Leave a provider alone that refused us; trust it again when it has taken mail."""
        brakes, now = self._shared.brakes, self._means.unix_time()
        for word in words:
            if not isinstance(word, Said):
                continue
            if is_accepted(word) and word.stage is Stage.END:
                brakes.accepted(word.host)
            elif about_us(word, is_forwarded=True) is not None:
                brakes.refused(word.host, now)
