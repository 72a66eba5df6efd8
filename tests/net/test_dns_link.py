"""Messages to another unit's private listener: who may be called, what is heard, what goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import dns.message
import dns.opcode
import uvloop

from ptt.boot import BootRecord, Peer, Peers, UnitFrame
from ptt.host.listening import bound_to, listen_on
from ptt.net.dns_callers import DnsCallers
from ptt.net.dns_link import DnsLink
from ptt.net.dns_notice import UnitNotices
from ptt.net.dns_streams import Caller, DnsStreams
from ptt.net.system import SystemWorld
from ptt.net.tls import make_link_identity
from ptt.net.unit import Journal, Unit
from ptt.net.world import ConnectFailed, ControlStream, Endpoint, HostSaid

Answer = Callable[[list[bytes]], None]


class Silence:
    """A host and a journal that nobody needs here."""

    def send(self, frame: UnitFrame) -> None: ...

    async def receive(self) -> HostSaid | None:
        return None


def unit_of(world: SystemWorld, name: str) -> Unit:
    identity = make_link_identity(name, 1, world.wall_time())
    boot = BootRecord(name, 1, "host", "digest", {}, {})
    return Unit(boot, world, cast("ControlStream", Silence()), cast("Journal", Silence()), identity)


Handler = Callable[[bytes, Caller, Answer], None]


@asynccontextmanager
async def called(handler: Handler, *, is_known: bool = True) -> AsyncIterator[tuple[Unit, Peers]]:
    """A unit that answers; gives the unit that calls it and what that is told of it."""
    world = SystemWorld()
    callee, caller = unit_of(world, "dns_primary"), unit_of(world, "letsencrypt")
    callers = DnsCallers(callee)
    if is_known:
        callers.peers_changed(Peers((Peer("letsencrypt", 1, "", 0, caller.identity.certificate),), ()))
    streams = DnsStreams(callee, handler, callers.tls_role, callers.is_welcome)
    listening = listen_on(Endpoint("127.0.0.1", 0), "test")
    where = bound_to(listening)
    server = await world.serve(listening, streams.factory, callers.tls_role)
    peer = Peer("dns_primary", 1, where.host, where.port, callee.identity.certificate)
    try:
        yield caller, Peers((), (peer,))
    finally:
        server.close()
        await streams.drain(0)
        world.close()


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


def reason(failed: ConnectFailed | None) -> str:
    assert isinstance(failed, ConnectFailed)
    return failed.reason


def echo_twice(wire: bytes, _caller: Caller, answer: Answer) -> None:
    answer([wire, wire + b"last"])


def nothing(_wire: bytes, _caller: Caller, _answer: Answer) -> None:
    pass


def test_an_answer_of_several_messages() -> None:
    async def scene() -> None:
        async with called(echo_twice) as (caller, peers):
            link, heard = DnsLink(caller), list[bytes]()

            def is_last(message: bytes) -> bool:
                heard.append(message)
                return message.endswith(b"last")

            assert reason(await link.exchange(b"question")) == "dns_primary is not there"
            link.peers_changed(peers)
            assert await link.exchange(b"question", is_last) is None
            assert heard == [b"question", b"questionlast"]
            link.peers_changed(Peers((), ()))
            assert not link.has_callee

    run(scene)


def test_a_callee_that_does_not_answer() -> None:
    async def scene() -> None:
        async with called(nothing) as (caller, peers):
            link = DnsLink(caller)
            link.peers_changed(peers)
            assert "did not answer within 0.3 s" in reason(await link.exchange(b"question", limit_s=0.3))

    run(scene)


def test_a_callee_that_does_not_know_us() -> None:
    async def scene() -> None:
        async with called(echo_twice, is_known=False) as (caller, peers):
            link = DnsLink(caller)
            link.peers_changed(peers)
            assert reason(await link.exchange(b"question")).startswith("dns_primary")

    run(scene)


def test_somebody_else_in_its_place() -> None:
    async def scene() -> None:
        async with called(echo_twice) as (caller, peers):
            stranger = caller.identity.certificate
            wrong = Peer("dns_primary", 2, peers.callees[0].host, peers.callees[0].port, stranger)
            link = DnsLink(caller)
            link.peers_changed(Peers((), (*peers.callees, wrong)))
            assert "certificate" in reason(await link.exchange(b"question"))

    run(scene)


def test_nobody_listens() -> None:
    async def scene() -> None:
        async with called(echo_twice) as (caller, peers):
            link = DnsLink(caller)
        link.peers_changed(peers)
        assert "refused" in reason(await link.exchange(b"question"))

    run(scene)


def test_notices_of_a_zone_replace_each_other() -> None:
    async def scene() -> None:
        heard: asyncio.Queue[dns.message.Message] = asyncio.Queue()

        def acknowledge(wire: bytes, _caller: Caller, answer: Answer) -> None:
            message = dns.message.from_wire(wire)
            heard.put_nowait(message)
            answer([dns.message.make_response(message).to_wire()])

        def make(number: int) -> bytes:
            message = dns.message.make_query("mirage.org", "SOA", id=number)
            message.set_opcode(dns.opcode.NOTIFY)
            return message.to_wire()

        async with called(acknowledge) as (caller, peers):
            notices = UnitNotices(caller, "dns_primary")
            notices.send("mirage.org", make)  # nobody is there: it is not sent
            notices.peers_changed(peers)
            notices.send("mirage.org", make)
            notices.send("mirage.org", make)
            async with asyncio.timeout(10):
                message = await heard.get()
            assert message.opcode() == dns.opcode.NOTIFY
            await notices.close()

    run(scene)
