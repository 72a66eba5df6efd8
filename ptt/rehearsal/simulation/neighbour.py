"""The unit behind the one that is looked at, scripted: it takes mail by LMTP and answers as it is told.

What it is given stands in its lists, so that a test can compare; what it shall do are its fields. The unit in
front calls it as ever, with pinned certificates.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ptt.boot import BootRecord, Peer, Peers
from ptt.net.link import Link
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.tls import LinkIdentity, make_link_identity
from ptt.net.unit import Unit
from ptt.net.world import Endpoint
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
from ptt.rehearsal.simulation.control import SimulatedControl, SimulatedJournal
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.world import BEGINNING, SimulatedWorld

OK = Reply(250, "2.0.0", "Fine.")
GO_AHEAD = Reply(354, None, "Go ahead.")
SIZE_LIMIT = 40_000_000
PLACE = Endpoint("10.0.0.9", 2424)


def unit_on(
    network: Network,
    name: str,
    host: str,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    generation: int = 1,
) -> tuple[Unit, SimulatedControl, SimulatedJournal]:
    """A generation of a unit on a host of the network, with what a test looks at."""
    control, journal = SimulatedControl(), SimulatedJournal()
    boot = BootRecord(
        name, generation, "mail.example.org", "digest", dict(settings or {}), dict(secrets or {})
    )
    world = SimulatedWorld(network, host)
    return Unit(boot, world, control, journal, identity(name, generation)), control, journal


def identity(name: str, generation: int = 1) -> LinkIdentity:
    """The same key for the same name: making one takes longer than a short test."""
    return _identity(name, generation)


@cache
def _identity(name: str, generation: int) -> LinkIdentity:
    return make_link_identity(name, generation, BEGINNING)


@dataclass
class NextUnit:
    """See the module. ``start`` it, then name it to the caller by ``peers``."""

    network: Network
    name: str
    caller: str
    endpoint: Endpoint = PLACE
    generation: int = 1

    mails: list[MailReceived] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    given_up: int = 0
    """Transactions that ended without a verdict while their connection was open."""
    connections: int = 0

    mail: Callable[[], Reply] = lambda: OK
    rcpt: Callable[[str], Reply] = lambda _recipient: OK
    data: Callable[[], Reply] = lambda: GO_AHEAD
    verdict: Callable[[str], Reply] = lambda _recipient: OK
    rcpt_after_s: float = 0.0
    piece_after_s: float = 0.0
    """How long it is busy with each piece of a message."""
    verdict_after_s: float = 0.0
    leaves_at: type | None = None
    """Breaks the connection instead of answering an event of this type."""

    async def start(self) -> Link:
        """Listen; callers of any generation up to 3 are welcome."""
        unit, _, self.journal = unit_on(
            self.network, self.name, self.endpoint.host, generation=self.generation
        )
        self.link = Link(unit, self._serve, SIZE_LIMIT)
        callers = (
            Peer(self.caller, each, "", 0, identity(self.caller, each).certificate) for each in (1, 2, 3)
        )
        self.link.peers_changed(Peers(tuple(callers), ()))
        self.listener = self.network.bind(self.endpoint)
        await unit.world.serve(self.listener, self.link.service.factory)
        return self.link

    @property
    def peer(self) -> Peer:
        """How the host names it."""
        shown = identity(self.name, self.generation).certificate
        return Peer(self.name, self.generation, self.endpoint.host, self.endpoint.port, shown)

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections += 1
        pieces: list[bytes] = []
        accepted: list[str] = []
        while not isinstance(event := await connection.next_event(), Closed):
            if self.leaves_at is not None and isinstance(event, self.leaves_at):
                connection.abort()
                return
            await self._answer(connection, event, pieces, accepted)

    async def _answer(
        self, connection: ServerConnection, event: ServerEvent, pieces: list[bytes], accepted: list[str]
    ) -> None:
        match event:
            case MailReceived():
                self.mails.append(event)
                pieces.clear()
                accepted.clear()
                connection.reply(self.mail())
            case RecipientsReceived(recipients):
                await asyncio.sleep(self.rcpt_after_s)
                names = [str(each) for each in recipients]
                replies = [self.rcpt(each) for each in names]
                self.recipients += names
                accepted += [name for name, reply in zip(names, replies, strict=True) if reply.is_completed]
                connection.reply(*replies)
            case DataRequested():
                connection.reply(self.data())
            case DataReceived(piece):
                pieces.append(piece)
                await asyncio.sleep(self.piece_after_s)
            case DataFinished():
                self.messages.append(b"".join(pieces))
                await asyncio.sleep(self.verdict_after_s)
                connection.reply(*(self.verdict(each) for each in accepted))
            case TransactionAborted():
                self.given_up += 1
            case TakenReported(trace_ids):
                self.taken += trace_ids
            case _:
                pass
