"""The course of a session between a peer and the next unit, whatever either of them does."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from ptt.boot import Peers
from ptt.errors import MisuseError
from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.forwarding import Forwarding
from ptt.net.held import Held
from ptt.net.hop import Hop
from ptt.net.mail_session import MailSession
from ptt.net.smtp_service import SmtpService
from ptt.net.transactions import Transaction, Way, received_field
from ptt.net.world import Endpoint, TlsRole
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    MailParameters,
    MailReceived,
    RecipientsReceived,
    ServerSettings,
)
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.neighbour import OK, NextUnit, unit_on
from ptt.rehearsal.simulation.network import Break, Network
from ptt.rehearsal.simulation.raw_lines import RawLines

EDGE = Endpoint("192.0.2.1", 25)
CLIENT = "198.51.100.7"
OFFERS = frozenset({Keyword.PIPELINING, Keyword.CHUNKING, Keyword.PRDR, Keyword.SIZE})
MESSAGE = b"From: a@example.com\r\n\r\nhello\r\n"
LATER, NEVER = Reply(450, "4.2.0", "Not now."), Reply(550, "5.1.1", "Never.")
STREAM_ABOVE = 50_000


class Session(MailSession):
    """An edge that streams what is large."""

    scene: "Scene"

    async def begin(self, event: MailReceived) -> Transaction | Reply:
        self.scene.begun += 1
        if self.scene.fails_at == "begin":
            raise MisuseError("a fault at MAIL")
        trace_id = f"trace{self.scene.begun}"
        return Transaction(
            trace_id,
            event.reverse_path,
            Forwarding(self.way.hop, Mail(event.reverse_path, MailParameters())),
            Held(self.way.budget),
            self.world.now(),
        )

    async def received(self, transaction: Transaction, data: bytes) -> None:
        transaction.hold(data)
        if self.scene.fails_at == "data":
            raise MisuseError("a fault in the data")
        if transaction.refusal is None and transaction.held.octets > STREAM_ABOVE:
            left_s = self.connection.data_read_at + self.answer_s - self.world.now()
            await transaction.forwarding.write(transaction.held.take(), timeout_s=left_s)
            transaction.held.drop()

    async def finish(self, transaction: Transaction) -> Sequence[Reply]:
        if self.scene.fails_at == "finish":
            raise MisuseError("a fault at the end")
        await asyncio.sleep(self.scene.finishing_takes_s)
        received_field(self.way, self.connection, transaction)
        await transaction.forwarding.write(transaction.held.take(), last=True)
        left_s = self.connection.data_ended_at + self.answer_s - self.world.now()
        verdicts = await transaction.forwarding.verdicts(len(transaction.recipients), left_s)
        wanted = self.connection.dialogue.replies_wanted
        return verdicts[:1] if wanted == 1 else (*verdicts, verdicts[-1])


class Scene:
    """A peer, the edge, the unit behind it."""

    def __init__(self, budget_octets: int = 200_000) -> None:
        self.network = Network(1)
        self.begun = 0
        self.fails_at = ""
        self.finishing_takes_s = 0.0
        self.next = NextUnit(self.network, "relay", "edge")
        unit, _, self.journal = unit_on(self.network, "edge", EDGE.host)
        self.way = Way(unit, Hop(unit, "relay"), MemoryBudget(budget_octets), Counters())
        kind = type("SceneSession", (Session,), {"scene": self})
        self.service = SmtpService(
            unit,
            ServerSettings("mail.example.org", offers=OFFERS, size_limit=10_000_000),
            lambda connection: kind(connection, self.way).serve(),
            lambda: TlsRole(server_side=True),
            count=self.way.counters.count,
        )
        self.listener = self.network.bind(EDGE)

    async def start(self) -> None:
        await self.next.start()
        self.way.hop.peers_changed(Peers((), (self.next.peer,)))
        await self.way.unit.world.serve(self.listener, self.service.factory)

    async def peer(self, name: str = "client.example.com") -> "Talk":
        _, lines = await self.network.connect(CLIENT, EDGE, RawLines)
        talk = Talk(lines)
        assert (await talk.hears())[:3] == "220"
        await talk.says(f"EHLO {name}")
        return talk

    @property
    def outcomes(self) -> list[str]:
        return [line.outcome or "" for line in self.journal.lines if line.event == "transaction"]


class Talk:
    """A peer that says what it likes."""

    def __init__(self, lines: RawLines) -> None:
        self.lines = lines

    async def hears(self) -> str:
        return await self.lines.reply() or "gone"

    async def says(self, *commands: str) -> list[str]:
        self.lines.say(*commands)
        return [(await self.hears())[:9] for _ in commands]

    async def opens(self, *recipients: str, mail: str = "MAIL FROM:<a@example.com>") -> list[str]:
        return await self.says(mail, *(f"RCPT TO:<{each}@example.net>" for each in recipients))

    async def sends(self, message: bytes = MESSAGE, replies: int = 1) -> list[str]:
        assert (await self.says("DATA"))[0][:3] == "354"
        self.lines.write(message + b".\r\n")
        return [(await self.hears())[:9] for _ in range(replies)]


Story = Callable[[Scene], Coroutine[Any, Any, None]]


def play(story: Story, budget_octets: int = 200_000, *, bugs: int = 0) -> Scene:
    """Tell a story to its end: memory, connections and sessions must all be given back."""
    scenes = []

    async def main() -> None:
        scene = Scene(budget_octets)
        scenes.append(scene)
        await scene.start()
        await story(scene)
        await asyncio.sleep(700)  # longer than any idle connection lives
        assert scene.way.budget.held == 0
        assert scene.service.open_connections == 0
        ours = [
            each for each in scene.network.connections if not each.startswith(f"client's end of {CLIENT}")
        ]
        assert ours == []
        assert len(scene.journal.failures) == bugs
        await scene.way.hop.close()

    simulate(main)
    return scenes[0]


def test_each_transaction_has_one_line_and_its_own_answer() -> None:
    async def story(scene: Scene) -> None:
        scene.next.rcpt = lambda name: NEVER if "nobody" in name else OK
        scene.next.verdict = lambda name: LATER if "busy" in name else OK
        talk = await scene.peer()
        assert await talk.opens("bob", "nobody") == ["250 2.1.0", "250 2.0.0", "550 5.1.1"]
        assert await talk.sends() == ["250 2.0.0"]
        await talk.opens("busy")
        assert await talk.sends() == ["450 4.2.0"]
        await talk.opens("bob")
        assert (await talk.says("RSET"))[0] == "250 2.0.0"
        await talk.opens("bob")
        assert (await talk.says("EHLO again.example.com"))[0][:3] == "250"
        await talk.opens("nobody")
        assert await talk.says("QUIT") == ["221 2.0.0"]

    scene = play(story)
    assert [outcome[:3] for outcome in scene.outcomes] == ["250", "450", "giv", "giv", "giv"]
    assert scene.next.messages == [MESSAGE] * 2
    assert scene.next.connections == 1
    assert scene.next.taken == ["trace1"]
    lines = [line for line in scene.journal.lines if line.event == "transaction"]
    assert [line.forward_path_count for line in lines] == [1, 1, 1, 1, 0]
    assert {line.peer for line in lines} == {CLIENT}


def test_prdr_has_a_reply_for_each_and_one_more() -> None:
    async def story(scene: Scene) -> None:
        scene.next.verdict = lambda name: LATER if "busy" in name else OK
        talk = await scene.peer()
        await talk.opens("bob", "busy", mail="MAIL FROM:<a@example.com> PRDR")
        scene.fails_at = "finish"
        assert await talk.sends(replies=4) == ["353 Conte", "451 4.3.0", "451 4.3.0", "451 4.3.0"]
        talk = await scene.peer()
        scene.fails_at = ""
        await talk.opens("bob", "busy", mail="MAIL FROM:<a@example.com> PRDR")
        assert [reply[:3] for reply in await talk.sends(replies=4)] == ["353", "250", "450", "450"]
        await talk.says("NOOP")
        talk.lines.transport.close()

    scene = play(story, bugs=1)
    assert scene.next.taken == []


@pytest.mark.parametrize(("where", "answer"), [("begin", "451"), ("data", "421"), ("finish", "451")])
def test_a_fault_of_ours_is_temporary_and_noted(where: str, answer: str) -> None:
    async def story(scene: Scene) -> None:
        talk = await scene.peer()
        scene.fails_at = where
        if where == "begin":
            assert (await talk.opens())[0][:3] == answer
        else:
            await talk.opens("bob")
            assert (await talk.sends())[0][:3] == answer
        assert await talk.hears() == "gone"
        scene.fails_at = ""
        talk = await scene.peer()
        await talk.opens("bob")
        assert await talk.sends() == ["250 2.0.0"]

    scene = play(story, bugs=1)
    assert "a fault" in scene.journal.failures[0]
    assert len(scene.outcomes) == (1 if where == "begin" else 2)


@pytest.mark.parametrize("leave", ["close", "abort"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT asked", "RCPT", "DATA", "half", "dot"])
def test_a_peer_that_leaves_leaves_nothing_behind(step: str, leave: str) -> None:
    async def story(scene: Scene) -> None:
        scene.next.rcpt_after_s = scene.next.verdict_after_s = 5.0
        talk = await scene.peer()
        if step == "MAIL":
            await talk.opens()
        elif step == "RCPT asked":
            talk.lines.say("MAIL FROM:<a@example.com>", "RCPT TO:<bob@example.net>")
            await asyncio.sleep(2)
        else:
            await talk.opens("bob")
        if step in ("DATA", "half", "dot"):
            await talk.says("DATA")
        if step == "half":
            talk.lines.write(b"X: y\r\n" * 20_000)
        elif step == "dot":
            talk.lines.write(MESSAGE + b".\r\n")
        await asyncio.sleep(1)
        getattr(talk.lines.transport, leave)()
        await asyncio.sleep(20)
        assert scene.way.budget.held == 0
        assert scene.service.open_connections == 0

    scene = play(story)
    assert len(scene.outcomes) == 1
    assert "250" not in scene.outcomes[0]
    assert scene.next.taken == []
    assert len(scene.next.messages) == (1 if step == "dot" else 0)


def test_an_answer_that_comes_late_is_451_after_45_s() -> None:
    async def story(scene: Scene) -> None:
        scene.next.verdict_after_s = 60.0
        talk = await scene.peer()
        await talk.opens("bob")
        started = scene.way.unit.world.now()
        assert (await talk.sends())[0][:3] == "451"
        assert 44 < scene.way.unit.world.now() - started < 46

    play(story)


def test_what_takes_long_before_the_hop_counts_too() -> None:
    async def story(scene: Scene) -> None:
        scene.finishing_takes_s = 60.0
        talk = await scene.peer()
        await talk.opens("bob")
        started = scene.way.unit.world.now()
        assert (await talk.sends())[0] == "451 4.4.2"
        assert 44 < scene.way.unit.world.now() - started < 46
        scene.finishing_takes_s = 0.0
        await talk.opens("bob")
        assert await talk.sends() == ["250 2.0.0"]

    scene = play(story)
    assert scene.next.messages == [MESSAGE]


def test_a_hop_that_takes_the_data_slowly_makes_no_late_answer() -> None:
    """The end of the data has been read while earlier pieces still wait to be passed on."""

    async def story(scene: Scene) -> None:
        scene.next.piece_after_s = 4.0
        talk = await scene.peer()
        await talk.opens("bob")
        await talk.says("DATA")
        talk.lines.write(b"x" * 70 + b"\r\n")
        talk.lines.write((b"y" * 70 + b"\r\n") * 14_000 + b".\r\n")
        connection = next(iter(scene.service._open))
        while connection._received_octets < 1_008_000:
            assert connection.dialogue.unread_octets < 300_000
            await asyncio.sleep(0.1)
        read_at = scene.way.unit.world.now()
        assert (await talk.hears())[:3] == "451"
        assert scene.way.unit.world.now() - read_at < 46

    scene = play(story, 2_000_000)
    assert scene.next.messages == []


def test_without_memory_half_a_message_is_taken_back() -> None:
    async def story(scene: Scene) -> None:
        talk = await scene.peer()
        await talk.opens("bob")
        await talk.says("DATA")
        talk.lines.write((b"y" * 70 + b"\r\n") * 1500)  # more than the limit: passed on
        await asyncio.sleep(2)
        room = 200_000 - scene.way.budget.held
        assert scene.way.budget.take(room)  # another session's
        talk.lines.write((b"y" * 70 + b"\r\n") * 1500 + b".\r\n")
        assert (await talk.hears())[:9] == "452 4.3.1"
        assert (await talk.opens())[0] == "452 4.3.1"
        scene.way.budget.give_back(room)
        await asyncio.sleep(1)
        await talk.opens("bob")
        assert await talk.sends() == ["250 2.0.0"]
        assert scene.next.connections == 1  # RSET in the middle of BDAT, and the connection served on

    scene = play(story)
    assert scene.next.given_up == 1
    assert scene.next.messages == [MESSAGE]


def test_a_refused_chunk_is_passed_on_and_cleared_away() -> None:
    async def story(scene: Scene) -> None:
        talk = await scene.peer()
        full = Reply(452, "4.3.1", "Full.")
        scene.next.data = lambda: full
        await talk.opens("bob")
        assert await talk.sends((b"y" * 70 + b"\r\n") * 3000) == ["452 4.3.1"]
        scene.next.data = lambda: Reply(354, None, "Go.")
        await talk.opens("bob")
        assert await talk.sends() == ["250 2.0.0"]

    scene = play(story)
    assert scene.next.messages == [MESSAGE]


def test_chunks_may_be_pipelined_behind_rcpt_and_given_up() -> None:
    async def story(scene: Scene) -> None:
        talk = await scene.peer()
        talk.lines.write(
            b"MAIL FROM:<a@example.com>\r\nRCPT TO:<bob@example.net>\r\n"
            b"BDAT %d\r\n%bBDAT 3 LAST\r\nx\r\nNOOP\r\n" % (len(MESSAGE), MESSAGE)
        )
        assert [(await talk.hears())[:3] for _ in range(5)] == ["250"] * 5
        talk.lines.write(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.net>\r\nBDAT 4\r\nx\r\nyRSET\r\n")
        assert [(await talk.hears())[:3] for _ in range(4)] == ["250"] * 4

    scene = play(story)
    assert scene.next.messages == [MESSAGE + b"x\r\n"]
    assert [outcome[:3] for outcome in scene.outcomes] == ["250", "giv"]


def test_pipelined_mails_are_all_reported_taken() -> None:
    async def story(scene: Scene) -> None:
        talk = await scene.peer()
        mail = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<bob@example.net>\r\nBDAT %d LAST\r\n%b"
        talk.lines.write(mail % (len(MESSAGE), MESSAGE) * 2)
        assert [(await talk.hears())[:3] for _ in range(6)] == ["250"] * 6
        assert await talk.says("NOOP") == ["250 2.0.0"]

    assert play(story).next.taken == ["trace1", "trace2"]


@pytest.mark.parametrize("breaks", [False, True])
def test_a_quit_behind_the_dot_shows_nothing_by_itself(breaks: bool) -> None:
    """It was sent before there was an answer; only the acknowledgement tells."""

    async def story(scene: Scene) -> None:
        scene.next.verdict_after_s = 3.0
        talk = await scene.peer()
        await talk.opens("bob")
        await talk.says("DATA")
        talk.lines.write(MESSAGE + b".\r\nQUIT\r\n")
        await asyncio.sleep(1)
        if breaks:
            scene.network.cut_now(EDGE.host, Break.SILENCE)
            await asyncio.sleep(20)
            talk.lines.transport.abort()
        else:
            assert [(await talk.hears())[:3] for _ in range(2)] == ["250", "221"]
            talk.lines.transport.close()

    scene = play(story)
    assert scene.outcomes[0].startswith("250")
    assert scene.next.taken == ([] if breaks else ["trace1"])


@pytest.mark.parametrize("event", [MailReceived, RecipientsReceived, DataReceived, DataFinished])
def test_a_next_unit_that_breaks_is_451(event: type) -> None:
    async def story(scene: Scene) -> None:
        scene.next.leaves_at = event
        talk = await scene.peer()
        replies = await talk.opens("bob")
        if replies[1][:3] == "250":
            replies = await talk.sends()
        assert replies[-1] == "451 4.3.0"

    play(story)


def test_all_refused_at_the_end_leaves_no_transaction_open() -> None:
    async def story(scene: Scene) -> None:
        scene.next.verdict = lambda _name: NEVER
        talk = await scene.peer()
        await talk.opens("bob", "carl")
        assert await talk.sends() == ["550 5.1.1"]

    assert play(story).next.taken == []


def test_drain_answers_what_waits() -> None:
    async def story(scene: Scene) -> None:
        scene.next.verdict_after_s = 30.0
        talk = await scene.peer()
        await talk.opens("bob")
        await talk.says("DATA")
        talk.lines.write(MESSAGE + b".\r\n")
        await asyncio.sleep(1)
        await scene.service.drain(4.0)
        assert (await talk.hears())[:9] == "421 4.3.2"
        assert await talk.hears() == "gone"

    assert play(story).outcomes[0].startswith("cut off")
