"""A mail server of a remote domain, with the manners of the big ones (specs/receivers.md), on a real address.

It keeps what it accepts in memory and checks SPF, DKIM and DMARC of what comes. A personality decides when it
refuses: unknown users at RCPT or only after the data (as Yahoo does), mail without DMARC pass (as Gmail does
for bulk senders), greylisting; ``hold`` stops it before 354, so that something can happen meanwhile.
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
from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.header import split_header
from ptt.protocol.mailauth.authentication import Client, authenticate
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    MailReceived,
    RecipientsReceived,
    ServerSettings,
)
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import Reply
from ptt.records.journal import JournalLine
from ptt.rehearsal.certificates import ServerCertificate

SENDER_OK = Reply(250, "2.1.0", "Ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Ok")
GO_AHEAD = Reply(354, None, "End data with <CR><LF>.<CR><LF>")
UNKNOWN = Reply(550, "5.1.1", "No such user here")
GREYLISTED = Reply(450, "4.2.0", "Greylisted, try again in 300 seconds")
UNAUTHENTICATED = Reply(
    550, "5.7.26", "Unauthenticated email is not accepted due to the author's DMARC policy"
)
SIZE_LIMIT = 150 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Personality:
    """How a server behaves."""

    unknown_after_data: bool = False
    wants_dmarc_pass: bool = False
    greylists: bool = False


PLAIN = Personality()


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
    """One server for ``domains``; ``users`` are local parts known in each of them."""

    world: World
    host_name: str
    domains: tuple[Name, ...]
    users: tuple[str, ...]
    lookup: Lookup
    certificate: ServerCertificate
    personality: Personality = PLAIN
    accepted: list[Accepted] = field(default_factory=list)
    hold: asyncio.Event | None = None
    """An event: DATA is not answered until it is set."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody waits for ``hold``."""
    _seen: set[tuple[str, str]] = field(default_factory=set)

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
            self._session,
            lambda: TlsRole(server_side=True, context=context),
        )
        return [await self.world.serve(handle, service.factory) for handle in handles]

    async def _session(self, connection: ServerConnection) -> None:
        mail: MailReceived | None = None
        users: list[str] = []
        data: list[bytes] = []
        while not isinstance(event := await connection.next_event(), Closed):
            match event:
                case MailReceived():
                    mail, users, data = event, [], []
                    connection.reply(SENDER_OK)
                case RecipientsReceived(recipients):
                    replies = [self._recipient(mailbox, mail) for mailbox in recipients]
                    pairs = zip(recipients, replies, strict=True)
                    users += [mailbox.local_part.lower() for mailbox, reply in pairs if reply.is_completed]
                    connection.reply(*replies)
                case DataRequested():
                    if self.hold is not None:
                        self.waiting.set()
                        await self.hold.wait()
                    connection.reply(GO_AHEAD)
                case DataReceived(piece):
                    data.append(piece)
                case DataFinished():
                    reverse_path = mail.reverse_path if mail is not None else None
                    connection.reply(await self._message(connection, reverse_path, users, tuple(data)))
                case _:
                    pass

    def _recipient(self, mailbox: Mailbox, mail: MailReceived | None) -> Reply:
        if mailbox.domain not in self.domains:
            return Reply(554, "5.7.1", "Relay access denied")
        if mailbox.local_part.lower() not in self.users and not self.personality.unknown_after_data:
            return UNKNOWN
        pair = (str(mail.reverse_path if mail is not None else None), str(mailbox))
        if self.personality.greylists and pair not in self._seen:
            self._seen.add(pair)
            return GREYLISTED
        return RECIPIENT_OK

    async def _message(
        self,
        connection: ServerConnection,
        reverse_path: Mailbox | None,
        users: Sequence[str],
        data: tuple[bytes, ...],
    ) -> Reply:
        if any(user not in self.users for user in users):
            return Reply(554, "5.0.0", "delivery error: dd This user doesn't have an account here")
        client = Client(ip_address(connection.peer.host), connection.dialogue.client_name or "", reverse_path)
        results = await self._check(data, client)
        if self.personality.wants_dmarc_pass and "dmarc=pass" not in results:
            return UNAUTHENTICATED
        for user in users:
            self.accepted.append(Accepted(user, reverse_path, b"".join(data), results, time.monotonic()))
        return Reply(250, "2.0.0", f"Ok: queued as {len(self.accepted):08X}")

    async def _check(self, data: tuple[bytes, ...], client: Client) -> str:
        split = split_header(data)
        if isinstance(split, Malformed):
            return "header=malformed"
        header, body = split
        found = await authenticate(header, body, client, self.host_name, self.lookup, int(time.time()))
        return found.summary


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
