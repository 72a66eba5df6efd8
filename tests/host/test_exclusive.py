"""The name server is replaced while strangers ask it: of a unit that serves alone, no question is lost."""

import asyncio
import base64
import re
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest
import uvloop

from ptt.boot import Withdraw
from ptt.deployer.images import Image, build_image
from ptt.host.daemon import Host
from ptt.host.supervision import Effect, Phase, Send
from ptt.host.unit_spec import UnitSpec
from ptt.net.world import Endpoint
from ptt.units.dns_primary.manifest import MANIFEST

SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
KEY = "mail._update.mirage.example"
ZONE = "@ 60 SOA ns. admin. 1 3600 600 86400 5\n@ 60 NS ns\nns 60 A 192.0.2.1\nwww 60 A 192.0.2.2\n"
QUESTION = dns.message.make_query("www.mirage.example", "A")
LIMIT_S = 30.0
DATAGRAMS_EVERY_S = 0.003  # and a connection at every third: some four hundred questions a second


@pytest.fixture(scope="module")
def spec() -> Iterator[UnitSpec]:
    """The name server with one zone, at a port of its own."""
    with tempfile.TemporaryDirectory(prefix="ptt-test-") as name:  # every user may read it, unlike tmp_path
        Path(name).chmod(0o755)
        yield spec_of(build_image("dns_primary", Path(name)))


def spec_of(image: Image) -> UnitSpec:
    port = Endpoint("127.0.0.1", 0)
    return UnitSpec(
        manifest=MANIFEST,
        image=image.folder,
        digest=image.digest[:16],
        host_name="ns.mirage.example",
        settings={"zones": {"mirage.example": ZONE}},
        secrets={"tsig_keys": f'["{KEY}:SHA256:{SECRET}"]'},
        public={"dns": (port,), "dns_udp": (port,)},
    )


@dataclass
class Strangers(asyncio.DatagramProtocol):
    """Those who ask all the time. Nothing is sent twice."""

    host: Host
    sent: int = 0
    answered: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    tcp_answers: int = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, _address: object) -> None:
        self.answered.add(int.from_bytes(data[:2], "big"))

    def error_received(self, error: Exception) -> None:
        self.failures.append(f"UDP: {error!r}")

    async def ask(self) -> None:
        """Ask until cancelled."""
        wire = QUESTION.to_wire()[2:]
        while True:
            self.sent += 1
            self.transport.sendto(self.sent.to_bytes(2, "big") + wire)
            if self.sent % 3 == 0:
                self.begin(self.ask_stream())
            await asyncio.sleep(DATAGRAMS_EVERY_S)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def ask_stream(self) -> None:
        try:
            answer = await exchange(self.host, QUESTION.to_wire())
            assert dns.message.from_wire(answer).answer
            self.tcp_answers += 1
        except (OSError, EOFError, TimeoutError) as error:
            self.failures.append(f"TCP: {error!r}")


async def exchange(host: Host, wire: bytes) -> bytes:
    where = host.endpoint("dns_primary", "dns")
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection(where.host, where.port)
        writer.write(len(wire).to_bytes(2, "big") + wire)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        writer.close()
    return answer


async def update(host: Host, number: int) -> None:
    """Write a record that no other has."""
    message = dns.update.UpdateMessage("mirage.example")
    message.add(f"_acme-challenge.h{number}", 60, "TXT", str(number))
    message.use_tsig(dns.tsigkeyring.from_text({KEY: SECRET}), algorithm="hmac-sha256")
    wire = message.to_wire()
    answer = await exchange(host, wire)
    read = dns.message.from_wire(answer, keyring=message.keyring, request_mac=message.mac)
    assert read.rcode() == dns.rcode.NOERROR, read


async def texts(host: Host, count: int) -> list[str]:
    found = []
    for number in range(count):
        asked = dns.message.make_query(f"_acme-challenge.h{number}.mirage.example", "TXT")
        answer = dns.message.from_wire(await exchange(host, asked.to_wire()))
        found += [str(rrset[0]) for rrset in answer.answer]
    return found


def run(scene: Callable[[Host], Coroutine[Any, Any, None]], spec: UnitSpec) -> list[str]:
    """Play a scene on a host with the name server; gives what stands in the journal."""
    lines: list[str] = []

    async def play() -> None:
        host = Host(on_line=lambda entry: lines.append(entry.text))
        await host.start([spec])
        try:
            async with asyncio.timeout(100):
                assert await host.ready(LIMIT_S), lines
                await scene(host)
        finally:
            await host.stop(5.0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())
    return lines


async def come_about(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.01)


def test_no_question_is_lost_while_the_name_server_is_replaced(spec: UnitSpec) -> None:
    async def scene(host: Host) -> None:
        where = host.endpoint("dns_primary", "dns_udp")
        loop = asyncio.get_running_loop()
        remote = (where.host, where.port)
        _, strangers = await loop.create_datagram_endpoint(lambda: Strangers(host), remote_addr=remote)
        updates: list[asyncio.Task[None]] = []
        do = host._do

        def watched(effect: Effect) -> None:
            do(effect)
            if isinstance(effect, Send) and isinstance(effect.frame, Withdraw):
                updates.append(asyncio.ensure_future(update(host, len(updates))))

        host._do = watched  # type: ignore[method-assign] # to write in the very moment
        asking = asyncio.ensure_future(strangers.ask())
        for _ in range(3):
            assert await host.replace("dns_primary", spec)
        assert len(updates) == 3
        await asyncio.gather(*updates)
        asking.cancel()
        await come_about(lambda: not strangers.tasks and len(strangers.answered) == strangers.sent)
        strangers.transport.close()
        assert strangers.failures == []
        assert strangers.tcp_answers == strangers.sent // 3 > 20
        assert await texts(host, 3) == ['"0"', '"1"', '"2"']
        print(f"{strangers.sent} datagrams, {strangers.tcp_answers} connections, all answered")

    lines = run(scene, spec)
    waited = [float(found[1]) for line in lines if (found := re.search(r"waited for ([0-9.]+) ms", line))]
    assert len(waited) == 3
    print(f"listeners waited for {waited} ms")


def test_a_new_name_server_that_dies_gives_way_to_the_old_one(spec: UnitSpec) -> None:
    async def scene(host: Host) -> None:
        await update(host, 0)
        old = host.pid("dns_primary")
        assert await host.replace("dns_primary", replace(spec, digest="of the one that dies"))
        await update(host, 1)
        host.kill("dns_primary", signal.SIGSEGV)
        await come_about(
            lambda: [each.phase for each in host.units["dns_primary"].generations] == [Phase.PUBLISHED]
        )
        assert host.pid("dns_primary") == old
        assert host._specs["dns_primary"] == spec  # what starts after a crash from now on
        await update(host, 2)
        assert await texts(host, 3) == ['"0"', '"1"', '"2"']  # what the dead one wrote too

    lines = run(scene, spec)
    assert any("is published again: the newer one ended" in line for line in lines)
