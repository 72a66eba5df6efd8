"""What becomes of a stranger's mail to users of ours, whatever goes wrong on the way to their targets."""

# Long because: stories of ten lines, one after the other, that share the same few words.

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ptt.rehearsal.simulation.network import Break, Door
from ptt.rehearsal.simulation.scene import INBOUND_SITE, TARGETS_OF, Scene, play
from ptt.rehearsal.simulation.senders import EXIM, POSTFIX, Letter, Manner
from ptt.rehearsal.simulation.targets import (
    USUAL,
    Act,
    Step,
    closes,
    cut_off,
    late,
    resets,
    says,
    silent,
)

ALICE, BERT, UNKNOWN = "alice@example.org", "bert@example.org", "nobody@example.org"
LATER, NEVER = "451 4.3.0 later", "550 5.7.1 never"
ABOUT_US = "554 5.7.1 Service unavailable; client host [192.0.2.10] blocked using zen.spamhaus.org"
ONCE = replace(POSTFIX, tries_next_address=False)
MANNERS = pytest.mark.parametrize("manner", [POSTFIX, EXIM], ids=["Postfix", "Exim"])
UNITS = pytest.mark.parametrize("unit", ["receiver", "spam_filter", "relay"])


def flow(story: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    """A test out of a story."""

    def test() -> None:
        tell(story)

    test.__doc__ = story.__doc__
    return test


def tell(story: Callable[[Scene], Awaitable[None]]) -> None:
    """Play a story on the inbound line."""
    play(story, site=INBOUND_SITE)


def has(scene: Scene, letter: Letter, user: str = ALICE) -> int:
    """How many copies of a letter a user's targets have together."""
    token = letter.token.encode()
    return sum(target.copies(token, mailbox) for target in scene.targets for mailbox in TARGETS_OF[user])


def alarms(scene: Scene) -> list[str]:
    """All alarms of all units."""
    return [alarm for _, journal in scene.chain.journals for alarm in journal.alarms]


# The mail goes through


@flow
async def test_delivered_with_stamps_and_an_envelope_sender_that_leads_back(s: Scene) -> None:
    attempt = await s.server().attempt(s.letter("alice"))
    [taken] = s.one.taken
    assert attempt.codes == [250]
    assert taken.at < attempt.ended_at
    assert re.fullmatch(r"SRS0=\w+=\w+=remote\.example=bob@srs\.example\.org", taken.reverse_path)
    for stamp in (b"X-Spamtacus: unknown", b"Received-SPF: pass", b"X-Forwarded-To: alice@example.org"):
        assert b"\r\n" + stamp in taken.message
    assert taken.message.count(b"\r\nAuthentication-Results: mail.example.org; spf=pass") == 1
    assert taken.message.endswith(b"\r\n\r\nHello\r\n")


@MANNERS
def test_two_users_get_one_copy_each(manner: Manner) -> None:
    async def story(s: Scene) -> None:
        letter = s.letter("alice", "bert")
        assert (await s.server(manner).attempt(letter)).codes == [250, 250]
        assert (has(s, letter), has(s, letter, BERT)) == (1, 1)

    tell(story)


@flow
async def test_forged_results_in_our_name_are_taken_out(s: Scene) -> None:
    forged = "Authentication-Results: mail.example.org; dmarc=pass header.from=bank.example"
    assert (await s.server().attempt(replace(s.letter("alice"), extra=(forged,)))).codes == [250]
    assert b"bank.example" not in s.one.taken[0].message


@pytest.mark.parametrize("quits", [True, False])
def test_the_same_letter_meant_twice_arrives_twice(quits: bool) -> None:
    async def story(s: Scene) -> None:
        letter, server = s.letter("alice"), s.server(replace(POSTFIX, quits=quits))
        assert (await server.attempt(letter)).codes == [250]
        await asyncio.sleep(5)
        assert (await server.attempt(letter)).codes == [250]
        assert has(s, letter) == 2

    tell(story)


@flow
async def test_each_unit_has_one_line_in_its_journal_for_a_mail(s: Scene) -> None:
    """Questions about recipients are none."""
    assert (await s.server().attempt(s.letter("alice", "bert"))).codes == [250, 250]
    lines = [(name, line.trace) for name, journal in s.chain.journals for line in journal.lines]
    assert sorted(name for name, _ in lines) == ["receiver.1", "relay.1", "spam_filter.1"]
    assert {trace for _, trace in lines} == {s.one.taken[0].trace}


# What is refused in the stranger's session


@pytest.mark.parametrize(
    ("recipient", "answer"), [(UNKNOWN, "550 5.1.1"), ("somebody@elsewhere.example", "550 5.7.1")]
)
def test_an_unknown_user_and_a_foreign_domain_are_refused_at_rcpt(recipient: str, answer: str) -> None:
    async def story(s: Scene) -> None:
        letter = s.letter("alice", recipient)
        attempt = await s.server().attempt(letter)
        assert attempt.answers[recipient].startswith(answer)
        assert (attempt.code(ALICE), has(s, letter)) == (250, 1)
        assert s.remote.connections == 0

    tell(story)


@flow
async def test_a_forged_from_of_ours_is_refused_and_reaches_nobody(s: Scene) -> None:
    attempt = await s.server().attempt(replace(s.letter("alice"), author="bert@example.org"))
    assert attempt.answers[ALICE].startswith("550 5.7.1")
    assert [target.connections for target in s.targets] == [0, 0, 0]


def test_no_user_list_is_451_and_an_alarm() -> None:
    async def story(s: Scene) -> None:
        attempt = await s.server().attempt(s.letter("alice", UNKNOWN))
        assert [answer[:9] for answer in attempt.answers.values()] == ["451 4.3.0"] * 2
        assert alarms(s) == ["there is no user list: mail to our domains is answered 451"]

    play(story, site=replace(INBOUND_SITE, settings={}))


# What the target says


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.END])
@pytest.mark.parametrize(("reply", "code"), [(LATER, 451), (NEVER, 550)])
@MANNERS
def test_the_targets_refusal_is_passed_on_and_a_temporary_one_is_tried_again(
    step: Step, reply: str, code: int, manner: Manner
) -> None:
    async def story(s: Scene) -> None:
        for target in (s.one, s.one_next):
            target.will(step, says(reply))
        letter = s.letter("alice")
        delivery = await s.server(manner).deliver(letter)
        assert delivery.attempts[0].codes == [code]
        assert b"never" not in " ".join(delivery.attempts[0].answers.values()).encode()
        assert (delivery.codes, has(s, letter)) == (([550], 0) if code == 550 else ([250], 1))

    tell(story)


@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO])
@pytest.mark.parametrize("act", [says("421 4.3.2 later"), says("554 5.3.2 no mail"), silent(), closes()])
def test_a_target_that_does_not_serve_leaves_it_to_the_next(step: Step, act: Act) -> None:
    async def story(s: Scene) -> None:
        s.one.always(step, act)
        letter = s.letter("alice")
        assert (await s.server().deliver(letter)).codes == [250]
        assert (s.one.taken, has(s, letter)) == ([], 1)

    tell(story)


@flow
async def test_what_a_target_says_about_us_is_451_and_an_alarm(s: Scene) -> None:
    s.one.always(Step.RCPT, says(ABOUT_US))
    attempt = await s.server(ONCE).attempt(s.letter("alice"))
    assert attempt.answers[ALICE].startswith("451 4.7.1")
    assert "spamhaus" not in attempt.answers[ALICE]
    [alarm] = alarms(s)
    assert alarm.startswith("refused for what we are: mx1.one.example")
    s.one.calm()
    await s.server(ONCE).attempt(s.letter("alice"))
    assert s.one.connections == 1  # braked
    assert (await s.server().deliver(s.letter("alice"))).codes == [250]


@pytest.mark.parametrize("act", [closes(), resets(), silent()])
@MANNERS
def test_no_answer_after_the_dot_is_451_and_the_retry_arrives(act: Act, manner: Manner) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.END, act)
        letter = s.letter("alice")
        delivery = await s.server(manner).deliver(letter)
        assert delivery.attempts[0].codes == [451]
        assert (delivery.codes, has(s, letter)) == ([250], 1)

    tell(story)


@pytest.mark.parametrize("act", [closes(takes=True), resets(takes=True), cut_off()])
def test_a_targets_250_lost_on_its_way_costs_a_copy_never_the_mail(act: Act) -> None:
    """RFC 1047: nobody can know."""

    async def story(s: Scene) -> None:
        s.one.will(Step.END, act)
        letter = s.letter("alice")
        assert ((await s.server().deliver(letter)).codes, has(s, letter)) == ([250], 2)

    tell(story)


@flow
async def test_a_late_250_is_known_at_the_next_try(s: Scene) -> None:
    s.one.will(Step.END, late(200))
    letter = s.letter("alice")
    delivery = await s.server().deliver(letter)
    assert delivery.attempts[0].codes == [451]
    assert (delivery.codes, has(s, letter)) == ([250], 1)


@pytest.mark.parametrize(("step", "at_octets"), [(Step.BODY, 200), (Step.BODY, 600)])
def test_a_target_that_leaves_in_the_data_is_asked_anew(step: Step, at_octets: int) -> None:
    async def story(s: Scene) -> None:
        s.one.will(step, resets(at_octets=at_octets))
        letter = s.letter("alice", body=b"0123456789\r\n" * 100)
        assert ((await s.server().deliver(letter)).codes, has(s, letter)) == ([250], 1)

    tell(story)


@flow
async def test_no_target_can_be_reached(s: Scene) -> None:
    for target in (s.one, s.one_next):
        s.network.set_door(Door.REFUSED, target.host)
    letter = s.letter("alice")
    assert (await s.server().attempt(letter)).codes == [451]
    for target in (s.one, s.one_next):
        s.network.set_door(Door.OPEN, target.host)
    assert ((await s.server().deliver(letter)).codes, has(s, letter)) == ([250], 1)


# Two recipients with different fates


@MANNERS
@pytest.mark.parametrize("order", [("alice", "bert"), ("bert", "alice")])
@pytest.mark.parametrize(
    ("for_alice", "for_bert", "codes"),
    [
        (USUAL, says(LATER), (250, 250)),
        (USUAL, says(NEVER), (250, 550)),
        (says(NEVER), says(LATER), (550, 250)),
        (late(200), says(NEVER), (250, 550)),
    ],
)
def test_each_of_two_ends_in_one_true_answer(
    manner: Manner, order: tuple[str, str], for_alice: Act, for_bert: Act, codes: tuple[int, int]
) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.END, for_alice)
        s.two.will(Step.END, for_bert)
        letter = s.letter(*order)
        server = s.server(replace(manner, asks_prdr=False))
        delivery = await server.deliver(letter)
        assert delivery.attempts[0].codes == [451, 451]
        assert [int(delivery.ended[user][:3]) for user in (ALICE, BERT)] == list(codes)
        assert has(s, letter) == (codes[0] == 250)
        assert has(s, letter, BERT) == (codes[1] == 250)
        assert len(delivery.attempts) <= 6

    tell(story)


@flow
async def test_with_prdr_a_refusal_is_heard_at_once_and_250_by_the_next_try(s: Scene) -> None:
    s.two.will(Step.END, says(NEVER))
    letter = s.letter("alice", "bert")
    delivery = await s.server(EXIM).deliver(letter)
    assert [attempt.codes for attempt in delivery.attempts] == [[451, 550], [250]]
    assert (has(s, letter), has(s, letter, BERT)) == (1, 0)


@flow
async def test_a_user_with_two_targets_of_which_one_waits_gets_no_second_copy(s: Scene) -> None:
    s.two.will(Step.END, says(LATER))
    letter = s.letter("cleo")
    delivery = await s.server().deliver(letter)
    assert [attempt.codes for attempt in delivery.attempts] == [[451], [250]]
    assert [len(target.taken) for target in s.targets] == [1, 0, 1]


@flow
async def test_a_user_with_a_dead_target_has_the_mail_and_the_operator_an_alarm(s: Scene) -> None:
    s.two.will(Step.END, says("550 5.1.1 no such user"))
    assert (await s.server().attempt(s.letter("cleo"))).codes == [250]
    assert any("cleo@two.example" in alarm for alarm in alarms(s))


@flow
async def test_another_letter_of_the_same_sender_is_not_split_by_the_first(s: Scene) -> None:
    """SIZE tells them apart at RCPT, where nothing else is known of a message."""
    s.two.will(Step.END, says(LATER))
    first, other = s.letter("alice", "bert"), s.letter("alice", "bert", body=b"Another\r\n")
    server = s.server(ONCE)
    assert (await server.attempt(first)).codes == [451, 451]
    assert (await server.attempt(other)).codes == [250, 250]
    assert ((await server.deliver(first)).codes, has(s, first), has(s, first, BERT)) == ([250, 250], 1, 1)


# The stranger leaves


@pytest.mark.parametrize("leaves_in_order", [True, False])
@pytest.mark.parametrize("back_after_s", [1, 60])
def test_gone_before_our_250_the_retry_makes_no_second_copy(
    leaves_in_order: bool, back_after_s: float
) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.END, late(20))
        letter = s.letter("alice")
        server = s.server(replace(ONCE, patience_s=5, leaves_in_order=leaves_in_order))
        assert (await server.attempt(letter)).codes == [0]
        await asyncio.sleep(back_after_s)
        server.manner = ONCE
        assert ((await server.attempt(letter)).codes, has(s, letter)) == ([250], 1)

    tell(story)


@flow
async def test_letters_of_one_second_that_differ_in_their_subject_alone_all_arrive(s: Scene) -> None:
    """Without a Message-ID; the first one's retry is due when the second comes."""
    first, second = (replace(s.letter("alice"), is_named=False) for _ in range(2))
    s.one.will(Step.END, late(20))
    assert (await s.server(replace(ONCE, patience_s=5)).attempt(first)).codes == [0]
    await asyncio.sleep(60)
    assert ((await s.server(ONCE).attempt(second)).codes, has(s, second)) == ([250], 1)
    assert ((await s.server(ONCE).attempt(first)).codes, has(s, first)) == ([250], 1)


@flow
async def test_our_250_lost_on_its_way_makes_no_second_copy(s: Scene) -> None:
    letter, server = s.letter("alice"), s.server(ONCE)
    s.one.will(Step.END, late(5))
    sending = asyncio.ensure_future(server.attempt(letter))
    await s.chronicle.wait_for("keeps a message")
    await asyncio.sleep(0.05)
    s.network.cut_now("192.0.2.10", Break.RESET)
    assert (await sending).codes == [0]
    assert ((await server.attempt(letter)).codes, has(s, letter)) == ([250], 1)


@flow
async def test_gone_in_the_data_nobody_gets_anything(s: Scene) -> None:
    letter, server = s.letter("alice", body=b"0123456789\r\n" * 50_000), s.server(ONCE)
    sending = asyncio.ensure_future(server.attempt(letter))
    await asyncio.sleep(0.7)
    s.network.cut_now("192.0.2.10", Break.RESET)
    assert (await sending).codes == [0]
    assert [target.connections for target in s.targets] == [0, 0, 0]
    assert ((await server.deliver(letter)).codes, has(s, letter)) == ([250], 1)


# Bounces and loops


@flow
async def test_a_bounce_to_our_envelope_sender_comes_back_to_the_stranger(s: Scene) -> None:
    await s.server().attempt(s.letter("alice"))
    address = s.one.taken[0].reverse_path
    bounce = replace(s.letter(address), reverse_path="", author="mailer-daemon@one.example")
    assert (await s.server().attempt(bounce)).codes == [250]
    [taken] = s.remote.taken
    assert (taken.reverse_path, taken.recipients) == ("", ("bob@remote.example",))
    assert (await s.server().attempt(replace(bounce, reverse_path="x@remote.example"))).codes == [550]


@flow
async def test_a_message_that_comes_round_is_refused(s: Scene) -> None:
    letter = s.letter("alice")
    await s.server().attempt(letter)
    loop = re.search(rb"Received: [^\r]*\r\n(?:\t[^\r]*\r\n)*", s.one.taken[0].message)
    assert loop
    assert b"(loop " in loop[0]
    again = replace(letter, extra=tuple(loop[0].decode().split("\r\n")[:-1]))
    assert (await s.server().attempt(again)).answers[ALICE].startswith("554 5.4.6")
    assert has(s, letter) == 1


# Our own units die


@UNITS
def test_a_unit_that_is_down_is_451_and_the_mail_arrives_afterwards(unit: str) -> None:
    async def story(s: Scene) -> None:
        s.chain.kill(unit)
        letter, server = s.letter("alice"), s.server(replace(ONCE, patience_s=60))
        sending = asyncio.ensure_future(server.attempt(letter))
        await asyncio.sleep(100)
        assert (await sending).codes == [0 if unit == "receiver" else 451]
        await s.chain.restart(unit)
        assert ((await server.deliver(letter)).codes, has(s, letter)) == ([250], 1)

    tell(story)


@UNITS
@MANNERS
@pytest.mark.parametrize("moment", ["at RCPT", "at end of data", "keeps a message"])
def test_a_unit_is_killed_and_nothing_is_lost(unit: str, moment: str, manner: Manner) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.RCPT, late(2))
        s.one.will(Step.END, late(2))
        letter, server = s.letter("alice"), s.server(manner)
        sending = asyncio.ensure_future(server.deliver(letter))
        if moment == "at end of data":
            await s.chronicle.wait_for("at RCPT")
            await asyncio.sleep(3.2)
        else:
            await s.chronicle.wait_for(moment)
        s.chain.kill(unit)
        await s.chain.restart(unit)
        delivery = await sending
        assert delivery.attempts[0].codes in ([0], [451])
        is_open = unit == "relay" and moment != "at RCPT"  # RFC 1047: it died before it had read the 250
        assert (delivery.codes, has(s, letter)) == ([250], 2 if is_open else 1)

    tell(story)


@UNITS
def test_a_unit_is_killed_after_the_targets_250_has_been_noted(unit: str) -> None:
    async def story(s: Scene) -> None:
        s.two.will(Step.END, late(20))
        letter, server = s.letter("alice", "bert"), s.server()
        sending = asyncio.ensure_future(server.deliver(letter))
        await s.chronicle.wait_for("keeps a message")
        await asyncio.sleep(5)
        s.chain.kill(unit)
        await s.chain.restart(unit)
        assert (await sending).codes == [250, 250]
        assert (has(s, letter), has(s, letter, BERT)) == (1, 1)

    tell(story)


@UNITS
@pytest.mark.parametrize("moment", ["at RCPT", "at end of data"])
def test_a_unit_is_replaced_in_the_middle_and_nobody_notices(unit: str, moment: str) -> None:
    async def story(s: Scene) -> None:
        s.one.will(Step.RCPT, late(2))
        s.one.will(Step.END, late(10))
        letter, server = s.letter("alice"), s.server()
        sending = asyncio.ensure_future(server.attempt(letter))
        await s.chronicle.wait_for("at RCPT")
        await asyncio.sleep(0 if moment == "at RCPT" else 5)
        await s.chain.replace(unit)
        assert ((await sending).codes, has(s, letter)) == ([250], 1)
        assert (await server.attempt(s.letter("alice"))).codes == [250]

    tell(story)


@flow
async def test_who_keeps_a_connection_until_we_close_it_has_taken_our_250(s: Scene) -> None:
    """Else the same letter, meant again, would be taken for a retry and reach nobody."""
    letter, server = s.letter("alice"), s.server(replace(ONCE, keeps_connection=True))
    assert (await server.attempt(letter)).codes == [250]
    await asyncio.sleep(400)  # and then we say 421
    assert (await server.attempt(letter)).codes == [250]
    assert has(s, letter) == 2
