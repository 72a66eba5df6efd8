"""The ledger: a retry makes no second copy, mail meant twice goes twice, doubt delivers again."""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ptt.boot import KeepState
from ptt.errors import MisuseError
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.entry import STATE_PREFIX, Entry, Phase, outcome_of
from ptt.units.relay.ledger import (
    LIFE_S,
    LOOSE_LIFE_S,
    MAX_TRACES,
    Decision,
    Deliver,
    Join,
    Keys,
    Known,
    Ledger,
)
from ptt.units.relay.outcome import LOST, Delivered, Failed, Outcome, Refused

NOW = 1_800_000_000.0
NAMED = Keys(b"exact", b"loose", names_itself=True)
RENEWED = Keys(b"other exact", b"loose", names_itself=True)
NAMELESS = Keys(b"exact", None, names_itself=False)
TAKEN = Delivered("mx", "Ok")
GONE = Refused(Reply(550, "5.1.1", "No such user."))
NOT_SENT = Failed("lost", LOST)
UNSURE = Failed("lost", LOST, is_open=True)


def begin(ledger: Ledger, trace: str, keys: Keys = NAMED, now: float = NOW) -> Decision:
    (decision,) = ledger.begin(trace, [keys], now).decisions
    return decision


def run(
    ledger: Ledger, outcome: Outcome, keys: Keys = NAMED, trace: str = "t1", *, with_250: bool | None = False
) -> None:
    """One whole transaction; ``with_250`` None: it has not ended."""
    decision = begin(ledger, trace, keys)
    assert isinstance(decision, Deliver)
    ledger.settle(decision.entry, outcome)
    if with_250 is not None:
        ledger.end(trace, NOW, with_250=with_250)


def host(frames: list[tuple[str, bytes]], more: tuple[KeepState, ...]) -> list[tuple[str, bytes]]:
    """What the host keeps: the last value of each key, in the order written."""
    kept = dict(frames)
    for frame in more:
        kept.pop(frame.key, None)
        if frame.value:
            kept[frame.key] = frame.value
    return list(kept.items())


@pytest.mark.parametrize(
    ("outcome", "expected"), [(TAKEN, Delivered), (GONE, GONE), (UNSURE, Deliver), (NOT_SENT, Deliver)]
)
def test_a_retry_gets_what_the_first_try_came_to(outcome: Outcome, expected: object) -> None:
    ledger = Ledger()
    run(ledger, outcome)
    decision = begin(ledger, "t2")

    if expected is Deliver:
        assert isinstance(decision, Deliver)
    else:
        assert isinstance(decision, Known)
        assert decision.outcome == expected or isinstance(decision.outcome, Delivered)


def test_a_temporary_refusal_leaves_nothing() -> None:
    ledger = Ledger()
    run(ledger, Refused(Reply(450, None, "Later.")))

    assert len(ledger) == 0


def test_a_running_one_is_joined() -> None:
    ledger = Ledger()
    first, second = begin(ledger, "t1"), begin(ledger, "t2")

    assert isinstance(second, Join)
    assert second.entry is first.entry
    assert outcome_of(first.entry) is None
    ledger.settle(first.entry, TAKEN)
    assert isinstance(outcome_of(second.entry), Delivered)


def test_what_waits_for_an_unknown_outcome_is_told_so() -> None:
    ledger = Ledger()
    decision = begin(ledger, "t1")
    ledger.settle(decision.entry, UNSURE)
    outcome = outcome_of(decision.entry)

    assert isinstance(outcome, Failed)
    assert outcome.is_open


def test_a_taken_250_forgets_so_mail_meant_twice_goes_twice() -> None:
    ledger = Ledger()
    run(ledger, TAKEN, with_250=True)
    frames = ledger.taken(["t1", "nobody's"])

    assert frames == (KeepState(STATE_PREFIX + b"exact".hex(), b""),)
    assert isinstance(begin(ledger, "t2"), Deliver)
    assert ledger.taken(["t1"]) == ()


def test_any_transaction_that_carried_an_entry_forgets_it() -> None:
    ledger = Ledger()
    run(ledger, TAKEN)
    assert isinstance(begin(ledger, "t2", RENEWED), Known)
    ledger.end("t2", NOW, with_250=True)
    ledger.taken(["t2"])

    assert len(ledger) == 0


@pytest.mark.parametrize(
    ("keys", "with_250", "suppresses"),
    [
        (NAMED, True, True),  # not known whether taken: the exact key of a message that names itself
        (NAMELESS, True, False),
        (NAMELESS, False, True),  # ended without 250: the same octets are the retry
        (RENEWED, True, False),
        (RENEWED, False, True),
        (RENEWED, None, False),  # the first is still under way: somebody sends the same text twice
        (NAMELESS, None, False),
    ],
)
def test_doubt_about_the_first_delivers_again(keys: Keys, with_250: bool | None, suppresses: bool) -> None:
    ledger = Ledger()
    run(ledger, TAKEN, replace(NAMELESS, loose=b"loose") if keys is NAMELESS else NAMED, with_250=with_250)

    assert isinstance(begin(ledger, "t2", keys), Known) is suppresses


def test_the_looser_key_holds_for_half_an_hour() -> None:
    ledger = Ledger()
    run(ledger, TAKEN)

    assert isinstance(begin(ledger, "t2", RENEWED, NOW + LOOSE_LIFE_S), Known)
    ledger.end("t2", NOW + LOOSE_LIFE_S, with_250=False)
    assert isinstance(begin(ledger, "t3", RENEWED, NOW + 2 * LOOSE_LIFE_S + 1), Deliver)


def test_an_entry_holds_for_seven_days() -> None:
    ledger = Ledger()
    run(ledger, TAKEN)

    assert isinstance(begin(ledger, "t2", NAMED, NOW + LIFE_S - 1), Known)
    assert len(ledger.expire(NOW + 2 * LIFE_S - 1)) == 1
    assert isinstance(begin(ledger, "t3", NAMED, NOW + 2 * LIFE_S), Deliver)


def test_the_end_of_an_earlier_try_says_nothing_of_the_later_one() -> None:
    ledger = Ledger()
    first = begin(ledger, "t1")
    begin(ledger, "t2")
    ledger.settle(first.entry, TAKEN)

    assert ledger.end("t1", NOW, with_250=False) == ()
    assert isinstance(begin(ledger, "t3", RENEWED), Deliver)


def test_a_newer_message_of_the_same_octets_takes_the_place_of_the_old() -> None:
    ledger = Ledger()
    run(ledger, TAKEN, NAMELESS, with_250=True)
    second = begin(ledger, "t2", NAMELESS)

    assert isinstance(second, Deliver)
    assert len(ledger) == 1
    assert ledger.taken(["t1"]) == ()


def test_what_was_forgotten_while_running_is_not_written_again() -> None:
    ledger = Ledger()
    decision = begin(ledger, "t1")
    ledger.taken(["t1"])

    assert ledger.settle(decision.entry, TAKEN) == ()
    assert begin(ledger, "t2").entry is not decision.entry
    with pytest.raises(MisuseError):
        ledger.settle(decision.entry, TAKEN)


def test_an_unknown_one_that_is_forgotten_is_forgotten_once() -> None:
    ledger = Ledger()
    decision = begin(ledger, "t1")
    ledger.taken(["t1"])

    assert ledger.settle(decision.entry, NOT_SENT) == ()


def test_the_oldest_go_first_but_never_a_running_one() -> None:
    ledger = Ledger(max_entries=2)
    running = begin(ledger, "t0", Keys(b"0", None, names_itself=True))
    for number in range(1, 4):
        run(ledger, TAKEN, Keys(b"%d" % number, None, names_itself=True), f"t{number}")
    frames = ledger.begin("t4", [Keys(b"4", None, names_itself=True)], NOW).frames

    assert len(ledger) == 2
    assert [frame.key for frame in frames if not frame.value] == [STATE_PREFIX + b"3".hex()]
    assert not running.entry.is_forgotten


def test_tries_are_remembered_up_to_a_bound() -> None:
    ledger = Ledger()
    run(ledger, TAKEN, trace="t0")
    for number in range(1, MAX_TRACES + 1):
        assert isinstance(begin(ledger, f"t{number}"), Known)
        begin(ledger, f"t{number}")

    assert ledger.taken(["t0"]) == ()
    assert len(ledger.taken(["t1"])) == 1


def test_a_successor_knows_what_its_predecessor_knew() -> None:
    ledger = Ledger()
    kept: list[tuple[str, bytes]] = []
    for number, outcome in enumerate([TAKEN, GONE, UNSURE, None]):
        begun = ledger.begin(f"t{number}", [Keys(b"%d" % number, None, names_itself=True)], NOW + number)
        kept = host(kept, begun.frames)
        if outcome is not None:
            kept = host(kept, ledger.settle(begun.decisions[0].entry, outcome))
            kept = host(kept, ledger.end(f"t{number}", NOW, with_250=True))
    successor = Ledger()
    frames = successor.restore(kept, NOW + 10).frames
    decisions = [
        begin(successor, "t", Keys(b"%d" % number, None, names_itself=True), NOW + 10) for number in range(4)
    ]

    assert len(frames) == 4
    assert [type(decision) for decision in decisions] == [Known, Known, Deliver, Deliver]
    assert isinstance(decisions[1], Known)
    assert decisions[1].outcome == GONE
    assert len(successor.taken(["t0"])) == 1


def test_what_cannot_be_read_is_deleted_and_what_is_foreign_left_alone() -> None:
    ledger = Ledger()
    begun = ledger.begin("t1", [NAMED], NOW)
    key = begun.frames[-1].key
    bad_reply = begun.frames[-1].value.replace(b"\xa7running", b"\xa7refused")
    worse_reply = ledger.settle(begun.decisions[0].entry, GONE)[0].value.replace(
        b"\xcd\x02\x26", b"\xcd\x01\xc2"
    )
    bad_text = begun.frames[-1].value.replace(b"\xa2t1", b"\xa2\xff\xff")
    frames = (
        Ledger()
        .restore(
            [
                ("users/1", b"x"),
                (STATE_PREFIX + "00", b"\xc1"),
                (key, b""),
                (STATE_PREFIX + "01", bad_reply),
                (STATE_PREFIX + "02", worse_reply),
                (STATE_PREFIX + "03", bad_text),
            ],
            NOW,
        )
        .frames
    )

    assert frames == tuple(KeepState(STATE_PREFIX + number, b"") for number in ("00", "01", "02", "03"))


def test_what_an_earlier_generation_still_says_counts() -> None:
    old, new = Ledger(), Ledger()
    begun = old.begin("t1", [NAMED], NOW)

    def say(*frames: KeepState) -> None:
        new.restore([(frame.key, frame.value) for frame in frames], NOW)

    say(*begun.frames)
    say(*old.settle(begun.decisions[0].entry, TAKEN))
    say(*old.end("t1", NOW, with_250=True))
    assert isinstance(begin(new, "t2"), Known)
    say(*old.taken(["t1"]))
    assert len(new) == 0
    say(KeepState(begun.frames[-1].key, b""), KeepState(STATE_PREFIX + "no number", b""))


def test_what_is_running_here_is_not_changed_from_outside() -> None:
    old, new = Ledger(), Ledger()
    running = begin(new, "t2")
    run(old, TAKEN)
    frames = old.end("t1", NOW, with_250=True)
    new.restore([(frame.key, frame.value) for frame in frames], NOW)
    new.restore([(frames[0].key, b"")], NOW)

    assert begin(new, "t3") == Join(running.entry)


def pass_on(new: Ledger, *frames: KeepState) -> list[Entry]:
    """Give a successor what its predecessor says while it still runs; what ran there and runs no more."""
    entries = [(frame.key, frame.value) for frame in frames]
    return list(new.restore(entries, NOW, predecessor_runs=True).settled)


@pytest.mark.parametrize(
    ("outcome", "phase"), [(TAKEN, Phase.DELIVERED), (GONE, Phase.REFUSED), (UNSURE, Phase.UNKNOWN)]
)
def test_what_runs_in_a_predecessor_is_joined_until_it_says_more(outcome: Outcome, phase: Phase) -> None:
    old, new = Ledger(), Ledger()
    begun = old.begin("t1", [NAMED], NOW)
    assert pass_on(new, *begun.frames) == []
    joined = begin(new, "t2")
    assert isinstance(joined, Join)
    assert pass_on(new, *old.settle(begun.decisions[0].entry, outcome)) == [joined.entry]
    assert joined.entry.phase is phase
    pass_on(new, *old.end("t1", NOW, with_250=False))
    assert joined.entry.traces == ("t1", "t2")


def test_what_ran_in_a_predecessor_that_is_gone_is_unknown() -> None:
    old, new = Ledger(), Ledger()
    pass_on(new, *old.begin("t1", [NAMED], NOW).frames)
    joined = begin(new, "t2")
    assert new.restore((), NOW).settled == (joined.entry,)
    assert isinstance(begin(new, "t3"), Deliver)


def test_what_a_predecessor_forgets_runs_no_more() -> None:
    old, new = Ledger(), Ledger()
    begun = old.begin("t1", [NAMED], NOW)
    pass_on(new, *begun.frames)
    joined = begin(new, "t2")
    assert pass_on(new, KeepState(begun.frames[-1].key, b"")) == [joined.entry]
    assert (joined.entry.phase, len(new)) == (Phase.UNKNOWN, 0)


class OneMessage(RuleBasedStateMachine):
    """A message tried over and over: suppressed only if a target has it, and never a copy after a known 250.

    The model knows what really happened at the target; the ledger knows what it was told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.kept: list[tuple[str, bytes]] = []
        self.copies = 0
        self.now = NOW
        self.number = 0
        self.running: list[Deliver] = []

    def keep(self, frames: tuple[KeepState, ...]) -> None:
        self.kept = host(self.kept, frames)

    @rule(renewed=st.booleans())
    def try_it(self, renewed: bool) -> None:
        self.number += 1
        keys = Keys(b"%d" % self.number if renewed else b"exact", b"loose", names_itself=True)
        begun = self.ledger.begin(f"t{self.number}", [keys], self.now)
        self.keep(begun.frames)
        match begun.decisions[0]:
            case Deliver() as decision:
                self.running.append(decision)
            case Known(outcome=Delivered()):
                assert self.copies > 0
            case Join(entry):
                assert entry in [decision.entry for decision in self.running]

    @precondition(lambda self: self.running)
    @rule(outcome=st.sampled_from([TAKEN, GONE, UNSURE, NOT_SENT]), is_there=st.booleans())
    def settle(self, outcome: Outcome, is_there: bool) -> None:
        decision = self.running.pop(0)
        self.copies += outcome is TAKEN or (outcome is UNSURE and is_there)
        self.keep(self.ledger.settle(decision.entry, outcome))

    @rule(with_250=st.booleans(), back=st.integers(0, 3))
    def end(self, with_250: bool, back: int) -> None:
        self.keep(self.ledger.end(f"t{self.number - back}", self.now, with_250=with_250))

    @rule(back=st.integers(0, 3))
    def taken(self, back: int) -> None:
        self.keep(self.ledger.taken([f"t{self.number - back}"]))

    @rule(seconds=st.sampled_from([1.0, LOOSE_LIFE_S, LIFE_S]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def crash(self) -> None:
        self.running.clear()
        self.ledger = Ledger()
        self.keep(self.ledger.restore(self.kept, self.now).frames)

    @invariant()
    def the_host_has_what_the_ledger_has(self) -> None:
        assert len(self.kept) == len(self.ledger)


TestOneMessage = OneMessage.TestCase
