"""The certificate of a public listener by the exchange, with our own name server, in pretend time."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.boot import Drain, Peer, Peers, Ready
from ptt.errors import ConfigError
from ptt.net.certificate import FIRST_LOOK_LIMIT_S, PublicCertificate, certificate_of
from ptt.net.exchange_client import ExchangeClient, Failed
from ptt.net.world import Endpoint
from ptt.protocol.dns.certificate_exchange import Exchange
from ptt.protocol.dns.name import Name
from ptt.records.tsig_key import TsigKey, parse_tsig_key
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.neighbour import identity, unit_on
from ptt.rehearsal.simulation.network import Network
from ptt.units.dns_primary.service import serve as serve_primary

HOST = Name.of("mail.example.org")
PRIMARY = Endpoint("10.0.0.5", 853)
LIFE_S = 3600.0  # of most certificates here: what passes meanwhile costs the tests' own time
LONG_S = 90 * 86_400.0
ZONE = "@ 60 SOA ns admin 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"
SECRET = base64.b64encode(bytes(32)).decode()
NARROW, OTHER = "x._update._letsencrypt._tcp.mail.example.org", "x._update._letsencrypt._tcp.www.example.org"


class Scene:
    """The name server, and units that come and go."""

    def __init__(self) -> None:
        self.network = Network(1)
        self.listener = self.network.bind(PRIMARY)
        self.authority = Authority()
        self.journals: list[Any] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.keys = [f"{name}:SHA256:{SECRET}" for name in (NARROW, OTHER)]
        self.other_side = self.client("letsencrypt", self.keys[0])

    async def start_primary(self) -> None:
        told = str(self.keys).replace("'", '"')
        unit, control, _ = unit_on(
            self.network, "dns_primary", PRIMARY.host, {"zones": {"example.org.": ZONE}}, {"tsig_keys": told}
        )
        self.primary_control = control
        self.primary = asyncio.ensure_future(serve_primary(unit))
        await control.wait_for(Ready)
        callers = tuple(Peer(n, 1, "", 0, identity(n).certificate) for n in ("receiver", "letsencrypt"))
        control.say(Peers(callers, ()))
        control.publish({"update": self.listener})
        await asyncio.sleep(0.1)

    async def stop_primary(self) -> None:
        self.primary_control.say(Drain(1))
        self.primary_control.hang_up()
        await self.primary

    def client(self, name: str, key: str) -> ExchangeClient:
        read = parse_tsig_key(key)
        assert isinstance(read, TsigKey)
        client = ExchangeClient(unit_on(self.network, name, "10.0.0.7")[0], HOST, read)
        client.peers_changed(self.peers)
        return client

    @property
    def peers(self) -> Peers:
        shown = identity("dns_primary").certificate
        return Peers((), (Peer("dns_primary", 1, PRIMARY.host, PRIMARY.port, shown),))

    def edge(self, *, stands_in: bool, is_told: bool = True, **secrets: str) -> PublicCertificate:
        """A generation of a unit with a public listener, told of the name server."""
        secrets = {"certificate_seed": SECRET, "tsig_key": self.keys[0], **secrets}
        unit, _, journal = unit_on(self.network, "receiver", "10.0.0.6", {}, secrets)
        self.journals.append(journal)
        self.world = unit.world
        certificate = certificate_of(unit, "", 0, tickets=True, stands_in=stands_in)

        async def live() -> None:
            async with certificate.watched():
                await asyncio.Event().wait()

        self.tasks.append(asyncio.ensure_future(live()))
        if is_told:
            certificate.peers_changed(self.peers)
        return certificate

    async def there(self) -> Exchange:
        exchange = await self.other_side.look()
        assert isinstance(exchange, Exchange)
        return exchange

    async def issue(self, life_s: float) -> bytes:
        """Play the other side: answer the one request that is there."""
        (request,) = (await self.there()).requests
        pem = self.authority.certify(
            x509.load_der_x509_csr(request), timedelta(seconds=life_s), now=self.world.wall_time()
        )
        leaf = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
        assert await self.other_side.put(Exchange((request,), (leaf,))) is None
        return leaf

    def said(self) -> list[str]:
        return [f"{line.detail}" for journal in self.journals for line in journal.lines]

    def alarms(self) -> list[str]:
        return [alarm for journal in self.journals for alarm in journal.alarms]


def play(story: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        scene = Scene()
        await scene.start_primary()
        try:
            await story(scene)
        finally:
            for task in scene.tasks:
                task.cancel()
            await asyncio.gather(*scene.tasks, return_exceptions=True)
            await scene.stop_primary()

    simulate(main)


def shown(certificate: PublicCertificate) -> object:
    """The context of the next handshake; another certificate has another one."""
    return certificate.tls_role().context


def test_it_is_asked_for_and_comes() -> None:
    async def story(s: Scene) -> None:
        edge = s.edge(stands_in=False)
        assert edge.wait_served is not None
        waiting = asyncio.ensure_future(edge.wait_served())
        await asyncio.sleep(100)
        assert not waiting.done()
        assert len((await s.there()).requests) == 1
        await s.issue(LONG_S)
        await waiting
        assert s.said() == [
            "a certificate is asked for: mail.example.org",
            "a certificate for mail.example.org is taken, valid for 90.0 days more",
        ]
        assert s.alarms() == []

    play(story)


def test_port_25_shows_one_of_our_own_making_meanwhile() -> None:
    async def story(s: Scene) -> None:
        edge = s.edge(stands_in=True)
        assert edge.wait_served is not None
        begin = s.world.now()
        await edge.wait_served()
        assert s.world.now() - begin < 1, "we have looked, and there is none"
        first = shown(edge)
        assert shown(edge) is first
        await asyncio.sleep(5)
        await s.issue(LIFE_S)
        await asyncio.sleep(600)
        assert shown(edge) is not first

    play(story)


def test_port_25_does_not_wait_for_a_name_server_that_is_gone() -> None:
    async def story(s: Scene) -> None:
        await s.stop_primary()
        edge = s.edge(stands_in=True)
        assert edge.wait_served is not None
        begin = s.world.now()
        await edge.wait_served()
        assert s.world.now() - begin == pytest.approx(FIRST_LOOK_LIMIT_S)
        assert shown(edge) is not None
        await s.start_primary()
        await asyncio.sleep(1000)
        await s.issue(LIFE_S)
        await asyncio.sleep(1000)
        assert len(s.alarms()) == 1, "each fault is told once"
        assert any("is taken" in said for said in s.said())

    play(story)


def test_no_name_server_at_all_is_told() -> None:
    async def story(s: Scene) -> None:
        edge = s.edge(stands_in=False, is_told=False)
        await asyncio.sleep(20)
        assert s.alarms() == [], "it may be starting"
        await asyncio.sleep(20)
        assert s.alarms() == ["certificate for mail.example.org: dns_primary is not there"]
        edge.peers_changed(s.peers)
        await asyncio.sleep(1)
        assert len((await s.there()).requests) == 1, "asked as soon as there is somebody to ask"

    play(story)


def test_generations_and_replicas_ask_for_nothing() -> None:
    async def story(s: Scene) -> None:
        first = s.edge(stands_in=False)
        await asyncio.sleep(5)
        await s.issue(LIFE_S)
        assert first.wait_served is not None
        await first.wait_served()
        before = await s.there()
        for _ in range(30):
            edge = s.edge(stands_in=False)
            assert edge.wait_served is not None
            begin = s.world.now()
            await edge.wait_served()
            assert s.world.now() - begin < 1
        await asyncio.sleep(0.6 * LIFE_S)
        assert await s.there() == before
        assert len([said for said in s.said() if "asked" in said]) == 1

    play(story)


def test_renewals_without_a_restart() -> None:
    async def story(s: Scene) -> None:
        edge = s.edge(stands_in=False)
        await asyncio.sleep(5)
        await s.issue(LIFE_S)
        assert edge.wait_served is not None
        await edge.wait_served()
        contexts = [shown(edge)]
        for _ in range(6):
            await asyncio.sleep(0.7 * LIFE_S)  # the other side renews at a third of the life left
            await s.issue(LIFE_S)
            await asyncio.sleep(LIFE_S / 100)
            contexts.append(shown(edge))
        assert len({id(each) for each in contexts}) == 7
        assert len([said for said in s.said() if "asked" in said]) == 1
        assert s.alarms() == []

    play(story)


def test_what_nobody_renews_is_told_before_it_expires() -> None:
    async def story(s: Scene) -> None:
        edge = s.edge(stands_in=False)
        await asyncio.sleep(5)
        await s.issue(LIFE_S)
        await asyncio.sleep(0.8 * LIFE_S)
        assert s.alarms() == []
        context = shown(edge)
        await asyncio.sleep(0.1 * LIFE_S)
        assert [alarm.partition(": ")[2] for alarm in s.alarms()] == [
            "the certificate expires soon and nobody has renewed it"
        ]
        await asyncio.sleep(0.2 * LIFE_S)
        assert len(s.alarms()) == 2
        assert shown(edge) is context, "better an old one than none"
        await s.issue(LIFE_S)
        await asyncio.sleep(1000)
        assert shown(edge) is not context

    play(story)


def test_what_the_name_server_has_lost_is_put_back() -> None:
    async def story(s: Scene) -> None:
        s.edge(stands_in=False)
        await asyncio.sleep(5)
        leaf = await s.issue(2 * LIFE_S)
        await asyncio.sleep(1000)
        assert await s.other_side.put(Exchange((b"of somebody",))) is None
        await asyncio.sleep(1.1 * LIFE_S)
        there = await s.there()
        assert there.leaves == (leaf,)
        assert len(there.requests) == 1
        assert any("put back" in said for said in s.said())

    play(story)


def test_a_key_of_another_host_has_no_right_here() -> None:
    async def story(s: Scene) -> None:
        s.edge(stands_in=False, tsig_key=s.keys[1])
        await asyncio.sleep(3000)
        assert await s.there() == Exchange()
        assert s.alarms() == ["certificate for mail.example.org: our request is refused: REFUSED"]
        stranger = s.client("receiver", "nobody._update.example.org:SHA256:" + SECRET)
        assert await stranger.put(Exchange()) == Failed("an answer that cannot be read: PeerBadKey")

    play(story)


def test_units_that_the_host_has_not_named_are_not_heard() -> None:
    async def story(s: Scene) -> None:
        s.edge(stands_in=True)
        assert isinstance(await s.client("relay", s.keys[0]).look(), Failed)

    play(story)


def test_a_boot_record_without_means_is_refused() -> None:
    async def story(s: Scene) -> None:
        unit, _, _ = unit_on(s.network, "receiver", "10.0.0.6")
        with pytest.raises(ConfigError, match="neither certificate_pem nor tsig_key"):
            certificate_of(unit, "", 0, tickets=True, stands_in=True)

    play(story)


def test_a_given_certificate_is_there_at_once() -> None:
    async def story(s: Scene) -> None:
        issued = s.authority.issue("mail.example.org")
        unit, _, _ = unit_on(s.network, "receiver", "10.0.0.6", {}, {"tls_key": issued.key_pem})
        certificate = certificate_of(unit, issued.chain_pem, 0, tickets=True, stands_in=False)
        assert certificate.wait_served is None
        first = shown(certificate)
        certificate.peers_changed(s.peers)
        async with certificate.watched():
            await asyncio.sleep(100)
        assert shown(certificate) is first

    play(story)
