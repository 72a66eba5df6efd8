"""What every unit on a message's way keeps of a transaction, and the journal line that it ends in.

One line for each transaction: who, for whom, how large, how long, how it ended; never content.
"""

from dataclasses import dataclass, field

from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.forwarding import Forwarding
from ptt.net.held import Held
from ptt.net.hop import Hop
from ptt.net.smtp_server import ServerConnection
from ptt.net.unit import Unit
from ptt.net.world import World
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.received import ReceivedInfo, format_received, with_protocol
from ptt.protocol.smtp.reply import Reply
from ptt.records.journal import MAX_PATHS, JournalLine

TRACE_ID_OCTETS = 10  # 80 random bits: never twice in the life of a ledger
NO_MEMORY = Reply(
    452, "4.3.1", "Too much mail at this moment. Nothing was lost: please try again in a minute."
)


@dataclass(frozen=True, slots=True)
class Way:
    """What the sessions of a unit share on the way of a message: the next unit, memory, counts."""

    unit: Unit
    hop: Hop
    budget: MemoryBudget
    counters: Counters

    @staticmethod
    def to(callee: str, unit: Unit, memory_octets: int) -> "Way":
        """The way to the next unit; what is held of mail in flight is one of the unit's counters."""
        way = Way(unit, Hop(unit, callee), MemoryBudget(memory_octets), Counters())
        way.counters.watch("held_octets", lambda: way.budget.held)
        return way


def new_trace_id(world: World) -> str:
    """For mail that comes in at an edge."""
    return world.random_bytes(TRACE_ID_OCTETS).hex()


@dataclass(slots=True)
class Transaction:
    """One message under way."""

    trace_id: str
    reverse_path: Mailbox | None
    forwarding: Forwarding
    held: Held
    started_at: float
    recipients: list[Mailbox] = field(default_factory=list)
    """Those accepted, in order: so many verdicts will come."""
    size: int = 0
    refusal: Reply | None = None
    """What the end of the data will be answered, as it stands already; nothing more is held."""
    detail: str | None = None
    """The private cause, for the journal."""

    def refuse(self, reply: Reply, detail: str | None = None) -> None:
        """Keep a refusal for the end of the data."""
        self.refusal, self.detail = reply, detail
        self.held.drop()

    def hold(self, data: bytes) -> None:
        """Hold a piece of the message, or refuse it all where there is no memory."""
        self.size += len(data)
        if self.refusal is None and not self.held.add(data):
            self.refuse(NO_MEMORY)


def received_field(
    way: Way, connection: ServerConnection, transaction: Transaction, *, hide_client: bool = False
) -> bytes:
    """Our trace field for this transaction (RFC 5321 §4.4)."""
    boot, tls, dialogue = way.unit.boot, connection.tls, connection.dialogue
    return format_received(
        ReceivedInfo(
            from_name=dialogue.client_name,
            from_address=connection.peer_address,
            by=boot.host_name,
            protocol=with_protocol(
                lmtp=connection.is_lmtp,
                extended=dialogue.extended,
                tls=tls is not None,
                authenticated=dialogue.login is not None,
                utf8=transaction.forwarding.is_utf8,
            ),
            tls=(tls.version, tls.cipher) if tls else None,
            id=transaction.trace_id,
            for_=transaction.recipients[0] if len(transaction.recipients) == 1 else None,
            digest=boot.digest,
            when=way.unit.world.wall_time(),
            hide_client=hide_client,
        )
    )


def tell(way: Way, connection: ServerConnection, transaction: Transaction, outcome: str) -> None:
    """Write the transaction's journal line."""
    way.counters.count("transactions")
    world, boot = way.unit.world, way.unit.boot
    way.unit.journal.write(
        JournalLine(
            at=world.wall_time(),
            event="transaction",
            trace=transaction.trace_id,
            unit=boot.unit,
            generation=boot.generation,
            peer=connection.peer.host,
            login=connection.dialogue.login,
            reverse_path=str(transaction.reverse_path or ""),
            forward_paths=tuple(str(mailbox) for mailbox in transaction.recipients[:MAX_PATHS]),
            forward_path_count=len(transaction.recipients),
            size=transaction.size,
            outcome=outcome,
            detail=transaction.detail or transaction.forwarding.trouble,
            duration_ms=round((world.now() - transaction.started_at) * 1000),
        )
    )
