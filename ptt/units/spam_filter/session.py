"""One connection from the receiver: recipients are asked of the relay, the message is labelled and handed on.

The message is held whole, once: its label stands in front and depends on its text. Verdicts of the relay go
back one for one. Reports of taken 250s go on to the relay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ptt.net.deadlines import SPAM_FILTER_ANSWER_S
from ptt.net.mail_session import MailSession
from ptt.net.smtp_server import ServerConnection
from ptt.net.transactions import Transaction, Way, received_field
from ptt.protocol.smtp.events import MailReceived
from ptt.protocol.smtp.reply import Reply
from ptt.records.spam_model import Model
from ptt.units.spam_filter.labelling import Labelled, label_message

IN_LOOP_OCTETS = 100_000  # larger messages take some 10 ms to read: others do not wait for them


@dataclass(frozen=True, slots=True)
class Labelling:
    """How messages are labelled: by which model, with which fields."""

    model: Model | None
    x_spam_status: bool

    def label(self, message: Sequence[bytes]) -> Labelled:
        """Label a whole message."""
        return label_message(message, self.model, x_spam_status=self.x_spam_status)


class SpamFilterSession(MailSession):
    """See the module."""

    answer_s = SPAM_FILTER_ANSWER_S

    def __init__(self, connection: ServerConnection, way: Way, labelling: Labelling) -> None:
        super().__init__(connection, way)
        self._labelling = labelling

    async def begin(self, event: MailReceived) -> Transaction:
        """Every mail of the receiver is welcome."""
        return self.make_transaction(event, event.parameters)  # SIZE as the receiver leaves it, for the relay

    def is_told(self, transaction: Transaction) -> bool:
        """The receiver asks about recipients before there is a message: its journal tells of them."""
        return transaction.size > 0

    async def finish(self, transaction: Transaction) -> Sequence[Reply]:
        """Label, hand on in one piece, give back the verdicts."""
        labelled = await self._label(transaction.held.take(), transaction.held.octets)
        transaction.detail = labelled.summary
        received = received_field(self.way, self.connection, transaction)
        await transaction.forwarding.write((received, *labelled.message), last=True)
        verdicts = await transaction.forwarding.verdicts(len(transaction.recipients), self.left_s)
        if transaction.forwarding.trouble is not None:
            transaction.detail = f"{transaction.forwarding.trouble}; {labelled.summary}"
        return verdicts

    async def _label(self, message: Sequence[bytes], octets: int) -> Labelled:
        if octets <= IN_LOOP_OCTETS:
            return self._labelling.label(message)
        return await self.world.run_in_worker(self._labelling.label, message)
