"""People of the pretend Internet: a mail client of ours, and a mail server of others that sends.

Both speak real SMTP over real connections; what comes back is told as it is, with the time that it took. A
sending server keeps its mail after a 4yz or a lost connection and tries again, as Postfix does
(specs/clients.md).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ptt.errors import Malformed, MisuseError
from ptt.net.smtp_client import ClientConnection, Lost, StillWaiting, open_connection
from ptt.net.tls import opportunistic_client_context, verifying_client_context
from ptt.net.world import ConnectFailed, Endpoint, TlsFacts, TlsRole, World
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.header import parse_header
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash
from ptt.protocol.mailauth.dkim.keys import SigningKey, public_record
from ptt.protocol.mailauth.dkim.signing import SigningPolicy, SigningRefused, sign
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import ClientCommand, Data, Login, Mail, Recipient
from ptt.protocol.smtp.reply import RemoteReply

TIMEOUT_S = 60.0  # the patience of a mail program
NO_ANSWER = "no answer in time"


@dataclass(frozen=True, slots=True)
class Told:
    """What a sender was told: the last reply (None: the connection was lost), and when."""

    reply: RemoteReply | None
    text: str
    at: float
    took_s: float

    @property
    def is_accepted(self) -> bool:
        """250 after the data."""
        return self.reply is not None and self.reply.is_completed


class DomainSigner:
    """A remote domain's DKIM key and the signatures made with it."""

    def __init__(self, domain: str) -> None:
        self._key = SigningKey(Name.of("s1"), Name.of(domain), Ed25519PrivateKey.generate())

    def records(self) -> dict[str, str]:
        """The TXT record of the key, by owner."""
        return {str(self._key.record_name): public_record(self._key.private).decode("ascii")}

    def sign(self, message: bytes) -> bytes:
        """The message with a signature in front."""
        header = parse_header(message)
        if isinstance(header, Malformed):
            raise MisuseError(header.reason)
        body_hash = BodyHash()
        body_hash.update(message[header.size :])
        fields = sign(header, body_hash.digest(), [self._key], SigningPolicy(), int(time.time()))
        if isinstance(fields, SigningRefused):
            raise MisuseError(fields.reason)
        return b"".join(fields) + message


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody who sends: from which address, to which server, as whom.

    With ``login`` it is a mail program on 465; without, a mail server on 25 that uses STARTTLS where it is
    offered.
    """

    world: World
    server: Endpoint
    host_name: str
    own_address: str
    trust_anchor_pem: str
    server_name: str
    login: tuple[str, str] | None = None
    signer: DomainSigner | None = None
    patience_s: float = TIMEOUT_S
    """How long it waits for the answer to a message; then it hangs up."""

    async def send(self, sender: Mailbox, recipients: Sequence[Mailbox], message: bytes) -> Told:
        """Send one message in a session of its own."""
        started = time.monotonic()
        signed = self.signer.sign(message) if self.signer is not None else message
        said = await self._session(sender, recipients, signed)
        ended = time.monotonic()
        if isinstance(said, RemoteReply):
            return Told(said, str(said), ended, ended - started)
        return Told(None, said, ended, ended - started)

    async def _session(
        self, sender: Mailbox, recipients: Sequence[Mailbox], message: bytes
    ) -> RemoteReply | str:
        connection = await open_connection(
            self.world, self.server, ClientSettings(), TIMEOUT_S, self.own_address
        )
        if isinstance(connection, ConnectFailed):
            return f"no connection: {connection.reason}"
        try:
            introduced = await (self._log_in(connection) if self.login else self._introduce(connection))
            if introduced is not None:
                return introduced
            return await self._transaction(connection, sender, recipients, message)
        finally:
            await connection.quit()

    async def _log_in(self, connection: ClientConnection) -> RemoteReply | str | None:
        """Implicit TLS with a verified certificate, then AUTH."""
        context = verifying_client_context(self.trust_anchor_pem)
        role = TlsRole(server_side=False, context=context, server_name=self.server_name)
        facts = await connection.secure(role, TIMEOUT_S)
        if not isinstance(facts, TlsFacts):
            return facts.reason
        greeting = await connection.greeting(TIMEOUT_S)
        if isinstance(greeting, Lost):
            return greeting.reason
        greeted = await connection.hello(self.host_name, TIMEOUT_S)
        if isinstance(greeted, Lost) or self.login is None:
            return greeted.reason if isinstance(greeted, Lost) else None
        answered = await connection.ask(Login(*self.login), timeout_s=TIMEOUT_S)
        return _unless_fine(answered)

    async def _introduce(self, connection: ClientConnection) -> RemoteReply | str | None:
        """EHLO, STARTTLS with any certificate, EHLO again."""
        greeting = await connection.greeting(TIMEOUT_S)
        if isinstance(greeting, Lost):
            return greeting.reason
        await connection.hello(self.host_name, TIMEOUT_S)
        role = TlsRole(
            server_side=False, context=opportunistic_client_context(), server_name=self.server_name
        )
        secured = await connection.start_tls(role, TIMEOUT_S)
        if not isinstance(secured, TlsFacts):
            return str(secured)
        greeted = await connection.hello(self.host_name, TIMEOUT_S)
        return greeted.reason if isinstance(greeted, Lost) else None

    async def _transaction(
        self, connection: ClientConnection, sender: Mailbox, recipients: Sequence[Mailbox], message: bytes
    ) -> RemoteReply | str:
        """As every mail program does: the first refused recipient ends it."""
        commands: list[ClientCommand] = [Mail(sender), *map(Recipient, recipients), Data()]
        for command in commands:
            answered = await connection.ask(command, timeout_s=TIMEOUT_S)
            if isinstance(answered, Lost):
                return answered.reason
            if not (answered[0].is_completed or answered[0].is_intermediate):
                return answered[0]
        early = await connection.write_body([message], last=True, timeout_s=TIMEOUT_S)
        if early is not None:
            return early if isinstance(early, RemoteReply) else early.reason
        match await connection.verdict(self.patience_s):
            case (reply, *_):
                return reply
            case Lost(reason):
                return reason
            case StillWaiting() | _:
                connection.abort()
                return NO_ANSWER


def _unless_fine(answered: tuple[RemoteReply, ...] | Lost) -> RemoteReply | str | None:
    if isinstance(answered, Lost):
        return answered.reason
    return None if answered[0].is_completed else answered[0]
