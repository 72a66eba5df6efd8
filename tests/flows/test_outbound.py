"""What becomes of a mail from a program of ours to servers of others, whatever goes wrong on the way."""

# Long because: stories of ten lines, one after the other, that share the same few words.

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ptt.rehearsal.simulation.chain import Site
from ptt.rehearsal.simulation.clients import Draft, Habits, Naming
from ptt.rehearsal.simulation.network import Break, Door
from ptt.rehearsal.simulation.pipes import Shape
from ptt.rehearsal.simulation.scene import ZONE, Scene, play
from ptt.rehearsal.simulation.targets import (
    USUAL,
    Act,
    Step,
    Then,
    closes,
    cut_off,
    late,
    resets,
    says,
    silent,
)

BOB, CARL = "bob@one.example", "carl@two.example"
NOW, LATER, NEVER = "450 4.2.0 not now", "451 4.3.0 later", "550 5.7.1 never"
HASTY = Habits(patience_s=5)
RENEWING = Habits(patience_s=5, naming=Naming.RENEWS)
LARGE = b"0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmnopqrstuvwxy\r\n" * 40_000


def flow(story: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    """A test out of a story."""

    def test() -> None:
        play(story)

    test.__doc__ = story.__doc__
    return test


def has(scene: Scene, draft: Draft, recipient: str = BOB) -> int:
    """How many copies of a mail all servers together have."""
    return sum(target.copies(draft.token.encode(), recipient) for target in scene.targets)


# The mail goes through


def test_a_mail_arrives_signed_twice_and_250_comes_after_the_targets() -> None:
    async def story(s: Scene) -> None:
        sent = await s.program().send(s.draft(BOB))
        [taken] = s.one.taken
        assert sent.code == 250
        assert taken.at < sent.ended_at
        assert taken.reverse_path == "alice@example.org"
        assert taken.message.count(b"DKIM-Signature:") == 2
        assert taken.message.endswith(b"\r\n\r\nHello\r\n")

    play(story, site=Site(ZONE))


@flow
async def test_two_domains_get_one_copy_each(s: Scene) -> None:
    mail = s.draft(BOB, CARL)
    assert (await s.program().send(mail)).code == 250
    assert (has(s, mail), has(s, mail, CARL)) == (1, 1)


@flow
async def test_several_mails_use_one_connection_everywhere(s: Scene) -> None:
    program = s.program(habits=Habits(keeps_connection=True, pipelines=False))
    codes = [(await program.send(s.draft(BOB))).code for _ in range(3)]
    assert codes == [250] * 3
    assert s.one.connections == 1


@flow
async def test_the_same_mail_meant_twice_arrives_twice(s: Scene) -> None:
    mail, program = s.draft(BOB), s.program(habits=Habits(keeps_connection=True))
    assert [(await program.send(mail)).code for _ in range(2)] == [250, 250]
    assert has(s, mail) == 2


@flow
async def test_meant_twice_after_a_program_that_just_closes(s: Scene) -> None:
    mail, program = s.draft(BOB), s.program(habits=Habits(quits=False))
    assert (await program.send(mail)).code == 250
    await asyncio.sleep(5)
    assert (await program.send(mail)).code == 250
    assert has(s, mail) == 2


# What the server says before the data


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT])
@pytest.mark.parametrize(("reply", "code"), [(NEVER, 550), (LATER, 451)])
def test_a_refusal_comes_before_the_data(step: Step, reply: str, code: int) -> None:
    async def story(s: Scene) -> None:
        for target in (s.one, s.one_next):
            target.always(step, says(reply))
        sent = await s.program().send(s.draft(BOB))
        assert sent.code == code
        assert not sent.has_sent_all
        assert s.one.taken == s.one_next.taken == []

    play(story)


@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO])
@pytest.mark.parametrize(
    "act", [says("421 4.3.2 later"), says("554 5.3.2 no mail here"), silent(), closes(), resets(), late(45)]
)
def test_a_server_that_does_not_serve_leaves_it_to_the_next(step: Step, act: Act) -> None:
    async def story(s: Scene) -> None:
        s.one.always(step, act)
        mail = s.draft(BOB)
        assert (await s.program().send(mail)).code == 250
        assert s.one_next.copies(mail.token.encode()) == 1
        assert s.one.taken == []

    play(story)


@flow
async def test_the_next_server_gets_the_complete_mail(s: Scene) -> None:
    s.network.set_door(Door.SWALLOWED, s.one.host)
    s.one_next.will(Step.DATA, closes())
    mail = s.draft(BOB, body=b".first\r\n..second\r\nlast\r\n")
    assert (await s.program().send(mail)).code == 250
    [taken] = s.one_next.taken
    assert taken.message.endswith(mail.body)


@flow
async def test_no_server_is_there(s: Scene) -> None:
    for target in (s.one, s.one_next):
        s.network.set_door(Door.REFUSED, target.host)
    sent = await s.program().send(s.draft(BOB))
    assert (sent.code, sent.has_sent_all) == (451, False)


@flow
async def test_no_encryption_no_mail(s: Scene) -> None:
    s.two.offers_tls = False
    sent = await s.program().send(s.draft(CARL))
    assert sent.final
    assert sent.final.startswith("550-5.7.10")
    assert s.two.taken == []


def test_who_has_the_right_sends_without_encryption() -> None:
    async def story(s: Scene) -> None:
        s.two.offers_tls = False
        assert (await s.program().send(s.draft(CARL))).code == 250
        assert len(s.two.taken) == 1

    users = {"alice": {"insecure": True}}
    play(story, site=Site(ZONE, settings={"relay": {"users": users}}, selectors=("ed1",)))


@flow
async def test_one_unknown_recipient_and_nobody_gets_anything(s: Scene) -> None:
    s.two.will(CARL, says("550 5.1.1 no such user"))
    sent = await s.program().send(s.draft(BOB, CARL))
    assert sent.code == 550
    assert [reply[:3] for reply in sent.replies.values()] == ["250", "550"]
    assert s.one.taken == s.two.taken == []


@flow
async def test_a_server_leaves_a_reused_connection(s: Scene) -> None:
    s.one.will(Step.MAIL, USUAL, says("421 4.7.0 enough"))
    program = s.program(habits=Habits(keeps_connection=True))
    assert [(await program.send(s.draft(BOB))).code for _ in range(2)] == [250, 250]
    assert (len(s.one.taken), s.one.connections) == (2, 2)


# Around the data


@pytest.mark.parametrize("then", [Then.GO_ON, Then.CLOSE, Then.RESET])
@pytest.mark.parametrize(("reply", "code"), [("554 5.7.1 [CS01] spam", 554), ("451 4.7.1 wait", 451)])
def test_a_refusal_in_the_middle_of_a_large_mail(reply: str, code: int, then: Then) -> None:
    """As iCloud does: the reply comes while the data are still being sent, and then the server closes."""

    async def story(s: Scene) -> None:
        s.one.will(Step.BODY, says(reply, then=then, at_octets=100_000))
        sent = await s.program().send(s.draft(BOB, body=LARGE))
        if then is Then.RESET:  # it may overtake the reply; then the server is asked anew
            assert (sent.code, len(s.one.taken)) in {(code, 0), (451, 0), (250, 1)}
        else:
            assert (sent.code, s.one.taken) == (code, [])

    play(story)


@pytest.mark.parametrize(("reply", "code"), [(NEVER, 550), (LATER, 451)])
def test_a_server_that_takes_the_recipient_and_refuses_the_data(reply: str, code: int) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.DATA, says(reply))
        sent = await s.program().send(s.draft(BOB))
        assert (sent.code, s.one.taken, s.one_next.taken) == (code, [], [])

    play(story)


@pytest.mark.parametrize("act", [says("454 4.7.0 no TLS now"), says("554 5.7.3 no TLS"), closes(), silent()])
def test_encryption_that_is_offered_and_fails_leaves_it_to_the_next(act: Act) -> None:
    async def story(s: Scene) -> None:
        s.one.always(Step.STARTTLS, act)
        mail = s.draft(BOB)
        assert (await s.program().send(mail)).code == 250
        assert s.one_next.copies(mail.token.encode()) == 1

    play(story)


@pytest.mark.parametrize("act", [closes(at_octets=500), resets(at_octets=500), silent()])
def test_a_server_that_leaves_in_the_data_of_a_small_mail_is_asked_anew_or_it_is_451(act: Act) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.BODY, act)
        mail, program = s.draft(BOB), s.program()
        tries = await program.send_until_taken(mail, [700])
        assert tries[0].code in {250, 451}
        assert (tries[-1].code, has(s, mail)) == (250, 1)

    play(story)


@pytest.mark.parametrize(("reply", "code"), [(NEVER, 550), (LATER, 451), ("421 4.3.2 leaving", 451)])
def test_the_verdict_after_the_dot_is_passed_on(reply: str, code: int) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.END, says(reply))
        sent = await s.program().send(s.draft(BOB))
        assert (sent.code, s.one.taken) == (code, [])

    play(story)


@pytest.mark.parametrize("act", [closes(), resets(), silent()])
def test_no_answer_after_the_dot_is_451_and_the_retry_arrives(act: Act) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.END, act)
        mail = s.draft(BOB)
        tries = await s.program().send_until_taken(mail, [700])
        assert [each.code for each in tries] == [451, 250]
        assert has(s, mail) == 1

    play(story)


@pytest.mark.parametrize("act", [closes(takes=True), resets(takes=True), cut_off()])
def test_a_250_lost_on_its_way_to_us_costs_a_copy_never_the_mail(act: Act) -> None:
    """RFC 1047: nobody can know."""

    async def story(s: Scene) -> None:
        s.one.will(Step.END, act)
        mail = s.draft(BOB)
        tries = await s.program().send_until_taken(mail, [60])
        assert [each.code for each in tries] == [451, 250]
        assert has(s, mail) == 2

    play(story)


@flow
async def test_a_slow_verdict_is_waited_for(s: Scene) -> None:
    s.one.will(Step.END, late(35))
    sent = await s.program().send(s.draft(BOB))
    assert (sent.code, len(s.one.taken)) == (250, 1)
    assert sent.ended_at > s.one.taken[0].at


@flow
async def test_a_late_250_is_known_when_the_mail_comes_again(s: Scene) -> None:
    s.one.will(Step.END, late(200))
    mail, program = s.draft(BOB), s.program()
    first = await program.send(mail)
    assert (first.code, s.one.taken) == (451, [])
    assert first.ended_at < 50
    await asyncio.sleep(300)
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


@flow
async def test_a_retry_joins_the_try_that_still_runs(s: Scene) -> None:
    s.one.will(Step.END, late(30))
    mail, program = s.draft(BOB), s.program(habits=HASTY)
    assert (await program.send(mail)).final is None
    program.habits = Habits()
    assert (await program.send(mail, 1)).code == 250
    assert has(s, mail) == 1


@flow
async def test_a_renewing_program_joins_too(s: Scene) -> None:
    s.one.will(Step.END, late(60))
    mail, program = s.draft(BOB), s.program(habits=Habits(patience_s=100, naming=Naming.RENEWS))
    tries = await program.send_until_taken(mail, [5])
    assert [each.code for each in tries] == [451, 250]
    assert has(s, mail) == 1


@flow
async def test_a_renewing_program_that_left_joins_the_try_that_still_runs(s: Scene) -> None:
    s.one.will(Step.END, late(30))
    mail, program = s.draft(BOB), s.program(habits=RENEWING)
    assert (await program.send(mail)).final is None
    program.habits = Habits(naming=Naming.RENEWS)
    assert (await program.send(mail, 1)).code == 250
    assert has(s, mail) == 1


@pytest.mark.parametrize("when", range(6))
def test_gone_while_the_way_is_being_opened(when: int) -> None:
    """Connections of ours that were opened for it are closed (``play`` looks for that)."""

    async def story(s: Scene) -> None:
        sending = asyncio.ensure_future(s.program().send(s.draft(BOB)))
        await asyncio.sleep(0.3 + 0.1 * when)
        s.network.cut_now("192.0.2.10", Break.RESET)
        assert (await sending).final is None
        assert s.one.taken == []

    play(story)


@flow
async def test_gone_before_our_250_the_retry_makes_no_second_copy(s: Scene) -> None:
    s.one.will(Step.END, late(20))
    mail, program = s.draft(BOB), s.program(habits=HASTY)
    assert (await program.send(mail)).final is None
    await asyncio.sleep(60)
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


@flow
async def test_our_250_lost_to_a_program_that_names_its_mail(s: Scene) -> None:
    mail, program = s.draft(BOB), s.program()
    s.one.will(Step.END, late(5))
    sending = asyncio.ensure_future(program.send(mail))
    await s.chronicle.wait_for("keeps a message")
    await asyncio.sleep(0.05)
    s.network.cut_now("192.0.2.10", Break.RESET)
    assert (await sending).final is None
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


@pytest.mark.parametrize("naming", [Naming.RENEWS, Naming.LEAVES])
def test_our_250_lost_to_a_program_that_names_its_mail_anew(naming: Naming) -> None:
    """Not known whether it was taken, and maybe meant twice: it is delivered again."""

    async def story(s: Scene) -> None:
        mail, program = s.draft(BOB), s.program(habits=Habits(naming=naming))
        sending = asyncio.ensure_future(program.send(mail))
        await s.chronicle.wait_for("keeps a message")
        await asyncio.sleep(0.07)  # the relay has answered, and so has the signer
        s.network.cut_now("192.0.2.10", Break.RESET)
        assert (await sending).final is None
        await asyncio.sleep(1)
        assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 2)

    play(story)


# Two recipients with different fates


@pytest.mark.parametrize(
    ("for_bob", "for_carl", "code", "copies"),
    [
        (USUAL, says(NEVER), 554, 1),
        (USUAL, says(LATER), 451, 1),
        (says(NEVER), says(LATER), 451, 0),
        (says(NEVER), says(NEVER), 554, 0),
    ],
)
def test_two_domains_with_different_fates(for_bob: Act, for_carl: Act, code: int, copies: int) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.END, for_bob)
        s.two.will(Step.END, for_carl)
        mail = s.draft(BOB, CARL)
        sent = await s.program().send(mail)
        assert (sent.code, has(s, mail), has(s, mail, CARL)) == (code, copies, 0)

    play(story)


@flow
async def test_after_a_mixed_451_only_who_lacks_it_gets_it(s: Scene) -> None:
    s.two.will(Step.END, says(LATER))
    mail = s.draft(BOB, CARL)
    tries = await s.program(habits=RENEWING).send_until_taken(mail, [60])
    assert [each.code for each in tries] == [451, 250]
    assert (has(s, mail), has(s, mail, CARL)) == (1, 1)


@flow
async def test_two_recipients_at_one_server_share_one_message(s: Scene) -> None:
    mail = s.draft(BOB, "ben@one.example")
    assert (await s.program().send(mail)).code == 250
    [taken] = s.one.taken
    assert taken.recipients == (BOB, "ben@one.example")


@flow
async def test_one_of_two_at_the_same_server_is_refused(s: Scene) -> None:
    s.one.will("ben@one.example", says("452 4.2.2 full"))
    mail = s.draft(BOB, "ben@one.example")
    tries = await s.program().send_until_taken(mail, [60])
    assert [each.code for each in tries] == [452, 250]
    assert (has(s, mail), len(s.one.taken)) == (1, 1)


@flow
async def test_one_server_out_of_two_takes_no_data_and_nobody_gets_the_mail(s: Scene) -> None:
    s.two.will(Step.BODY, silent())
    s.network.set_shape(s.two.host, Shape(window_octets=20_000))
    mail = s.draft(BOB, CARL, body=LARGE[: len(LARGE) // 5])
    sent = await s.program().send(mail)
    assert (sent.code, has(s, mail), has(s, mail, CARL)) == (451, 0, 0)


# Large mail


@flow
async def test_three_megabytes_reach_a_slow_server(s: Scene) -> None:
    s.network.set_shape(s.one.host, Shape(octets_per_s=150_000))
    mail = s.draft(BOB, body=LARGE)
    sent = await s.program().send(mail)
    assert (sent.code, has(s, mail)) == (250, 1)
    assert s.one.taken[0].message.endswith(mail.body)


@flow
async def test_a_large_mail_meant_twice(s: Scene) -> None:
    mail, program = s.draft(BOB, body=LARGE), s.program(habits=Habits(keeps_connection=True))
    assert [(await program.send(mail)).code for _ in range(2)] == [250, 250]
    assert has(s, mail) == 2


@flow
async def test_a_large_mail_retried_makes_no_second_copy(s: Scene) -> None:
    s.one.will(Step.END, late(30))
    mail, program = s.draft(BOB, body=LARGE), s.program(habits=Habits(patience_s=10))
    assert (await program.send(mail)).final is None
    program.habits = Habits()
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


# Our own units die


@pytest.mark.parametrize("unit", ["submission", "signer", "relay"])
def test_a_unit_that_is_down_is_451_and_the_mail_arrives_afterwards(unit: str) -> None:
    async def story(s: Scene) -> None:
        s.chain.kill(unit)
        mail, program = s.draft(BOB), s.program(habits=Habits(keeps_connection=unit != "submission"))
        first = await program.send(mail)
        assert first.code == (0 if unit == "submission" else 451)
        await s.chain.restart(unit)
        assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)

    play(story)


@pytest.mark.parametrize("unit", ["submission", "signer", "relay"])
@pytest.mark.parametrize("moment", ["at RCPT", "at end of data", "keeps a message"])
@pytest.mark.parametrize("naming", [Naming.KEEPS, Naming.RENEWS])
def test_a_unit_is_killed_and_nothing_is_lost(unit: str, moment: str, naming: Naming) -> None:
    """After the server's 250 too: what its retry does then depends on who knows of it."""

    async def story(s: Scene) -> None:
        s.one.will(Step.RCPT, late(2))
        s.one.will(Step.END, late(2))
        mail, program = s.draft(BOB), s.program(habits=Habits(naming=naming))
        sending = asyncio.ensure_future(program.send(mail))
        if moment == "at end of data":
            await s.chronicle.wait_for("at RCPT")
            await asyncio.sleep(3.2)
        else:
            await s.chronicle.wait_for(moment)
        s.chain.kill(unit)
        await s.chain.restart(unit)
        first = await sending
        assert first.code in {0, 451}
        await asyncio.sleep(5)
        assert (await program.send(mail, 1)).code == 250
        allowed = {1} if moment == "at RCPT" else {1, 2}
        assert has(s, mail) in allowed

    play(story)


@flow
async def test_signer_killed_between_the_servers_250_and_ours(s: Scene) -> None:
    mail, program = s.draft(BOB), s.program()
    sending = asyncio.ensure_future(program.send(mail))
    await s.chronicle.wait_for("keeps a message")
    await asyncio.sleep(0.03)  # the relay has it by now, the signer has not
    s.chain.kill("signer")
    await s.chain.restart("signer")
    assert (await sending).code == 451
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


@flow
async def test_relay_killed_after_the_servers_250_has_been_noted(s: Scene) -> None:
    mail, program = s.draft(BOB), s.program()
    sending = asyncio.ensure_future(program.send(mail))
    await s.chronicle.wait_for("keeps a message")
    await asyncio.sleep(0.03)
    s.chain.kill("relay")
    s.chain.kill("signer")
    await s.chain.restart("relay")
    await s.chain.restart("signer")
    assert (await sending).code == 451
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


@flow
async def test_a_250_is_noted_while_another_server_still_thinks(s: Scene) -> None:
    s.two.will(Step.END, late(20))
    mail, program = s.draft(BOB, CARL), s.program()
    sending = asyncio.ensure_future(program.send(mail))
    await s.chronicle.wait_for("keeps a message")
    await asyncio.sleep(5)
    s.chain.kill("relay")
    await s.chain.restart("relay")
    assert (await sending).code == 451
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


# Our own units are replaced


@pytest.mark.parametrize("unit", ["submission", "signer", "relay"])
@pytest.mark.parametrize("moment", ["at RCPT", "at DATA", "at end of data"])
def test_a_unit_is_replaced_in_the_middle_and_nobody_notices(unit: str, moment: str) -> None:
    async def story(s: Scene) -> None:
        for step in (Step.RCPT, Step.DATA):
            s.one.will(step, late(2))
        s.one.will(Step.END, late(10))
        mail, program = s.draft(BOB), s.program(habits=Habits(keeps_connection=True))
        sending = asyncio.ensure_future(program.send(mail))
        await s.chronicle.wait_for("at RCPT" if moment == "at RCPT" else "at DATA")
        if moment == "at end of data":
            await asyncio.sleep(5)
        await s.chain.replace(unit)
        assert ((await sending).code, has(s, mail)) == (250, 1)
        assert (await program.send(s.draft(BOB))).code == 250

    play(story)


@flow
async def test_what_the_old_relay_learns_late_the_new_one_knows(s: Scene) -> None:
    s.one.will(Step.END, late(100))
    mail, program = s.draft(BOB), s.program()
    sending = asyncio.ensure_future(program.send(mail))
    await asyncio.sleep(10)
    await s.chain.replace("relay")
    assert (await sending).code == 451
    await asyncio.sleep(200)
    assert ((await program.send(mail, 1)).code, has(s, mail)) == (250, 1)


@flow
async def test_a_retry_by_the_new_relay_while_the_old_one_still_waits(s: Scene) -> None:
    s.one.will(Step.END, late(100))
    mail, program = s.draft(BOB), s.program()
    sending = asyncio.ensure_future(program.send(mail))
    await asyncio.sleep(10)
    await s.chain.replace("relay")
    assert (await sending).code == 451
    tries = await program.send_until_taken(mail, [5, 60, 60, 60])
    await asyncio.sleep(200)
    assert (tries[-1].code, has(s, mail)) == (250, 1)
