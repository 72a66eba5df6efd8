"""The resolver as a server: questions and responses in, queries and answers out.

``handle(now, input)`` gives the effects; ``next_wakeup`` says when a ``Tick`` is due. Work on the same
question is done once, whoever asks. Every question is answered, in the end with SERVFAIL: at its limit of
time, when too many wait, or when what it needs would wait for itself. A response counts only if it comes from
where the query went, with its identifier and its question letter for letter (RFC 5452 §9.1, 0x20).
"""

import heapq
from collections import deque
from dataclasses import dataclass
from typing import assert_never

import dns.flags
import dns.message

from ptt.errors import Malformed
from ptt.protocol.dns.aliases import follow
from ptt.protocol.dns.iteration import Descent
from ptt.protocol.dns.knowledge import Knowledge, ResolverSettings
from ptt.protocol.dns.lookup import Rcode
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Failed, Outcome, Resolved
from ptt.protocol.dns.query import Query, answers_query, make_query
from ptt.protocol.dns.servers import Draw
from ptt.protocol.dns.work import MAX_DEPTH, Allowance, AskServer, Given, Job, Kind, Need, NoReply, Transport

QUESTION_LIMIT_S = 10.0  # SPF allows 20 s for some ten questions (RFC 7208 §4.6.4), mail waits no longer
MAX_WAITING = 10_000  # questions at once; each costs about 1 kB
MAX_OUTSTANDING = 400  # sockets at once; more queries wait for their turn
MAX_STRAYS = 5  # responses that fit no query: somebody guesses; the question goes on over TCP


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks; ``asker`` is the caller's number for it."""

    asker: int
    name: Name
    rdtype: int


@dataclass(frozen=True, slots=True)
class Received:
    """A datagram, or a message over TCP, came on the socket of query ``number``."""

    number: int
    wire: bytes


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The query cannot be sent, or the server's system refused it."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that ``next_wakeup`` named has come."""


@dataclass(frozen=True, slots=True)
class SendQuery:
    """Send this from a socket, and a port, of its own; keep it open until ``EndQuery``."""

    number: int
    address: str
    transport: Transport
    wire: bytes


@dataclass(frozen=True, slots=True)
class EndQuery:
    """Close the socket of a query."""

    number: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell an asker."""

    asker: int
    resolved: Resolved


Input = Asked | Received | Unreachable | Tick
Effect = SendQuery | EndQuery | Answer


@dataclass(slots=True)
class _Outstanding:
    job: Job
    wish: AskServer
    query: Query
    sent_at: float
    strays: int = 0


class Resolver:
    """See the module. ``draw`` gives unpredictable octets."""

    def __init__(self, settings: ResolverSettings, draw: Draw) -> None:
        self._knowledge = Knowledge(settings, draw)
        self._jobs: dict[Need, Job] = {}
        self._asked: dict[int, Job] = {}
        self._outstanding: dict[int, _Outstanding] = {}
        self._unsent: deque[tuple[Job, AskServer]] = deque()
        self._ready: deque[tuple[Job, Given | None]] = deque()
        self._timers: list[tuple[float, int, int]] = []  # when, query number or 0, asker
        self._numbers = 0
        self._effects: list[Effect] = []

    @property
    def next_wakeup(self) -> float | None:
        """When a ``Tick`` is due at the latest."""
        return self._timers[0][0] if self._timers else None

    @property
    def waiting(self) -> int:
        """Questions that are not answered yet."""
        return len(self._asked)

    def handle(self, now: float, said: Input) -> list[Effect]:
        """Take an input; give what is to be done, in order."""
        self._knowledge.now = now
        self._effects = []
        match said:
            case Asked():
                self._question(now, said)
            case Received(number, wire):
                self._received(now, number, wire)
            case Unreachable(number, reason):
                self._end(number, NoReply(reason))
            case Tick():
                self._time_passed(now)
            case _ as never:
                assert_never(never)
        self._go_on(now)
        return self._effects

    # Who asks

    def _question(self, now: float, asked: Asked) -> None:
        if len(self._asked) >= MAX_WAITING:
            self._answer(asked.asker, Resolved(Rcode.SERVFAIL, reason="too many questions wait"))
            return
        need = Need(Kind.CHAIN, asked.name, asked.rdtype)
        job = self._jobs.get(need) or self._start(need, Allowance(), 0)
        job.askers.append(asked.asker)
        self._asked[asked.asker] = job
        heapq.heappush(self._timers, (now + QUESTION_LIMIT_S, 0, asked.asker))

    def _answer(self, asker: int, resolved: Resolved) -> None:
        self._asked.pop(asker, None)
        self._effects.append(Answer(asker, resolved))

    # Work

    def _start(self, need: Need, allowance: Allowance, depth: int) -> Job:
        knowledge = self._knowledge
        if need.kind is Kind.CHAIN:
            job = Job(need, allowance, depth, follow(knowledge, need.name, need.rdtype))
        else:
            descent = Descent(knowledge, need.name, need.rdtype, allowance)
            job = Job(need, allowance, depth, descent.run())
        self._jobs[need] = job
        self._ready.append((job, None))
        return job

    def _go_on(self, now: float) -> None:
        """Advance all work as far as it goes without the world."""
        while self._ready or self._may_send():
            if not self._ready:
                self._send(now, *self._unsent.popleft())
                continue
            job, given = self._ready.popleft()
            try:
                wish = next(job.work) if given is None else job.work.send(given)
            except StopIteration as end:
                self._finished(job, end.value)
                continue
            match wish:
                case AskServer():
                    self._unsent.append((job, wish))
                case Need():
                    self._needed(job, wish)
                case _ as never:
                    assert_never(never)

    def _needed(self, job: Job, need: Need) -> None:
        known = self._knowledge.cache.get(need.name, need.rdtype, self._knowledge.now)
        if need.kind is Kind.STEP and known is not None:
            self._ready.append((job, known))
            return
        other = self._jobs.get(need)
        if other is None and job.depth < MAX_DEPTH:
            other = self._start(need, job.allowance, job.depth + (need.kind is Kind.CHAIN))
        if other is None or job.would_wait_for_itself(other):
            self._ready.append((job, Failed("what is needed first needs this")))
            return
        other.jobs.append(job)
        job.waiting_on = other

    def _finished(self, job: Job, came_to: Outcome | Resolved) -> None:
        del self._jobs[job.need]
        for waiting in job.jobs:
            waiting.waiting_on = None
            self._ready.append((waiting, came_to))
        if isinstance(came_to, Resolved):  # only these are asked for from outside
            for asker in job.askers:
                if asker in self._asked:
                    self._answer(asker, came_to)

    # Queries

    def _may_send(self) -> bool:
        return bool(self._unsent) and len(self._outstanding) < MAX_OUTSTANDING

    def _send(self, now: float, job: Job, wish: AskServer) -> None:
        self._numbers += 1
        mix_case = self._knowledge.settings.mix_case and wish.transport is Transport.UDP
        query = make_query(wish.qname, wish.rdtype, self._knowledge.draw, edns=wish.edns, mix_case=mix_case)
        self._outstanding[self._numbers] = _Outstanding(job, wish, query, now)
        heapq.heappush(self._timers, (now + wish.timeout_s, self._numbers, 0))
        self._effects.append(SendQuery(self._numbers, wish.address, wish.transport, query.wire))

    def _received(self, now: float, number: int, wire: bytes) -> None:
        waiting = self._outstanding.get(number)
        if waiting is None:
            return
        message = read_message(wire)
        if isinstance(message, Malformed) or not answers_query(message, waiting.query):
            waiting.strays += 1
            if waiting.strays >= MAX_STRAYS or waiting.wish.transport is Transport.TCP:
                self._end(number, NoReply("responses that do not fit the query", spoofed=True))
            return
        self._knowledge.book.answered(waiting.wish.address, now - waiting.sent_at)
        self._end(number, message)

    def _end(self, number: int, given: dns.message.Message | NoReply) -> None:
        waiting = self._outstanding.pop(number, None)
        if waiting is None:
            return
        if isinstance(given, NoReply):
            self._knowledge.book.failed(waiting.wish.address)
        self._effects.append(EndQuery(number))
        self._ready.append((waiting.job, given))

    def _time_passed(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            _, number, asker = heapq.heappop(self._timers)
            if number:
                strays = self._outstanding[number].strays if number in self._outstanding else 0
                # Strays: somebody guesses, or the server does not keep the case of letters.
                self._end(number, NoReply("no answer in time", spoofed=strays > 0))
            elif asker in self._asked:
                self._answer(asker, Resolved(Rcode.SERVFAIL, reason="no answer within the limit of time"))
