"""The ledger has one owner while a relay is being replaced: the new one; the old one asks it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ptt.net.questions import ANSWER_LIMIT_S
from ptt.rehearsal.simulation.clients import Draft, Habits, Try
from ptt.rehearsal.simulation.network import Break
from ptt.rehearsal.simulation.scene import Scene, play
from ptt.rehearsal.simulation.targets import Step, late, says

BOB = "bob@one.example"
LEAVES = Habits(patience_s=3)


def flow(story: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    """A test out of a story."""

    def test() -> None:
        play(story)

    test.__doc__ = story.__doc__
    return test


def copies(scene: Scene, draft: Draft) -> int:
    """How many of a mail all servers together have."""
    return sum(target.copies(draft.token.encode()) for target in scene.targets)


async def held_back(scene: Scene, draft: Draft) -> "asyncio.Future[Try]":
    """A first try that has reached the relay and that a server lets wait; then the relay is replaced."""
    scene.one.will(Step.RCPT, late(20))
    first = asyncio.ensure_future(scene.program().send(draft))
    await scene.chronicle.wait_for("at RCPT")
    await scene.chain.replace("relay")
    return first


@flow
async def test_what_the_new_relay_has_delivered_the_old_one_does_not_deliver_again(s: Scene) -> None:
    mail = s.draft(BOB)
    first = await held_back(s, mail)
    s.one.will(Step.END, late(5))
    assert (await s.program(habits=LEAVES).send(mail)).final is None  # so its 250 is not taken
    assert ((await first).code, copies(s, mail)) == (250, 1)
    assert s.chain.keeper("relay").asked > 0


@flow
async def test_the_old_relay_joins_what_the_new_one_is_delivering(s: Scene) -> None:
    mail = s.draft(BOB)
    first = await held_back(s, mail)
    s.one.will(Step.END, late(35))
    second = asyncio.ensure_future(s.program().send(mail))
    assert ((await first).code, (await second).code, copies(s, mail)) == (250, 250, 1)


@flow
async def test_the_new_relay_joins_what_the_old_one_is_delivering(s: Scene) -> None:
    mail = s.draft(BOB)
    first = await held_back(s, mail)
    s.one.will(Step.END, late(30))
    await asyncio.sleep(25)
    second = asyncio.ensure_future(s.program().send(mail))
    assert ((await first).code, (await second).code, copies(s, mail)) == (250, 250, 1)


@flow
async def test_what_the_new_relay_was_refused_the_old_one_is_refused(s: Scene) -> None:
    mail = s.draft(BOB)
    first = await held_back(s, mail)
    s.one.will(Step.END, says("550 5.7.1 never"))
    assert (await s.program().send(mail)).code == 550
    assert ((await first).code, copies(s, mail)) == (550, 0)


@flow
async def test_a_mail_that_was_taken_meanwhile_is_meant_twice(s: Scene) -> None:
    mail = s.draft(BOB)
    first = await held_back(s, mail)
    assert (await s.program().send(mail)).code == 250
    assert ((await first).code, copies(s, mail)) == (250, 2)


@flow
async def test_another_mail_by_the_old_relay_is_delivered_and_meant_twice_twice(s: Scene) -> None:
    mail, program = s.draft(BOB), s.program()
    s.one.will(Step.RCPT, late(20))
    first = asyncio.ensure_future(program.send(mail))
    await s.chronicle.wait_for("at RCPT")
    await s.chain.replace("relay")
    assert ((await first).code, copies(s, mail)) == (250, 1)
    assert ((await program.send(mail)).code, copies(s, mail)) == (250, 2)


@pytest.mark.parametrize("how", ["killed", "deaf"])
def test_an_owner_that_does_not_answer_is_451_and_the_retry_arrives_once(how: str) -> None:
    async def story(s: Scene) -> None:
        mail = s.draft(BOB)
        first = await held_back(s, mail)
        if how == "killed":
            s.chain.kill("relay")
        s.chain.keeper("relay").is_deaf = how == "deaf"
        sent = await first
        assert (sent.code, copies(s, mail)) == (451, 0)
        assert sent.ended_at < 20 + 2 * ANSWER_LIMIT_S
        s.chain.keeper("relay").is_deaf = False
        if how == "killed":
            await s.chain.restart("relay")
        assert ((await s.program().send(mail, 1)).code, copies(s, mail)) == (250, 1)

    play(story)


@flow
async def test_an_answer_that_is_lost_leaves_nothing_running(s: Scene) -> None:
    """The owner has told the old relay to deliver, which has not heard it: it says so."""
    mail = s.draft(BOB)
    first = await held_back(s, mail)
    s.chain.keeper("relay").answer_after_s = 3 * ANSWER_LIMIT_S
    assert ((await first).code, copies(s, mail)) == (451, 0)
    await asyncio.sleep(3 * ANSWER_LIMIT_S)
    sent = await s.program().send(mail, 1)
    assert (sent.code, sent.ended_at - sent.started_at < 5, copies(s, mail)) == (250, True, 1)


@pytest.mark.parametrize("relays", [1, 2])
@pytest.mark.parametrize("replaced_after_s", [0.5, 5.5, 9])
@pytest.mark.parametrize("again_after_s", [1, 4, 9])
def test_a_retry_beside_the_first_try_whenever_relays_are_replaced(
    relays: int, replaced_after_s: float, again_after_s: float
) -> None:
    """The first loses its connection without a word, as on a phone that changes its network."""

    async def story(s: Scene) -> None:
        s.one.will(Step.RCPT, late(3))
        s.one.will(Step.END, late(5), late(5))
        mail = s.draft(BOB)
        first = asyncio.ensure_future(s.program(habits=Habits(patience_s=40)).send(mail))
        second = asyncio.ensure_future(later(s, mail, again_after_s))
        await asyncio.sleep(replaced_after_s)
        s.network.cut_now("192.0.2.10", Break.SILENCE)
        for _ in range(relays):
            await s.chain.replace("relay")
            await asyncio.sleep(1)
        tries = [*await asyncio.gather(first, second)]
        tries += await s.program().send_until_taken(mail, [60, 300, 900])
        assert tries[-1].code == 250
        assert 1 <= copies(s, mail) <= sum(each.is_250 for each in tries)  # a 250 that was taken is an end

    play(story)


async def later(scene: Scene, draft: Draft, after_s: float) -> Try:
    """A try of a program that leaves before it hears a 250."""
    await asyncio.sleep(after_s)
    return await scene.program(habits=Habits(patience_s=0.5)).send(draft)
