"""The course of a session that is the same in every unit on a message's way.

MAIL opens a transaction, RCPT is asked of who knows, the message is held until its end, the unit does its
part, the next unit's verdicts come back as the answer. What a unit does of its own are the methods to
override: ``begin`` (is the sender welcome, how does MAIL go on), ``finish`` (at the end of the data) and
``other``. An edge reports to the relay when its peer has taken a 250 (docs/how-it-works.md).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ptt.errors import MisuseError
from ptt.net.deadlines import EDGE_ANSWER_S
from ptt.net.forwarding import Forwarding
from ptt.net.held import Held
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.transactions import NO_MEMORY, Transaction, Way, tell
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    FinalReplyTaken,
    MailParameters,
    MailReceived,
    RecipientsReceived,
    ServerEvent,
    TakenReported,
    TransactionAborted,
)
from ptt.protocol.smtp.reply import Reply

SENDER_OK = Reply(250, "2.1.0", "Sender ok.")
TOO_LATE = Reply(
    451, "4.4.2", "What became of the message is not known yet. Please send it again, nobody gets it twice."
)
GO_AHEAD = Reply(354, None, "Go ahead, end with a line that holds only a dot.")


class MailSession(ABC):
    """See the module; ``serve`` is what ``SmtpService`` runs for each connection."""

    answer_s: ClassVar[float] = EDGE_ANSWER_S
    """How long after our read of the end of the data the answer comes at the latest, whatever takes long."""

    def __init__(self, connection: ServerConnection, way: Way) -> None:
        self.connection = connection
        self.way = way
        self.world = way.unit.world
        self._transaction: Transaction | None = None
        self._answered: list[str] = []

    async def serve(self) -> None:
        """Answer events until the connection is over."""
        try:
            while not isinstance(event := await self.connection.next_event(), Closed):
                await self._handle(event)
            if event.orderly:
                self._report_taken()
        except BaseException:
            if self._transaction is not None:
                self._transaction.forwarding.abort()
            await self._give_up("cut off by a fault, or by the end of this unit")
            raise
        await self._give_up("the peer left")

    # What units use

    def make_transaction(self, event: MailReceived, parameters: MailParameters) -> Transaction:
        """The transaction that MAIL opens; ``parameters`` are those that go on to the next unit."""
        return Transaction(
            trace_id=parameters.trace_id or "",
            reverse_path=event.reverse_path,
            forwarding=Forwarding(self.way.hop, Mail(event.reverse_path, parameters)),
            held=Held(self.way.budget),
            started_at=self.world.now(),
        )

    @property
    def left_s(self) -> float:
        """What is left of ``answer_s`` since the end of the data."""
        return self.connection.data_ended_at + self.answer_s - self.world.now()

    # What a unit does of its own

    @abstractmethod
    async def begin(self, event: MailReceived) -> Transaction | Reply:
        """Open a transaction, or refuse MAIL."""

    @abstractmethod
    async def finish(self, transaction: Transaction) -> Sequence[Reply]:
        """The whole message is here, unless ``transaction.refusal`` stands: the replies that the event wants.

        Here a transaction with a refusal is never asked: it was answered already.
        """

    async def received(self, transaction: Transaction, data: bytes) -> None:
        """Take a piece of the message; here it is held."""
        transaction.hold(data)

    async def ask(self, transaction: Transaction, recipients: Sequence[Mailbox]) -> Sequence[Reply] | Closed:
        """Give the verdict on recipients; here it is the next unit's."""
        return await self.connection.watch(transaction.forwarding.recipients(recipients))

    def is_told(self, transaction: Transaction) -> bool:  # noqa: ARG002 - for who overrides it
        """Whether the journal says anything of a transaction that was given up."""
        return True

    async def other(self, event: ServerEvent) -> None:  # noqa: B027 - most units have nothing more
        """Take an event that is no part of a message's course."""

    # The course

    async def _handle(self, event: ServerEvent) -> None:
        match event:
            case MailReceived():
                begun = NO_MEMORY if self.way.budget.is_exhausted else await self.begin(event)
                self._transaction = begun if isinstance(begun, Transaction) else None
                self.connection.reply(begun if isinstance(begun, Reply) else SENDER_OK)
            case RecipientsReceived(recipients):
                await self._recipients(self._open(), recipients)
            case DataRequested():
                self.connection.reply(NO_MEMORY if self.way.budget.is_exhausted else GO_AHEAD)
            case DataReceived(data):
                await self.received(self._open(), data)
            case DataFinished():
                await self._finish(self._open())
            case TransactionAborted(reply):
                await self._give_up(str(reply or "given up by the peer"))
            case FinalReplyTaken():
                self._report_taken()
            case TakenReported(trace_ids):
                self.way.hop.report_taken(*trace_ids)
            case _:
                await self.other(event)

    def _open(self) -> Transaction:
        if self._transaction is None:
            raise MisuseError("the dialogue gave RCPT or data without MAIL")
        return self._transaction

    async def _recipients(self, transaction: Transaction, recipients: Sequence[Mailbox]) -> None:
        replies = await self.ask(transaction, recipients)
        if isinstance(replies, Closed):
            transaction.forwarding.abort()
            return
        pairs = zip(recipients, replies, strict=True)
        transaction.recipients += [mailbox for mailbox, reply in pairs if reply.is_completed]
        self.connection.reply(*replies)

    async def _finish(self, transaction: Transaction) -> None:
        wanted = self.connection.dialogue.replies_wanted
        if transaction.refusal is None:
            finished = await self.connection.watch(self._finishing(transaction))
            if isinstance(finished, Closed):
                self._peer_left(transaction)
                return
            replies = finished
        if transaction.refusal is not None:
            replies = [transaction.refusal] * wanted
        transaction.held.drop()
        self.connection.reply(*replies)
        self._transaction = None
        if not self.connection.is_lmtp and replies[-1].is_completed:
            self._answered.append(transaction.trace_id)
        tell(self.way, self.connection, transaction, " / ".join(str(reply) for reply in replies))
        await transaction.forwarding.reset()  # nothing to do once the verdicts have come

    async def _finishing(self, transaction: Transaction) -> Sequence[Reply]:
        """Finish in time: looking up names, signing and the next unit together may take what is left."""
        try:
            async with asyncio.timeout(max(self.left_s, 0.0)) as limit:
                return await self.finish(transaction)
        except TimeoutError:
            if not limit.expired():
                raise
        transaction.forwarding.abort()
        transaction.refuse(TOO_LATE, "no answer in time")
        return ()

    def _peer_left(self, transaction: Transaction) -> None:
        """Nobody waits for the answer: let everybody behind us know, so that a retry can join this try."""
        self._transaction = None
        transaction.held.drop()
        transaction.forwarding.abort()
        tell(self.way, self.connection, transaction, "the peer left before its answer")

    async def _give_up(self, why: str) -> None:
        """End a transaction without a verdict: no end of data has gone on, so no target has the message."""
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        transaction.held.drop()
        await transaction.forwarding.reset()
        if self.is_told(transaction):
            tell(self.way, self.connection, transaction, why)

    def _report_taken(self) -> None:
        """The peer has read our 250s: the ledger may forget, so that mail meant twice goes twice."""
        if self._answered:
            self.way.hop.report_taken(*self._answered)
            self._answered.clear()
