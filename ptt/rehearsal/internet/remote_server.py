"""A mail server of a remote domain on a real address; its manners decide what it says (``manners``).

It keeps what it accepts in memory and checks SPF, DKIM and DMARC of what comes. ``hold`` stops it before
354, so that something can happen meanwhile.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from ptt.boot import BootRecord
from ptt.errors import Malformed
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.smtp_service import SmtpService
from ptt.net.tls import LinkIdentity, public_server_context
from ptt.net.unit import Unit
from ptt.net.world import ControlStream, HostSaid, Server, TlsRole, World
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.header import split_header
from ptt.protocol.mailauth.authentication import Client, authenticate
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    MailReceived,
    RecipientsReceived,
    ServerEvent,
    ServerSettings,
)
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import Reply
from ptt.records.journal import JournalLine
from ptt.rehearsal.certificates import ServerCertificate
from ptt.rehearsal.internet.manners import UNREADABLE, Caller, Manners, Seen

GO_AHEAD = Reply(354, None, "End data with <CR><LF>.<CR><LF>")
CLOSING = 421  # RFC 5321 §3.8
FIRST_REFUSAL = 400  # 4yz and 5yz
SIZE_LIMIT = 150 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that the server has taken."""

    user: str
    reverse_path: Mailbox | None
    message: bytes
    results: str
    """What the server's own checks came to: ``spf=pass dkim=pass dmarc=pass``."""
    at: float
    """When it gave its 250 (monotonic seconds)."""


@dataclass(slots=True)
class RemoteServer:
    """One server with manners of its own."""

    world: World
    host_name: str
    certificate: ServerCertificate
    manners: Manners
    accepted: list[Accepted] = field(default_factory=list)
    said: list[Reply] = field(default_factory=list)
    """Everything that it has refused, in order."""
    hold: asyncio.Event | None = None
    """An event: DATA is not answered until it is set."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody waits for ``hold``."""

    async def serve(self, handles: Sequence[object]) -> list[Server]:
        """Serve on listening sockets."""
        context = public_server_context(
            self.certificate.chain_pem.encode(), self.certificate.key_pem.encode(), tickets=True
        )
        offers = {Keyword.PIPELINING, Keyword.EIGHTBITMIME, Keyword.SMTPUTF8, Keyword.SIZE}
        settings = ServerSettings(
            host_name=self.host_name,
            offers=frozenset({*offers, Keyword.ENHANCEDSTATUSCODES, Keyword.STARTTLS}),
            size_limit=SIZE_LIMIT,
        )
        service = SmtpService(
            as_unit(self.world, self.host_name),
            settings,
            lambda connection: _Session(self, connection).run(),
            lambda: TlsRole(server_side=True, context=context),
        )
        return [await self.world.serve(handle, service.factory) for handle in handles]


class _Session:
    """One connection."""

    def __init__(self, server: RemoteServer, connection: ServerConnection) -> None:
        self._server = server
        self._manners = server.manners
        self._connection = connection
        self._reverse_path: Mailbox | None = None
        self._recipients: list[Mailbox] = []
        self._data: list[bytes] = []
        self._messages = 0

    async def run(self) -> None:
        """From the greeting to the end, which may be ours: a 421 closes."""
        while not isinstance(event := await self._connection.next_event(), Closed):
            replies = await self._answer(event)
            if replies:
                self._connection.reply(*replies)
                self._server.said += [reply for reply in replies if reply.code >= FIRST_REFUSAL]
            if any(reply.code == CLOSING for reply in replies):
                return

    async def _answer(self, event: ServerEvent) -> list[Reply]:
        match event:
            case MailReceived():
                self._reverse_path, self._recipients, self._data = event.reverse_path, [], []
                return [await self._manners.sender(self._caller, event.reverse_path)]
            case RecipientsReceived(recipients):
                return [await self._recipient(mailbox) for mailbox in recipients]
            case DataRequested():
                if self._server.hold is not None:
                    self._server.waiting.set()
                    await self._server.hold.wait()
                return [GO_AHEAD]
            case DataReceived(piece):
                self._data.append(piece)
            case DataFinished():
                return [await self._message()]
            case _:
                pass
        return []

    @property
    def _caller(self) -> Caller:
        dialogue = self._connection.dialogue
        name = dialogue.client_name or ""
        return Caller(self._connection.peer.host, name, dialogue.tls, self._messages)

    async def _recipient(self, mailbox: Mailbox) -> Reply:
        reply = await self._manners.recipient(self._caller, self._reverse_path, mailbox, self._recipients)
        if reply.is_completed:
            self._recipients.append(mailbox)
        return reply

    async def _message(self) -> Reply:
        split = split_header(tuple(self._data))
        if isinstance(split, Malformed):
            return UNREADABLE
        header, body = split
        caller, users = self._caller, tuple(each.local_part.lower() for each in self._recipients)
        client = Client(ip_address(caller.address), caller.host_name, self._reverse_path)
        found = await authenticate(
            header, body, client, self._server.host_name, self._manners.lookup, int(time.time())
        )
        refusal = await self._manners.message(caller, Seen(self._reverse_path, users, header, found))
        if refusal is not None:
            return refusal
        self._messages += 1
        message, accepted = b"".join(self._data), self._server.accepted
        for user in users:
            accepted.append(Accepted(user, self._reverse_path, message, found.summary, time.monotonic()))
        return Reply(250, "2.0.0", f"Ok: queued as {len(accepted):08X}")


class _Silent(ControlStream):
    """A remote server has no host."""

    def send(self, frame: object) -> None:
        """Nobody listens."""

    async def receive(self) -> HostSaid | None:
        """Nobody speaks."""
        return None


@dataclass(slots=True)
class _Notes:
    """What remote servers write down: nothing of it is ours."""

    lines: list[str] = field(default_factory=list)

    def write(self, line: JournalLine) -> None:
        """Not used by a remote server."""

    def alarm(self, what: str) -> None:
        """Keep it for whoever looks."""
        self.lines.append(what)

    def failure(self, where: str, error: BaseException) -> None:
        """Keep it for whoever looks."""
        self.lines.append(f"{where}: {error!r}")


def as_unit(world: World, host_name: str) -> Unit:
    """What the servers of ``ptt.net`` ask for, for one of somebody else's machines."""
    boot = BootRecord(host_name, 1, host_name, "remote", {}, {})
    return Unit(boot, world, _Silent(), _Notes(), LinkIdentity(b"", b""))
