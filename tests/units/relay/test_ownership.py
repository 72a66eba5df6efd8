"""An earlier relay asks the ledger's owner: what is said, what it comes to, what does not read."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.boot import KeepState
from ptt.errors import Malformed
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay import ownership
from ptt.units.relay.entry import Entry, Phase, outcome_of
from ptt.units.relay.ledger import MAX_WATCHED, Decision, Deliver, Given, Join, Keys, Known, Ledger
from ptt.units.relay.outcome import Delivered, Failed, Refused
from ptt.units.relay.ownership import (
    MAX_KEYS,
    MAX_TRACES,
    Answered,
    answer,
    ask_begin,
    ask_look,
    read_decided,
    read_seen,
    say_gave_up,
    say_taken,
)

NOW = 1_800_000_000.0
DELIVERED = Delivered("mx", "ok")
REFUSED = Refused(Reply(550, "5.7.1", "never"))
OPEN = Failed("?", Reply(451, "4.4.7", "later"), is_open=True)


def key(number: int) -> Keys:
    return Keys(b"exact %d" % number, b"loose %d" % number, names_itself=True)


class Overlap:
    """The owner and an older relay; frames go by the host as it would carry them."""

    def __init__(self) -> None:
        self.owner, self.old = Ledger(), Ledger()

    def asks(self, payload: bytes) -> Answered:
        answered = answer(self.owner, payload, NOW)
        assert isinstance(answered, Answered)
        return answered

    def begins(self, trace: str, *numbers: int) -> tuple[Decision, ...]:
        """The old relay asks before an end of data."""
        keys = [key(number) for number in numbers]
        decided = read_decided(self.asks(ask_begin(trace, keys)).reply, len(keys))
        assert not isinstance(decided, Malformed)
        decisions = self.old.adopt(trace, decided)
        assert decisions is not None
        return decisions

    def reports(self, *frames: KeepState) -> tuple[Entry, ...]:
        """What the old relay keeps reaches the owner; gives what has ended by it."""
        states = [(frame.key, frame.value) for frame in frames]
        return self.owner.restore(states, NOW, predecessor_runs=True).settled

    def runs(self, number: int, trace: str = "new") -> Entry:
        """The owner itself delivers something."""
        (decision,) = self.owner.begin(trace, [key(number)], NOW).decisions
        assert isinstance(decision, Deliver)
        return decision.entry

    def sees(self, entry: Entry) -> object:
        seen = read_seen(self.asks(ask_look(entry.exact)).reply)
        assert not isinstance(seen, Malformed)
        return self.old.learn(entry, seen.entry)


def phase(ledger: Ledger, number: int) -> Phase | None:
    entry = ledger._entries.get(key(number).exact)
    return None if entry is None else entry.phase


def test_what_nobody_has_is_delivered_and_its_outcome_reaches_the_owner() -> None:
    o = Overlap()
    (decision,) = o.begins("t1", 1)
    assert isinstance(decision, Deliver)
    assert phase(o.owner, 1) is Phase.RUNNING
    (joined,) = o.owner.begin("t2", [key(1)], NOW).decisions
    assert isinstance(joined, Join)
    assert o.reports(*o.old.settle(decision.entry, DELIVERED)) == (joined.entry,)
    assert phase(o.owner, 1) is Phase.DELIVERED


@pytest.mark.parametrize("outcome", [DELIVERED, REFUSED])
def test_what_the_owner_knows_the_old_one_knows(outcome: Delivered | Refused) -> None:
    o = Overlap()
    o.owner.settle(o.runs(1), outcome)
    (decision,) = o.begins("t1", 1)
    assert isinstance(decision, Known)
    assert type(decision.outcome) is type(outcome)
    o.reports(*o.old.end("t1", NOW, with_250=True))
    assert phase(o.owner, 1) is Phase(decision.entry.phase)
    o.reports(*o.old.taken(["t1"]))
    assert phase(o.owner, 1) is None


@pytest.mark.parametrize("outcome", [DELIVERED, REFUSED, OPEN])
def test_what_runs_with_the_owner_is_waited_for(outcome: Delivered | Refused | Failed) -> None:
    o = Overlap()
    entry = o.runs(1)
    (decision,) = o.begins("t1", 1)
    assert isinstance(decision, Join)
    assert decision.entry.is_elsewhere
    assert o.sees(decision.entry) is None
    # It gives up meanwhile; that is no news of the delivery.
    assert o.reports(*o.old.end("t1", NOW, with_250=False)) == ()
    assert (entry.phase, entry.is_elsewhere) == (Phase.RUNNING, False)
    o.owner.settle(entry, outcome)
    assert type(o.sees(decision.entry)) is type(outcome)


def test_what_is_taken_meanwhile_is_seen_once_more() -> None:
    o = Overlap()
    entry = o.runs(1)
    (decision,) = o.begins("t1", 1)
    o.owner.settle(entry, DELIVERED)
    o.owner.taken(["new"])
    assert phase(o.owner, 1) is None
    assert isinstance(o.sees(decision.entry), Delivered)
    assert isinstance(o.sees(decision.entry), Failed)  # forgotten by now: nothing is known


def test_those_waited_for_are_bounded() -> None:
    o = Overlap()
    for number in range(MAX_WATCHED + 5):
        o.runs(number, f"new {number}")
        o.begins("t1", number)
    assert len(o.owner._watched) == MAX_WATCHED


def test_what_the_old_one_runs_itself_it_joins() -> None:
    o = Overlap()
    (first,) = o.begins("t1", 1)
    (second,) = o.begins("t2", 1)
    assert (type(first), type(second), second.entry) == (Deliver, Join, first.entry)
    assert not second.entry.is_elsewhere
    assert o.reports(*o.old.settle(first.entry, DELIVERED))
    (third,) = o.begins("t3", 1)
    assert isinstance(third, Known)


def test_two_that_wait_for_the_owner_share_an_entry_until_it_is_theirs() -> None:
    o = Overlap()
    entry = o.runs(1)
    (first,) = o.begins("t1", 1)
    (second,) = o.begins("t2", 1)
    assert second.entry is first.entry
    o.owner.settle(entry, OPEN)
    (third,) = o.begins("t3", 1)
    assert isinstance(third, Deliver)
    assert third.entry is not first.entry
    assert first.entry.is_forgotten


def test_a_relay_that_is_the_owner_again_asks_itself() -> None:
    o = Overlap()
    o.old = o.owner
    (first,) = o.begins("t1", 1)
    (second,) = o.begins("t2", 1)
    assert (type(first), type(second), second.entry) == (Deliver, Join, first.entry)
    o.owner.settle(first.entry, DELIVERED)
    assert isinstance(o.begins("t3", 1)[0], Known)


def test_who_heard_no_answer_delivers_nothing_and_says_so() -> None:
    o = Overlap()
    o.asks(ask_begin("t1", [key(1)]))
    (joined,) = o.owner.begin("t2", [key(1)], NOW).decisions
    answered = o.asks(say_gave_up("t1"))
    assert answered.settled == (joined.entry,)
    assert isinstance(outcome_of(joined.entry), Failed)
    assert isinstance(o.owner.begin("t3", [key(1)], NOW).decisions[0], Deliver)
    assert o.asks(say_gave_up("t1")).settled == ()  # it runs here now


def test_giving_up_a_join_ends_no_delivery() -> None:
    o = Overlap()
    o.begins("t1", 1)
    o.asks(ask_begin("t2", [key(1)]))
    assert o.asks(say_gave_up("t2")).settled == ()
    assert phase(o.owner, 1) is Phase.RUNNING


def test_when_the_old_one_is_gone_what_it_ran_is_unknown() -> None:
    o = Overlap()
    o.begins("t1", 1)
    (settled,) = o.owner.restore((), NOW).settled
    assert settled.phase is Phase.UNKNOWN


def test_reports_of_taken_mail_reach_the_owner() -> None:
    o = Overlap()
    o.owner.settle(o.runs(1), DELIVERED)
    assert o.asks(say_taken(["new", "unheard of"])).frames
    assert phase(o.owner, 1) is None


def test_what_runs_here_is_kept_though_the_old_one_has_forgotten_it() -> None:
    o = Overlap()
    entry = o.runs(1)
    restored = o.owner.restore([("ledger/" + entry.exact.hex(), b"")], NOW, predecessor_runs=True)
    (frame,) = restored.frames
    assert (frame.value != b"", phase(o.owner, 1)) == (True, Phase.RUNNING)


def test_what_cannot_be_read_is_adopted_by_nobody() -> None:
    assert Ledger().adopt("t1", [Given(Deliver, b"\xc1")]) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"type": "nonsense"}),
        ask_begin("t", [key(1)]) + b"x",
        ask_begin("t", [key(number) for number in range(MAX_KEYS + 1)]),
        say_taken(["t"] * (MAX_TRACES + 1)),
    ],
)
def test_wrong_questions_are_malformed(payload: bytes) -> None:
    ledger = Ledger()
    assert isinstance(answer(ledger, payload, NOW), Malformed)
    assert len(ledger) == 0


def test_wrong_answers_are_malformed() -> None:
    o = Overlap()
    decided = o.asks(ask_begin("t1", [key(1)])).reply
    seen = o.asks(ask_look(key(1).exact)).reply
    assert isinstance(read_decided(decided, 2), Malformed)
    assert isinstance(read_decided(seen, 1), Malformed)
    assert isinstance(read_decided(b"\xc1", 1), Malformed)
    assert isinstance(read_seen(decided), Malformed)


@given(st.binary(max_size=200), st.integers(0, 3))
def test_no_octets_give_anything_but_a_defined_result(octets: bytes, count: int) -> None:
    assert isinstance(answer(Ledger(), octets, NOW), Answered | Malformed)
    assert isinstance(read_decided(octets, count), tuple | Malformed)
    assert isinstance(read_seen(octets), ownership.Seen | Malformed)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["old begins", "new begins", "old settles", "new settles", "old gives up"]),
            st.integers(0, 2),
            st.sampled_from([DELIVERED, REFUSED, OPEN]),
        ),
        max_size=30,
    )
)
def test_two_never_deliver_the_same_at_the_same_time(
    steps: list[tuple[str, int, Delivered | Refused | Failed]],
) -> None:
    """Whatever the order: an entry has one runner, and what is delivered is delivered by nobody any more."""
    o, running, delivered = Overlap(), {}, set()
    for number, (what, which, outcome) in enumerate(steps):
        trace, at_old = f"t{number}", what.startswith("old")
        match what:
            case "old begins" | "new begins":
                (decision,) = (
                    o.begins(trace, which) if at_old else o.owner.begin(trace, [key(which)], NOW).decisions
                )
                if isinstance(decision, Deliver):
                    assert which not in running
                    assert which not in delivered
                    running[which] = (at_old, decision.entry)
                else:
                    assert which in running or isinstance(decision, Known)
            case "old settles" | "new settles" if which in running and running[which][0] is at_old:
                _, entry = running.pop(which)
                if at_old:
                    o.reports(*o.old.settle(entry, outcome))
                else:
                    o.owner.settle(entry, outcome)
                delivered |= {which} if isinstance(outcome, Delivered) else set()
            case "old gives up" if which not in running:
                o.asks(ask_begin(trace, [key(which)]))
                o.asks(say_gave_up(trace))
            case _:
                pass
