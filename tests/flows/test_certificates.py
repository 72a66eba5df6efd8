"""How our hosts come to certificates: name server, letsencrypt and an authority, under a clock that jumps."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import dns.message
import dns.rcode
import dns.update
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ptt import topology
from ptt.net.world import Endpoint
from ptt.protocol.acme.signing_request import SigningRequest
from ptt.protocol.dns.certificate_exchange import Exchange, Part, read_exchange, write_record
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import rrsets_of
from ptt.protocol.dns.tsig import make_key, sign
from ptt.records.certificate_request import make_request
from ptt.records.keys import private_pem
from ptt.records.tsig_key import TsigKey, parse_tsig_key
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.internet.acme_authority import Fault
from ptt.rehearsal.simulation import acme
from ptt.rehearsal.simulation.acme import SimulatedAuthority
from ptt.rehearsal.simulation.chain import UPDATE_KEY, Site
from ptt.rehearsal.simulation.questioner import Questioner
from ptt.rehearsal.simulation.scene import Scene, play
from ptt.rehearsal.simulation.world import SimulatedWorld
from ptt.rehearsal.simulation.zones import OUR_HOST, OUR_ZONE
from ptt.units.letsencrypt import session

HOST = "mail.example.org"
PLACE = f"_letsencrypt._tcp.{HOST}"
TRUSTED = Authority("Trusted in the simulation")
LETSENCRYPT = next(each for each in topology.ALL if each.name == "letsencrypt")
SITE = Site(
    acme.ZONE,
    users=(),
    selectors=(),
    line=(LETSENCRYPT,),
    has_dns=True,
    settings={
        "letsencrypt": {
            "zones": (OUR_ZONE,),
            "email": "postmaster@example.org",
            "directory": acme.DIRECTORY,
            "roots": TRUSTED.anchor_pem,
        }
    },
    secrets={
        "letsencrypt": {
            "acme_account_key": private_pem(ec.generate_private_key(ec.SECP256R1())),
            "tsig_key": UPDATE_KEY,
        }
    },
)


@dataclass
class Stage:
    """The scene, the authority, and a host that wants a certificate."""

    scene: Scene
    authority: SimulatedAuthority
    asker: Questioner
    world: SimulatedWorld

    @property
    def orders(self) -> int:
        return len(self.authority.acme.orders)

    async def request(self) -> None:
        """Put a request in our zone, as the service of the host does."""
        made = make_request(ec.generate_private_key(ec.SECP256R1()), Name.of(HOST))
        assert isinstance(made, SigningRequest)
        update = dns.update.UpdateMessage(OUR_ZONE)
        update.delete(f"{PLACE}.", "TLSA")
        update.add(f"{PLACE}.", 3600, "TLSA", str(write_record(Part.REQUEST, made.der)))
        parsed = parse_tsig_key(UPDATE_KEY)
        assert isinstance(parsed, TsigKey)
        key = make_key(parsed.name, parsed.algorithm.wire_name, parsed.secret)
        now = int(self.world.wall_time().timestamp())
        answer = await self.asker.say(sign(update.to_wire(), key, now))
        assert answer
        assert answer.rcode() == dns.rcode.NOERROR

    async def exchange(self) -> Exchange:
        """What stands in our zone now."""
        question = dns.message.make_query(PLACE, "TLSA").to_wire()  # more than a datagram holds
        answer = None
        while answer is None:
            answer = await self.asker.say(question)
        return read_exchange(next((e for e in rrsets_of(answer.answer) if e.rdtype == RecordType.TLSA), None))

    async def served(self, within_s: float) -> bool:
        """Wait for a certificate and its issuers; nothing of the challenge is left then."""
        deadline = self.world.now() + within_s
        while self.world.now() < deadline:
            await asyncio.sleep(5)
            found = await self.exchange()
            if found.leaves:
                assert len(found.leaves) == len(found.requests) == 1
                assert found.issuers
                return True
        return False

    async def has_challenge(self) -> bool:
        answer = await self.asker.ask(f"_acme-challenge.{HOST}", "TXT")
        return answer is not None and bool(answer.answer)


def flow(story: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    """A test out of a story."""

    def test() -> None:
        async def whole(scene: Scene) -> None:
            world = SimulatedWorld(scene.network, "203.0.113.200")
            asker = Questioner(world, Endpoint(OUR_HOST, 53))
            authority = SimulatedAuthority(scene.network, TRUSTED)
            await story(Stage(scene, authority, asker, world))
            authority.close()

        play(whole, site=SITE)

    test.__doc__ = story.__doc__
    return test


@flow
async def test_a_request_is_answered_and_nothing_of_the_challenge_is_left(s: Stage) -> None:
    await s.request()
    assert await s.served(60)
    await asyncio.sleep(5)
    assert not await s.has_challenge()
    assert s.orders == 1


@flow
async def test_a_day_later_and_after_replacements_nothing_is_ordered_again(s: Stage) -> None:
    await s.request()
    assert await s.served(60)
    for unit in ("letsencrypt", "dns_primary", "letsencrypt"):
        await s.scene.chain.replace(unit)
        await asyncio.sleep(1000)
    s.scene.chain.kill("letsencrypt")
    await s.scene.chain.restart("letsencrypt")
    await asyncio.sleep(90_000)
    assert s.orders == 1
    assert (await s.exchange()).leaves


@flow
async def test_an_order_under_way_is_finished_by_the_generation_that_began_it(s: Stage) -> None:
    await s.request()
    await asyncio.sleep(2)
    assert s.orders == 1
    assert not (await s.exchange()).leaves
    await s.scene.chain.replace("letsencrypt")
    assert await s.served(60)
    await asyncio.sleep(1000)
    assert s.orders == 1


@pytest.mark.parametrize("kind", ["busy", "badNonce", "rateLimited", "invalid"])
def test_an_authority_on_a_bad_day_is_asked_again(kind: str) -> None:
    async def story(s: Stage) -> None:
        path = "/challenge" if kind == "invalid" else "/order" if kind == "rateLimited" else "/"
        s.authority.acme.plan(Fault(kind, path, 1, None if kind in {"invalid", "badNonce"} else 120))
        await s.request()
        assert await s.served(3600)
        assert not await s.has_challenge()

    flow(story)()


@flow
async def test_an_authority_that_is_gone_for_an_hour(s: Stage) -> None:
    s.authority.close()
    await s.request()
    await asyncio.sleep(3600)
    assert not (await s.exchange()).leaves
    alarms = [each for _, journal in s.scene.chain.journals for each in journal.alarms]
    assert any(re.search(HOST, each) for each in alarms)
    s.authority = SimulatedAuthority(s.scene.network, TRUSTED)
    assert await s.served(4 * 3600)
    s.authority.close()


@pytest.mark.parametrize("unit", ["letsencrypt", "dns_primary", "dns_resolver"])
@pytest.mark.parametrize("after_s", [0.05, 1.0, 6.0])
def test_a_unit_is_killed_in_the_middle_and_the_certificate_comes(unit: str, after_s: float) -> None:
    async def story(s: Stage) -> None:
        await s.request()
        await asyncio.sleep(after_s)
        s.scene.chain.kill(unit)
        await asyncio.sleep(1)
        await s.scene.chain.restart(unit)
        assert await s.served(3600)
        assert s.orders <= 2

    flow(story)()


@pytest.mark.parametrize("where", ["answer_edits", "RenewalDialogue"])
def test_a_bug_of_ours_asks_nobody_for_ever(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise ArithmeticError

    async def story(s: Stage) -> None:
        await s.request()
        if where == "RenewalDialogue":
            assert await s.served(60)
        await asyncio.sleep(3600)
        failures = [each for _, journal in s.scene.chain.journals for each in journal.failures]
        assert 1 <= len(failures) <= 8
        assert s.orders <= 8
        for _, journal in s.scene.chain.journals:
            journal.failures.clear()

    monkeypatch.setattr(session, where, fails)
    flow(story)()
