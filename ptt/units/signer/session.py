"""One connection from submission: recipients are asked of the relay, the message is signed and handed on.

The message is held whole, once: its signature stands in front and depends on its last octet. Verdicts of
the relay go back one for one. Reports of taken 250s go on to the relay.
"""

from collections.abc import Sequence
from dataclasses import replace

from ptt.net.deadlines import SIGNER_ANSWER_S, STREAM_ABOVE_OCTETS
from ptt.net.mail_session import MailSession
from ptt.net.smtp_server import ServerConnection
from ptt.net.transactions import Transaction, Way, received_field
from ptt.protocol.mailauth.dkim.keys import SigningKey
from ptt.protocol.mailauth.dkim.signing import SigningPolicy
from ptt.protocol.smtp.events import MailReceived
from ptt.protocol.smtp.reply import Reply
from ptt.units.signer.signing import Unsigned, sign_message


class SignerSession(MailSession):
    """See the module."""

    answer_s = SIGNER_ANSWER_S

    def __init__(
        self, connection: ServerConnection, way: Way, keys: Sequence[SigningKey], policy: SigningPolicy
    ) -> None:
        super().__init__(connection, way)
        self._keys = keys
        self._policy = policy

    async def begin(self, event: MailReceived) -> Transaction:
        """Every mail of submission is welcome."""
        # The signature makes the message larger: the declared size is no longer true.
        return self.make_transaction(event, replace(event.parameters, size=None))

    async def finish(self, transaction: Transaction) -> Sequence[Reply]:
        """Sign, hand on in one piece, give back the verdicts."""
        message = transaction.held.take()
        signatures = await self._sign(message, transaction.held.octets)
        if isinstance(signatures, Unsigned):
            transaction.refuse(signatures.reply, signatures.reason)
            self.way.unit.journal.alarm(f"not signed, not sent: {signatures.reason}")
            return ()
        received = received_field(self.way, self.connection, transaction)
        await transaction.forwarding.write((received, *signatures, *message), last=True)
        return await transaction.forwarding.verdicts(len(transaction.recipients), self.left_s)

    async def _sign(self, message: Sequence[bytes], octets: int) -> tuple[bytes, ...] | Unsigned:
        now = int(self.world.wall_time().timestamp())
        if octets <= STREAM_ABOVE_OCTETS:
            return sign_message(message, self._keys, self._policy, now)
        return await self.world.run_in_worker(sign_message, message, self._keys, self._policy, now)
