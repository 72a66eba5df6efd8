"""Calls to the next unit: LMTP (RFC 2033) over pinned TLS on connections that stay open.

One connection carries one transaction at a time. A new transaction goes to the newest generation of the
callee that the host has named; one under way ends where it began. An idle connection that proves dead when
it is used again costs a second try on a fresh one, never the mail: nothing was accepted yet. Reports of taken
250s travel in front of the next transaction, or alone after a moment.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ptt.boot import Peer, Peers
from ptt.net.smtp_client import ClientConnection, Lost, StillWaiting, open_connection
from ptt.net.tls import link_client_context
from ptt.net.unit import Unit
from ptt.net.world import ConnectFailed, Endpoint, TlsFacts, TlsFailed, TlsRole
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import Chunk, ClientCommand, Mail, Recipient, ReportTaken, Reset
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.reply import RemoteReply

CONNECT_TIMEOUT_S = 4.0  # the private network is one machine or one rack
HANDSHAKE_TIMEOUT_S = 8.0  # greeting, LHLO, STARTTLS and LHLO again on a busy machine
RESET_TIMEOUT_S = 10.0  # a callee that does not answer RSET by then is not worth keeping
MAX_IDLE = (
    32  # connections kept; one a concurrent transaction, more than the measured best of 50 sessions / 2
)
CHUNK_OCTETS = 256 * 1024  # of a message in one BDAT: TLS copies what is written, so never all at once
MAX_REPORT = 20  # trace ids in one XPTT TAKEN: 20 of 32 octets stay below the command line limit
LEAVES = 421  # RFC 5321 §3.8: speaks of the connection and not of the mail
REPORT_DELAY_S = 0.05  # a report that no transaction carries goes alone after this


class Hop:
    """All connections from this unit to one other unit."""

    def __init__(self, unit: Unit, callee: str) -> None:
        self._unit = unit
        self._callee = callee
        self._newest: Peer | None = None
        self._role: TlsRole | None = None
        self._idle: list[tuple[int, ClientConnection]] = []
        self._reports: list[str] = []
        self._reporting: asyncio.Task[None] | None = None

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host: the newest generation gets what begins from now on."""
        ours = [peer for peer in peers.callees if peer.unit == self._callee]
        newest = max(ours, key=lambda peer: peer.generation, default=None)
        if newest == self._newest:
            return
        self._newest = newest
        self._role = None
        if newest is not None:
            self._role = TlsRole(
                server_side=False,
                context=link_client_context(self._unit.identity, newest.certificate),
                own_certificate=self._unit.identity.certificate,
            )
        for _, connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def begin(
        self, mail: Mail, recipients: Sequence[Mailbox], timeout_s: float
    ) -> "tuple[HopTransaction, tuple[RemoteReply, ...]] | Lost":
        """Open a transaction and ask for its first recipients, in one write; replies of the recipients.

        ``Lost`` when the callee cannot be reached or answers MAIL with anything but 2yz.
        """
        deadline = self._unit.world.now() + timeout_s
        while True:
            acquired = await self._acquire()
            if isinstance(acquired, Lost):
                return acquired
            generation, connection, fresh = acquired
            reports = self._take_reports()
            commands: list[ClientCommand] = [*reports, mail, *map(Recipient, recipients)]
            with self._dropped_if_cancelled(connection, reports):
                replies = await connection.ask(*commands, timeout_s=deadline - self._unit.world.now())
            has_left = isinstance(replies, Lost) or replies[-1].code == LEAVES
            if has_left:
                self._put_back(reports)
            if not has_left or fresh or self._unit.world.now() >= deadline:
                break
            connection.abort()
        if isinstance(replies, Lost):
            return replies
        mail_reply, *verdicts = replies[len(reports) :]
        transaction = HopTransaction(self, self._unit, generation, connection)
        if not mail_reply.is_completed:
            await transaction.reset()
            return Lost(f"{self._callee} refused MAIL: {mail_reply}", mail_reply)
        return transaction, tuple(verdicts)

    def report_taken(self, *trace_ids: str) -> None:
        """Tell the callee that the peer at the edge has taken the 250 of these transactions."""
        self._reports.extend(trace_ids)
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.ensure_future(self._report_later())

    async def close(self) -> None:
        """Send what is left to report and take leave."""
        if self._reporting is not None and not self._reporting.done():
            await self._reporting
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for _, connection in idle))

    def give_back(self, generation: int, connection: ClientConnection) -> None:
        """Keep a connection for the next transaction, if it is still of use."""
        current = self._newest is not None and self._newest.generation == generation
        if current and connection.is_open and len(self._idle) < MAX_IDLE:
            self._idle.append((generation, connection))
        else:
            connection.abort()

    async def _acquire(self) -> tuple[int, ClientConnection, bool] | Lost:
        while self._idle:
            generation, connection = self._idle.pop()
            if connection.is_open:
                return generation, connection, False
        if self._newest is None or self._role is None:
            return Lost(f"no {self._callee} is running")
        generation = self._newest.generation
        connected = await self._connect(self._newest, self._role)
        return connected if isinstance(connected, Lost) else (generation, connected, True)

    async def _connect(self, peer: Peer, role: TlsRole) -> ClientConnection | Lost:
        settings = ClientSettings(flavour=Flavour.LMTP, private=True)
        connection = await open_connection(
            self._unit.world, Endpoint(peer.host, peer.port), settings, CONNECT_TIMEOUT_S
        )
        if isinstance(connection, ConnectFailed):
            return Lost(f"{self._callee} cannot be reached: {connection.reason}")
        with self._dropped_if_cancelled(connection):
            failed = await self._introduce(connection, peer, role)
        if failed is not None:
            connection.abort()
        return failed or connection

    async def _introduce(self, connection: ClientConnection, peer: Peer, role: TlsRole) -> Lost | None:
        """Greeting, LHLO, STARTTLS with the exact certificate, LHLO again."""
        greeting = await connection.greeting(HANDSHAKE_TIMEOUT_S)
        if isinstance(greeting, Lost):
            return greeting
        if not greeting.is_completed:
            return Lost(f"{self._callee} does not serve: {greeting}", greeting)
        name = self._unit.boot.unit
        if isinstance(lost := await connection.hello(name, HANDSHAKE_TIMEOUT_S), Lost):
            return lost
        facts = await connection.start_tls(role, HANDSHAKE_TIMEOUT_S)
        match facts:
            case TlsFacts(peer_certificate=certificate) if certificate == peer.certificate:
                pass
            case TlsFacts():
                return Lost(f"{self._callee} showed another certificate than the host named")
            case TlsFailed(reason):
                return Lost(f"{self._callee}: {reason}")
            case Lost():
                return facts
            case _:
                return Lost(f"{self._callee} refused STARTTLS: {facts}")
        greeted = await connection.hello(name, HANDSHAKE_TIMEOUT_S)
        if isinstance(greeted, Lost):
            return greeted
        return None if greeted.extensions is not None else Lost(f"{self._callee}: {greeted.reply}")

    @contextmanager
    def _dropped_if_cancelled(
        self, connection: ClientConnection, reports: tuple[ReportTaken, ...] = ()
    ) -> Iterator[None]:
        """Whoever waits may be cancelled, when its own peer has left: nobody has the connection then."""
        try:
            yield
        except BaseException:
            connection.abort()
            self._put_back(reports)
            raise

    def _take_reports(self) -> tuple[ReportTaken, ...]:
        if not self._reports:
            return ()
        taken, self._reports = self._reports[:MAX_REPORT], self._reports[MAX_REPORT:]
        return (ReportTaken(tuple(taken)),)

    def _put_back(self, reports: tuple[ReportTaken, ...]) -> None:
        for report in reports:
            self._reports[:0] = report.trace_ids

    async def _report_later(self) -> None:
        await asyncio.sleep(REPORT_DELAY_S)
        while self._reports:
            acquired = await self._acquire()
            if isinstance(acquired, Lost):
                return  # the next transaction takes them along; a lost report costs a retry, never a mail
            generation, connection, fresh = acquired
            reports = self._take_reports()
            if not reports:  # a transaction has taken them along meanwhile
                self.give_back(generation, connection)
                return
            with self._dropped_if_cancelled(connection, reports):
                replies = await connection.ask(*reports, timeout_s=RESET_TIMEOUT_S)
            if isinstance(replies, tuple) and replies[0].code != LEAVES:
                self.give_back(generation, connection)
                continue
            self._put_back(reports)
            connection.abort()
            if fresh:
                return


class HopTransaction:
    """One message on its way to the next unit; made by ``Hop.begin``. End it by ``verdict`` or ``reset``."""

    def __init__(self, hop: Hop, unit: Unit, generation: int, connection: ClientConnection) -> None:
        self._hop = hop
        self._unit = unit
        self._generation = generation
        self._connection = connection
        self._is_whole = False

    async def ask(self, recipients: Sequence[Mailbox], timeout_s: float) -> tuple[RemoteReply, ...] | Lost:
        """Ask for more recipients."""
        commands = [Recipient(mailbox) for mailbox in recipients]
        return await self._connection.ask(*commands, timeout_s=timeout_s)

    @property
    def accepted_recipients(self) -> int:
        """How many recipients the callee has accepted: so many verdicts will come."""
        return self._connection.dialogue.accepted_recipients

    async def write(self, buffers: Sequence[bytes], *, last: bool, timeout_s: float) -> Lost | None:
        """Send a piece of the message (BDAT); waits while the callee is behind, ``timeout_s`` in all."""
        deadline = self._unit.world.now() + timeout_s
        for chunk in _chunks(buffers, last=last):
            self._is_whole = chunk.last
            self._connection.send(chunk)
            written = await self._connection.written(deadline - self._unit.world.now())
            if isinstance(written, RemoteReply):
                return Lost(f"refused while sending: {written}", written)
            if written is not None:
                return written
        return None

    async def verdict(self, timeout_s: float) -> tuple[RemoteReply, ...] | Lost:
        """One reply for each accepted recipient, in order; the connection goes back to the pool."""
        replies = await self._connection.verdict(timeout_s)
        match replies:
            case tuple() if self._connection.dialogue.body_refused:
                await self._clear()
                return replies
            case tuple():
                self._hop.give_back(self._generation, self._connection)
                return replies
            case StillWaiting():
                self._connection.abort()
                return Lost("no verdict in time")
            case Lost():
                return replies

    async def reset(self) -> None:
        """Give the transaction up; after the last chunk only by dropping the connection."""
        if self._is_whole:
            self._connection.abort()
        await self._clear()

    async def _clear(self) -> None:
        """RSET, and the connection is of use again, if it is still there."""
        try:
            replies = await self._connection.ask(Reset(), timeout_s=RESET_TIMEOUT_S)
        except BaseException:
            self._connection.abort()
            raise
        if isinstance(replies, tuple) and replies[0].is_completed:
            self._hop.give_back(self._generation, self._connection)
        else:
            self._connection.abort()

    def abort(self) -> None:
        """Give it up by dropping the connection: the callee sees no end of the data."""
        self._connection.abort()


def _chunks(buffers: Sequence[bytes], *, last: bool) -> Iterator[Chunk]:
    """The buffers as they are, some in each chunk."""
    pieces: list[bytes] = []
    octets = 0
    for buffer in buffers:
        if pieces and octets + len(buffer) > CHUNK_OCTETS:
            yield Chunk(tuple(pieces), last=False)
            pieces, octets = [], 0
        pieces.append(buffer)
        octets += len(buffer)
    if pieces or last:
        yield Chunk(tuple(pieces), last=last)
