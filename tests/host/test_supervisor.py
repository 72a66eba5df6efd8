"""When units start, are published, drain and start again: rules without a process or a clock."""

# Long because: one machine of rules, walked through case by case with the same few words.

from dataclasses import dataclass, field
from math import inf
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ptt.boot import (
    Answer,
    Ask,
    Counters,
    Drain,
    Drained,
    GiveAnswer,
    GiveState,
    HostFrame,
    KeepState,
    OpenRepository,
    Peer,
    Peers,
    PutQuestion,
    Ready,
    Serving,
    Superseded,
    UnitFrame,
    Withdraw,
)
from ptt.errors import MisuseError
from ptt.host import exclusive, supervisor
from ptt.host.questions import FORGET_S, MAX_OPEN, MAX_PAYLOAD_OCTETS
from ptt.host.supervision import (
    Added,
    Effect,
    Exited,
    Generation,
    HostState,
    HungUp,
    Input,
    Kill,
    Note,
    OpenStream,
    Phase,
    PublishListeners,
    ReplaceAsked,
    Said,
    Send,
    Start,
    Started,
    StopAsked,
    UnitState,
    Woken,
)
from ptt.host.supervisor import handle, next_wakeup
from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest, Overlap
from ptt.net.world import Endpoint

CALL = (Call("b", Channel.LMTP, CallKind.HOP),)
A = Manifest("a", "trial", (Listen("smtp", 25, Channel.SMTP, (INTERNET,)),), CALL, frozenset(), 64)
B = Manifest("b", "trial", (Listen("hop", 2424, Channel.LMTP, ("a",)),), (), frozenset(), 64)
C = Manifest(
    "c", "trial", (Listen("dns", 53, Channel.DNS, (INTERNET,)),), (), frozenset(), 64, Overlap.EXCLUSIVE
)
BOTH = (("b", 1), ("b", 2))
PRIVATE = {"a": {}, "b": {"hop": Endpoint("127.0.0.1", 4000)}, "c": {}}
WITHDRAW, WITHDREW, SERVES = Withdraw(("dns",)), Serving(()), Serving(("dns",))


@dataclass
class Scene:
    """A host's state and clock; what happens is done by hand."""

    state: HostState = field(default_factory=HostState)
    now: float = 1000.0

    def happens(self, happened: Input) -> list[Effect]:
        step = handle(self.state, self.now, happened)
        self.state = step.state
        return list(step.effects)

    def says(self, unit: str, generation: int, frame: UnitFrame) -> list[Effect]:
        return self.happens(Said(unit, generation, frame))

    def waits(self, seconds: float) -> list[Effect]:
        """Let time pass, waking when the supervisor asked to."""
        until, effects = self.now + seconds, []
        while (due := next_wakeup(self.state)) <= until:
            self.now = max(self.now, due)
            effects += self.happens(Woken())
            assert next_wakeup(self.state) > self.now  # no turning on the spot
        self.now = until
        return effects

    def started(self, unit: str, generation: int) -> None:
        self.happens(Started(unit, generation, PRIVATE[unit]))

    def ready(self, unit: str, generation: int) -> list[Effect]:
        self.started(unit, generation)
        return self.says(unit, generation, Ready(certificate(unit, generation)))

    def phases(self, unit: str) -> dict[int, str]:
        return {each.number: str(each.phase) for each in self.state.units[unit].generations}

    def generation(self, unit: str, number: int) -> Generation | None:
        return next((each for each in self.unit(unit).generations if each.number == number), None)

    def unit(self, name: str) -> UnitState:
        return self.state.units[name]


def certificate(unit: str, generation: int) -> bytes:
    return f"certificate of {unit}.{generation}".encode()


def caller(unit: str, generation: int) -> Peer:
    return Peer(unit, generation, "", 0, certificate(unit, generation))


def callee(unit: str, generation: int) -> Peer:
    return Peer(unit, generation, "127.0.0.1", 4000, certificate(unit, generation))


def said(effects: list[Effect], kind: type[Any]) -> list[tuple[str, int, HostFrame]]:
    return [
        (each.unit, each.generation, each.frame)
        for each in effects
        if isinstance(each, Send) and isinstance(each.frame, kind)
    ]


def of(effects: list[Effect], kind: type[Any]) -> list[tuple[str, int]]:
    return [(each.unit, each.generation) for each in effects if isinstance(each, kind)]


def notes(effects: list[Effect]) -> list[str]:
    return [each.text for each in effects if isinstance(each, Note)]


@pytest.fixture
def scene() -> Scene:
    """Both units, published as generation 1."""
    scene = Scene()
    scene.happens(Added(A))
    scene.happens(Added(B))
    scene.ready("b", 1)
    scene.ready("a", 1)
    scene.waits(1.0)
    assert scene.phases("a") == scene.phases("b") == {1: "published"}
    return scene


# Beginning ------------------------------------------------------------------------------------------


def test_a_unit_that_is_added_starts_at_once() -> None:
    scene = Scene()
    assert scene.happens(Added(A)) == [Start("a", 1)]
    assert scene.happens(Added(A)) == []
    assert scene.phases("a") == {1: "starting"}


def test_callees_are_published_first_and_callers_know_where() -> None:
    scene = Scene()
    scene.happens(Added(A))
    scene.happens(Added(B))
    early = scene.ready("a", 1)
    assert of(early, PublishListeners) == []
    assert said(early, Peers) == [("a", 1, Peers((), ()))]
    effects = scene.ready("b", 1)
    # The callee knows its caller before it serves, the caller where its callee is before it serves.
    assert effects == [
        Send("b", 1, Peers((caller("a", 1),), ())),
        PublishListeners("b", 1),
        Send("a", 1, Peers((), (callee("b", 1),))),
    ]
    assert scene.waits(1.0) == [PublishListeners("a", 1)]


def test_a_caller_waits_a_moment_until_its_certificate_is_known() -> None:
    scene = Scene()
    scene.happens(Added(B))
    scene.ready("b", 1)
    scene.happens(Added(A))
    effects = scene.ready("a", 1)
    assert ("b", 1, Peers((caller("a", 1),), ())) in said(effects, Peers)
    assert of(effects, PublishListeners) == []
    assert scene.waits(supervisor.SETTLE_S / 2) == []
    assert scene.waits(supervisor.SETTLE_S) == [PublishListeners("a", 1)]


def test_a_caller_whose_callee_does_not_come_serves_after_a_while() -> None:
    scene = Scene()
    scene.happens(Added(A))
    scene.happens(Added(B))
    scene.ready("a", 1)
    assert of(scene.waits(supervisor.CALLEES_LIMIT_S - 0.1), PublishListeners) == []
    assert of(scene.waits(0.2), PublishListeners) == [("a", 1)]


def test_a_caller_does_not_wait_for_a_callee_that_refused() -> None:
    scene = Scene()
    scene.happens(Added(A))
    scene.happens(Added(B))
    scene.ready("a", 1)
    scene.waits(1.0)
    assert of(scene.happens(Exited("b", 1, 64)), PublishListeners) == [("a", 1)]


def test_who_is_not_ready_in_time_is_killed_and_started_again() -> None:
    scene = Scene()
    scene.happens(Added(B))
    effects = scene.waits(supervisor.READY_LIMIT_S)
    assert of(effects, Kill) == [("b", 1)]
    assert notes(effects) == ["killed: starting for too long"]
    assert of(scene.waits(1.0), Start) == [("b", 2)]
    scene.happens(Exited("b", 1, -9))
    assert scene.phases("b") == {2: "starting"}


def test_ready_is_said_once(scene: Scene) -> None:
    effects = scene.says("b", 1, Ready(b"another"))
    assert notes(effects) == ["said ready while published"]
    assert scene.unit("b").generations[0].certificate == certificate("b", 1)


# Failing --------------------------------------------------------------------------------------------


def test_a_crash_is_followed_by_a_start_and_the_peers_learn_of_it(scene: Scene) -> None:
    effects = scene.happens(Exited("b", 1, -9))
    assert notes(effects) == ["ended while published, exit code -9"]
    assert said(effects, Peers) == [("a", 1, Peers((), ()))]
    assert scene.waits(supervisor.FIRST_WAIT_S) == [Start("b", 2)]
    assert said(scene.ready("b", 2), Peers)[-1] == ("a", 1, Peers((), (callee("b", 2),)))


def test_who_fails_again_and_again_waits_longer_and_longer() -> None:
    scene = Scene()
    scene.happens(Added(B))
    waits = []
    for number in range(1, 15):
        scene.happens(Exited("b", number, 70))
        began = scene.now
        while not of(scene.waits(0.05), Start):
            pass
        waits.append(scene.now - began)
    assert waits[0] == pytest.approx(0.1, abs=0.051)
    assert waits[3] == pytest.approx(0.8, abs=0.051)
    assert waits[-1] == pytest.approx(supervisor.MAX_WAIT_S, abs=0.051)


def test_who_lasted_begins_anew(scene: Scene) -> None:
    scene.happens(Exited("b", 1, 70))
    scene.waits(1.0)
    scene.ready("b", 2)
    scene.happens(Exited("b", 2, 70))
    assert scene.unit("b").failures == 2
    scene.waits(1.0)
    scene.ready("b", 3)
    scene.waits(supervisor.LASTED_S)
    scene.happens(Exited("b", 3, 70))
    assert scene.unit("b").failures == 1


def test_a_bad_boot_record_is_not_tried_again() -> None:
    scene = Scene()
    scene.happens(Added(B))
    scene.happens(Exited("b", 1, 64))
    assert scene.unit("b").refused == "generation 1 refused its boot record"
    assert scene.waits(3600.0) == []
    assert next_wakeup(scene.state) == inf
    assert scene.happens(ReplaceAsked("b")) == [Start("b", 2)]
    assert scene.unit("b").refused == ""


def test_a_unit_that_hangs_up_is_replaced_while_it_ends(scene: Scene) -> None:
    effects = scene.happens(HungUp("b", 1))
    assert of(effects, Kill) == []
    assert of(scene.waits(supervisor.FIRST_WAIT_S), Start) == [("b", 2)]
    assert of(scene.waits(supervisor.HANG_UP_LIMIT_S), Kill) == [("b", 2), ("b", 1)]
    scene.happens(HungUp("b", 1))
    scene.happens(HungUp("b", 77))


def test_a_broken_control_stream_is_the_end(scene: Scene) -> None:
    effects = scene.happens(HungUp("b", 1, "a frame of 4294967295 octets"))
    assert of(effects, Kill) == [("b", 1)]
    assert notes(effects) == ["its control stream was broken: a frame of 4294967295 octets"]
    assert of(scene.waits(1.0), Start) == [("b", 2)]


def test_who_drains_unasked_is_replaced(scene: Scene) -> None:
    assert notes(scene.says("b", 1, Drained())) == ["drained unasked"]
    assert of(scene.waits(1.0), Start) == [("b", 2)]
    assert of(scene.waits(supervisor.EXIT_LIMIT_S), Kill) == [("b", 1)]


# State, questions -----------------------------------------------------------------------------------


def test_state_is_given_to_the_next_also_after_a_crash(scene: Scene) -> None:
    assert scene.says("b", 1, KeepState("k", b"1")) == []
    assert scene.says("b", 1, KeepState("l", b"2")) == []
    assert scene.says("b", 1, KeepState("k", b"")) == []
    scene.happens(Exited("b", 1, -9))
    scene.waits(1.0)
    effects = scene.ready("b", 2)
    assert effects[0] == Send("b", 2, GiveState((("l", b"2"),)))  # before anybody is served
    scene.happens(Exited("b", 2, -9))
    scene.waits(1.0)
    assert said(scene.ready("b", 3), GiveState) == [("b", 3, GiveState((("l", b"2"),)))]


def test_what_the_old_one_writes_while_it_drains_reaches_the_new_one(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    assert scene.says("b", 1, KeepState("before", b"1")) == []
    given = said(scene.ready("b", 2), GiveState)
    assert given == [("b", 2, GiveState((("before", b"1"),), predecessor_runs=True))]
    effects = scene.says("b", 1, KeepState("after", b"2"))
    assert effects == [Send("b", 2, GiveState((("after", b"2"),), predecessor_runs=True))]
    assert scene.says("b", 2, KeepState("own", b"3")) == []


def test_the_new_one_is_told_when_nothing_more_comes_from_before_it(scene: Scene) -> None:
    for number in (2, 3):
        scene.happens(ReplaceAsked("b"))
        scene.ready("b", number)
        scene.waits(1.0)
    scene.says("b", 2, Drained())
    assert said(scene.happens(Exited("b", 2, 0)), GiveState) == []
    scene.says("b", 1, Drained())
    assert said(scene.happens(Exited("b", 1, 0)), GiveState) == [("b", 3, GiveState(()))]


def test_a_start_beside_one_that_has_not_ended_yet_is_told_so(scene: Scene) -> None:
    scene.says("b", 1, KeepState("k", b"1"))
    scene.happens(HungUp("b", 1))
    scene.waits(1.0)
    (given,) = said(scene.ready("b", 2), GiveState)
    assert given[2] == GiveState((("k", b"1"),), predecessor_runs=True)
    assert said(scene.happens(Exited("b", 1, -9)), GiveState) == [("b", 2, GiveState(()))]


def test_a_stream_to_a_repository_is_opened_at_once(scene: Scene) -> None:
    asked = OpenRepository(3, "relay", "upload-pack")
    assert scene.says("b", 1, asked) == [OpenStream("b", 1, asked)]


def test_dropped_state_is_noted(scene: Scene) -> None:
    store = scene.unit("b").kept
    store._max_octets = 150
    scene.says("b", 1, KeepState("k", b"1"))
    assert notes(scene.says("b", 1, KeepState("l", b"1"))) == [
        "keeps too much: its 1 oldest entries were dropped"
    ]


def test_a_question_reaches_who_is_published_and_its_answer_who_asked(scene: Scene) -> None:
    assert scene.says("a", 1, Ask(7, "b", b"?")) == [Send("b", 1, PutQuestion(1, "a", b"?"))]
    assert scene.says("b", 1, Answer(1, b"!")) == [Send("a", 1, GiveAnswer(7, b"!"))]
    assert scene.says("b", 1, Answer(1, b"!")) == []
    assert notes(scene.says("b", 1, Answer(2, b"!"))) == ["answered what nobody asked"]
    assert scene.says("a", 1, Counters({"x": 1})) == []


def test_nobody_answers_for_who_is_not_there(scene: Scene) -> None:
    nothing = [Send("a", 1, GiveAnswer(7, None))]
    assert scene.says("a", 1, Ask(7, "c", b"?")) == nothing
    assert scene.says("a", 1, Ask(7, "b", bytes(MAX_PAYLOAD_OCTETS + 1))) == nothing
    scene.happens(Exited("b", 1, -9))
    assert scene.says("a", 1, Ask(7, "b", b"?")) == nothing


@pytest.mark.parametrize("end", [Exited("b", 1, -9), HungUp("b", 1)])
def test_who_goes_leaves_its_questions_without_an_answer(scene: Scene, end: Input) -> None:
    scene.says("a", 1, Ask(7, "b", b"?"))
    assert said(scene.happens(end), GiveAnswer) == [("a", 1, GiveAnswer(7, None))]


def test_an_answer_for_who_is_gone_goes_nowhere(scene: Scene) -> None:
    scene.says("a", 1, Ask(7, "b", b"?"))
    scene.happens(Exited("a", 1, -9))
    assert scene.says("b", 1, Answer(1, b"!")) == []


def test_an_old_generation_asks_the_new_one_and_is_told_when_to(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    effects = scene.ready("b", 2)
    told, published = Send("b", 1, Superseded()), PublishListeners("b", 2)
    assert effects.index(told) < effects.index(published)
    assert scene.says("b", 1, Ask(1, "b", b"?")) == [Send("b", 2, PutQuestion(1, "b", b"?"))]
    assert scene.says("b", 1, Answer(1, b"not asked")) == []
    assert scene.says("b", 2, Answer(1, b"!")) == [Send("b", 1, GiveAnswer(1, b"!"))]
    # The new one dies before the old one was told to drain: that one is the owner again, and asks itself.
    scene.happens(Exited("b", 2, -9))
    assert scene.says("b", 1, Ask(2, "b", b"?")) == [Send("b", 1, PutQuestion(2, "b", b"?"))]


def test_questions_are_bounded_and_forgotten(scene: Scene) -> None:
    for number in range(MAX_OPEN):
        scene.says("a", 1, Ask(number, "b", b"?"))
    assert scene.says("a", 1, Ask(7, "b", b"?")) == [Send("a", 1, GiveAnswer(7, None))]
    scene.waits(FORGET_S)
    assert said(scene.says("a", 1, Ask(7, "b", b"?")), PutQuestion)
    assert len(scene.state.questions) == 1
    assert scene.says("b", 1, Answer(1, b"late")) == []


# Replacing ------------------------------------------------------------------------------------------


def test_a_new_generation_takes_over_and_the_old_one_drains(scene: Scene) -> None:
    assert scene.happens(ReplaceAsked("b")) == [Start("b", 2)]
    effects = scene.ready("b", 2)
    assert effects == [
        Send("b", 2, Peers((caller("a", 1),), ())),
        Send("b", 1, Superseded()),
        PublishListeners("b", 2),
        Send("a", 1, Peers((), (callee("b", 1), callee("b", 2)))),
    ]
    # Callers turn to the new one before the old one closes its door.
    assert scene.waits(supervisor.SETTLE_S) == [
        Send("b", 1, Drain(supervisor.DRAIN_LIMIT_S)),
        Send("a", 1, Peers((), (callee("b", 2),))),
    ]
    assert scene.says("b", 1, Drained()) == []
    assert scene.happens(HungUp("b", 1)) == []
    assert scene.happens(Exited("b", 1, 0)) == [Send("b", 2, GiveState(()))]
    assert scene.phases("b") == {2: "published"}
    assert scene.unit("b").failures == 0


def test_a_caller_that_drains_is_known_to_its_callee_until_it_is_gone(scene: Scene) -> None:
    scene.happens(ReplaceAsked("a"))
    effects = scene.ready("a", 2)
    both = Peers((caller("a", 1), caller("a", 2)), ())
    assert said(effects, Peers) == [("a", 2, Peers((), (callee("b", 1),))), ("b", 1, both)]
    assert of(effects, PublishListeners) == []
    assert scene.waits(supervisor.SETTLE_S) == [Send("a", 1, Superseded()), PublishListeners("a", 2)]
    assert scene.waits(supervisor.SETTLE_S) == [Send("a", 1, Drain(supervisor.DRAIN_LIMIT_S))]
    scene.says("a", 1, Drained())
    assert scene.happens(Exited("a", 1, 0)) == [
        Send("a", 2, GiveState(())),
        Send("b", 1, Peers((caller("a", 2),), ())),
    ]


def test_what_fails_leaves_the_old_one_serving(scene: Scene) -> None:
    for code in (70, 64, -9):
        number = scene.unit("b").last_number + 1
        scene.happens(ReplaceAsked("b"))
        effects = scene.happens(Exited("b", number, code))
        assert notes(effects) == [f"ended while starting, exit code {code}"]
        assert scene.waits(3600.0) == []
        assert scene.phases("b") == {1: "published"}
        assert scene.unit("b").refused == ""


def test_the_old_one_dies_before_the_new_one_is_ready(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    assert of(scene.happens(Exited("b", 1, -9)), Start) == []
    assert of(scene.waits(10.0), Start) == []
    assert of(scene.ready("b", 2), PublishListeners) == [("b", 2)]


def test_a_second_replacement_overtakes_the_first(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    scene.happens(ReplaceAsked("b"))
    effects = scene.ready("b", 3)
    assert of(effects, PublishListeners) == [("b", 3)]
    assert of(scene.says("b", 2, Ready(b"late, but within the moment")), PublishListeners) == []
    effects = scene.waits(supervisor.SETTLE_S)
    assert of(effects, Kill) == []
    assert said(effects, Drain) == [(name, number, Drain(supervisor.DRAIN_LIMIT_S)) for name, number in BOTH]


def test_a_start_that_is_overtaken_is_killed(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    scene.happens(ReplaceAsked("b"))
    scene.ready("b", 3)
    assert of(scene.waits(supervisor.SETTLE_S), Kill) == [("b", 2)]
    assert of(scene.says("b", 2, Ready(b"too late")), PublishListeners) == []


def test_a_new_one_that_dies_at_once_leaves_the_old_one_serving(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    scene.ready("b", 2)
    scene.happens(Exited("b", 2, 70))
    assert scene.waits(3600.0) == []
    assert scene.phases("b") == {1: "published"}


def test_a_drain_has_an_end(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    scene.ready("b", 2)
    effects = scene.waits(supervisor.SETTLE_S + supervisor.DRAIN_LIMIT_S + supervisor.EXIT_LIMIT_S)
    assert of(effects, Kill) == [("b", 1)]
    assert notes(effects) == ["killed: draining for too long"]
    assert notes(scene.happens(Exited("b", 1, -9))) == ["ended with exit code -9"]
    assert scene.unit("b").failures == 0


def test_a_process_that_stays_after_its_last_word_is_killed(scene: Scene) -> None:
    scene.happens(ReplaceAsked("b"))
    scene.ready("b", 2)
    scene.waits(1.0)
    scene.says("b", 1, Drained())
    assert of(scene.waits(supervisor.EXIT_LIMIT_S), Kill) == [("b", 1)]


def test_at_most_two_generations_drain(scene: Scene) -> None:
    for number in (2, 3):
        scene.happens(ReplaceAsked("b"))
        scene.ready("b", number)
        assert of(scene.waits(1.0), Kill) == []
    scene.happens(ReplaceAsked("b"))
    scene.ready("b", 4)
    assert of(scene.waits(1.0), Kill) == [("b", 1)]


def test_an_unknown_unit_cannot_be_replaced(scene: Scene) -> None:
    with pytest.raises(MisuseError):
        scene.happens(ReplaceAsked("c"))


# One alone ------------------------------------------------------------------------------------------


@pytest.fixture
def alone() -> Scene:
    """An exclusive unit, whose generation 1 serves and whose generation 2 is ready."""
    scene = Scene()
    scene.happens(Added(C))
    assert of(scene.ready("c", 1), PublishListeners) == [("c", 1)]
    assert scene.says("c", 1, SERVES) == []
    scene.happens(ReplaceAsked("c"))
    assert scene.ready("c", 2)[-1] == Send("c", 1, WITHDRAW)
    assert scene.phases("c") == {1: "withdrawn", 2: "ready"}
    return scene


def test_the_old_one_withdraws_before_the_new_one_serves(alone: Scene) -> None:
    alone.now += 0.004
    assert alone.says("c", 1, KeepState("last", b"1")) == [
        Send("c", 2, GiveState((("last", b"1"),), predecessor_runs=True))
    ]
    assert alone.says("c", 1, WITHDREW) == [Send("c", 1, Superseded()), PublishListeners("c", 2)]
    alone.now += 0.002
    assert notes(alone.says("c", 2, SERVES)) == ["serves; its listeners waited for 6.0 ms"]
    # What the new one leaves is told to the old one too, for the case that it has to go on.
    forgotten = GiveState((("last", b""),))
    assert alone.says("c", 2, KeepState("last", b"")) == [Send("c", 1, forgotten)]
    assert alone.waits(exclusive.FALLBACK_S - 0.1) == []
    assert alone.waits(0.2) == [Send("c", 1, Drain(supervisor.DRAIN_LIMIT_S))]
    assert alone.says("c", 2, KeepState("own", b"1")) == []


def test_who_does_not_withdraw_in_time_is_ended_first(alone: Scene) -> None:
    effects = alone.waits(exclusive.WITHDRAW_LIMIT_S)
    assert notes(effects) == ["killed: it did not withdraw in time"]
    assert [each for each in effects if not isinstance(each, Note)] == [
        Kill("c", 1),
        PublishListeners("c", 2),
    ]


def test_a_new_one_that_dies_while_the_old_one_withdraws(alone: Scene) -> None:
    effects = alone.happens(Exited("c", 2, 70))
    assert of(effects, PublishListeners) == [("c", 1)]
    assert alone.says("c", 1, WITHDREW) == []
    # It has two orders to answer when it is told to withdraw again, and is waited for until it has.
    alone.happens(ReplaceAsked("c"))
    assert alone.ready("c", 3)[-1] == Send("c", 1, WITHDRAW)
    assert of(alone.says("c", 1, SERVES), PublishListeners) == []
    assert of(alone.says("c", 1, WITHDREW), PublishListeners) == [("c", 3)]


@pytest.mark.parametrize("end", [Exited("c", 2, -11), HungUp("c", 2)])
def test_a_new_one_that_dies_soon_gives_way_to_the_old_one(alone: Scene, end: Input) -> None:
    alone.says("c", 1, WITHDREW)
    alone.says("c", 2, SERVES)
    alone.waits(exclusive.FALLBACK_S - 0.1)
    effects = alone.happens(end)
    assert of(effects, Kill) == ([("c", 2)] if isinstance(end, HungUp) else [])
    assert "is published again: the newer one ended" in notes(effects)
    assert effects[-1] == PublishListeners("c", 1)
    assert alone.waits(10.0) == []
    assert alone.phases("c")[1] == "published"


def test_a_second_replacement_leaves_one_to_fall_back_on(alone: Scene) -> None:
    alone.says("c", 1, WITHDREW)
    alone.happens(ReplaceAsked("c"))
    alone.ready("c", 3)
    alone.says("c", 2, SERVES)
    assert of(alone.says("c", 2, WITHDREW), PublishListeners) == [("c", 3)]
    assert said(alone.waits(1.0), Drain) == [("c", 1, Drain(supervisor.DRAIN_LIMIT_S))]
    assert of(alone.happens(Exited("c", 3, 70)), PublishListeners) == [("c", 2)]


def test_a_replacement_overtaken_by_one_that_dies_does_not_serve(alone: Scene) -> None:
    alone.happens(ReplaceAsked("c"))
    alone.ready("c", 3)
    alone.says("c", 1, WITHDREW)
    alone.happens(ReplaceAsked("c"))
    alone.ready("c", 4)  # 3 serves, 2 is ready still
    assert of(alone.happens(Exited("c", 4, 70)), PublishListeners) == [("c", 3)]


def test_at_the_end_nobody_takes_over(alone: Scene) -> None:
    effects = alone.happens(StopAsked(10.0)) + alone.says("c", 1, WITHDREW)
    assert said(effects, Drain) == [("c", 1, Drain(10.0)), ("c", 2, Drain(10.0))]
    assert of(effects, PublishListeners) == []


# The end --------------------------------------------------------------------------------------------


def test_callers_drain_before_callees(scene: Scene) -> None:
    assert scene.happens(StopAsked(10.0)) == [Send("a", 1, Drain(10.0))]
    scene.waits(3.0)
    scene.says("a", 1, Drained())
    assert scene.happens(Exited("a", 1, 0)) == [
        Send("b", 1, Drain(7.0)),
        Send("b", 1, Peers((), ())),
    ]
    scene.says("b", 1, Drained())
    scene.happens(Exited("b", 1, 0))
    assert scene.waits(100.0) == []
    assert next_wakeup(scene.state) == inf


def test_what_has_not_ended_at_the_deadline_is_killed(scene: Scene) -> None:
    scene.happens(ReplaceAsked("a"))
    effects = scene.happens(StopAsked(10.0))
    assert of(effects, Kill) == [("a", 2)]
    assert of(scene.waits(10.0), Kill) == []
    effects = scene.waits(supervisor.LAST_WORD_S)
    assert sorted(of(effects, Kill)) == [("a", 1), ("b", 1)]
    assert scene.waits(100.0) == []
    for unit, number in (("a", 1), ("a", 2), ("b", 1)):
        scene.happens(Exited(unit, number, -9))
    assert scene.waits(100.0) == []


def test_nothing_starts_at_the_end(scene: Scene) -> None:
    scene.happens(StopAsked(10.0))
    effects = scene.happens(Exited("b", 1, -9)) + scene.happens(ReplaceAsked("b")) + scene.waits(100.0)
    assert of(effects, Start) == []


def test_the_end_of_nothing_is_at_once() -> None:
    scene = Scene()
    assert scene.happens(StopAsked(10.0)) == []
    assert next_wakeup(scene.state) == inf


# Anything -------------------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: what must never be, never is."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.running: set[tuple[str, int]] = set()
        self.published: set[tuple[str, int]] = set()
        self.ready: set[tuple[str, int]] = set()
        self.asked: dict[int, tuple[str, int]] = {}
        """Who waits for an answer, by the number of the question: no two have the same here."""
        self.put: dict[int, tuple[int, tuple[str, int]]] = {}
        """The question, and who was asked, by the number that it was passed on with."""
        self.numbers = 0
        self.orders: dict[int, list[bool]] = {}
        """Of the exclusive unit, by generation: to serve, or not to, given and not yet obeyed."""
        self.serving: set[int] = set()
        """Its processes that read from the listeners."""
        for manifest in (A, B, C):
            self.happens(Added(manifest))

    def happens(self, happened: Input) -> None:
        self.check(self.scene.happens(happened))

    def check(self, effects: list[Effect]) -> None:
        for effect in effects:
            name = (effect.unit, effect.generation)
            if effect.unit == "c":
                self.check_alone(effect)
            match effect:
                case Start():
                    assert name not in self.running
                    assert self.scene.state.stop_at is None
                    self.running.add(name)
                case Send(frame=PutQuestion(number, asker, payload)):
                    assert name in self.running
                    assert self.scene.unit(effect.unit).published == self.scene.generation(*name)
                    assert asker == self.asked[int(payload)][0]
                    self.put[number] = (int(payload), name)
                case Send(frame=GiveAnswer(number, payload)):
                    assert self.asked.pop(number) == name  # once, and nobody else
                    assert payload in {None, b"%d" % number}
                case Send() | Kill():
                    assert name in self.running
                case PublishListeners():
                    assert name in self.ready
                    assert name not in self.published
                    self.published.add(name)
                case Note():
                    pass

    def check_alone(self, effect: Effect) -> None:
        number = effect.generation
        match effect:
            case PublishListeners():
                others = {each for each, orders in self.orders.items() if True in orders} | self.serving
                assert not others - {number}  # nobody reads, nor will
                self.orders.setdefault(number, []).append(True)
                self.published.discard(("c", number))  # may be published again
            case Send(frame=Withdraw()):
                self.orders.setdefault(number, []).append(False)
            case Kill():
                self.stops_reading(number)
            case _:
                pass

    def stops_reading(self, number: int) -> None:
        self.serving.discard(number)
        self.orders.pop(number, None)

    @rule(data=st.data())
    def obeys(self, data: st.DataObject) -> None:
        if waiting := sorted(number for number, orders in self.orders.items() if orders):
            number = data.draw(st.sampled_from(waiting))
            if self.orders[number].pop(0):
                self.serving.add(number)
            else:
                self.serving.discard(number)
            self.happens(Said("c", number, SERVES if number in self.serving else WITHDREW))

    @invariant()
    def somebody_serves_within_the_bound(self) -> None:
        unit = self.scene.unit("c")
        withdrawn = [each.since for each in unit.generations if each.phase is Phase.WITHDRAWN]
        if self.scene.state.stop_at is None and withdrawn and unit.published is None:
            assert self.scene.now < max(withdrawn) + exclusive.WITHDRAW_LIMIT_S

    def one(self, data: st.DataObject) -> tuple[str, int] | None:
        return data.draw(st.sampled_from(sorted(self.running))) if self.running else None

    @rule(data=st.data())
    def says_ready(self, data: st.DataObject) -> None:
        if (name := self.one(data)) is not None:
            self.ready.add(name)
            self.scene.started(*name)
            self.happens(Said(*name, Ready(certificate(*name))))

    @rule(data=st.data(), to=st.sampled_from("abc"))
    def asks(self, data: st.DataObject, to: str) -> None:
        if (name := self.one(data)) is not None:
            self.numbers += 1
            self.asked[self.numbers] = name
            self.happens(Said(*name, Ask(self.numbers, to, b"%d" % self.numbers)))

    @rule(data=st.data())
    def answers(self, data: st.DataObject) -> None:
        """Whoever it is answers one of the questions; only who was asked is heard."""
        if (name := self.one(data)) is not None and self.put:
            number = data.draw(st.sampled_from(sorted(self.put)))
            question, owner = self.put[number]
            before = len(self.asked)
            self.happens(Said(*name, Answer(number, b"%d" % question)))
            assert len(self.asked) == before or name == owner

    @invariant()
    def who_waits_is_remembered(self) -> None:
        """Nobody waits for an answer that the host does not, but for the time of a question."""
        waiting = [name for name in self.asked.values() if name in self.running]
        assert len(self.scene.state.questions) <= len(self.asked)
        if self.scene.now < 1000.0 + FORGET_S:
            assert len(waiting) <= len(self.scene.state.questions)

    @rule(data=st.data(), frame=st.sampled_from([KeepState("k", b"1"), Drained()]))
    def says_something(self, data: st.DataObject, frame: UnitFrame) -> None:
        if (name := self.one(data)) is not None:
            if name[0] == "c" and frame == Drained():
                self.stops_reading(name[1])
            self.happens(Said(*name, frame))

    @rule(data=st.data(), reason=st.sampled_from(["", "broken"]))
    def hangs_up(self, data: st.DataObject, reason: str) -> None:
        if (name := self.one(data)) is not None:
            self.happens(HungUp(*name, reason))
            self.forget(name)

    def forget(self, name: tuple[str, int]) -> None:
        """Who has hung up hears no answer."""
        self.asked = {number: asker for number, asker in self.asked.items() if asker != name}

    @rule(data=st.data(), code=st.sampled_from([0, 64, 70, -9]))
    def exits(self, data: st.DataObject, code: int) -> None:
        if (name := self.one(data)) is not None:
            self.running.discard(name)
            if name[0] == "c":
                self.stops_reading(name[1])
            self.happens(Exited(*name, code))

    @rule(unit=st.sampled_from("abc"))
    def is_replaced(self, unit: str) -> None:
        self.happens(ReplaceAsked(unit))

    @rule(seconds=st.sampled_from([0.05, 0.2, 3.0, 40.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.check(self.scene.waits(seconds))

    @rule(chance=st.integers(0, 15))
    def is_stopped(self, chance: int) -> None:
        if chance == 0:
            self.happens(StopAsked(10.0))

    @invariant()
    def one_at_most_is_published(self) -> None:
        for unit in self.scene.state.units.values():
            published = [each for each in unit.generations if each.phase is Phase.PUBLISHED]
            if published and published[-1].since + 2 * supervisor.SETTLE_S <= self.scene.now:
                assert len(published) == 1
            numbers = [each.number for each in unit.generations]
            assert numbers == sorted(set(numbers))
            assert {(unit.manifest.name, number) for number in numbers} <= self.running

    @invariant()
    def something_is_always_under_way(self) -> None:
        state = self.scene.state
        assert next_wakeup(state) > self.scene.now or next_wakeup(state) == inf
        for unit in state.units.values():
            if state.stop_at is None and not unit.refused and not unit.active:
                assert next_wakeup(state) < inf


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
