"""``Lookup`` by our own resolver: DNS over TLS (RFC 7858) on one connection that stays open, pipelined.

A question goes to the newest generation of the resolver that the host has named. One that is under way when
the connection is lost is asked once more on a fresh one. Nothing is raised and nothing waits for longer than
``ANSWER_LIMIT_S``: what is not answered by then is SERVFAIL. A connection on which nothing at all comes for
``SILENCE_LIMIT_S`` after a question is given up: its path is broken and nobody was told.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ptt.boot import Peer, Peers
from ptt.errors import Malformed
from ptt.net.tls import link_client_context
from ptt.net.unit import Unit
from ptt.net.world import ConnectFailed, Endpoint, TlsFailed, TlsRole
from ptt.protocol.dns.framing import MessageCutter, framed
from ptt.protocol.dns.lookup import Answer, Question, Rcode, RecordType, Security
from ptt.protocol.dns.message import HEADER_OCTETS
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.stub_client import read_answer, write_question

ANSWER_LIMIT_S = 12.0  # the resolver itself gives up after 10 s, and says so
SILENCE_LIMIT_S = 11.0
CONNECT_TIMEOUT_S = 4.0  # the private network is one machine or one rack
HANDSHAKE_TIMEOUT_S = 8.0
MAX_OPEN = 20_000  # numbers have 16 bits; far fewer than all, that a free one is found at once
MAX_TRIES = 2

NO_ANSWER = Answer(Rcode.SERVFAIL, security=Security.INDETERMINATE)


class ResolverClient:
    """All questions of this unit to the resolver."""

    def __init__(self, unit: Unit, callee: str = "dns_resolver") -> None:
        self._unit = unit
        self._callee = callee
        self._newest: Peer | None = None
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host: the newest generation gets what is asked from now on."""
        ours = [peer for peer in peers.callees if peer.unit == self._callee]
        newest = max(ours, key=lambda peer: peer.generation, default=None)
        if newest != self._newest:
            self._newest = newest
            self._retire()

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        """Ask one question."""
        question = Question(name, record_type)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                for _ in range(MAX_TRIES):
                    connection = await self._connected()
                    answer = await connection.ask(question) if connection is not None else None
                    if answer is not None:
                        return answer
        except TimeoutError:
            pass
        return NO_ANSWER

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        """Ask several questions at the same time; answers in the order of the questions."""
        asked = (self.query(question.name, question.record_type) for question in questions)
        return list(await asyncio.gather(*asked))

    def close(self) -> None:
        """Hang up; what is under way is SERVFAIL."""
        self._newest = None
        if self._connection is not None:
            self._connection.abort()

    def _retire(self) -> None:
        """Ask nothing more on the present connection; what is under way there may end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.retire()

    async def _connected(self) -> "_Connection | None":
        async with self._connecting:
            if self._connection is None or not self._connection.is_open:
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> "_Connection | None":
        peer = self._newest
        if peer is None:
            return None
        world = self._unit.world
        opened = await world.connect(Endpoint(peer.host, peer.port), _Connection, CONNECT_TIMEOUT_S)
        if isinstance(opened, ConnectFailed):
            return None
        role = TlsRole(
            server_side=False,
            context=link_client_context(self._unit.identity, peer.certificate),
            own_certificate=self._unit.identity.certificate,
        )
        try:
            upgraded = await world.start_tls(opened.transport, opened, role, HANDSHAKE_TIMEOUT_S)
        except BaseException:  # who asks has no more time, or is gone
            opened.abort()
            raise
        if isinstance(upgraded, TlsFailed):
            return None
        opened.transport, facts = upgraded
        if facts.peer_certificate != peer.certificate:
            opened.abort()
            return None
        return opened


@dataclass(slots=True)
class _Asked:
    question: Question
    answer: "asyncio.Future[Answer | None]"


class _Connection(asyncio.Protocol):
    """One connection to one generation of the resolver."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._cutter = MessageCutter()
        self._open: dict[int, _Asked] = {}
        self._number = 0
        self._retired = False
        self._lost = False
        self._watch: asyncio.TimerHandle | None = None
        self._is_heard = False

    @property
    def is_open(self) -> bool:
        """Whether more may be asked here."""
        return not (self._lost or self._retired or self.transport.is_closing())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's are none by inheritance

    async def ask(self, question: Question) -> Answer | None:
        """Ask; None: the connection was lost before the answer."""
        if self._lost or len(self._open) >= MAX_OPEN:
            return None
        while (number := self._next_number()) in self._open:
            pass
        asked = _Asked(question, asyncio.get_running_loop().create_future())
        self._open[number] = asked
        if self._watch is None:
            self._begin_watch()
        try:
            self.transport.write(framed(write_question(number, question)))
            return await asked.answer
        finally:
            del self._open[number]
            self._leave_if_done()

    def data_received(self, data: bytes) -> None:
        self._is_heard = True
        for wire in self._cutter.feed(data):
            if len(wire) < HEADER_OCTETS:
                continue
            asked = self._open.get(int.from_bytes(wire[:2], "big"))
            if asked is not None and not asked.answer.done():
                answer = read_answer(wire, asked.question)
                asked.answer.set_result(NO_ANSWER if isinstance(answer, Malformed) else answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        self._lost = True
        if self._watch is not None:
            self._watch.cancel()
        for asked in self._open.values():
            if not asked.answer.done():
                asked.answer.set_result(None)

    def retire(self) -> None:
        """Close once what is under way has ended."""
        self._retired = True
        self._leave_if_done()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def _begin_watch(self) -> None:
        self._is_heard = False
        self._watch = asyncio.get_running_loop().call_later(SILENCE_LIMIT_S, self._watch_ends)

    def _watch_ends(self) -> None:
        """Who asked may be gone by now; that nothing came says the same."""
        self._watch = None
        if not self._is_heard:
            self.abort()
        elif self._open:
            self._begin_watch()

    def _leave_if_done(self) -> None:
        if self._retired and not self._open:
            self.transport.close()

    def _next_number(self) -> int:
        self._number = (self._number + 1) & 0xFFFF
        return self._number
