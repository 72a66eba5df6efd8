"""Two units on the product's net code talk over a network of memory, whole and with every kind of break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ptt.boot import BootRecord, Peer, Peers
from ptt.net.hop import Hop
from ptt.net.link import Link
from ptt.net.smtp_client import Lost
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.tls import LinkIdentity, make_link_identity
from ptt.net.unit import Unit
from ptt.net.world import Endpoint
from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    MailReceived,
    RecipientsReceived,
)
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.control import SimulatedControl, SimulatedJournal
from ptt.rehearsal.simulation.network import Break, Direction, Network
from ptt.rehearsal.simulation.world import BEGINNING, SimulatedWorld

RELAY = Endpoint("10.0.0.4", 2525)
MESSAGE = b"From: <a@example.org>\r\n\r\n" + b"x" * 998 + b"\r\n" + b"y" * 40_000 + b"\r\n"
IDENTITIES = {name: make_link_identity(name, 1, BEGINNING) for name in ("signer", "relay", "stranger")}

Outcome = str | tuple[RemoteReply, ...]


class Sink:
    """The session of a unit that takes all mail and keeps it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.closed: list[Closed] = []

    async def serve(self, connection: ServerConnection) -> None:
        data = bytearray()
        while not isinstance(event := await connection.next_event(), Closed):
            match event:
                case MailReceived():
                    connection.reply(Reply(250, "2.1.0", "go on"))
                    data.clear()
                case DataRequested():
                    connection.reply(Reply(354, None, "go on"))
                case RecipientsReceived(recipients):
                    connection.reply(*[Reply(250, "2.1.5", "taken")] * len(recipients))
                case DataReceived(piece):
                    data += piece
                case DataFinished():
                    self.messages.append(bytes(data))
                    connection.reply(Reply(250, "2.0.0", "delivered"))
                case _:
                    pass
        self.closed.append(event)


class Scene:
    """The network, the units' journals and what the relay got."""

    def __init__(self, seed: int) -> None:
        self.network = Network(seed)
        self.journals = {name: SimulatedJournal() for name in IDENTITIES}
        self.sink = Sink()

    def unit(self, name: str, host: str, identity: LinkIdentity | None = None) -> Unit:
        return Unit(
            BootRecord(
                unit=name, generation=1, host_name=f"{name}.example.org", digest="d", settings={}, secrets={}
            ),
            SimulatedWorld(self.network, host),
            SimulatedControl(),
            self.journals[name],
            identity or IDENTITIES[name],
        )

    @asynccontextmanager
    async def relay(self) -> AsyncIterator[None]:
        unit = self.unit("relay", RELAY.host)
        link = Link(unit, self.sink.serve, 1_000_000)
        link.peers_changed(Peers((Peer("signer", 1, "", 0, IDENTITIES["signer"].certificate),), ()))
        server = await unit.world.serve(self.network.bind(RELAY), link.service.factory)
        yield
        server.close()
        await link.service.close()

    async def send(self, identity: LinkIdentity | None = None, believed: str = "relay") -> Outcome:
        """One message from the signer; the replies, or why there are none."""
        hop = Hop(self.unit("signer", "10.0.0.3", identity), "relay")
        certificate = IDENTITIES[believed].certificate
        hop.peers_changed(Peers((), (Peer("relay", 1, RELAY.host, RELAY.port, certificate),)))
        try:
            return await self._transaction(hop)
        finally:
            await hop.close()

    @staticmethod
    async def _transaction(hop: Hop) -> Outcome:
        begun = await hop.begin(Mail(mailbox("a@example.org")), [mailbox("b@remote.example")], 60)
        if isinstance(begun, Lost):
            return begun.reason
        transaction, replies = begun
        if not replies[0].is_completed:
            return replies
        lost = await transaction.write([MESSAGE], last=True, timeout_s=60)
        verdict = lost or await transaction.verdict(60)
        return verdict.reason if isinstance(verdict, Lost) else verdict


def run(scene: Scene, **options: Any) -> Outcome:
    async def main() -> Outcome:
        async with scene.relay():
            outcome = await scene.send(**options)
            await asyncio.sleep(1000)
        return outcome

    outcome = simulate(main)
    assert [journal.failures for journal in scene.journals.values()] == [[], [], []]
    return outcome


@pytest.mark.parametrize("seed", range(4))
def test_a_message_passes(seed: int) -> None:
    scene = Scene(seed)
    outcome = run(scene)
    assert isinstance(outcome, tuple)
    assert [reply.code for reply in outcome] == [250]
    assert scene.sink.messages == [MESSAGE]
    assert scene.sink.closed == [Closed(orderly=True)]


def test_a_stranger_gets_in_nowhere() -> None:
    scene = Scene(1)
    assert isinstance(run(scene, identity=IDENTITIES["stranger"]), str)
    assert scene.sink.messages == []


def test_no_mail_for_a_callee_with_another_certificate() -> None:
    scene = Scene(1)
    outcome = run(scene, believed="stranger")
    assert isinstance(outcome, str)
    assert "certificate" in outcome
    assert scene.sink.messages == []


@pytest.mark.parametrize("how", Break)
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("octets", [0, 10, 40, 90, 150, 250, 300, 5_000, 41_000])
def test_a_break_anywhere_never_gives_a_250_for_what_was_not_taken(
    octets: int, direction: Direction, how: Break
) -> None:
    scene = Scene(octets)
    scene.network.cut_next(RELAY.host, octets, direction, how)
    outcome = run(scene)
    assert isinstance(outcome, str) or scene.sink.messages == [MESSAGE]
    assert scene.sink.messages in ([], [MESSAGE])
    if direction is Direction.TO_LISTENER:  # every place is before the end of the message
        assert isinstance(outcome, str)
        assert scene.sink.messages == []
