"""One transaction carried on to the next unit: recipients asked there, verdicts brought back.

Used by every unit that stands between an edge and the relay, so that RCPT is answered by the unit that knows
(DESIGN section 5). A next unit that cannot be reached is 451 for each recipient: a fault of ours.
"""

from collections.abc import Sequence

from ptt.net.deadlines import EOD_WRITE_TIMEOUT_S, RECIPIENT_TIMEOUT_S
from ptt.net.hop import Hop, HopTransaction
from ptt.net.smtp_client import Lost
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.passing_on import passed_on
from ptt.protocol.smtp.reply import Reply

NEXT_HOP_DOWN = Reply(
    451,
    "4.3.0",
    "A part of this mail service is not available right now. Nothing was lost: please try again later.",
)


class Forwarding:
    """The part of one transaction that lies behind this unit."""

    def __init__(self, hop: Hop, mail: Mail) -> None:
        self._hop = hop
        self._mail = mail
        self._transaction: HopTransaction | None = None
        self._failure: Reply | None = None
        """What is left to say once a transaction that was open has broken."""
        self.trouble: str | None = None
        """Why the next unit failed us, for the journal."""

    @property
    def is_utf8(self) -> bool:
        """Whether the transaction has SMTPUTF8."""
        return self._mail.parameters.smtputf8

    async def recipients(self, mailboxes: Sequence[Mailbox]) -> tuple[Reply, ...]:
        """Ask for a group of recipients; one reply for each.

        Where nothing could be opened for one group, the next one is another try.
        """
        if self._failure is not None:
            return (self._failure,) * len(mailboxes)
        if self._transaction is None:
            begun = await self._hop.begin(self._mail, mailboxes, RECIPIENT_TIMEOUT_S)
            if isinstance(begun, Lost):
                return (self._noted(begun),) * len(mailboxes)
            self._transaction, verdicts = begun
        else:
            asked = await self._transaction.ask(mailboxes, RECIPIENT_TIMEOUT_S)
            if isinstance(asked, Lost):
                return (self._broken(asked),) * len(mailboxes)
            verdicts = asked
        return tuple(passed_on(verdict) for verdict in verdicts)

    async def question(self, mailboxes: Sequence[Mailbox]) -> tuple[Reply, ...]:
        """Ask for recipients without a message to follow; nothing stays open behind us."""
        replies = await self.recipients(mailboxes)
        await self.reset()
        return replies

    async def write(
        self, buffers: Sequence[bytes], *, last: bool = False, timeout_s: float = EOD_WRITE_TIMEOUT_S
    ) -> bool:
        """Send a piece of the message; False: the next unit is lost, and with it the transaction."""
        if self._transaction is None or self._failure is not None:
            return False
        lost = await self._transaction.write(buffers, last=last, timeout_s=max(timeout_s, 0.0))
        if lost is not None:
            self._broken(lost)
        return lost is None

    async def verdicts(self, count: int, timeout_s: float) -> tuple[Reply, ...]:
        """One reply for each of the ``count`` accepted recipients, whatever happens."""
        if self._transaction is None or self._failure is not None:
            return (self._failure or NEXT_HOP_DOWN,) * count
        replies = await self._transaction.verdict(max(timeout_s, 0.0))
        self._transaction = None  # its connection is another one's by now, or gone
        if isinstance(replies, Lost):
            return (self._broken(replies),) * count
        if len(replies) != count:
            return (self._broken(Lost(f"{len(replies)} verdicts for {count} recipients")),) * count
        return tuple(passed_on(reply) for reply in replies)

    async def reset(self) -> None:
        """Give it up, if its verdict has not come; nothing was or will be delivered."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await transaction.reset()

    def abort(self) -> None:
        """Give it up by dropping the connection, if its verdict has not come."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.abort()

    def _broken(self, lost: Lost) -> Reply:
        self._failure = self._noted(lost)
        return self._failure

    def _noted(self, lost: Lost) -> Reply:
        self.trouble = self.trouble or lost.reason
        if lost.reply is not None and lost.reply.is_temporary:
            return passed_on(lost.reply)
        return NEXT_HOP_DOWN
