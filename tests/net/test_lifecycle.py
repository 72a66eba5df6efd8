"""A unit's life, driven by a host in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ptt import boot
from ptt.boot import (
    Answer,
    Ask,
    BootRecord,
    Drain,
    Drained,
    GiveAnswer,
    GiveState,
    Listener,
    Peers,
    Probe,
    Publish,
    PutQuestion,
    Ready,
    Serving,
    Superseded,
    Time,
    UnitFrame,
    Withdraw,
)
from ptt.net import lifecycle
from ptt.net.counters import Counters
from ptt.net.lifecycle import Life, Orders
from ptt.net.questions import MAX_OPEN, Questions
from ptt.net.tls import LinkIdentity
from ptt.net.unit import Journal, Unit
from ptt.net.world import HostSaid, Published, Server, World

SMTP = Listener("smtp", "192.0.2.1", 25)
HOP = Listener("hop", "10.0.0.1", 2424)
NOBODY = Peers((), ())


class Host:
    """The other end of the control stream, and the world that serves listeners."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[HostSaid | None] = asyncio.Queue()
        self.heard: list[UnitFrame] = []
        self.open: list[object] = []

    def send(self, frame: UnitFrame) -> None:
        self.heard.append(frame)

    async def receive(self) -> HostSaid | None:
        return await self.said.get()

    def say(self, frame: boot.HostFrame, *published: Published) -> None:
        self.said.put_nowait(HostSaid(frame, published))

    def publish(self, *listeners: Listener) -> None:
        self.say(
            Publish(listeners), *(Published(listener, f"handle of {listener.name}") for listener in listeners)
        )

    async def serve(
        self, handle: object, factory: Callable[[], asyncio.Protocol], tls_first: object = None
    ) -> Server:
        assert isinstance(factory(), asyncio.Protocol)
        self.open.append(handle)
        return _Served(self, handle)


@dataclass
class _Served:
    host: Host
    handle: object

    def close(self) -> None:
        self.host.open.remove(self.handle)


@dataclass
class Scene:
    """A unit with its host; ``seen`` is what the unit was told."""

    host: Host = field(default_factory=Host)
    seen: list[object] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        record = BootRecord("relay", 3, "mail.example", "digest", {}, {})
        world, journal = cast("World", self.host), cast("Journal", None)
        self.questions = Questions(self.host)
        self.unit = Unit(record, world, self.host, journal, LinkIdentity(b"der", b"pem"))

    def life(self, drain: Callable[[float], Awaitable[None]] = lifecycle.nothing_to_drain) -> Life:
        orders = Orders(
            on_peers=self.seen.append, on_state=self.seen.append, on_probe=self.seen.append, drain=drain
        )
        services = {"smtp": asyncio.Protocol, "hop": asyncio.Protocol}
        return Life(self.unit, services, orders, self.counters, self.questions)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 5))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_says_ready_first_and_drained_last() -> None:
    async def scene() -> None:
        s = Scene()
        s.host.say(Drain(10.0))
        await s.life().run()
        assert s.host.heard == [Ready(b"der"), Drained()]

    run(scene())


def test_serves_what_is_published_until_it_is_withdrawn() -> None:
    async def scene() -> None:
        s = Scene()
        task = asyncio.create_task(s.life().run())
        s.host.publish(SMTP, HOP)
        await settle()
        assert s.host.open == ["handle of smtp", "handle of hop"]
        s.host.say(Withdraw(("smtp", "never published")))
        await settle()
        assert s.host.open == ["handle of hop"]
        assert s.host.heard == [Ready(b"der"), Serving(("smtp", "hop")), Serving(("hop",))]
        s.host.publish(HOP)  # a new socket for the same name takes the place of the old
        await settle()
        assert s.host.open == ["handle of hop"]
        s.host.say(Drain(1.0))
        await task
        assert s.host.open == []

    run(scene())


def test_one_name_may_listen_on_several_addresses() -> None:
    async def scene() -> None:
        s = Scene()
        task = asyncio.create_task(s.life().run())
        s.host.publish(SMTP, HOP, SMTP)
        await settle()
        assert s.host.open == ["handle of smtp", "handle of hop", "handle of smtp"]
        s.host.say(Withdraw(("smtp",)))
        await settle()
        assert s.host.open == ["handle of hop"]
        s.host.say(Drain(1.0))
        await task

    run(scene())


def test_tells_the_unit_of_peers_state_and_probes_also_while_it_drains() -> None:
    async def scene() -> None:
        s = Scene()
        state = GiveState((("a", b"1"),))
        probe = Probe("login", b"x")

        async def drain(deadline_s: float) -> None:
            assert deadline_s == 10.0
            s.host.say(NOBODY)
            s.host.publish(SMTP)  # too late: nothing new is served
            await settle()
            assert s.host.open == []

        for frame in (NOBODY, state, probe, Time(0.0), Drain(10.0), Drain(1.0)):
            s.host.say(frame)
        await s.life(drain).run()
        assert s.seen == [NOBODY, state, probe, NOBODY]

    run(scene())


def test_a_unit_may_leave_orders_out() -> None:
    async def scene() -> None:
        s = Scene()
        for frame in (NOBODY, GiveState(()), Probe("login", b""), GiveAnswer(1, None), Drain(1.0)):
            s.host.say(frame)
        await Life(s.unit, {}, Orders(on_peers=s.seen.append)).run()
        assert s.seen == [NOBODY]
        assert s.host.heard == [Ready(b"der"), Drained()]

    run(scene())


def test_a_host_that_is_gone_means_drain_soon() -> None:
    async def scene() -> None:
        s = Scene()
        deadlines = []
        s.host.publish(SMTP)
        s.host.said.put_nowait(None)

        async def drain(deadline_s: float) -> None:
            deadlines.append(deadline_s)

        await s.life(drain).run()
        assert deadlines == [lifecycle.HOST_GONE_DRAIN_S]
        assert s.host.open == []

    run(scene())


def test_a_drain_without_end_is_cut_off() -> None:
    async def scene() -> None:
        s = Scene()
        s.host.say(Drain(0.01))
        await s.life(lambda _: asyncio.sleep(1000)).run()
        assert s.host.heard == [Ready(b"der"), boot.Counters({"drain_cut_off": 1}), Drained()]

    run(scene())


def test_a_bug_in_the_unit_comes_out() -> None:
    async def drain(_: float) -> None:
        raise TimeoutError

    async def scene() -> None:
        s = Scene()
        s.host.say(Drain(10.0))
        with pytest.raises(ExceptionGroup) as caught:
            await s.life(drain).run()
        assert caught.group_contains(TimeoutError)

    run(scene())


def test_counters_are_told_when_they_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "COUNTERS_EVERY_S", 0.001)

    async def scene() -> None:
        s = Scene()
        task = asyncio.create_task(s.life().run())
        s.counters.count("accepted")
        s.counters.gauge("sessions", 7)
        await asyncio.sleep(0.05)
        s.counters.count("accepted", 2)
        s.counters.gauge("sessions", 7)
        await asyncio.sleep(0.05)
        s.host.say(Drain(1.0))
        await task
        told = [frame for frame in s.host.heard if isinstance(frame, boot.Counters)]
        assert told == [
            boot.Counters({"accepted": 1, "sessions": 7}),
            boot.Counters({"accepted": 3, "sessions": 7}),
        ]

    run(scene())


def test_questions_are_answered_by_number() -> None:
    async def scene() -> None:
        s = Scene()
        task = asyncio.create_task(s.life().run())
        asked = [asyncio.create_task(s.questions.ask("relay", payload)) for payload in (b"a", b"b", b"c")]
        await settle()
        numbers = {frame.payload: frame.number for frame in s.host.heard if isinstance(frame, Ask)}
        s.host.say(GiveAnswer(numbers[b"b"], b"B"))
        s.host.say(GiveAnswer(numbers[b"b"], b"twice"))
        s.host.say(GiveAnswer(numbers[b"a"], None))
        s.host.say(GiveAnswer(999, b"nobody asked"))
        s.host.said.put_nowait(None)  # the rest is answered by the host's end
        assert await asyncio.gather(*asked) == [None, b"B", None]
        await task

    run(scene())


def test_a_question_of_another_generation_is_answered_under_its_number() -> None:
    async def scene() -> None:
        s = Scene()
        orders = Orders(
            on_peers=s.seen.append,
            on_question=lambda question: question.payload.upper() or None,
            on_superseded=lambda: s.seen.append("superseded"),
        )
        for frame in (PutQuestion(5, "relay", b"a"), PutQuestion(6, "relay", b""), Superseded(), Drain(1.0)):
            s.host.say(frame)
        await Life(s.unit, {}, orders).run()
        assert s.host.heard == [Ready(b"der"), Answer(5, b"A"), Answer(6, None), Drained()]
        assert s.seen == ["superseded"]

    run(scene())


def test_who_owns_nothing_has_no_answer() -> None:
    async def scene() -> None:
        s = Scene()
        for frame in (Superseded(), PutQuestion(5, "relay", b"a"), Drain(1.0)):
            s.host.say(frame)
        await s.life().run()
        assert Answer(5, None) in s.host.heard

    run(scene())


def test_what_is_told_needs_no_answer() -> None:
    async def scene() -> None:
        s = Scene()
        s.questions.tell("relay", b"!")
        assert s.host.heard == [Ask(1, "relay", b"!")]
        s.questions.answered(GiveAnswer(1, b"nobody waits"))

    run(scene())


def test_a_question_waits_2_s_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptt.net.questions.ANSWER_LIMIT_S", 0.01)

    async def scene() -> None:
        s = Scene()
        assert await s.questions.ask("relay", b"?") is None
        s.questions.answered(GiveAnswer(1, b"late"))

    run(scene())


def test_too_many_questions_are_not_asked() -> None:
    async def scene() -> None:
        s = Scene()
        asked = [asyncio.create_task(s.questions.ask("relay", b"")) for _ in range(MAX_OPEN)]
        await settle()
        assert await s.questions.ask("relay", b"") is None
        assert len(s.host.heard) == MAX_OPEN
        s.questions.host_gone()
        assert set(await asyncio.gather(*asked)) == {None}

    run(scene())
