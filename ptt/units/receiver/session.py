"""One connection from the Internet: recipients are a question to the relay, the message is judged whole.

The hop's transaction is opened only when the message is here and judged, in one write; so nothing is
connected for mail that is refused here. Each later question of a transaction repeats its first accepted
recipient, which decides the class of a retry (docs/how-it-works.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ptt.net.forwarding import Forwarding
from ptt.net.mail_session import MailSession
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.transactions import Transaction, Way, new_trace_id, received_field
from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mailauth.authentication import Client
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import MailReceived
from ptt.protocol.smtp.reply import Reply
from ptt.units.receiver.judging import Rules, judge
from ptt.units.receiver.reading import read_message
from ptt.units.receiver.verdict import replies


@dataclass(frozen=True, slots=True)
class Bench:
    """What judging needs: the operator's rules and somebody to ask."""

    rules: Rules
    lookup: Lookup


class ReceiverSession(MailSession):
    """See the module."""

    def __init__(self, connection: ServerConnection, way: Way, bench: Bench) -> None:
        super().__init__(connection, way)
        self._bench = bench
        self._mail: Mail

    async def begin(self, event: MailReceived) -> Transaction:
        """Anybody may say MAIL."""
        # SIZE stays what the stranger has said, though our stamps make the message larger: the relay knows a
        # retry by it (DESIGN section 5), and promises no server that number.
        trace_id = new_trace_id(self.world)
        parameters = replace(event.parameters, prdr=False, trace_id=trace_id)
        self._mail = Mail(event.reverse_path, parameters)
        return self.make_transaction(event, parameters)

    async def ask(self, transaction: Transaction, recipients: Sequence[Mailbox]) -> Sequence[Reply] | Closed:
        """A short question, on a connection that is free for others right after it."""
        first = transaction.recipients[:1]
        asked = Forwarding(self.way.hop, self._mail).question((*first, *recipients))
        answers = await self.connection.watch(asked)
        return answers if isinstance(answers, Closed) else answers[len(first) :]

    async def finish(self, transaction: Transaction) -> Sequence[Reply]:
        """Judge, stamp, hand on, and give the verdicts back."""
        address = self.connection.peer_address
        if address is None:
            transaction.refuse(Reply(451, "4.3.0", "The connection is over."))
            return ()
        dialogue = self.connection.dialogue
        judgement = await judge(
            read_message(transaction.held.take()),
            Client(address, dialogue.client_name or "", transaction.reverse_path),
            self._bench.rules,
            self._bench.lookup,
            int(self.world.wall_time().timestamp()),
        )
        transaction.detail = judgement.summary
        if judgement.refusal is not None:
            transaction.refuse(judgement.refusal, judgement.summary)
            return ()
        verdicts = await self._hand_on(transaction, judgement.message)
        return replies(transaction.recipients, verdicts, transaction.trace_id, dialogue.replies_wanted)

    async def _hand_on(self, transaction: Transaction, message: Sequence[bytes]) -> Sequence[Reply]:
        """Open the transaction behind us for all recipients; one of them refused now is its verdict."""
        forwarding = transaction.forwarding
        answers = await forwarding.recipients(transaction.recipients)
        accepted = sum(answer.is_completed for answer in answers)
        if not accepted:
            return answers
        received = received_field(self.way, self.connection, transaction)
        await forwarding.write((received, *message), last=True)
        verdicts = iter(await forwarding.verdicts(accepted, self.left_s))
        return [next(verdicts) if answer.is_completed else answer for answer in answers]
