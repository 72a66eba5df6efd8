"""One connection from submission: recipients are asked of the relay, the message is signed and handed on.

The message is held whole, once: its signature stands in front and depends on its last octet. Verdicts of
the relay go back one for one. Reports of taken 250s go on to the relay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ptt.errors import MisuseError
from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.deadlines import SIGNER_ANSWER_S, STREAM_ABOVE_OCTETS
from ptt.net.forwarding import Forwarding
from ptt.net.hop import Hop
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.unit import Unit
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.received import ReceivedInfo, format_received, with_protocol
from ptt.protocol.mailauth.dkim.keys import SigningKey
from ptt.protocol.mailauth.dkim.signing import SigningPolicy
from ptt.protocol.smtp.commands import Mail
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
from ptt.records.journal import JournalLine
from ptt.units.signer.settings import SignerSettings
from ptt.units.signer.signing import Unsigned, sign_message

SENDER_OK = Reply(250, "2.1.0", "Sender ok.")
GO_AHEAD = Reply(354, None, "Go ahead.")
NO_MEMORY = Reply(
    452, "4.3.1", "Too much mail at this moment. Nothing was lost: please try again in a minute."
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions of the unit share."""

    unit: Unit
    settings: SignerSettings
    keys: Sequence[SigningKey]
    policy: SigningPolicy
    hop: Hop
    budget: MemoryBudget
    counters: Counters


@dataclass(slots=True)
class Transaction:
    """One message under way."""

    trace_id: str
    reverse_path: Mailbox | None
    forwarding: Forwarding
    started_at: float
    recipients: list[Mailbox] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)
    held_octets: int = 0
    refusal: Reply | None = None
    trouble: str | None = None


class SignerSession:
    """See the module; ``serve`` is the coroutine that ``SmtpService`` runs for each connection."""

    def __init__(self, connection: ServerConnection, around: Surroundings) -> None:
        self._connection = connection
        self._around = around
        self._world = around.unit.world
        self._transaction: Transaction | None = None

    async def serve(self) -> None:
        """Answer events until the connection is over."""
        try:
            while not isinstance(event := await self._connection.next_event(), Closed):
                await self._handle(event)
        finally:
            await self._give_up()

    async def _handle(self, event: ServerEvent) -> None:
        match event:
            case MailReceived():
                self._connection.reply(self._mail(event))
            case RecipientsReceived(recipients):
                await self._recipients(recipients)
            case DataRequested():
                self._connection.reply(NO_MEMORY if self._around.budget.is_exhausted else GO_AHEAD)
            case DataReceived(data):
                self._data(data)
            case DataFinished():
                await self._finish()
            case TransactionAborted():
                await self._give_up()
            case TakenReported(trace_ids):
                self._around.hop.report_taken(*trace_ids)
            case _:
                pass

    def _mail(self, event: MailReceived) -> Reply:
        self._transaction = Transaction(
            trace_id=event.parameters.trace_id or "",
            reverse_path=event.reverse_path,
            # The signature makes the message larger: the declared size is no longer true.
            forwarding=Forwarding(
                self._around.hop, Mail(event.reverse_path, replace(event.parameters, size=None))
            ),
            started_at=self._world.now(),
        )
        return SENDER_OK

    async def _recipients(self, recipients: Sequence[Mailbox]) -> None:
        transaction = self._open_transaction()
        replies = await self._connection.watch(transaction.forwarding.recipients(recipients))
        if isinstance(replies, Closed):
            transaction.forwarding.abort()
            return
        transaction.recipients += [
            mailbox for mailbox, reply in zip(recipients, replies, strict=True) if reply.is_completed
        ]
        self._connection.reply(*replies)

    def _data(self, data: bytes) -> None:
        transaction = self._open_transaction()
        if transaction.refusal is not None:
            return
        if not self._around.budget.take(len(data)):
            transaction.refusal = NO_MEMORY
            self._release(transaction)
            return
        transaction.held.append(data)
        transaction.held_octets += len(data)

    async def _finish(self) -> None:
        """Sign, hand on in one piece, give back the verdicts."""
        transaction = self._open_transaction()
        count = len(transaction.recipients)
        if transaction.refusal is None:
            signatures = await self._sign(transaction)
            if isinstance(signatures, Unsigned):
                transaction.refusal, transaction.trouble = signatures.reply, signatures.reason
                self._around.unit.journal.alarm(f"not signed, not sent: {signatures.reason}")
            else:
                transaction.held[:0] = (self._received(transaction), *signatures)
        if transaction.refusal is not None:
            await transaction.forwarding.reset()
            self._close_transaction(transaction, (transaction.refusal,) * count)
            return
        await transaction.forwarding.write(transaction.held, last=True)
        left_s = self._connection.data_ended_at + SIGNER_ANSWER_S - self._world.now()
        self._close_transaction(transaction, await transaction.forwarding.verdicts(count, left_s))

    async def _sign(self, transaction: Transaction) -> tuple[bytes, ...] | Unsigned:
        now = int(self._world.wall_time().timestamp())
        around = self._around
        if transaction.held_octets <= STREAM_ABOVE_OCTETS:
            return sign_message(transaction.held, around.keys, around.policy, now)
        return await self._world.run_in_worker(
            sign_message, transaction.held, around.keys, around.policy, now
        )

    def _received(self, transaction: Transaction) -> bytes:
        connection, boot = self._connection, self._around.unit.boot
        tls = connection.tls
        return format_received(
            ReceivedInfo(
                from_name=connection.dialogue.client_name,
                by=f"{boot.unit}.{boot.host_name}",
                protocol=with_protocol(lmtp=True, tls=tls is not None),
                tls=(tls.version, tls.cipher) if tls else None,
                id=transaction.trace_id,
                digest=boot.digest,
                when=self._world.wall_time(),
            )
        )

    def _release(self, transaction: Transaction) -> None:
        transaction.held = []
        self._around.budget.give_back(transaction.held_octets)
        transaction.held_octets = 0

    def _open_transaction(self) -> Transaction:
        if self._transaction is None:
            raise MisuseError("the dialogue gave RCPT or data without MAIL")
        return self._transaction

    def _close_transaction(self, transaction: Transaction, replies: Sequence[Reply]) -> None:
        size = transaction.held_octets
        self._transaction = None
        self._release(transaction)
        self._connection.reply(*replies)
        self._tell(transaction, size, " / ".join(str(reply) for reply in replies))

    async def _give_up(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._release(transaction)
            await transaction.forwarding.reset()

    def _tell(self, transaction: Transaction, size: int, outcome: str) -> None:
        self._around.counters.count("transactions")
        self._around.unit.journal.write(
            JournalLine(
                at=self._world.wall_time(),
                event="transaction",
                trace=transaction.trace_id,
                unit=self._around.unit.boot.unit,
                generation=self._around.unit.boot.generation,
                peer="submission",
                reverse_path=str(transaction.reverse_path or ""),
                forward_path_count=len(transaction.recipients),
                size=size,
                outcome=outcome,
                detail=transaction.trouble or transaction.forwarding.trouble,
                duration_ms=round((self._world.now() - transaction.started_at) * 1000),
            )
        )
