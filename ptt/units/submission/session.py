"""One mail program's connection: login, envelope, message, one true answer.

The order of things is the dialogue's; what is decided here is who may, what goes on to the signer, and when
the answer is given: after everybody behind us has answered, never before. A message above 1 MB is passed on
while it comes in; below, it is held until its end, so that the signer gets it in one write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from ptt.errors import MisuseError
from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.deadlines import EDGE_ANSWER_S, STREAM_ABOVE_OCTETS
from ptt.net.forwarding import Forwarding
from ptt.net.hop import Hop
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.unit import Unit
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.header import split_header
from ptt.protocol.mail.received import ReceivedInfo, format_received, with_protocol
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    FinalReplyTaken,
    LoginAttempted,
    LoginRefused,
    MailParameters,
    MailReceived,
    RecipientsReceived,
    ScramFinished,
    ScramStarted,
    ServerEvent,
    TransactionAborted,
)
from ptt.protocol.smtp.reply import Reply
from ptt.records.journal import MAX_PATHS, JournalLine
from ptt.units.submission.logins import Directory
from ptt.units.submission.preparation import (
    MESSAGE_ID_RANDOM_OCTETS,
    foreign_reverse_path,
    prepare,
)
from ptt.units.submission.settings import SubmissionSettings
from ptt.units.submission.verdict import merge

TRACE_ID_OCTETS = 10  # 80 random bits: never twice in the life of a ledger
SCRAM_NONCE_OCTETS = 18  # RFC 5802 §5.1 asks for randomness, not for a length: 144 bits
MAX_CHECKS = 16  # logins that wait for one of two workers: at 25 ms each a fifth of a second

WELCOME = Reply(235, "2.7.0", "Welcome.")
WRONG_LOGIN = Reply(535, "5.7.8", "Wrong user name or password.")
BUSY = Reply(454, "4.7.0", "Too many logins at this moment, please try again.")
SENDER_OK = Reply(250, "2.1.0", "Sender ok.")
GO_AHEAD = Reply(354, None, "Go ahead, end with a line that holds only a dot.")
NO_MEMORY = Reply(
    452, "4.3.1", "Too much mail at this moment. Nothing was lost: please try again in a minute."
)


@dataclass(slots=True)
class Surroundings:
    """What all sessions of the unit share."""

    unit: Unit
    settings: SubmissionSettings
    directory: Directory
    hop: Hop
    budget: MemoryBudget
    counters: Counters
    checks: int = 0


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
    size: int = 0
    prepared: bool = False
    refusal: Reply | None = None


class SubmissionSession:
    """See the module; ``serve`` is the coroutine that ``SmtpService`` runs for each connection."""

    def __init__(self, connection: ServerConnection, around: Surroundings) -> None:
        self._connection = connection
        self._around = around
        self._world = around.unit.world
        self._transaction: Transaction | None = None
        self._delivered_trace: str | None = None

    async def serve(self) -> None:
        """Answer events until the connection is over."""
        try:
            while not isinstance(event := await self._connection.next_event(), Closed):
                await self._handle(event)
            if event.orderly:
                self._report_taken()
        finally:
            await self._give_up("the client left")

    async def _handle(self, event: ServerEvent) -> None:
        match event:
            case LoginAttempted():
                self._connection.reply(await self._login(event))
            case ScramStarted(login):
                nonce = self._world.random_bytes(SCRAM_NONCE_OCTETS)
                self._connection.dialogue.provide_scram(self._around.directory.scram(login), nonce.hex())
                self._connection.flush()
            case ScramFinished(login):
                self._around.counters.count("logins")
                self._connection.reply(WELCOME)
            case LoginRefused():
                self._around.counters.count("logins_refused")
            case MailReceived():
                self._connection.reply(self._mail(event))
            case RecipientsReceived(recipients):
                await self._recipients(recipients)
            case DataRequested():
                exhausted = self._around.budget.is_exhausted
                self._connection.reply(NO_MEMORY if exhausted else GO_AHEAD)
            case DataReceived(data):
                await self._data(data)
            case DataFinished():
                await self._finish()
            case TransactionAborted(reply):
                await self._give_up(str(reply) if reply else "given up by the client", reply)
            case FinalReplyTaken():
                self._report_taken()
            case _:
                pass

    async def _login(self, attempt: LoginAttempted) -> Reply:
        """Check a password in a worker; unknown users cost the same."""
        if self._around.checks >= MAX_CHECKS:
            return BUSY
        self._around.checks += 1
        try:
            right = await self._world.run_in_worker(
                self._around.directory.check, attempt.login, attempt.password, attempt.authorization
            )
        finally:
            self._around.checks -= 1
        self._around.counters.count("logins" if right else "logins_refused")
        return WELCOME if right else WRONG_LOGIN

    def _mail(self, event: MailReceived) -> Reply:
        around, login = self._around, self._connection.dialogue.login or ""
        if event.reverse_path is not None and not around.directory.may_use(login, event.reverse_path):
            return foreign_reverse_path(event.reverse_path)
        if around.budget.is_exhausted:
            return NO_MEMORY
        trace_id = self._world.random_bytes(TRACE_ID_OCTETS).hex()
        parameters = MailParameters(
            size=event.parameters.size,
            body=event.parameters.body,
            smtputf8=event.parameters.smtputf8,
            trace_id=trace_id,
            login=around.directory.canonical(login),
        )
        self._transaction = Transaction(
            trace_id=trace_id,
            reverse_path=event.reverse_path,
            forwarding=Forwarding(around.hop, Mail(event.reverse_path, parameters)),
            started_at=self._world.now(),
        )
        return SENDER_OK

    async def _recipients(self, recipients: Sequence[Mailbox]) -> None:
        """Ask those who know; the client may leave meanwhile."""
        transaction = self._open_transaction()
        replies = await self._connection.watch(transaction.forwarding.recipients(recipients))
        if isinstance(replies, Closed):
            transaction.forwarding.abort()
            return
        transaction.recipients += [
            mailbox for mailbox, reply in zip(recipients, replies, strict=True) if reply.is_completed
        ]
        self._connection.reply(*replies)

    async def _data(self, data: bytes) -> None:
        transaction = self._open_transaction()
        transaction.size += len(data)
        if transaction.refusal is not None:
            return
        if not self._around.budget.take(len(data)):
            self._refuse(transaction, NO_MEMORY)
            return
        transaction.held.append(data)
        transaction.held_octets += len(data)
        if transaction.held_octets > STREAM_ABOVE_OCTETS or (
            transaction.prepared and transaction.size > STREAM_ABOVE_OCTETS
        ):
            await self._pass_on(transaction, last=False)

    async def _finish(self) -> None:
        """The end of the data: pass on what is held, wait for the verdicts, give the one answer."""
        transaction = self._open_transaction()
        if transaction.refusal is None:
            await self._pass_on(transaction, last=True)
        if transaction.refusal is not None:
            await transaction.forwarding.reset()
            self._close_transaction(transaction, transaction.refusal)
            return
        left_s = self._connection.data_ended_at + EDGE_ANSWER_S - self._world.now()
        verdicts = await transaction.forwarding.verdicts(len(transaction.recipients), left_s)
        self._close_transaction(transaction, merge(transaction.recipients, verdicts, transaction.trace_id))

    async def _pass_on(self, transaction: Transaction, *, last: bool) -> None:
        """Write what is held to the signer, after the header was judged; a refusal is kept for the end."""
        buffers = transaction.held
        if not transaction.prepared:
            additions = self._prepare(transaction)
            if isinstance(additions, Reply):
                self._refuse(transaction, additions)
                return
            transaction.prepared = True
            buffers = [*additions, *buffers]
        transaction.held = []
        # The signer's trouble comes out with the verdicts; the client's data are read to their end anyway.
        await transaction.forwarding.write(buffers, last=last)
        self._release(transaction)

    def _prepare(self, transaction: Transaction) -> Sequence[bytes] | Reply:
        """Our Received and what the header lacks, or the refusal."""
        login = self._connection.dialogue.login or ""
        split = split_header(transaction.held)
        added = prepare(
            split[0] if isinstance(split, tuple) else split,
            lambda mailbox: self._around.directory.may_use(login, mailbox),
            now=self._world.wall_time(),
            random=self._world.random_bytes(MESSAGE_ID_RANDOM_OCTETS),
            domain=self._around.settings.domain_names[0],
        )
        if isinstance(added, Reply):
            return added
        return (self._received(transaction), *added.fields)

    def _received(self, transaction: Transaction) -> bytes:
        connection, boot = self._connection, self._around.unit.boot
        tls = connection.tls
        return format_received(
            ReceivedInfo(
                from_name=connection.dialogue.client_name,
                from_address=ip_address(connection.peer.host),
                by=boot.host_name,
                protocol=with_protocol(tls=tls is not None, authenticated=True),
                tls=(tls.version, tls.cipher) if tls else None,
                id=transaction.trace_id,
                for_=transaction.recipients[0] if len(transaction.recipients) == 1 else None,
                digest=boot.digest,
                when=self._world.wall_time(),
                hide_client=self._around.settings.hide_client,
            )
        )

    def _refuse(self, transaction: Transaction, reply: Reply) -> None:
        """Keep the refusal for the end of the data; hold nothing more."""
        transaction.refusal = reply
        transaction.held = []
        self._release(transaction)

    def _release(self, transaction: Transaction) -> None:
        self._around.budget.give_back(transaction.held_octets)
        transaction.held_octets = 0

    def _open_transaction(self) -> Transaction:
        if self._transaction is None:
            raise MisuseError("the dialogue gave RCPT or data without MAIL")
        return self._transaction

    def _close_transaction(self, transaction: Transaction, reply: Reply) -> None:
        self._transaction = None
        self._delivered_trace = transaction.trace_id if reply.is_completed else None
        self._connection.reply(reply)
        self._tell(transaction, str(reply))

    async def _give_up(self, why: str, reply: Reply | None = None) -> None:
        """End a transaction without a verdict: nothing was given to a target, as no end of data went out."""
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        self._release(transaction)
        await transaction.forwarding.reset()
        self._tell(transaction, why if reply is None else str(reply))

    def _report_taken(self) -> None:
        """The client has read our 250: the ledger may forget, so that mail meant twice goes twice."""
        if self._delivered_trace is not None:
            self._around.hop.report_taken(self._delivered_trace)
            self._delivered_trace = None

    def _tell(self, transaction: Transaction, outcome: str) -> None:
        """One journal line for each transaction, never content."""
        self._around.counters.count("transactions")
        self._around.unit.journal.write(
            JournalLine(
                at=self._world.wall_time(),
                event="transaction",
                trace=transaction.trace_id,
                unit=self._around.unit.boot.unit,
                generation=self._around.unit.boot.generation,
                peer=self._connection.peer.host,
                login=self._connection.dialogue.login,
                reverse_path=str(transaction.reverse_path or ""),
                forward_paths=tuple(str(mailbox) for mailbox in transaction.recipients[:MAX_PATHS]),
                forward_path_count=len(transaction.recipients),
                size=transaction.size,
                outcome=outcome,
                detail=transaction.forwarding.trouble,
                duration_ms=round((self._world.now() - transaction.started_at) * 1000),
            )
        )
