"""One connection of another unit: its transactions one after the other, each handed to a ``Delivery``.

The peer may leave at any moment. Before the end of the data is given to a target that is the end of the
transaction; after it the delivery goes on alone, since its outcome must reach the ledger. Reports of taken
250s go to the ledger.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from ptt.errors import MisuseError
from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.unit import Unit
from ptt.net.world import TlsFacts
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.received import ReceivedInfo, format_received, with_protocol
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    MailReceived,
    RecipientsReceived,
    ServerEvent,
    TakenReported,
    TransactionAborted,
)
from ptt.protocol.smtp.reply import Reply
from ptt.records.journal import MAX_PATHS, JournalLine
from ptt.units.relay.delivery import Delivery, Means
from ptt.units.relay.inbound import TraceField
from ptt.units.relay.outcome import Judged
from ptt.units.relay.wording import alarm_of

T = TypeVar("T")


SENDER_OK = Reply(250, "2.1.0", "Sender ok.")
GO_AHEAD = Reply(354, None, "Go ahead.")
NO_MEMORY = Reply(
    452, "4.3.1", "Too much mail at this moment. Nothing was lost: please try again in a minute."
)


@dataclass(slots=True)
class Surroundings:
    """What all sessions of the unit share."""

    unit: Unit
    means: Means
    budget: MemoryBudget
    counters: Counters
    open: Callable[[str | None, MailReceived, TraceField], Delivery | Reply]
    """Begins what a unit asks for, or refuses it."""
    caller: Callable[[TlsFacts | None], str | None]
    """The unit behind a connection."""
    background: "set[asyncio.Task[Any]]" = field(default_factory=set)
    """Work that outlives its connection; waited for when the unit drains."""

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start work that outlives its connection."""
        task = asyncio.ensure_future(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work that nobody waits for: whatever it raises is a bug of ours and goes to the journal."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - no peer is left to be answered (DESIGN section 12)
            self.unit.journal.failure("delivery", error)
            self.counters.count("bugs")


class RelaySession:
    """See the module; ``serve`` is the coroutine that ``SmtpService`` runs for each connection."""

    def __init__(self, connection: ServerConnection, around: Surroundings) -> None:
        self._connection = connection
        self._around = around
        self._world = around.unit.world
        self._delivery: Delivery | None = None
        self._started_at = 0.0
        self._counted_octets = 0

    async def serve(self) -> None:
        """Answer events until the connection is over."""
        try:
            while not isinstance(event := await self._connection.next_event(), Closed):
                await self._handle(event)
            await self._abandon("the peer left")
        finally:
            self._drop("the peer left in the middle")

    async def _handle(self, event: ServerEvent) -> None:
        match event:
            case MailReceived():
                self._connection.reply(self._mail(event))
            case RecipientsReceived(recipients):
                await self._recipients(recipients)
            case DataRequested():
                self._connection.reply(NO_MEMORY if self._around.budget.is_exhausted else GO_AHEAD)
            case DataReceived(data):
                await self._data(data)
            case DataFinished():
                await self._finish()
            case TransactionAborted(reply):
                await self._abandon(str(reply) if reply is not None else "given up by the peer")
            case TakenReported(trace_ids):
                self._around.means.taken(trace_ids)
            case _:
                pass

    def _mail(self, event: MailReceived) -> Reply:
        received = partial(self._received, utf8=event.parameters.smtputf8)
        opened = self._around.open(self._around.caller(self._connection.tls), event, received)
        if isinstance(opened, Reply):
            return opened
        self._started_at = self._world.now()
        self._delivery = opened
        return SENDER_OK

    async def _recipients(self, recipients: Sequence[Mailbox]) -> None:
        """Ask those who know; the peer may leave meanwhile."""
        replies = await self._connection.watch(self._open().recipients(recipients))
        if not isinstance(replies, Closed):
            self._connection.reply(*replies)
        else:
            self._drop("the peer left before its recipients were answered")

    async def _data(self, data: bytes) -> None:
        delivery = self._open()
        fits = self._around.budget.take(len(data))
        self._counted_octets += len(data) if fits else 0
        await delivery.data(data, memory_is_short=not fits)
        self._give_back(delivery.held_octets)

    async def _finish(self) -> None:
        """Deliver.

        The answer is given when it is known, the delivery goes on if nobody waits for it any more.
        """
        delivery, self._delivery = self._open(), None
        ended_at = self._connection.data_ended_at
        delivering = self._around.spawn(delivery.finish(ended_at))
        judged = await self._connection.watch(_wait(delivering))
        self._give_back(0)
        if isinstance(judged, Closed):
            delivery.is_abandoned = True
            delivery.ended(with_250=False)  # at once: a retry may come while this one still runs
            self._around.spawn(self._around.guarded(self._go_on_alone(delivery, delivering)))
            return
        replies = tuple(each.reply for each in judged)
        delivery.ended(with_250=all(reply.is_completed for reply in replies))
        self._connection.reply(*replies)
        self._tell(delivery, " / ".join(str(reply) for reply in replies), judged)
        self._learn_late(delivery)

    async def _go_on_alone(self, delivery: Delivery, delivering: "asyncio.Task[tuple[Judged, ...]]") -> None:
        """The peer has left: what has begun is brought to its end for the ledger."""
        judged = await delivering
        delivery.ended(with_250=False)  # those entered since
        self._tell(delivery, "the peer left; " + " / ".join(str(each.reply) for each in judged), judged)
        self._learn_late(delivery)

    def _learn_late(self, delivery: Delivery) -> None:
        if delivery.is_late:
            self._around.counters.count("late")
            self._around.spawn(self._around.guarded(delivery.learn_late()))

    async def _abandon(self, why: str) -> None:
        """The transaction ends before its message: connections to servers stay of use."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            if not _is_mere_question(delivery):
                self._tell(delivery, why)
            await delivery.abandon()
            self._give_back(0)

    def _drop(self, why: str) -> None:
        """It ends in the middle of a word."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            self._tell(delivery, why)
            delivery.drop()
        self._give_back(0)

    def _open(self) -> Delivery:
        if self._delivery is None:
            raise MisuseError("the dialogue gives no RCPT and no data without MAIL")
        return self._delivery

    def _give_back(self, still_held_octets: int) -> None:
        excess = max(self._counted_octets - still_held_octets, 0)
        self._counted_octets -= excess
        self._around.budget.give_back(excess)

    def _received(self, trace_id: str, *, utf8: bool, tokens: tuple[str, ...] = ()) -> bytes:
        connection, boot = self._connection, self._around.unit.boot
        return format_received(
            ReceivedInfo(
                from_name=connection.dialogue.client_name,
                by=boot.host_name,
                protocol=with_protocol(lmtp=True, tls=connection.tls is not None, utf8=utf8),
                tls=(connection.tls.version, connection.tls.cipher) if connection.tls else None,
                id=trace_id,
                digest=boot.digest,
                when=self._world.wall_time(),
                tokens=tokens,
            )
        )

    def _tell(self, delivery: Delivery, outcome: str, judged: Sequence[Judged] = ()) -> None:
        """One journal line for each transaction, never content; alarms for the operator."""
        around, recipients = self._around, [each.recipient for each in delivery.transaction.accepted]
        around.counters.count("transactions")
        around.counters.count("delivered", sum(each.reply.is_completed for each in judged))
        alarms = [each.alarm for each in judged]
        words = delivery.transaction.words.values()
        alarms += [alarm_of(word, is_forwarded=delivery.is_inbound) for word in words]
        for alarm in dict.fromkeys(alarms):
            if alarm is not None:
                around.unit.journal.alarm(alarm)
        around.unit.journal.write(
            JournalLine(
                at=self._world.wall_time(),
                event="transaction",
                trace=delivery.trace_id,
                unit=around.unit.boot.unit,
                generation=around.unit.boot.generation,
                peer=around.caller(self._connection.tls),
                login=delivery.login,
                reverse_path=str(delivery.reverse_path or ""),
                forward_paths=tuple(str(mailbox) for mailbox in recipients[:MAX_PATHS]),
                forward_path_count=len(recipients),
                size=delivery.size,
                outcome=outcome,
                detail="; ".join(delivery.transaction.describe()),
                duration_ms=(self._world.now() - self._started_at) * 1000,
            )
        )


def _is_mere_question(delivery: Delivery) -> bool:
    """The receiver asks about recipients before there is a message: its journal tells, ours has nothing."""
    return delivery.is_inbound and delivery.size == 0 and not delivery.transaction.notes


async def _wait(task: "asyncio.Task[tuple[Judged, ...]]") -> tuple[Judged, ...]:
    """Wait for a task that is not ended by who waits for it."""
    return await asyncio.shield(task)
