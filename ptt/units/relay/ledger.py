"""What became of each message, so that a retry makes no second copy [R8] (DESIGN section 5, "Ledger").

An entry is about one (recipient, target) of one message: running, delivered, refused or unknown. A retry of
a running one joins it; delivered is answered without the target, refused by the same reply, unknown is
delivered again. An entry is forgotten when a transaction that carried it ended in a 250 that was taken:
mail that is meant twice goes twice. Where that is not known, only the exact key of a message with a
Message-ID suppresses. The looser key holds for 30 minutes, and only after a transaction that ended without
250.

Pure: time is an argument (seconds since 1970, since entries outlive a process). Each change gives
``KeepState`` frames that must be sent before the caller acts on it. Limits: 7 days (specs/clients.md
section 7), 100,000 entries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from ptt.boot import KeepState
from ptt.errors import MisuseError
from ptt.units.relay.entry import (
    STATE_PREFIX,
    Ending,
    Entry,
    Phase,
    exact_of,
    frame_of,
    outcome_of,
    read_entry,
    state_key,
    stored,
)
from ptt.units.relay.outcome import Delivered, Failed, Outcome, Refused

LIFE_S = 7 * 24 * 3600.0  # Postfix and Exim give up after 5 and 4 days, qmail after 7
LOOSE_LIFE_S = (
    30 * 60.0
)  # a person who presses Send again, or a program that tries at its next synchronisation
MAX_ENTRIES = 100_000  # some 60 MB; the oldest go first, which costs a copy, never a mail
MAX_TRACES = 8  # transactions remembered for one entry; more tries than that are no longer reported on
MAX_WATCHED = 1000  # entries that an earlier generation waits for; it has no more sessions than that


@dataclass(frozen=True, slots=True)
class Keys:
    """What one (recipient, target) of a message is looked up by. ``names_itself``: see ``Fingerprint``."""

    exact: bytes
    loose: bytes | None
    names_itself: bool


@dataclass(frozen=True, slots=True)
class Deliver:
    """Nobody has it: deliver, then ``settle`` the entry."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Join:
    """It is being delivered: wait until the entry is settled."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Known:
    """Its outcome is known already."""

    entry: Entry
    outcome: Delivered | Refused


Decision = Deliver | Join | Known


@dataclass(frozen=True, slots=True)
class Given:
    """A decision of the ledger's owner, and the entry as the host keeps it."""

    kind: type[Deliver | Join | Known]
    entry: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """What ``begin`` came to.

    A decision for each of the keys, in their order, and the frames to send before.
    """

    decisions: tuple[Decision, ...]
    frames: tuple[KeepState, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What ``restore`` came to: frames to send, and entries that ran elsewhere and run no more."""

    frames: tuple[KeepState, ...]
    settled: tuple[Entry, ...]


@dataclass(slots=True)
class Ledger:
    """All entries of one relay. ``max_entries`` bounds them."""

    max_entries: int = MAX_ENTRIES
    _entries: dict[bytes, Entry] = field(default_factory=dict)
    _loose: dict[bytes, Entry] = field(default_factory=dict)
    _traces: dict[str, list[Entry]] = field(default_factory=dict)
    _watched: dict[bytes, Entry] = field(default_factory=dict)
    """Entries that run here and that an earlier generation waits for, until it has seen their end."""

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, trace_id: str, keys: Sequence[Keys], now: float) -> Begun:
        """Look up everything that a transaction is about to deliver, and enter what is new."""
        frames = list(self.expire(now))
        decisions = []
        for each in keys:
            entry = self._find(each, now)
            decision = self._enter(each, now) if entry is None else _decide(entry)
            decisions.append(decision)
            self._carry(decision.entry, trace_id)
            decision.entry.expires_at = now + LIFE_S
            frames.append(frame_of(decision.entry))
        frames += self._make_room()
        return Begun(tuple(decisions), tuple(frames))

    # Between the generation that owns the ledger and an earlier one that asks it

    def begin_elsewhere(self, trace_id: str, keys: Sequence[Keys], now: float) -> Begun:
        """Begin for a transaction of an earlier generation, which delivers and ends it."""
        begun = self.begin(trace_id, keys, now)
        for decision in begun.decisions:
            decision.entry.is_ending_elsewhere = True
            if isinstance(decision, Deliver):
                decision.entry.is_elsewhere, decision.entry.runner = True, trace_id
            elif isinstance(decision, Join):
                self._watch(decision.entry)
        return begun

    def give_up_elsewhere(self, trace_id: str) -> tuple[tuple[KeepState, ...], tuple[Entry, ...]]:
        """It has delivered nothing after all; gives frames, and entries for those that have joined."""
        settled = tuple(
            entry
            for entry in self._traces.get(trace_id, ())
            if entry.runner == trace_id and entry.is_elsewhere and entry.phase is Phase.RUNNING
        )
        for entry in settled:
            entry.phase, entry.is_elsewhere = Phase.UNKNOWN, False
        return tuple(map(frame_of, settled)), settled

    def look(self, exact: bytes) -> bytes | None:
        """An entry as the host keeps it; None: it is forgotten, and its end was seen if it was waited for."""
        entry = self._watched.pop(exact, None) or self._entries.get(exact)
        if entry is None:
            return None
        if entry.phase is Phase.RUNNING:
            self._watch(entry)
        return stored(entry)

    def _watch(self, entry: Entry) -> None:
        self._watched[entry.exact] = entry
        while len(self._watched) > MAX_WATCHED:
            del self._watched[next(iter(self._watched))]

    def adopt(self, trace_id: str, given: Sequence[Given]) -> tuple[Decision, ...] | None:
        """Enter what the owner has decided for a transaction of ours; None: it cannot be read.

        No frames: the owner has sent them.
        """
        read = [read_entry(each.entry) for each in given]
        entries = [entry for entry in read if entry is not None]
        if len(entries) != len(given):
            return None
        decisions = tuple(
            self._adopt(trace_id, each.kind, entry) for each, entry in zip(given, entries, strict=True)
        )
        self._make_room()
        return decisions

    def learn(self, entry: Entry, value: bytes | None) -> Outcome | None:
        """Take in what the owner says of an entry that runs there; None: it still does."""
        news = None if value is None else read_entry(value)
        if news is not None and news.phase is Phase.RUNNING:
            return None
        if news is None:
            entry.phase = Phase.UNKNOWN  # delivered and known to be, or nobody has it
        else:
            entry.phase, entry.reply = news.phase, news.reply
        entry.is_elsewhere = False
        return outcome_of(entry)

    def _adopt(self, trace_id: str, kind: type[Decision], entry: Entry) -> Decision:
        former = self._entries.get(entry.exact)
        if (
            former is not None
            and former.phase is Phase.RUNNING
            and (kind is not Deliver or self._runs(former))
        ):
            self._carry(former, trace_id)
            return Join(former)
        if former is not None:
            self._drop(former)
        self._index(entry)
        if kind is Deliver:
            entry.phase = Phase.RUNNING
            return Deliver(entry)
        outcome = outcome_of(entry)
        if isinstance(outcome, Delivered | Refused):
            return Known(entry, outcome)
        entry.phase, entry.is_elsewhere = Phase.RUNNING, True
        return Join(entry)

    @staticmethod
    def _runs(entry: Entry) -> bool:
        """Whether a transaction of this process delivers it."""
        return not entry.is_elsewhere

    def settle(self, entry: Entry, outcome: Outcome) -> tuple[KeepState, ...]:
        """Enter what became of an entry that was to be delivered."""
        if entry.phase is not Phase.RUNNING:
            raise MisuseError(f"an entry that is {entry.phase} is settled")
        match outcome:
            case Delivered():
                entry.phase = Phase.DELIVERED
            case Refused(reply) if reply.is_permanent:
                entry.phase, entry.reply = Phase.REFUSED, reply
            case Refused() | Failed(is_open=False):
                entry.phase = Phase.UNKNOWN  # for those that hold the entry; nobody has the mail
                return self._forget(entry)
            case Failed():
                entry.phase = Phase.UNKNOWN
            case _:  # pragma: no cover - the checker knows that there is no other
                assert_never(outcome)
        return () if entry.is_forgotten else (frame_of(entry),)

    def end(self, trace_id: str, now: float, *, with_250: bool) -> tuple[KeepState, ...]:
        """A transaction has got its replies (``with_250``: all were 250), or its peer left before them."""
        # What a later transaction carries too is that one's to end.
        changed = [entry for entry in self._traces.get(trace_id, ()) if entry.traces[-1] == trace_id]
        for entry in changed:
            entry.ending = Ending.WITH_250 if with_250 else Ending.WITHOUT_250
            entry.ended_at = now
        return tuple(frame_of(entry) for entry in changed)

    def taken(self, trace_ids: Iterable[str]) -> tuple[KeepState, ...]:
        """The 250 of these transactions was taken by the peer at the edge: what they carried is forgotten."""
        frames: list[KeepState] = []
        for trace_id in trace_ids:
            for entry in list(self._traces.get(trace_id, ())):
                frames += self._forget(entry)
        return tuple(frames)

    def expire(self, now: float) -> tuple[KeepState, ...]:
        """Forget what is too old; entries stand in the order in which they expire."""
        frames: list[KeepState] = []
        for entry in list(self._entries.values()):
            if entry.expires_at > now:
                break
            frames += self._forget(entry)
        return tuple(frames)

    def restore(
        self, states: Iterable[tuple[str, bytes]], now: float, *, predecessor_runs: bool = False
    ) -> Restored:
        """Take what an earlier generation left, or has said since.

        What runs there runs on as long as ``predecessor_runs``, then it is unknown; what is unreadable goes.
        """
        frames: list[KeepState] = []
        read: list[Entry] = []
        settled: list[Entry] = []
        for key, value in states:
            if not key.startswith(STATE_PREFIX):
                continue
            if not value:
                gone, still = self._gone_elsewhere(key)
                settled += gone
                frames += still
                continue
            entry = read_entry(value)
            if entry is None:
                frames.append(KeepState(key, b""))
                continue
            entry.is_elsewhere = entry.phase is Phase.RUNNING
            entry.is_ending_elsewhere = entry.ending is Ending.OPEN
            if not predecessor_runs:
                _leave_alone(entry, now)
            read.append(entry)
        for entry in sorted(read, key=lambda entry: entry.expires_at):
            former = self._entries.get(entry.exact)
            if former is None:
                self._index(entry)
                frames.append(frame_of(entry))
            elif _is_news(entry, former):
                settled += [former] if former.is_elsewhere and not entry.is_elsewhere else []
                _take_news(former, entry)
                frames.append(frame_of(former))
            else:
                frames.append(frame_of(former))  # what the host keeps is theirs now, and is not all
        if not predecessor_runs:
            settled += [entry for entry in self._entries.values() if entry.is_elsewhere]
            frames += [frame_of(entry) for entry in self._entries.values() if _leave_alone(entry, now)]
        return Restored((*frames, *self.expire(now), *self._make_room()), tuple(settled))

    def _gone_elsewhere(self, key: str) -> tuple[list[Entry], list[KeepState]]:
        """The entry is forgotten there: delivered and known to be, or nobody has the mail.

        Gives what has ended by that, and what the host has to keep all the same.
        """
        former = next((self._entries.get(exact) for exact in exact_of(key)), None)
        if former is None:
            return [], []
        if former.phase is Phase.RUNNING and not former.is_elsewhere:
            return [], [frame_of(former)]
        was_elsewhere, former.is_elsewhere = former.is_elsewhere, False
        self._drop(former)
        if not was_elsewhere:
            return [], []
        former.phase = Phase.UNKNOWN
        return [former], []

    def _find(self, keys: Keys, now: float) -> Entry | None:
        entry = self._entries.get(keys.exact)
        if entry is not None and (keys.names_itself or entry.ending is Ending.WITHOUT_250):
            return entry
        loose = None if keys.loose is None else self._loose.get(keys.loose)
        if loose is None or loose.ending is not Ending.WITHOUT_250 or now - loose.ended_at > LOOSE_LIFE_S:
            return None
        return loose

    def _enter(self, keys: Keys, now: float) -> Deliver:
        former = self._entries.get(keys.exact)
        if former is not None:
            self._drop(former)
        entry = Entry(keys.exact, keys.loose, keys.names_itself, now + LIFE_S)
        self._index(entry)
        return Deliver(entry)

    def _index(self, entry: Entry) -> None:
        self._entries[entry.exact] = entry
        if entry.loose is not None:
            self._loose[entry.loose] = entry
        for trace_id in entry.traces:
            self._traces.setdefault(trace_id, []).append(entry)

    def _carry(self, entry: Entry, trace_id: str) -> None:
        """Note that a transaction carries the entry, and put the entry where its new expiry belongs."""
        self._entries[entry.exact] = self._entries.pop(entry.exact)
        entry.ending, entry.is_ending_elsewhere = Ending.OPEN, False
        if trace_id in entry.traces:
            return
        for former in entry.traces[: max(0, len(entry.traces) + 1 - MAX_TRACES)]:
            self._untrace(entry, former)
        entry.traces = (*entry.traces, trace_id)[-MAX_TRACES:]
        self._traces.setdefault(trace_id, []).append(entry)

    def _untrace(self, entry: Entry, trace_id: str) -> None:
        carried = self._traces[trace_id]
        carried.remove(entry)
        if not carried:
            del self._traces[trace_id]

    def _drop(self, entry: Entry) -> None:
        entry.is_forgotten = True
        del self._entries[entry.exact]
        if entry.loose is not None and self._loose.get(entry.loose) is entry:
            del self._loose[entry.loose]
        for trace_id in entry.traces:
            self._untrace(entry, trace_id)

    def _forget(self, entry: Entry) -> tuple[KeepState, ...]:
        if entry.is_forgotten:
            return ()
        self._drop(entry)
        return (KeepState(state_key(entry), b""),)

    def _make_room(self) -> list[KeepState]:
        """Forget the oldest that is not running until the rest fits."""
        frames: list[KeepState] = []
        excess = len(self._entries) - self.max_entries
        if excess > 0:
            settled = [entry for entry in self._entries.values() if entry.phase is not Phase.RUNNING]
            for entry in settled[:excess]:
                frames += self._forget(entry)
        return frames


def _is_news(entry: Entry, former: Entry) -> bool:
    """Whether what an earlier generation says of an entry is more than what we know of it."""
    if former.is_elsewhere or former.traces[-1:] == entry.traces[-1:]:
        return True
    return former.phase is Phase.UNKNOWN and not entry.is_elsewhere


def _take_news(former: Entry, entry: Entry) -> None:
    """Take over what has become of it there; what runs here, and how it ends here, is ours to say."""
    if former.is_elsewhere or (former.phase is Phase.UNKNOWN and not entry.is_elsewhere):
        former.phase, former.reply, former.is_elsewhere = entry.phase, entry.reply, entry.is_elsewhere
    if former.traces[-1:] == entry.traces[-1:]:
        former.ending, former.ended_at = entry.ending, entry.ended_at
        former.is_ending_elsewhere = entry.is_ending_elsewhere


def _leave_alone(entry: Entry, now: float) -> bool:
    """Who ran it is gone: what was open there is unknown. Whether that changed anything."""
    was_open = entry.is_elsewhere or entry.is_ending_elsewhere
    if entry.is_elsewhere:
        entry.phase, entry.is_elsewhere = Phase.UNKNOWN, False
    if entry.is_ending_elsewhere:
        entry.ending, entry.ended_at, entry.is_ending_elsewhere = Ending.WITHOUT_250, now, False
    return was_open


def _decide(entry: Entry) -> Decision:
    outcome = outcome_of(entry)
    if outcome is None:
        return Join(entry)
    if isinstance(outcome, Failed):
        entry.phase = Phase.RUNNING
        return Deliver(entry)
    return Known(entry, outcome)
