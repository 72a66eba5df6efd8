"""How the checks ask the world: one DNS message to one address, and look-ups from the root down.

Nothing is remembered between two runs and no resolver is asked, so what is told is what stands there now. The
resolver's own rules do the iteration; tests carry messages to servers in memory in place of ``Carrier``.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol, assert_never

import dns.flags
import dns.message

from ptt.errors import Malformed
from ptt.net.dns_upstream import Upstream
from ptt.net.resolver_client import NO_ANSWER
from ptt.net.world import World
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.lookup import Answer, Question, RecordType
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.query import answers_query, make_query
from ptt.protocol.dns.resolver import Answer as Resolved
from ptt.protocol.dns.resolver import (
    Asked,
    EndQuery,
    Input,
    Received,
    Resolver,
    SendQuery,
    Tick,
    Unreachable,
)
from ptt.protocol.dns.response import Useless, meaning_of
from ptt.protocol.dns.servers import Draw
from ptt.protocol.dns.stub_client import read_answer, write_question
from ptt.protocol.dns.stub_server import StubQuestion, read_question, write_answer
from ptt.protocol.dns.work import Transport

TRY_S = 2.0  # a server at the other end of the world answers in 0.4 s
TRIES = 2  # over UDP: one packet may be lost


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer, and why."""

    reason: str


class Carrier(Protocol):
    """Brings a DNS message to an address."""

    async def carry(self, address: str, transport: Transport, wire: bytes) -> bytes | Silence:
        """The first message that comes back."""
        ...


class SystemCarrier:
    """Over the machine's network."""

    def __init__(self, world: World) -> None:
        self._upstream = Upstream(world, self._received, self._unreachable)
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[bytes | Silence]] = {}

    async def carry(self, address: str, transport: Transport, wire: bytes) -> bytes | Silence:
        """The first message that comes back."""
        number = next(self._numbers)
        self._open[number] = asyncio.get_running_loop().create_future()
        self._upstream.send(SendQuery(number, address, transport, wire))
        try:
            async with asyncio.timeout(TRY_S):
                return await self._open[number]
        except TimeoutError:
            return Silence(f"no answer within {TRY_S:g} s")
        finally:
            del self._open[number]
            self._upstream.end(number)

    async def close(self) -> None:
        """Give up what is under way."""
        await self._upstream.close()

    def _received(self, number: int, wire: bytes) -> None:
        self._told(number, wire)

    def _unreachable(self, number: int, reason: str) -> None:
        is_raw = reason.startswith("[Errno ")  # of a datagram's socket
        self._told(number, Silence(reason.partition("] ")[2].lower() if is_raw else reason))

    def _told(self, number: int, what: bytes | Silence) -> None:
        if number in self._open and not self._open[number].done():
            self._open[number].set_result(what)


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks single servers directly."""

    carrier: Carrier
    draw: Draw

    async def ask(
        self, address: str, name: Name, rdtype: int, transport: Transport = Transport.UDP
    ) -> dns.message.Message | Silence:
        """One question to one server; truncated over UDP: the same over TCP."""
        query = make_query(name, rdtype, self.draw, edns=transport is Transport.UDP, mix_case=False)
        said: bytes | Silence = Silence("not asked")
        for _ in range(TRIES if transport is Transport.UDP else 1):
            said = await self.carrier.carry(address, transport, query.wire)
            if isinstance(said, bytes):
                break
        if isinstance(said, Silence):
            return said
        message = read_message(said)
        if isinstance(message, Malformed) or not answers_query(message, query):
            return Silence("what came back is no answer to the question")
        if message.flags & dns.flags.TC and transport is Transport.UDP:
            return await self.ask(address, name, rdtype, Transport.TCP)
        return message


class FreshLookup:
    """``Lookup`` from the root down, by a resolver that begins with nothing."""

    def __init__(self, settings: ResolverSettings, carrier: Carrier, draw: Draw) -> None:
        self._resolver = Resolver(settings, draw)
        self._carrier = carrier
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Resolved]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._alarm: asyncio.TimerHandle | None = None

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        """Ask one question."""
        question, number = Question(name, record_type), next(self._numbers)
        asked = read_question(write_question(0, question))
        if not isinstance(asked, StubQuestion):
            return NO_ANSWER
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._handle(Asked(number, name, record_type))
        told = await waiting
        answer = read_answer(write_answer(asked, told.resolved), question)
        return NO_ANSWER if isinstance(answer, Malformed) else answer

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        """Ask several questions at the same time."""
        return list(await asyncio.gather(*(self.query(each.name, each.record_type) for each in questions)))

    async def close(self) -> None:
        """Give up what is under way."""
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks.values():
            task.cancel()

    def _handle(self, said: Input) -> None:
        loop = asyncio.get_running_loop()
        for effect in self._resolver.handle(loop.time(), said):
            match effect:
                case SendQuery():
                    self._tasks[effect.number] = asyncio.ensure_future(self._send(effect))
                case EndQuery(number):
                    task = self._tasks.pop(number, None)
                    if task is not None and task is not asyncio.current_task():
                        task.cancel()
                case Resolved():
                    self._waiting.pop(effect.asker).set_result(effect)
                case _ as never:
                    assert_never(never)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (due := self._resolver.next_wakeup) is not None:
            self._alarm = loop.call_at(due, self._handle, Tick())

    async def _send(self, query: SendQuery) -> None:
        said = await self._carrier.carry(query.address, query.transport, query.wire)
        if isinstance(said, Silence):
            self._handle(Unreachable(query.number, said.reason))
        else:
            self._handle(Received(query.number, said))


@dataclass(frozen=True, slots=True)
class OwnServerLookup:
    """``Lookup`` that asks our own name server for our zones, and ``others`` for all else."""

    asker: Asker
    zones: tuple[Name, ...]
    address: str
    others: FreshLookup

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        """Ask one question."""
        if not any(name.is_at_or_below(zone) for zone in self.zones):
            return await self.others.query(name, record_type)
        said = await self.asker.ask(self.address, name, record_type)
        if isinstance(said, Silence):
            return NO_ANSWER
        if isinstance(meaning_of(said, Name(()), name, record_type), Useless):
            return NO_ANSWER
        said.flags |= dns.flags.QR
        answer = read_answer(said.to_wire(), Question(name, record_type))
        return NO_ANSWER if isinstance(answer, Malformed) else answer

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        """Ask several questions at the same time."""
        return list(await asyncio.gather(*(self.query(each.name, each.record_type) for each in questions)))
