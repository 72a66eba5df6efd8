"""The whole spam filter in the simulation: called as by the receiver, handing on to a relay that answers."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ptt.boot import BootRecord, Drain, Drained, Peer, Peers
from ptt.errors import ConfigError
from ptt.net.hop import Hop
from ptt.net.link import Link
from ptt.net.smtp_client import Lost
from ptt.net.smtp_server import Closed, ServerConnection
from ptt.net.tls import make_link_identity
from ptt.net.unit import Unit
from ptt.net.world import Endpoint
from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    MailParameters,
    MailReceived,
    RecipientsReceived,
    TakenReported,
)
from ptt.protocol.smtp.reply import Reply
from ptt.records.spam_model import train
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.control import SimulatedControl, SimulatedJournal
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.world import BEGINNING, SimulatedWorld
from ptt.units.spam_filter.service import serve
from ptt.units.spam_filter.session import IN_LOOP_OCTETS

IDENTITIES = {name: make_link_identity(name, 1, BEGINNING) for name in ("receiver", "spam_filter", "relay")}
PLACES = {
    "receiver": Endpoint("10.0.0.2", 0),
    "spam_filter": Endpoint("10.0.0.3", 2424),
    "relay": Endpoint("10.0.0.4", 2424),
}
SPAM = [f"Subject: x\r\n\r\ncheap pills {n}\r\n".encode() for n in range(10)]
HAM = [f"Subject: x\r\n\r\ngarden notes {n}\r\n".encode() for n in range(10)]
MODEL = b64encode(train(SPAM, HAM).encode()).decode()
SENDER, ALICE, BOB, NOBODY = (
    mailbox(f"{who}.example") for who in ("s@there", "alice@us", "bob@us", "nobody@us")
)


@dataclass
class Relay:
    """Takes mail for all but nobody; bob's server is down."""

    messages: list[bytes] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    dies: bool = False
    """Leaves when it has a message, without a word."""

    async def serve(self, connection: ServerConnection) -> None:
        data, verdicts = bytearray(), [Reply(250, "2.0.0", "delivered")]
        while not isinstance(event := await connection.next_event(), Closed):
            match event:
                case MailReceived(parameters=parameters):
                    self.sizes.append(parameters.size)
                    connection.reply(Reply(250, "2.1.0", "go on"))
                    data.clear()
                    verdicts.clear()
                case RecipientsReceived(recipients):
                    answers = [self.answer(str(each)) for each in recipients]
                    verdicts += [self.verdict(str(each)) for each in recipients if "nobody" not in str(each)]
                    connection.reply(*answers)
                case DataRequested():
                    connection.reply(Reply(354, None, "go on"))
                case DataReceived(piece):
                    data += piece
                case DataFinished():
                    self.messages.append(bytes(data))
                    if self.dies:
                        connection.abort()
                    else:
                        connection.reply(*verdicts)
                case TakenReported(trace_ids):
                    self.taken += trace_ids
                case _:
                    pass

    @staticmethod
    def answer(recipient: str) -> Reply:
        known = "nobody" not in recipient
        return Reply(250, "2.1.5", "known") if known else Reply(550, "5.1.1", "unknown")

    @staticmethod
    def verdict(recipient: str) -> Reply:
        return Reply(451, "4.4.1", "down") if "bob" in recipient else Reply(250, "2.0.0", "delivered")


class Scene:
    """Three units on one network."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.network = Network(1)
        self.journal = SimulatedJournal()
        self.control = SimulatedControl()
        self.relay = Relay()
        self.filter = self.unit("spam_filter", settings, self.control, self.journal)
        self.hop = Hop(self.unit("receiver"), "spam_filter")
        self.hop.peers_changed(Peers((), (self.peer("spam_filter"),)))

    def unit(
        self,
        name: str,
        settings: dict[str, Any] | None = None,
        control: SimulatedControl | None = None,
        journal: SimulatedJournal | None = None,
    ) -> Unit:
        boot = BootRecord(name, 1, f"{name}.us.example", "digest", settings or {}, {})
        world = SimulatedWorld(self.network, PLACES[name].host)
        return Unit(
            boot, world, control or SimulatedControl(), journal or SimulatedJournal(), IDENTITIES[name]
        )

    @staticmethod
    def peer(name: str) -> Peer:
        return Peer(name, 1, PLACES[name].host, PLACES[name].port, IDENTITIES[name].certificate)

    async def start_relay(self) -> None:
        unit = self.unit("relay")
        link = Link(unit, self.relay.serve, 2_000_000)
        link.peers_changed(Peers((self.peer("spam_filter"),), ()))
        await unit.world.serve(self.network.bind(PLACES["relay"]), link.service.factory)

    async def send(
        self, message: bytes, recipients: Sequence[Any] = (ALICE,), trace: str = "t1"
    ) -> tuple[list[str], list[str]]:
        parameters = MailParameters(trace_id=trace, size=len(message))
        begun = await self.hop.begin(Mail(SENDER, parameters), recipients, 60)
        assert not isinstance(begun, Lost), begun
        transaction, answers = begun
        if not any(answer.is_completed for answer in answers):
            await transaction.reset()
            return [str(answer) for answer in answers], []
        await transaction.write([message], last=True, timeout_s=60)
        verdicts = await transaction.verdict(60)
        assert not isinstance(verdicts, Lost), verdicts
        return [str(answer) for answer in answers], [str(verdict) for verdict in verdicts]


def run(story: Callable[[Scene], Coroutine[Any, Any, None]], **settings: Any) -> Scene:
    scenes = []

    async def main() -> None:
        scene = Scene({"model": MODEL, **settings})
        scenes.append(scene)
        await scene.start_relay()
        scene.control.say(Peers((scene.peer("receiver"),), (scene.peer("relay"),)))
        scene.control.publish({"hop": scene.network.bind(PLACES["spam_filter"])})
        life = asyncio.ensure_future(serve(scene.filter))
        await asyncio.sleep(1)
        await story(scene)
        await scene.hop.close()
        scene.control.say(Drain(5))
        await scene.control.wait_for(Drained)
        scene.control.hang_up()
        await life

    simulate(main)
    assert scenes[0].journal.failures == []
    return scenes[0]


def test_mail_is_labelled_and_handed_on() -> None:
    spam = b"X-Spamtacus: no\r\n" + SPAM[0]

    async def story(scene: Scene) -> None:
        assert (await scene.send(spam))[1] == ["250 2.0.0 delivered"]
        assert (await scene.send(HAM[0], trace="t2"))[1] == ["250 2.0.0 delivered"]
        scene.hop.report_taken("t1", "t2")

    scene = run(story)
    first, second = scene.relay.messages
    assert first.startswith(b"Received: from receiver")
    assert first.count(b"X-Spamtacus: ") == 1
    assert b"\r\nX-Spamtacus: yes\r\nX-Spamtacus-Score: 0.9" in first
    assert first.endswith(b"\r\n" + SPAM[0])
    assert b"\r\nX-Spamtacus: no\r\n" in second
    assert scene.relay.sizes == [len(spam), len(HAM[0])]  # as declared before the label
    assert scene.relay.taken == ["t1", "t2"]
    details = [line.detail for line in scene.journal.lines if line.event == "transaction"]
    assert [(detail or "").split()[0] for detail in details] == ["spam=yes", "spam=no"]


def test_recipients_and_verdicts_are_the_relays() -> None:
    async def story(scene: Scene) -> None:
        answers, verdicts = await scene.send(HAM[0], (ALICE, NOBODY, BOB))
        assert [answer[:9] for answer in answers] == ["250 2.1.5", "550 5.1.1", "250 2.1.5"]
        assert [verdict[:9] for verdict in verdicts] == ["250 2.0.0", "451 4.4.1"]
        assert await scene.send(HAM[0], (NOBODY,)) == (["550 5.1.1 unknown"], [])

    assert len(run(story).relay.messages) == 1


def test_without_a_model_mail_passes_as_unknown() -> None:
    async def story(scene: Scene) -> None:
        await scene.send(SPAM[0])
        await scene.send(b"no message at all\r\n")

    first, second = run(story, model="", x_spam_status=True).relay.messages
    assert first.endswith(b"X-Spamtacus: unknown\r\nX-Spam-Status: No\r\n" + SPAM[0])
    assert second.endswith(b"X-Spam-Status: No\r\nno message at all\r\n")


def test_a_large_message_is_labelled_aside() -> None:
    message = SPAM[0] + b"x" * 70 + b"\r\n"
    message += (b"y" * 70 + b"\r\n") * (IN_LOOP_OCTETS // 72)

    async def story(scene: Scene) -> None:
        assert (await scene.send(message))[1] == ["250 2.0.0 delivered"]

    assert run(story).relay.messages[0].endswith(message)


def test_a_relay_that_leaves_is_a_temporary_failure() -> None:
    async def story(scene: Scene) -> None:
        scene.relay.dies = True
        _, verdicts = await scene.send(HAM[0])
        assert verdicts[0].startswith("451 4.3.0")

    (line,) = [line for line in run(story).journal.lines if line.event == "transaction"]
    assert line.detail is not None
    assert "; spam=no" in line.detail


def test_no_relay_is_a_temporary_failure() -> None:
    async def story(scene: Scene) -> None:
        scene.control.say(Peers((scene.peer("receiver"),), ()))
        await asyncio.sleep(1)
        answers, _ = await scene.send(HAM[0])
        assert answers[0].startswith("451 4.3.0")

    assert run(story).relay.messages == []


@pytest.mark.parametrize("settings", [{"model": "*"}, {"model": 7}, {"strange": 1}])
def test_wrong_settings_are_the_operators_to_mend(settings: dict[str, Any]) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="boot record of spam_filter"):
            await serve(Scene(settings).filter)

    simulate(main)
