"""When units start, are published, drain and are started again. Pure: ``handle`` decides, ``daemon`` does.

A unit without an active generation gets one, after a wait that doubles with each failure; exit code 64 (a
boot record that no restart mends) ends that. A generation that is ready is given what earlier ones left, its
peers learn its certificate and have a moment to take it in, then it is published, and after another moment,
in which callers turn to it, those before it drain. What fails on the way leaves the old one serving. Of
``exclusive`` units the old one withdraws before, and drains when the new one has lasted a while. At the end
callers drain before callees, so that mail under way has where to go.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import assert_never

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
    PutQuestion,
    Ready,
    Serving,
    Superseded,
    UnitFrame,
    Withdraw,
)
from ptt.errors import MisuseError
from ptt.host.acquaintance import needed_callees, needing_callers, peers_of, public_listens
from ptt.host.exclusive import (
    FALLBACK_S,
    Publication,
    Withdrawal,
    fallback,
    is_exclusive,
    next_turn,
    waits_until,
)
from ptt.host.kept import Kept
from ptt.host.questions import Open, OpenQuestions
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
    Step,
    StopAsked,
    UnitState,
    Woken,
)

READY_LIMIT_S = 30.0  # a start takes half a second; ten starts at once on a busy machine some ten
SETTLE_S = 0.1  # for others to take in whom they may be called by, and whom they call from now on
CALLEES_LIMIT_S = 10.0  # a first publication waits so long for those that it calls, then answers 451 itself
DRAIN_LIMIT_S = 900.0  # DESIGN section 9: cap 15 minutes
MAX_DRAINING = 2  # DESIGN section 9
EXIT_LIMIT_S = 5.0  # from the last word to the end of the process
LAST_WORD_S = 1.0  # at the end of everything, for those that were cut off to say so
HANG_UP_LIMIT_S = 35.0  # a unit that has lost its host drains for 30 s
FIRST_WAIT_S = 0.1
MAX_WAIT_S = 30.0
LASTED_S = 60.0  # published for so long, a generation's end is the first failure again
EXIT_BAD_BOOT_RECORD = 64
ROUTINE = KeepState | Counters | Ask | Answer | OpenRepository


def handle(state: HostState, now: float, happened: Input) -> Step:
    """Take in what happened; gives the new state and what to do, in order."""
    turn = _Turn(dict(state.units), state.stop_at, state.questions, now)
    turn.take(happened)
    if _is_routine(happened):
        return Step(state, tuple(turn.effects))
    turn.go_on()
    return Step(turn.state(), tuple(turn.effects))


def _is_routine(happened: Input) -> bool:
    """Whether it makes nothing due: a relay keeps state four times for each mail."""
    return isinstance(happened, Said) and isinstance(happened.frame, ROUTINE)


def next_wakeup(state: HostState) -> float:
    """When ``handle`` must be called with ``Woken`` at the latest; ``inf``: nothing is due."""
    times = [generation.deadline for unit in state.units.values() for generation in unit.generations]
    if state.stop_at is not None:
        alive = any(
            not generation.is_killed for unit in state.units.values() for generation in unit.generations
        )
        return min(*times, state.stop_at + LAST_WORD_S) if alive else inf
    for unit in state.units.values():
        if not unit.active and not unit.refused:
            times.append(unit.start_at)
        if (ready := _next_to_publish(unit)) is not None:
            publish_at = ready.since + (SETTLE_S if _has_callees(state, unit) else CALLEES_LIMIT_S)
            times.append(waits_until(unit) or publish_at)
        times.extend(drain_at for _, drain_at in _superseded(unit))
    return min(times, default=inf)


def _next_to_publish(unit: UnitState) -> Generation | None:
    """The newest generation that is ready, unless a newer one is published."""
    phases = {Phase.READY, Phase.PUBLISHED, Phase.WITHDRAWN}
    able = (each for each in reversed(unit.generations) if each.phase in phases)
    newest = next(able, None)
    return newest if newest is not None and newest.phase is Phase.READY else None


def _superseded(unit: UnitState) -> Iterator[tuple[Generation, float]]:
    """What is active although a newer generation is published, and when it drains."""
    newest, former = unit.published, fallback(unit)
    for each in unit.active:
        if newest is not None and each.number < newest.number:
            yield each, newest.since + (FALLBACK_S if each == former else SETTLE_S)


def _has_callees(state: HostState, unit: UnitState) -> bool:
    """Whether everybody that it needs is published, or will never be."""
    return all(callee.published or callee.refused for callee in needed_callees(state, unit))


@dataclass(slots=True)
class _Turn:
    """One call of ``handle``, in the making."""

    units: dict[str, UnitState]
    stop_at: float | None
    questions: OpenQuestions
    now: float
    effects: list[Effect] = field(default_factory=list)

    def state(self) -> HostState:
        return HostState(self.units, self.stop_at, self.questions)

    # What happened

    def take(self, happened: Input) -> None:
        match happened:
            case Added(manifest):
                self.units.setdefault(manifest.name, UnitState(manifest, Kept()))
            case Started(name, number, private):
                self._change(name, number, private=private)
            case Said(name, number, frame):
                if (generation := self._find(name, number)) is not None:
                    self._take_frame(name, generation, frame)
            case HungUp(name, number, reason):
                self._hung_up(name, number, reason)
            case Exited(name, number, code):
                self._exited(name, number, code)
            case ReplaceAsked(name):
                self._replace(name)
            case StopAsked(deadline_s):
                self.stop_at = self.now + deadline_s
            case Woken():
                pass
            case _ as never:
                assert_never(never)

    def _take_frame(self, name: str, generation: Generation, frame: UnitFrame) -> None:
        match frame:
            case Ready(certificate):
                self._ready(name, generation, certificate)
            case KeepState():
                self._keep(name, generation, frame)
            case Ask():
                self._ask(name, generation, frame)
            case Answer():
                self._answer(name, generation, frame)
            case OpenRepository():
                self.effects.append(OpenStream(name, generation.number, frame))
            case Drained():
                if generation.is_active:
                    self._failed(name, generation)
                    self._note(name, generation, "drained unasked")
                self._begin(name, generation, Phase.DRAINING, EXIT_LIMIT_S)
            case Serving():
                self._serving(name, generation)
            case Counters():
                pass  # kept beside the state: nothing here depends on them
            case _ as never:
                assert_never(never)

    def _ready(self, name: str, generation: Generation, certificate: bytes) -> None:
        if generation.phase is not Phase.STARTING:
            self._note(name, generation, f"said ready while {generation.phase}")
            return
        runs = self._has_predecessor(name, generation)
        for frame in self.units[name].kept.frames():
            self._send(name, generation, GiveState(frame.entries, predecessor_runs=runs))
        ready = replace(generation, certificate=certificate)
        self._begin(name, ready, Phase.READY, inf)

    def _keep(self, name: str, generation: Generation, frame: KeepState) -> None:
        unit = self.units[name]
        dropped = unit.kept.put(frame)
        if dropped:
            self._note(name, generation, f"keeps too much: its {dropped} oldest entries were dropped")
        newest = unit.generations[-1]
        if newest.number != generation.number and newest.certificate:
            # It was given what there was when it got ready; what comes later is handed after it.
            self._send(name, newest, GiveState(((frame.key, frame.value),), predecessor_runs=True))
        former = fallback(unit)
        if former is not None and former.number < generation.number:
            # It may have to go on from where the newer one is.
            runs = self._has_predecessor(name, former)
            self._send(name, former, GiveState(((frame.key, frame.value),), predecessor_runs=runs))

    def _serving(self, name: str, generation: Generation) -> None:
        left = max(generation.unanswered - 1, 0)
        self._change(name, generation.number, unanswered=left)
        silent_since = self.units[name].silent_since
        if silent_since is not None and not left and generation.phase is Phase.PUBLISHED:
            self.units[name] = replace(self.units[name], silent_since=None)
            gap_ms = (self.now - silent_since) * 1000
            self._note(name, generation, f"serves; its listeners waited for {gap_ms:.1f} ms")

    def _ask(self, name: str, generation: Generation, frame: Ask) -> None:
        """Pass a question on to whoever is published; that may be who asks."""
        unit = self.units.get(frame.to)
        owner = unit.published if unit is not None else None
        number = None
        if owner is not None:
            question = Open(name, generation.number, frame.number, frame.to, owner.number, self.now)
            number = self.questions.passed_on(question, frame.payload)
        if owner is None or number is None:
            self._send(name, generation, GiveAnswer(frame.number, None))
        else:
            self._send(frame.to, owner, PutQuestion(number, name, frame.payload))

    def _answer(self, name: str, generation: Generation, frame: Answer) -> None:
        question = self.questions.answered(name, generation.number, frame.number)
        if question is not None:
            self._tell_asker(question, frame.payload)
        elif not self.questions.was_put(frame.number):
            self._note(name, generation, "answered what nobody asked")

    def _tell_asker(self, question: Open, payload: bytes | None) -> None:
        if (asker := self._find(question.unit, question.generation)) is not None:
            self._send(question.unit, asker, GiveAnswer(question.number, payload))

    def _answers_no_more(self, name: str, number: int) -> None:
        for question in self.questions.gone(name, number):
            self._tell_asker(question, None)

    def _hung_up(self, name: str, number: int, reason: str) -> None:
        generation = self._find(name, number)
        if generation is None:
            return
        self._answers_no_more(name, number)
        if reason:
            self._note(name, generation, f"its control stream was broken: {reason}")
            self.effects.append(Kill(name, number))
        if generation.is_active:
            if is_exclusive(self.units[name]) and not reason:  # it may still read, and another is to
                self.effects.append(Kill(name, number))
            self._failed(name, generation)
            self._begin(name, generation, Phase.DRAINING, HANG_UP_LIMIT_S)

    def _exited(self, name: str, number: int, code: int) -> None:
        generation = self._find(name, number)
        if generation is None:
            return
        self._answers_no_more(name, number)
        if generation.is_active:
            self._note(name, generation, f"ended while {generation.phase}, exit code {code}")
            self._failed(name, generation)
        elif code != 0:
            self._note(name, generation, f"ended with exit code {code}")
        unit = self.units[name]
        left = tuple(each for each in unit.generations if each.number != number)
        refused = unit.refused
        if code == EXIT_BAD_BOOT_RECORD and not any(each.is_active for each in left):
            refused = f"generation {number} refused its boot record"
        self.units[name] = replace(unit, generations=left, refused=refused)
        for each in left:
            if each.number > number and each.certificate and not self._has_predecessor(name, each):
                self._send(name, each, GiveState(()))  # nothing more comes from before it

    def _failed(self, name: str, generation: Generation) -> None:
        """Count an end that nobody ordered, and wait longer before the next start."""
        unit = self.units[name]
        lasted = generation.phase is Phase.PUBLISHED and self.now - generation.since >= LASTED_S
        failures = 1 if lasted else unit.failures + 1
        wait_s = min(FIRST_WAIT_S * 2.0 ** (failures - 1), MAX_WAIT_S)
        self.units[name] = replace(unit, failures=failures, start_at=self.now + wait_s)

    def _replace(self, name: str) -> None:
        unit = self.units.get(name)
        if unit is None:
            raise MisuseError(f"there is no unit {name}")
        if self.stop_at is None:
            self.units[name] = replace(unit, refused="", failures=0)
            self._start(name)

    # What is due

    def go_on(self) -> None:
        for name in self.units:
            self._end_late(name)
        if self.stop_at is None:
            self._start_missing()
            self._drain_superseded()
        else:
            self._drain_all(self.stop_at)
        self._tell_peers()
        if self.stop_at is None and self._publish_due():
            self._tell_peers()

    def _end_late(self, name: str) -> None:
        for generation in self.units[name].generations:
            if generation.deadline <= self.now:
                self._note(name, generation, f"killed: {generation.phase} for too long")
                self._kill(name, generation)

    def _start_missing(self) -> None:
        for name, unit in list(self.units.items()):
            if not unit.active and not unit.refused and unit.start_at <= self.now:
                self._start(name)

    def _start(self, name: str) -> None:
        unit = self.units[name]
        number = unit.last_number + 1
        started = Generation(number, Phase.STARTING, self.now, self.now + READY_LIMIT_S)
        self.units[name] = replace(unit, generations=(*unit.generations, started), last_number=number)
        self.effects.append(Start(name, number))

    def _tell_peers(self) -> None:
        """Everybody that is ready learns who lives, when that has changed."""
        state = self.state()
        for name, unit in list(self.units.items()):
            peers = peers_of(state, unit)
            for generation in unit.generations:
                if generation.certificate and generation.told != peers:
                    self._change(name, generation.number, told=peers)
                    self._send(name, generation, peers)

    def _publish_due(self) -> bool:
        """Publish who is ready, callees first; what was there before drains."""
        published = False
        again = True
        while again:
            again = False
            for name, unit in list(self.units.items()):
                newest = _next_to_publish(unit)
                due = newest if newest is not None and self._may_publish(unit, newest) else None
                if is_exclusive(unit):
                    due = self._hand_over(name, due)
                if due is not None:
                    self._publish(name, due)
                    published = again = True
        return published

    def _hand_over(self, name: str, due: Generation | None) -> Generation | None:
        """Who of an exclusive unit may be published now, if anybody; who serves is told to withdraw."""
        match next_turn(self.units[name], due, self.now):
            case Withdrawal(former):
                names = tuple(listen.name for listen in public_listens(self.units[name].manifest))
                self._send(name, former, Withdraw(names))
                withdrawing = replace(former, unanswered=former.unanswered + 1)
                self._begin(name, withdrawing, Phase.WITHDRAWN, inf)
                self.units[name] = replace(self.units[name], silent_since=self.now)
            case Publication(following, overdue):
                for each in overdue:
                    self._note(name, each, "killed: it did not withdraw in time")
                    self._kill(name, each)
                if following.phase is Phase.WITHDRAWN:
                    self._note(name, following, "is published again: the newer one ended")
                return following
            case None:
                pass
        return None

    def _may_publish(self, unit: UnitState, newest: Generation) -> bool:
        if self.now >= newest.since + CALLEES_LIMIT_S:
            return True
        state = self.state()
        settled = self.now >= newest.since + SETTLE_S or not needed_callees(state, unit)
        return settled and _has_callees(state, unit)

    def _publish(self, name: str, newest: Generation) -> None:
        for each in self.units[name].generations:
            if each.phase in {Phase.PUBLISHED, Phase.WITHDRAWN} and each.number < newest.number:
                self._send(name, each, Superseded())
        self._begin(name, replace(newest, unanswered=newest.unanswered + 1), Phase.PUBLISHED, inf)
        self.effects.append(PublishListeners(name, newest.number))

    def _drain_superseded(self) -> None:
        for name, unit in list(self.units.items()):
            for generation, drain_at in list(_superseded(unit)):
                if drain_at <= self.now:
                    self._drain(name, generation, DRAIN_LIMIT_S)
            draining = [each for each in self.units[name].generations if not each.is_active]
            for generation in draining[:-MAX_DRAINING]:
                if not generation.is_killed:
                    self._kill(name, generation)

    def _drain(self, name: str, generation: Generation, limit_s: float) -> None:
        if generation.phase is Phase.STARTING:
            self._kill(name, generation)
            return
        self._send(name, generation, Drain(limit_s))
        self._begin(name, generation, Phase.DRAINING, limit_s + EXIT_LIMIT_S)

    def _kill(self, name: str, generation: Generation) -> None:
        """Its end comes as ``Exited``; nothing more is expected of it."""
        if generation.is_active:
            self._failed(name, generation)
        self._change(name, generation.number, phase=Phase.DRAINING, deadline=inf, is_killed=True)
        self.effects.append(Kill(name, generation.number))

    def _drain_all(self, stop_at: float) -> None:
        """Those that nobody calls any more drain; after the deadline everybody is killed."""
        for name, unit in list(self.units.items()):
            called = any(caller.generations for caller in needing_callers(self.state(), unit))
            for generation in unit.generations:
                if self.now >= stop_at + LAST_WORD_S and not generation.is_killed:
                    self._kill(name, generation)
                elif generation.is_active and not called:
                    self._drain(name, generation, max(stop_at - self.now, 0.0))

    # Small change

    def _find(self, name: str, number: int) -> Generation | None:
        generations = self.units[name].generations
        return next((each for each in generations if each.number == number), None)

    def _has_predecessor(self, name: str, generation: Generation) -> bool:
        """Whether an older process of this unit is still there."""
        return any(each.number < generation.number for each in self.units[name].generations)

    def _begin(self, name: str, generation: Generation, phase: Phase, limit_s: float) -> None:
        self._put(name, replace(generation, phase=phase, since=self.now, deadline=self.now + limit_s))

    def _change(self, name: str, number: int, **changes: object) -> None:
        generation = self._find(name, number)
        if generation is not None:
            self._put(name, replace(generation, **changes))  # type: ignore[arg-type] # named by our callers

    def _put(self, name: str, changed: Generation) -> None:
        unit = self.units[name]
        generations = tuple(changed if each.number == changed.number else each for each in unit.generations)
        self.units[name] = replace(unit, generations=generations)

    def _send(self, name: str, generation: Generation, frame: HostFrame) -> None:
        self.effects.append(Send(name, generation.number, frame))

    def _note(self, name: str, generation: Generation, text: str) -> None:
        self.effects.append(Note(name, generation.number, text))
