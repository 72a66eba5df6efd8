"""Calls to the next unit: what is reused, what is tried again, and what is passed back."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from ptt.boot import Peers
from ptt.net.forwarding import NEXT_HOP_DOWN, Forwarding
from ptt.net.hop import CHUNK_OCTETS, MAX_IDLE, Hop, HopTransaction
from ptt.net.smtp_client import Lost
from ptt.net.world import Endpoint
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import DataReceived, MailParameters, MailReceived, RecipientsReceived
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.neighbour import NextUnit, unit_on
from ptt.rehearsal.simulation.network import Break, Network

BOB, CARL = mailbox("bob@example.net"), mailbox("carl@example.net")
MAIL = Mail(mailbox("a@example.com"), MailParameters(trace_id="t1"))
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
LATER = Reply(450, "4.2.0", "Not now.")


class Scene:
    def __init__(self) -> None:
        self.network = Network(1)
        self.next = NextUnit(self.network, "relay", "signer")
        self.unit, _, _ = unit_on(self.network, "signer", "10.0.0.8")
        self.hop = Hop(self.unit, "relay")

    async def begun(self, *recipients: Mailbox) -> HopTransaction:
        begun = await self.hop.begin(MAIL, recipients or (BOB,), 60)
        assert not isinstance(begun, Lost), begun
        return begun[0]

    async def sends(self, message: Sequence[bytes] = (MESSAGE,)) -> list[int]:
        transaction = await self.begun()
        assert await transaction.write(message, last=True, timeout_s=60) is None
        verdict = await transaction.verdict(60)
        assert isinstance(verdict, tuple), verdict
        return [reply.code for reply in verdict]


def play(story: Callable[[Scene], Coroutine[Any, Any, None]]) -> Scene:
    scenes = []

    async def main() -> None:
        scene = Scene()
        scenes.append(scene)
        await scene.next.start()
        scene.hop.peers_changed(Peers((), (scene.next.peer,)))
        await story(scene)
        await scene.hop.close()
        await asyncio.sleep(700)
        assert scene.network.connections == []
        assert scene.next.journal.failures == []

    simulate(main)
    return scenes[0]


def test_connections_are_reused_and_large_messages_cut_into_chunks() -> None:
    pieces = [bytes([65 + number]) * 70_000 + b"\r\n" for number in range(20)]

    async def story(scene: Scene) -> None:
        assert await scene.sends() == [250]
        assert await scene.sends(pieces) == [250]
        assert await scene.sends(()) == [250]

    scene = play(story)
    assert scene.next.messages == [MESSAGE, b"".join(pieces), b""]
    assert sum(map(len, pieces)) > 5 * CHUNK_OCTETS
    assert scene.next.connections == 1


@pytest.mark.parametrize("how", [Break.RESET, Break.SILENCE])
def test_an_idle_connection_that_is_dead_costs_no_mail(how: Break) -> None:
    async def story(scene: Scene) -> None:
        both = [await scene.begun() for _ in range(2 if how is Break.RESET else 1)]
        for each in both:
            await each.reset()
        scene.network.cut_now(scene.next.endpoint.host, how)
        if how is Break.RESET:
            assert await scene.sends() == [250]
        else:
            begun = await scene.hop.begin(MAIL, (BOB,), 5)
            assert isinstance(begun, Lost)  # its time is over, but not the mail's
            assert await scene.sends() == [250]

    play(story)


def test_a_callee_that_drains_is_left_for_its_successor() -> None:
    async def story(scene: Scene) -> None:
        assert await scene.sends() == [250]
        assert await scene.sends() == [250]
        draining = asyncio.ensure_future(scene.next.link.service.drain(900))
        await asyncio.sleep(130)
        scene.hop.report_taken("t0")  # the 421 in answer must not lose it
        assert await scene.hop.begin(MAIL, (BOB,), 60)
        successor = NextUnit(scene.network, "relay", "signer", Endpoint("10.0.0.7", 2424), 2)
        await successor.start()
        under_way = scene.hop._idle
        scene.hop.peers_changed(Peers((), (scene.next.peer, successor.peer)))
        assert under_way == []
        assert await scene.sends() == [250]
        assert successor.messages == [MESSAGE]
        assert successor.taken == ["t0"]
        await draining

    play(story)


def test_a_transaction_ends_where_it_began() -> None:
    async def story(scene: Scene) -> None:
        transaction = await scene.begun()
        successor = NextUnit(scene.network, "relay", "signer", Endpoint("10.0.0.7", 2424), 2)
        await successor.start()
        scene.hop.peers_changed(Peers((), (scene.next.peer, successor.peer)))
        assert await transaction.write((MESSAGE,), last=True, timeout_s=5) is None
        assert isinstance(await transaction.verdict(5), tuple)
        assert await scene.sends() == [250]
        assert scene.next.messages == successor.messages == [MESSAGE]
        scene.hop.peers_changed(Peers((), ()))
        assert isinstance(await scene.hop.begin(MAIL, (BOB,), 5), Lost)

    play(story)


@pytest.mark.parametrize("fault", ["mail", "breaks", "refused", "certificate"])
def test_what_cannot_be_begun(fault: str) -> None:
    async def story(scene: Scene) -> None:
        match fault:
            case "mail":
                scene.next.mail = lambda: LATER
            case "breaks":
                scene.next.leaves_at = MailReceived
            case "refused":
                scene.next.listener.close()
            case _:
                scene.next.link.peers_changed(Peers((), ()))
        begun = await scene.hop.begin(MAIL, (BOB,), 30)
        assert isinstance(begun, Lost)
        assert await Forwarding(scene.hop, MAIL).question((BOB,)) == (
            (Reply(450, "4.2.0", "Not now."),) if fault == "mail" else (NEXT_HOP_DOWN,)
        )
        forwarding = Forwarding(scene.hop, MAIL)
        await forwarding.recipients((BOB,))
        assert not await forwarding.write((MESSAGE,), last=True)
        assert (await forwarding.verdicts(1, 5))[0].is_temporary
        await forwarding.reset()
        forwarding.abort()

    assert play(story).next.messages == []


def test_who_asks_may_leave_at_any_moment() -> None:
    async def story(scene: Scene) -> None:
        scene.next.rcpt_after_s = 2.0
        for moment in (0.03, 0.07, 0.12, 0.2, 1.0):
            asking = asyncio.ensure_future(scene.hop.begin(MAIL, (BOB,), 30))
            await asyncio.sleep(moment)
            asking.cancel()
            await asyncio.wait((asking,))
        await asyncio.sleep(3)
        assert scene.hop._idle == []
        transaction = await scene.begun()
        resetting = asyncio.ensure_future(transaction.reset())
        await asyncio.sleep(0)
        resetting.cancel()
        await asyncio.wait((resetting,))
        assert await scene.sends() == [250]

    play(story)


def test_reports_go_along_or_alone_and_are_never_lost_with_a_connection() -> None:
    async def story(scene: Scene) -> None:
        scene.hop.report_taken(*(f"t{number}" for number in range(45)))
        await asyncio.sleep(1)
        assert len(scene.next.taken) == 45
        scene.hop.report_taken("along")
        assert await scene.sends() == [250]
        assert scene.next.taken[-1] == "along"
        scene.network.cut_now(scene.next.endpoint.host)
        scene.hop.report_taken("again")
        await asyncio.sleep(1)
        assert scene.next.taken[-1] == "again"
        scene.hop.peers_changed(Peers((), ()))
        scene.hop.report_taken("kept")
        await asyncio.sleep(1)
        scene.hop.peers_changed(Peers((), (scene.next.peer,)))
        assert await scene.sends() == [250]
        scene.hop.report_taken("last")

    scene = play(story)
    assert scene.next.taken[-2:] == ["kept", "last"]
    assert len(set(scene.next.taken)) == len(scene.next.taken)


def test_so_many_idle_connections_are_kept() -> None:
    async def story(scene: Scene) -> None:
        opened = [await scene.begun() for _ in range(MAX_IDLE + 3)]
        for transaction in opened:
            await transaction.reset()
        assert len(scene.hop._idle) == MAX_IDLE

    play(story)


def test_after_the_last_chunk_nothing_is_taken_back() -> None:
    async def story(scene: Scene) -> None:
        scene.next.verdict_after_s = 5.0
        transaction = await scene.begun()
        await transaction.write((MESSAGE,), last=True, timeout_s=5)
        await transaction.reset()
        assert scene.hop._idle == []
        late = await scene.begun()
        await late.write((MESSAGE,), last=True, timeout_s=5)
        assert isinstance(await late.verdict(1), Lost)
        assert isinstance(await late.verdict(1), Lost)

    play(story)


# Forwarding


def test_a_group_that_could_not_be_asked_does_not_spoil_the_next() -> None:
    async def story(scene: Scene) -> None:
        scene.hop.peers_changed(Peers((), ()))
        forwarding = Forwarding(scene.hop, MAIL)
        assert await forwarding.recipients((BOB,)) == (NEXT_HOP_DOWN,)
        scene.hop.peers_changed(Peers((), (scene.next.peer,)))
        assert [reply.code for reply in await forwarding.recipients((CARL,))] == [250]
        assert await forwarding.write((MESSAGE,), last=True)
        assert [reply.code for reply in await forwarding.verdicts(1, 5)] == [250]
        assert forwarding.trouble == "no relay is running"

    play(story)


def test_a_transaction_that_broke_between_groups_stays_broken() -> None:
    async def story(scene: Scene) -> None:
        forwarding = Forwarding(scene.hop, MAIL)
        await forwarding.recipients((BOB,))
        scene.next.leaves_at = RecipientsReceived
        assert await forwarding.recipients((CARL, BOB)) == (NEXT_HOP_DOWN,) * 2
        scene.next.leaves_at = None
        assert await forwarding.recipients((CARL,)) == (NEXT_HOP_DOWN,)
        assert not await forwarding.write((MESSAGE,), last=True)
        assert await forwarding.verdicts(1, 5) == (NEXT_HOP_DOWN,)
        await forwarding.reset()

    assert play(story).next.messages == []


def test_a_wrong_number_of_verdicts_is_doubt() -> None:
    async def story(scene: Scene) -> None:
        forwarding = Forwarding(scene.hop, MAIL)
        await forwarding.recipients((BOB,))
        await forwarding.write((MESSAGE,), last=True)
        assert await forwarding.verdicts(2, 5) == (NEXT_HOP_DOWN,) * 2

    play(story)


def test_what_has_its_verdict_can_harm_no_other() -> None:
    async def story(scene: Scene) -> None:
        forwarding = Forwarding(scene.hop, MAIL)
        await forwarding.recipients((BOB,))
        await forwarding.write((MESSAGE,), last=True)
        await forwarding.verdicts(1, 5)
        other = await scene.begun()
        forwarding.abort()
        await forwarding.reset()
        await other.write((MESSAGE,), last=True, timeout_s=5)
        assert isinstance(await other.verdict(5), tuple)

    assert play(story).next.connections == 1


def test_a_refusal_in_the_middle_is_the_answer() -> None:
    async def story(scene: Scene) -> None:
        scene.next.data = lambda: Reply(452, "4.3.1", "Full.")
        forwarding = Forwarding(scene.hop, MAIL)
        await forwarding.recipients((BOB,))
        assert await forwarding.write((MESSAGE,))
        await asyncio.sleep(1)
        assert not await forwarding.write((MESSAGE,))
        assert [reply.code for reply in await forwarding.verdicts(1, 5)] == [452]
        await forwarding.reset()
        scene.next.data = lambda: Reply(354, None, "Go.")
        assert await scene.sends() == [250]

    assert play(story).next.connections == 1


def test_a_callee_that_takes_nothing_is_given_up_in_time() -> None:
    async def story(scene: Scene) -> None:
        scene.next.piece_after_s = 1000.0
        forwarding = Forwarding(scene.hop, MAIL)
        await forwarding.recipients((BOB,))
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert not await forwarding.write((b"x" * 100_000,) * 30, last=True, timeout_s=9)
        assert loop.time() - started == pytest.approx(9)
        scene.next.piece_after_s = 0.0
        scene.next.leaves_at = DataReceived
        assert await forwarding.verdicts(1, 5) == (NEXT_HOP_DOWN,)
        await scene.next.link.service.close()

    play(story)
