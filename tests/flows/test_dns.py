"""What becomes of mail when names are hard to find: our resolver, our name server, and those of others."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import dns.message
import dns.rcode
import dns.tsig
import dns.update
import pytest

from ptt.net.world import Endpoint
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.tsig import make_key, sign
from ptt.records.tsig_key import TsigKey, parse_tsig_key
from ptt.rehearsal.simulation.chain import UPDATE_KEY
from ptt.rehearsal.simulation.datagrams import Weather
from ptt.rehearsal.simulation.name_servers import Trouble
from ptt.rehearsal.simulation.network import Break, Door
from ptt.rehearsal.simulation.questioner import Questioner
from ptt.rehearsal.simulation.scene import INBOUND_SITE, QUICK_SITE, Scene, play
from ptt.rehearsal.simulation.targets import Step, late
from ptt.rehearsal.simulation.world import SimulatedWorld
from ptt.rehearsal.simulation.zones import OUR_HOST, REGISTRY, ROOTS, SERVERS

BOB, NOBODY = "bob@one.example", "zoe@nowhere.example"
OUTBOUND, INBOUND = replace(QUICK_SITE, has_dns=True), replace(INBOUND_SITE, has_dns=True)
OUR_SERVER = Endpoint(OUR_HOST, 53)
ALL = (*ROOTS, REGISTRY, *SERVERS)


def flow(story: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    """A test out of a story on the outbound line."""

    def test() -> None:
        play(story, site=OUTBOUND)

    test.__doc__ = story.__doc__
    return test


def inbound(story: Callable[[Scene], Awaitable[None]]) -> Callable[[], None]:
    """A test out of a story on the inbound line."""

    def test() -> None:
        play(story, site=INBOUND)

    test.__doc__ = story.__doc__
    return test


def trouble(scene: Scene, what: Trouble, *hosts: str) -> None:
    """Have these name servers do it with every question."""
    for host in hosts:
        scene.name_servers[host].always(what)


def asked(scene: Scene, transport: str = "udp") -> int:
    """How many questions all name servers together have had."""
    return sum(server.asked[transport] for server in scene.name_servers.values())


# Our resolver


@flow
async def test_no_resolver_is_451_and_the_retry_arrives_once(s: Scene) -> None:
    s.chain.kill("dns_resolver")
    mail, program = s.draft(BOB), s.program()
    assert (await program.send(mail)).code == 451
    await s.chain.restart("dns_resolver")
    assert ((await program.send(mail, 1)).code, s.one.copies(mail.token.encode())) == (250, 1)


@inbound
async def test_no_resolver_is_451_to_strangers_too(s: Scene) -> None:
    s.chain.kill("dns_resolver")
    letter, server = s.letter("alice"), s.server()
    assert (await server.attempt(letter)).codes == [451]
    await s.chain.restart("dns_resolver")
    assert ((await server.deliver(letter)).codes, len(s.one.taken)) == ([250], 1)


@flow
async def test_a_resolver_killed_in_the_middle_of_a_question_is_asked_again(s: Scene) -> None:
    s.name_servers[REGISTRY].will(Trouble.SILENCE, Trouble.SILENCE)
    sending = asyncio.ensure_future(s.program().send(s.draft(BOB)))
    await s.chronicle.wait_for(Trouble.SILENCE.value)
    s.chain.kill("dns_resolver")
    await s.chain.restart("dns_resolver")
    assert ((await sending).code, len(s.one.taken)) == (250, 1)


@flow
async def test_a_resolver_replaced_in_the_middle_of_a_question_answers_it(s: Scene) -> None:
    s.name_servers[REGISTRY].will(Trouble.SILENCE)
    sending = asyncio.ensure_future(s.program().send(s.draft(BOB)))
    await s.chronicle.wait_for(Trouble.SILENCE.value)
    await s.chain.replace("dns_resolver")
    assert ((await sending).code, len(s.one.taken)) == (250, 1)
    assert (await s.program().send(s.draft(BOB))).code == 250


# Name servers of others


@pytest.mark.parametrize(
    "what", [Trouble.SILENCE, Trouble.SERVFAIL, Trouble.LAME, Trouble.NOISE], ids=lambda what: what.name
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_server_that_does_not_serve_leaves_it_to_the_next(what: Trouble, place: int) -> None:
    async def story(s: Scene) -> None:
        trouble(s, what, ROOTS[place], SERVERS[place])
        mail = s.draft(BOB)
        assert ((await s.program().send(mail)).code, len(s.one.taken)) == (250, 1)

    play(story, site=OUTBOUND)


@pytest.mark.parametrize(
    "what", [Trouble.SILENCE, Trouble.SERVFAIL, Trouble.LAME], ids=lambda what: what.name
)
@pytest.mark.parametrize("hosts", [ROOTS, (REGISTRY,), SERVERS], ids=["roots", "registry", "servers"])
def test_no_server_that_serves_is_451_and_the_retry_arrives_once(
    what: Trouble, hosts: tuple[str, ...]
) -> None:
    async def story(s: Scene) -> None:
        trouble(s, what, *hosts)
        mail, program = s.draft(BOB), s.program()
        first = await program.send(mail)
        assert (first.code, first.ended_at < 60) == (451, True)
        trouble(s, Trouble.NONE, *hosts)
        tries = await program.send_until_taken(mail, [60, 900])
        assert (tries[-1].code, s.one.copies(mail.token.encode())) == (250, 1)

    play(story, site=OUTBOUND)


@flow
async def test_servers_whose_system_refuses_are_451(s: Scene) -> None:
    for host in SERVERS:
        s.network.set_door(Door.REFUSED, host)
    sent = await s.program().send(s.draft(BOB))
    assert (sent.code, sent.ended_at < 15) == (451, True)


@flow
async def test_a_truncated_answer_is_asked_for_by_tcp(s: Scene) -> None:
    trouble(s, Trouble.TRUNCATION, *ALL)
    assert ((await s.program().send(s.draft(BOB))).code, len(s.one.taken)) == (250, 1)
    assert asked(s, "tcp") == asked(s, "udp") > 0


@flow
async def test_truncated_and_no_tcp_is_451(s: Scene) -> None:
    trouble(s, Trouble.TRUNCATION, *SERVERS)
    for host in SERVERS:
        s.network.unbind(s.network.listener(Endpoint(host, 53)))
    assert (await s.program().send(s.draft(BOB))).code == 451


@flow
async def test_a_forged_answer_with_another_id_leads_nowhere(s: Scene) -> None:
    trouble(s, Trouble.FORGERY, *ALL)
    s.network.set_door(Door.REFUSED, "203.0.113.1")
    assert ((await s.program().send(s.draft(BOB))).code, len(s.one.taken)) == (250, 1)


@pytest.mark.parametrize("seed", range(3))
def test_datagrams_are_lost_doubled_and_overtaken(seed: int) -> None:
    async def story(s: Scene) -> None:
        for host in ALL:
            s.network.set_weather(host, Weather(lost=0.2, doubled=0.3, late_s=0.1))
        mail, program = s.draft(BOB), s.program()
        tries = await program.send_until_taken(mail, [30, 30])
        assert (tries[-1].code, s.one.copies(mail.token.encode())) == (250, 1)

    play(story, seed, site=OUTBOUND)


@flow
async def test_a_domain_that_does_not_exist_is_refused_for_good(s: Scene) -> None:
    sent = await s.program().send(s.draft(NOBODY))
    assert sent.final
    assert sent.final.startswith("550 5.1.2")


@pytest.mark.parametrize(
    "what", [Trouble.SILENCE, Trouble.SERVFAIL, Trouble.LAME], ids=lambda what: what.name
)
def test_nobody_who_knows_that_a_domain_does_not_exist_is_no_refusal(what: Trouble) -> None:
    async def story(s: Scene) -> None:
        trouble(s, what, REGISTRY)
        mail, program = s.draft(NOBODY), s.program()
        assert (await program.send(mail)).code == 451
        trouble(s, Trouble.NONE, REGISTRY)
        assert (await program.send_until_taken(mail, [60, 900]))[-1].code == 550

    play(story, site=OUTBOUND)


@inbound
async def test_an_answer_from_memory_needs_no_server_and_ends_with_its_time(s: Scene) -> None:
    server = s.server()
    assert (await server.attempt(s.letter("alice"))).codes == [250]
    before = asked(s)
    trouble(s, Trouble.SILENCE, *ALL)
    assert (await server.attempt(s.letter("alice"))).codes == [250]
    assert asked(s) == before
    await asyncio.sleep(100)
    assert (await server.attempt(s.letter("alice"))).codes == [451]


# Our name server


@inbound
async def test_our_own_policy_comes_by_our_own_server(s: Scene) -> None:
    forged = replace(s.letter("alice"), author="bert@example.org")
    s.chain.kill("dns_primary")
    assert (await s.server().attempt(forged)).codes == [451]
    await s.chain.restart("dns_primary")
    await asyncio.sleep(60)
    assert (await s.server().attempt(forged)).answers["alice@example.org"].startswith("550 5.7.1")
    assert s.one.taken == []


@flow
async def test_a_replaced_name_server_costs_no_question_more_than_a_retransmission(s: Scene) -> None:
    asker = Questioner(SimulatedWorld(s.network, "203.0.113.200"), OUR_SERVER)

    async def ask(after_s: float) -> dns.message.Message | None:
        await asyncio.sleep(after_s)
        return await asker.ask("mail.example.org", "A")

    asking = [asyncio.ensure_future(ask(0.002 * number)) for number in range(100)]
    await asyncio.sleep(0.1)
    await s.chain.replace("dns_primary")
    answers = await asyncio.gather(*asking)
    assert {answer.rcode() for answer in answers if answer is not None} == {dns.rcode.NOERROR}
    assert (len(asker.sent), max(asker.sent)) == (100, 1)


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_update_is_handed_to_the_next_generation(is_killed: bool) -> None:
    async def story(s: Scene) -> None:
        world = SimulatedWorld(s.network, "203.0.113.200")
        asker, answers = Questioner(world, OUR_SERVER), []
        for text, is_known in (("one", True), ("two", False)):
            said = await asker.say(challenge(world, text, is_known=is_known))
            answers.append(None if said is None else said.rcode())
            if is_killed:
                s.chain.kill("dns_primary")
                await s.chain.restart("dns_primary")
            else:
                await s.chain.replace("dns_primary")
        assert answers == [dns.rcode.NOERROR, dns.rcode.NOTAUTH]
        known = await asker.ask("_acme-challenge.mail.example.org", "TXT")
        assert known
        assert [str(record) for rrset in known.answer for record in rrset] == ['"one"']

    play(story, site=OUTBOUND)


def challenge(world: SimulatedWorld, text: str, *, is_known: bool = True) -> bytes:
    """An update that adds a record, signed with a key that our server knows or with another."""
    parsed = parse_tsig_key(UPDATE_KEY)
    assert isinstance(parsed, TsigKey)
    update = dns.update.UpdateMessage("example.org")
    update.add("_acme-challenge.mail.example.org.", 60, "TXT", text)
    secret = parsed.secret if is_known else bytes(32)
    key = make_key(Name.of(str(parsed.name)), parsed.algorithm.wire_name, secret)
    return sign(update.to_wire(), key, int(world.wall_time().timestamp()))


# Both lines


@inbound
async def test_a_slow_target_and_a_resolver_replaced_meanwhile(s: Scene) -> None:
    s.one.will(Step.END, late(20))
    sending = asyncio.ensure_future(s.server().attempt(s.letter("alice")))
    await asyncio.sleep(5)
    await s.chain.replace("dns_resolver")
    assert ((await sending).codes, len(s.one.taken)) == ([250], 1)


@flow
async def test_a_silent_connection_to_the_resolver_is_given_up(s: Scene) -> None:
    """Nobody is told that the path is broken: after a while the question is asked again on a fresh one."""
    program = s.program()
    assert (await program.send(s.draft(BOB))).code == 250
    [resolver] = s.chain.hosts("dns_resolver")
    s.network.cut_now(resolver, Break.SILENCE)
    await asyncio.sleep(400)  # no mail server's connection is left to be used again
    for limit_s in (20, 3):
        sent = await program.send(s.draft(BOB))
        assert (sent.code, sent.ended_at - sent.started_at < limit_s) == (250, True)
