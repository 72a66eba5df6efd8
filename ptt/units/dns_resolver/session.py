"""Between the callers' connections, the resolver's rules and the Internet: carries questions and answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import assert_never

from ptt.net.counters import Counters
from ptt.net.dns_streams import Caller
from ptt.net.dns_upstream import Upstream
from ptt.net.unit import Unit
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.lookup import Rcode
from ptt.protocol.dns.resolver import (
    Answer,
    Asked,
    EndQuery,
    Input,
    Received,
    Resolver,
    SendQuery,
    Tick,
    Unreachable,
)
from ptt.protocol.dns.stub_server import StubQuestion, read_question, write_answer


@dataclass(frozen=True, slots=True)
class _Waiting:
    question: StubQuestion
    answer: Callable[[list[bytes]], None]


class ResolverSession:
    """One resolver at work for all callers."""

    def __init__(self, unit: Unit, settings: ResolverSettings, counters: Counters) -> None:
        self._world = unit.world
        self._counters = counters
        self._resolver = Resolver(settings, unit.world.random_bytes)
        self._upstream = Upstream(unit.world, self._received, self._unreachable)
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = count(1)
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    def asked(self, wire: bytes, _caller: Caller, answer: Callable[[list[bytes]], None]) -> None:
        """Take a message of a caller; ``answer`` is called once."""
        question = read_question(wire)
        if not isinstance(question, StubQuestion):
            answer([question] if question is not None else [])
            return
        number = next(self._numbers)
        self._waiting[number] = _Waiting(question, answer)
        self._counters.count("questions")
        self._handle(Asked(number, question.name, question.rdtype))

    async def close(self) -> None:
        """Give up what is under way towards the Internet."""
        if self._alarm is not None:
            self._alarm.cancel()
        await self._upstream.close()

    def _received(self, number: int, wire: bytes) -> None:
        self._handle(Received(number, wire))

    def _unreachable(self, number: int, reason: str) -> None:
        self._handle(Unreachable(number, reason))

    def _tick(self) -> None:
        self._alarm = None
        self._handle(Tick())

    def _handle(self, said: Input) -> None:
        for effect in self._resolver.handle(self._world.now(), said):
            match effect:
                case SendQuery():
                    self._counters.count("queries")
                    self._upstream.send(effect)
                case EndQuery(number):
                    self._upstream.end(number)
                case Answer():
                    self._answer(effect)
                case _ as never:
                    assert_never(never)
        self._set_alarm()

    def _answer(self, effect: Answer) -> None:
        waiting = self._waiting.pop(effect.asker)
        if effect.resolved.rcode is Rcode.SERVFAIL:
            self._counters.count("failures")
        waiting.answer([write_answer(waiting.question, effect.resolved)])

    def _set_alarm(self) -> None:
        due = self._resolver.next_wakeup
        if due is None or (self._alarm is not None and self._alarm_at <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, due - self._world.now()), self._tick)
