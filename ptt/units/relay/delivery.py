"""One message's way through the relay: recipients, data, ledger, the dot given to all at once.

Remote transactions are opened at RCPT, all in parallel (DESIGN section 5). Up to 1 MB the message is held
until its end; a larger one is passed on while it comes, at the pace of the slowest, its last piece kept
back until the ledger has been asked. No target gets its end of data before all have taken the rest: if one
has failed for now, or has not taken it after 25 s, all are aborted and nobody has anything. Once the end is
given there is no way back: what has not answered at the limit is 451, and learned about later.

Nothing here does I/O: ``Means`` brings remote transactions, time and the ledger's keeper.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ptt.boot import KeepState
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import Word
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import BodyType, MailReceived
from ptt.protocol.smtp.extensions import Extensions, Keyword
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.entry import Entry
from ptt.units.relay.fingerprint import FingerprintReader
from ptt.units.relay.ledger import Decision, Keys, Ledger
from ptt.units.relay.outcome import STILL_OPEN, Failed, Judged, Outcome
from ptt.units.relay.routing import Lane, Target
from ptt.units.relay.security import Envelope, for_wire
from ptt.units.relay.transaction import Transaction

STREAM_PIECE_OCTETS = 128 * 1024  # gathered before it is passed on: few writes, little memory
MAX_HOPS = 100  # RFC 5321 §6.3: a loop is assumed above, and at least 100 must pass [R15]
LOOP = Reply(554, "5.4.6", "The message has passed so many servers that it must be going round.")
NO_LEDGER = Reply(
    451, "4.3.0", "It cannot be said now whether this message has come before. Please send it again later."
)
RECEIVED_ROOM_OCTETS = 1024  # added to a declared size for what we put in front


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. From RCPT; from our read of the end of the data; between two pieces of a stream."""

    recipients_s: float
    taken_s: float
    answer_s: float
    late_s: float
    behind_s: float = 10.0
    """A target that takes nothing for so long holds up all others: it has failed."""
    stream_above_octets: int = 1_000_000


class Remote(Protocol):
    """``ptt.net.remote_transaction.RemoteTransaction``."""

    words: dict[Mailbox, Word]
    is_waiting: bool

    async def request(
        self,
        recipients: Sequence[Mailbox],
        mail_for: Callable[[Extensions, tuple[Mailbox, ...]], Mail | Keyword],
        deadline: float,
    ) -> None:
        """Ask for these recipients and no others."""
        ...

    async def transfer(self, buffers: Sequence[bytes], deadline: float) -> None:
        """Write a piece of the message."""
        ...

    async def finish(self, buffers: Sequence[bytes], deadline: float) -> None:
        """Write the last piece and the end; wait for the verdict."""
        ...

    async def learn(self, deadline: float) -> None:
        """Wait for the verdict longer."""
        ...

    async def release(self) -> None:
        """Give the connection back."""
        ...

    def abort(self) -> None:
        """Drop it, without the end of the data."""
        ...


class Means(Protocol):
    """What the unit does for a delivery."""

    ledger: Ledger
    deadlines: Deadlines
    ledger_key: bytes

    def now(self) -> float:
        """The loop's time."""
        ...

    def unix_time(self) -> float:
        """Seconds since 1970."""
        ...

    def new_trace_id(self) -> str:
        """For mail that came without one."""
        ...

    async def find_way(self, lane: Lane) -> Remote | Word:
        """A remote transaction that is not open yet, or why there is nobody to ask."""
        ...

    def keep(self, frames: Sequence[KeepState]) -> None:
        """Send the ledger's frames to the host."""
        ...

    async def consult(self, trace_id: str, keys: Sequence[Keys]) -> Sequence[Decision] | None:
        """Ask the ledger, or its owner, before the end of the data; None: nobody could say."""
        ...

    def settled(self, entry: Entry, outcome: Outcome) -> None:
        """Tell those who have joined."""
        ...

    def taken(self, trace_ids: Sequence[str]) -> None:
        """Forget what these transactions carried: the edge says that their 250 was taken."""
        ...

    async def wait_settled(self, entry: Entry, deadline: float) -> Outcome | None:
        """Wait for another transaction's outcome; None: not in time."""
        ...

    async def together(self, *work: Coroutine[Any, Any, None]) -> None:
        """Do all of it at the same time."""
        ...


class Delivery:
    """See the module.

    ``recipients``, ``data`` …, ``finish``, then ``learn_late`` if ``is_late``; or ``abandon``.
    """

    is_inbound = False
    """Whether a stranger has sent it."""

    def __init__(
        self, means: Means, mail: MailReceived, transaction: Transaction, received: Callable[[str], bytes]
    ) -> None:
        self.transaction = transaction
        self.trace_id = mail.parameters.trace_id or means.new_trace_id()
        self.login = mail.parameters.login
        self.is_abandoned = False
        """The peer has left: set from outside, heeded until the end of the data is given."""
        self.size = 0
        self._means = means
        self._received = received
        declared = mail.parameters.size
        self._envelope = Envelope(
            mail.reverse_path,
            declares_eight_bit=mail.parameters.body is BodyType.EIGHT_BIT_MIME,
            size=None if declared is None else declared + RECEIVED_ROOM_OCTETS,
        )
        self._remotes: dict[Lane, Remote] = {}
        self._reader = FingerprintReader(means.ledger_key)
        self._held: list[bytes] = []
        self.held_octets = 0
        """What is in memory of the message."""
        self._is_streaming = False
        self._is_given_up = False
        self._late_deadline = 0.0

    @property
    def reverse_path(self) -> Mailbox | None:
        """The envelope's sender."""
        return self._envelope.reverse_path

    @property
    def is_late(self) -> bool:
        """Whether a target still owes its answer."""
        return bool(self.transaction.waiting)

    # RCPT

    async def recipients(self, group: Sequence[Mailbox]) -> tuple[Reply, ...]:
        """Ask the servers of a group's targets; one reply for each recipient."""
        deadline = self._means.now() + self._means.deadlines.recipients_s
        routes = self.transaction.route(group)
        unasked = self.transaction.unasked(routes)
        await self._means.together(*(self._ask(lane, new, deadline) for lane, new in unasked.items()))
        return tuple(self.transaction.answer(routed) for routed in routes)

    async def _ask(self, lane: Lane, new: Sequence[Target], deadline: float) -> None:
        words = self.transaction.words
        remote = self._remotes.get(lane) or await self._means.find_way(lane)
        if isinstance(remote, Word):
            words.update(dict.fromkeys(new, remote))
            return
        self._remotes[lane] = remote
        await self._request(lane, remote, (*self.transaction.wanted(lane), *new), deadline)

    async def _request(self, lane: Lane, remote: Remote, targets: Sequence[Target], deadline: float) -> None:
        mailboxes = [for_wire(target.mailbox) for target in targets]
        await remote.request(mailboxes, self._envelope_of(lane).mail, deadline)
        self._note_words(remote, targets)

    def _envelope_of(self, _lane: Lane) -> Envelope:
        return self._envelope

    def _note_words(self, remote: Remote, targets: Sequence[Target]) -> None:
        self.transaction.words.update({target: remote.words[target.mailbox] for target in targets})

    # The message

    async def data(self, piece: bytes, *, memory_is_short: bool = False) -> None:
        """Take the next piece; waits while the slowest target is behind."""
        self.size += len(piece)
        self._reader.feed(piece)
        if self._is_given_up:
            return
        self._held.append(piece)
        self.held_octets += len(piece)
        deadlines = self._means.deadlines
        if self._is_streaming:
            if self.held_octets > STREAM_PIECE_OCTETS:
                await self._pass_on(self._means.now() + deadlines.behind_s)
        elif not self._reader.in_header and (
            memory_is_short or self.held_octets > deadlines.stream_above_octets
        ):
            self._is_streaming = True
            await self._begin_streaming(self._means.now() + deadlines.taken_s)

    async def finish(self, ended_at: float) -> tuple[Judged, ...]:
        """Take the end of the data; one reply for each accepted recipient."""
        try:
            await self._deliver(ended_at)
            self._settle(joins_ended=False)
            answer_by = ended_at + self._means.deadlines.answer_s
            joined = list(self.transaction.joined.items())
            await self._means.together(*(self._await(*each, answer_by) for each in joined))
            self._settle(joins_ended=True)
            return tuple(self.transaction.judged())
        except BaseException:
            self._settle_as_unknown()
            raise

    async def learn_late(self) -> None:
        """Wait for the targets that still owe their answer, for the ledger's sake."""
        try:
            late = [(lane, remote) for lane, remote in self._remotes.items() if remote.is_waiting]
            await self._means.together(*(self._learn(*each) for each in late))
        finally:
            self.transaction.waiting.clear()
            self._settle_as_unknown()

    async def abandon(self) -> None:
        """The transaction ends before the end of its data: nobody gets anything."""
        await self._give_up()

    def drop(self) -> None:
        """The same in the middle of something: connections are dropped as they are."""
        self._is_given_up = True
        self._let_go()
        for remote in self._remotes.values():
            remote.abort()

    def ended(self, *, with_250: bool) -> None:
        """The peer has its replies, or has left without them."""
        means = self._means
        means.keep(means.ledger.end(self.trace_id, means.unix_time(), with_250=with_250))

    # Within

    async def _begin_streaming(self, deadline: float) -> None:
        self._held.insert(0, self._received(self.trace_id))
        await self._settle_envelope(deadline, size=None)
        await self._pass_on(deadline)

    async def _deliver(self, ended_at: float) -> None:
        """Everything up to the verdicts, or to the limit."""
        means = self._means
        taken_by = ended_at + means.deadlines.taken_s
        self._late_deadline = ended_at + means.deadlines.late_s
        await self._consult_ledger()
        if not self._is_streaming and not self._is_given_up:
            self._held.insert(0, self._received(self.trace_id))
            await self._settle_envelope(taken_by, size=self.size + len(self._held[0]))
            await self._transfer([], taken_by)
        for lane, remote in self._remotes.items():
            if not self.transaction.wanted(lane):
                await remote.release()
        if self.is_abandoned or self._is_given_up or not self.transaction.may_end():
            await self._give_up()
            return
        answer_by = ended_at + means.deadlines.answer_s
        live = self._live()
        for lane, _ in live:
            self.transaction.ending.update(self.transaction.wanted(lane))
        await means.together(*(self._end(lane, remote, self._held, answer_by) for lane, remote in live))
        self._let_go()

    def _let_go(self) -> None:
        self._held = []
        self.held_octets = 0

    async def _give_up(self) -> None:
        """Nobody gets the end of the data."""
        self._is_given_up = True
        self._let_go()
        await self._means.together(*(remote.release() for remote in self._remotes.values()))

    def _settle(self, *, joins_ended: bool) -> None:
        for entry, outcome in self.transaction.to_settle(joins_ended=joins_ended):
            self._enter(entry, outcome)

    def _settle_as_unknown(self) -> None:
        """Nobody will learn more, whatever the reason: the next try delivers again."""
        for entry in self.transaction.left_open():
            self._enter(entry, Failed("the outcome was not learned", STILL_OPEN, is_open=True))

    def _enter(self, entry: Entry, outcome: Outcome) -> None:
        self._means.keep(self._means.ledger.settle(entry, outcome))
        self._means.settled(entry, outcome)

    async def _consult_ledger(self) -> None:
        fingerprint = self._reader.finish()
        asked = self.transaction.keys(fingerprint, self.reverse_path, self.login)
        decisions = await self._means.consult(self.trace_id, [keys for _, keys in asked])
        if decisions is None:
            self.transaction.refuse_all(NO_LEDGER)
            return
        for (pair, _), decision in zip(asked, decisions, strict=True):
            self.transaction.decided(pair, decision)
        self.transaction.settle_refusals()

    async def _settle_envelope(self, deadline: float, size: int | None) -> None:
        """Now that the bytes are known: the right MAIL command, and no recipient who is not wanted."""
        self._note_bytes(size)
        await self._means.together(
            *(
                self._request(lane, remote, self.transaction.wanted(lane), deadline)
                for lane, remote in self._remotes.items()
            )
        )

    def _note_bytes(self, size: int | None) -> None:
        """What the bytes ask of servers, and whether they may go on at all."""
        if self._reader.hops > MAX_HOPS:
            self.transaction.refuse_all(LOOP)
        self._envelope = self._envelope.with_bytes(
            header_is_ascii=self._reader.is_ascii_header,
            body_is_ascii=self._reader.is_ascii_body,
            size=size,
        )

    async def _pass_on(self, deadline: float) -> None:
        """Write all that is held but the last piece."""
        await self._transfer(self._held[-1:], deadline)
        if not self.transaction.may_end():
            await self._give_up()

    async def _transfer(self, kept_back: list[bytes], deadline: float) -> None:
        pieces = self._held[: len(self._held) - len(kept_back)]
        await self._means.together(
            *(self._transfer_to(lane, remote, pieces, deadline) for lane, remote in self._live())
        )
        self._held = kept_back
        self.held_octets = sum(map(len, kept_back))

    async def _transfer_to(
        self, lane: Lane, remote: Remote, pieces: Sequence[bytes], deadline: float
    ) -> None:
        targets = self.transaction.wanted(lane)
        await remote.transfer(pieces, deadline)
        self._note_words(remote, targets)

    async def _end(self, lane: Lane, remote: Remote, last: Sequence[bytes], deadline: float) -> None:
        targets = self.transaction.wanted(lane)
        await remote.finish(last, deadline)
        self._note_words(remote, targets)
        self.transaction.ending.difference_update(targets)
        if remote.is_waiting:
            self.transaction.waiting.update(targets)
        self._settle(joins_ended=False)  # at once: what one server has said must survive us

    async def _learn(self, lane: Lane, remote: Remote) -> None:
        await remote.learn(self._late_deadline)
        if remote.is_waiting:
            remote.abort()
            return
        targets = [target for target in self.transaction.waiting if target.lane == lane]
        self._note_words(remote, targets)
        self.transaction.waiting.difference_update(targets)
        self._settle(joins_ended=True)

    async def _await(self, target: Target, entry: Entry, deadline: float) -> None:
        outcome = await self._means.wait_settled(entry, deadline)
        if outcome is not None:
            self.transaction.known[target] = outcome

    def _live(self) -> list[tuple[Lane, Remote]]:
        return [(lane, remote) for lane, remote in self._remotes.items() if self.transaction.wanted(lane)]
