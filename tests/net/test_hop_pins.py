"""A hop between units passes mail only where each end shows exactly the certificate that the host named."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from ptt.boot import BootRecord, Peer, Peers, UnitFrame
from ptt.net.hop import Hop, HopTransaction
from ptt.net.link import Link
from ptt.net.smtp_client import Lost
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.system import SystemWorld
from ptt.net.tls import LinkIdentity, make_link_identity
from ptt.net.unit import Unit
from ptt.net.world import HostSaid
from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    MailParameters,
    MailReceived,
    RecipientsReceived,
)
from ptt.protocol.smtp.reply import Reply
from ptt.records.journal import JournalLine

NOW = datetime.now(UTC)
ALICE, BOB = mailbox("alice@mirage.example"), mailbox("bob@remote.example")
RIGHT = make_link_identity("signer", 1, NOW)
OTHER = make_link_identity("signer", 1, NOW)  # the same name, another key


class Silent:
    """Control stream and journal of a unit that nobody asks."""

    def send(self, frame: UnitFrame) -> None: ...
    async def receive(self) -> HostSaid | None: ...
    def write(self, line: JournalLine) -> None: ...
    def alarm(self, what: str) -> None: ...
    def failure(self, where: str, error: BaseException) -> None:
        raise error


def unit(name: str, world: SystemWorld, identity: LinkIdentity) -> Unit:
    return Unit(BootRecord(name, 1, "mail.example", "d", {}, {}), world, Silent(), Silent(), identity)


@dataclass
class Callee:
    """The relay's end: how far callers came."""

    peer: Peer
    link: Link
    mails: list[MailReceived] = field(default_factory=list)
    data: bytes = b""


@asynccontextmanager
async def callee(world: SystemWorld, expects: LinkIdentity) -> AsyncIterator[Callee]:
    """Serve a relay's private listener that expects this certificate of the signer."""
    identity = make_link_identity("relay", 1, NOW)

    async def session(connection: ServerConnection) -> None:
        while not isinstance(event := await connection.next_event(), Closed):
            match event:
                case MailReceived():
                    given.mails.append(event)
                    connection.reply(Reply(250, "2.1.0", "ok"))
                case RecipientsReceived(recipients):
                    connection.reply(*[Reply(250, "2.1.5", "ok")] * len(recipients))
                case DataRequested():
                    connection.reply(Reply(354, None, "go ahead"))
                case DataReceived(data):
                    given.data += data
                case DataFinished():
                    connection.reply(Reply(250, "2.0.0", "delivered"))

    link = Link(unit("relay", world, identity), session, 1_000_000)
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    given = Callee(Peer("relay", 1, host, port, identity.certificate), link)
    link.peers_changed(Peers((Peer("signer", 1, "", 0, expects.certificate),), ()))
    server = await world.serve(listening, link.service.factory)
    try:
        yield given
    finally:
        server.close()
        await link.service.drain(1.0)


async def send(world: SystemWorld, peer: Peer, shows: LinkIdentity) -> bool:
    """Send a mail as a signer that shows this certificate; whether it was taken."""
    hop = Hop(unit("signer", world, shows), "relay")
    hop.peers_changed(Peers((), (peer,)))
    try:
        begun = await hop.begin(Mail(ALICE, MailParameters()), [BOB], 5.0)
        if isinstance(begun, Lost):
            return False
        transaction, _ = begun
        assert isinstance(transaction, HopTransaction)
        if await transaction.write([b"Subject: x\r\n\r\nsecret\r\n"], last=True, timeout_s=5.0) is not None:
            return False
        return isinstance(await transaction.verdict(5.0), tuple)
    finally:
        await hop.close()


def run(expects: LinkIdentity, shows: LinkIdentity, *, impostor: bool = False) -> tuple[bool, Callee]:
    async def scene() -> tuple[bool, Callee]:
        world = SystemWorld()
        try:
            async with callee(world, expects) as relay, callee(world, expects) as other:
                # An impostor listens where the relay is said to be: the name fits, its certificate does not.
                at = other.peer if impostor else relay.peer
                named = Peer("relay", 1, at.host, at.port, relay.peer.certificate)
                async with asyncio.timeout(10):
                    taken = await send(world, named, shows)
                return taken, other if impostor else relay
        finally:
            world.close()

    return asyncio.run(scene())


def test_mail_passes_between_those_that_the_host_named() -> None:
    taken, relay = run(RIGHT, RIGHT)

    assert taken
    assert (len(relay.mails), relay.data) == (1, b"Subject: x\r\n\r\nsecret\r\n")


@pytest.mark.parametrize(
    "shows", [OTHER, make_link_identity("submission", 1, NOW)], ids=["renewed", "another"]
)
def test_a_caller_with_another_certificate_passes_no_mail(shows: LinkIdentity) -> None:
    taken, relay = run(RIGHT, shows)

    assert not taken
    assert (relay.mails, relay.data) == ([], b"")


def test_a_callee_with_another_certificate_gets_no_mail() -> None:
    taken, impostor = run(RIGHT, RIGHT, impostor=True)

    assert not taken
    assert (impostor.mails, impostor.data) == ([], b"")


def test_a_caller_that_is_no_longer_named_is_refused() -> None:
    """From the next handshake on; the host says who lives."""

    async def scene() -> None:
        world = SystemWorld()
        try:
            async with callee(world, RIGHT) as relay:
                assert await send(world, relay.peer, RIGHT)
                relay.link.peers_changed(Peers((Peer("signer", 2, "", 0, OTHER.certificate),), ()))
                assert not await send(world, relay.peer, RIGHT)
                assert await send(world, relay.peer, OTHER)
                assert len(relay.mails) == 2
        finally:
            world.close()

    asyncio.run(scene())
