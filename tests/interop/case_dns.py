"""The units dns_resolver and dns_primary among real name servers and clients: NSD, dig, kdig, nsupdate.

They run in this process with the system's sockets. NSD is the root, a TLD and a domain for the resolver, and
a secondary for the name server.
"""

import asyncio
import base64
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.boot import BootRecord, Drain, HostFrame, KeepState, Listener, Peer, Peers, Publish, UnitFrame
from ptt.host.listening import bound_to, listen_on
from ptt.net.resolver_client import ResolverClient
from ptt.net.system import SystemWorld
from ptt.net.tls import LinkIdentity, make_link_identity
from ptt.net.unit import Unit
from ptt.net.world import Endpoint, HostSaid, Published
from ptt.protocol.dns.lookup import Answer, Mx, Question, Rcode, RecordType
from ptt.protocol.dns.name import Name
from ptt.records.journal import JournalLine
from ptt.rehearsal.namespace import add_addresses
from ptt.units.dns_primary.service import serve as serve_primary
from ptt.units.dns_resolver.service import serve as serve_resolver

ROOT, TLD, OURS, SILENT = "198.41.0.4", "199.19.56.1", "192.0.2.53", "192.0.2.54"
PRIMARY, SECONDARY = "192.0.2.60", "192.0.2.61"
SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
UPDATE_KEY, TRANSFER_KEY = "mail._update.mx.mirage.org", "ns._transfer.mirage.org"
AS_SECONDARY = f""" allow-notify: 192.0.2.0/24 "{TRANSFER_KEY}"
 request-xfr: {PRIMARY} "{TRANSFER_KEY}"
key:
 name: "{TRANSFER_KEY}"
 algorithm: hmac-sha256
 secret: "{SECRET}"
"""
SOA = "@ 60 SOA ns. admin. 1 3600 600 86400 5\n"
ZONES = {
    ROOT: (".", "@ 60 NS a.root.\na.root. 60 A 198.41.0.4\norg. 60 NS a.org.\na.org. 60 A 199.19.56.1\n"),
    TLD: (
        "org",
        """
@ 60 NS a
a 60 A 199.19.56.1
example 60 NS quiet.example
example 60 NS ns.example
quiet.example 60 A 192.0.2.54
ns.example 60 A 192.0.2.53
empty 60 NS nobody.example
""",
    ),
    OURS: (
        "example.org",
        "@ 60 NS ns\nns 60 A 192.0.2.53\n@ 60 MX 10 mail\nmail 60 A 192.0.2.25\nwww 60 CNAME mail\n"
        "round1 60 CNAME round2\nround2 60 CNAME round1\nlocal 60 CNAME 1.0.0.10.in-addr.arpa.\n"
        + "".join(f'long 60 TXT "{n} {"x" * 200}"\n' for n in range(20)),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def name_servers(
    require_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Start an NSD for each zone."""
    nsd = require_program("nsd")
    add_addresses([*ZONES, SILENT])
    started = []
    add_addresses([PRIMARY, SECONDARY])
    for address, (zone, records) in {**ZONES, SECONDARY: ("mirage.org", "")}.items():
        folder = tmp_path_factory.mktemp("nsd")
        (folder / "zone").write_text(SOA + records if records else "")
        (folder / "nsd.conf").write_text(
            f"""
server:
 ip-address: {address}
 username: ""
 pidfile: ""
 database: ""
 zonesdir: "{folder}"
 xfrdir: "{folder}"
 xfrdfile: "{folder}/xfrd"
 zonelistfile: "{folder}/list"
 logfile: "{folder}/log"
 server-count: 1
remote-control:
 control-enable: no
zone:
 name: "{zone}"
 zonefile: "zone"
"""
            + ("" if records else AS_SECONDARY)
        )
        started.append(subprocess.Popen([nsd, "-d", "-c", str(folder / "nsd.conf")]))
    deadline = time.monotonic() + 10
    for address in ZONES:
        while not answers(address, ZONES[address][0]) and time.monotonic() < deadline:
            time.sleep(0.05)
    yield
    for process in started:
        process.terminate()
    for process in started:
        process.wait()


def answers(address: str, zone: str) -> bool:
    command = ["dig", f"@{address}", "+tries=1", "+time=1", zone, "SOA"]
    return b"status:" in subprocess.run(command, capture_output=True, check=False).stdout


class Control:
    """The unit's line to a host that is this test."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[HostSaid | None] = asyncio.Queue()
        self.heard: list[UnitFrame] = []

    def send(self, frame: UnitFrame) -> None:
        self.heard.append(frame)

    async def receive(self) -> HostSaid | None:
        return await self.said.get()

    def say(self, frame: HostFrame, *published: Published) -> None:
        self.said.put_nowait(HostSaid(frame, published))


class Journal:
    def write(self, line: JournalLine) -> None: ...

    def alarm(self, what: str) -> None: ...

    def failure(self, where: str, error: BaseException) -> None:
        raise AssertionError(where) from error


@asynccontextmanager
async def running(
    unit: Unit,
    serve: Callable[[Unit], Coroutine[Any, Any, None]],
    sockets: Mapping[str, socket.socket],
    peers: Peers,
) -> AsyncIterator[None]:
    """Run a unit with listeners by name, until it is drained."""
    control = cast("Control", unit.control)
    task = asyncio.create_task(serve(unit))
    published = []
    for name, listening in sockets.items():
        where = bound_to(listening)
        published.append(Published(Listener(name, where.host, where.port), listening))
    control.say(peers)
    control.say(Publish(tuple(each.listener for each in published)), *published)
    try:
        yield
    finally:
        control.say(Drain(1.0))
        await asyncio.wait_for(task, 10)


def unit_of(world: SystemWorld, name: str, settings: dict[str, object], **secrets: str) -> Unit:
    boot = BootRecord(name, 1, "host.example.org", "digest", settings, secrets)
    return Unit(boot, world, Control(), Journal(), make_link_identity(name, 1, world.wall_time()))


@asynccontextmanager
async def resolver() -> AsyncIterator[tuple[ResolverClient, LinkIdentity, Peer]]:
    """Run the resolver; give a client of it, the client's identity and the address."""
    world = SystemWorld()
    settings = {"roots": [{"name": "a.root", "ipv4": ROOT}], "ipv6": False, "private_servers": True}
    unit = unit_of(world, "dns_resolver", settings)
    relay = unit_of(world, "relay", {})
    client = ResolverClient(relay)
    listening = listen_on(Endpoint("127.0.0.1", 0), "test")
    where = bound_to(listening)
    ours = Peer("dns_resolver", 1, where.host, where.port, unit.identity.certificate)
    callers = Peers((Peer("relay", 1, "", 0, relay.identity.certificate),), ())
    async with running(unit, serve_resolver, {"dns": listening}, callers):
        client.peers_changed(Peers((), (ours,)))
        yield client, relay.identity, ours
        client.close()
    world.close()


async def ask(client: ResolverClient, name: str, kind: RecordType) -> Answer:
    return await client.query(Name.of(name), kind)


async def units_ask() -> None:
    async with resolver() as (client, _, _):
        mx = await ask(client, "example.org", RecordType.MX)
        assert mx.records == (Mx(10, Name.of("mail.example.org")),)
        www = await ask(client, "WWW.example.org", RecordType.A)
        assert www.canonical_name == Name.of("mail.example.org")
        assert len(www.records) == 1
        assert (await ask(client, "nobody.example.org", RecordType.A)).rcode is Rcode.NXDOMAIN
        assert (await ask(client, "mail.example.org", RecordType.AAAA)).records == ()
        assert (await ask(client, "round1.example.org", RecordType.A)).is_failure
        assert (await ask(client, "local.example.org", RecordType.PTR)).rcode is Rcode.NXDOMAIN
        long = await ask(client, "long.example.org", RecordType.TXT)  # does not fit into a datagram
        assert len(long.records) == 20
        assert (await ask(client, "www.empty.org", RecordType.A)).is_failure  # its server does not exist
        many = await client.many([Question(Name.of(f"x{n}.example.org"), RecordType.A) for n in range(300)])
        assert {answer.rcode for answer in many} == {Rcode.NXDOMAIN}


async def kdig_asks(kdig: str, tmp_path: Path) -> None:
    async with resolver() as (_, mine, where):
        certificate = x509.load_der_x509_certificate(mine.certificate).public_bytes(Encoding.PEM)
        (tmp_path / "certificate").write_bytes(certificate)
        (tmp_path / "key").write_bytes(mine.private_key_pem)
        pins = [f"+tls-certfile={tmp_path}/certificate", f"+tls-keyfile={tmp_path}/key"]
        command = [kdig, f"@{where.host}", "-p", str(where.port), "+tls", *pins, "www.example.org", "A"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
        assert "status: NOERROR" in done.stdout
        assert "192.0.2.25" in done.stdout
        plain = [
            kdig,
            f"@{where.host}",
            "-p",
            str(where.port),
            "+tls",
            "+retry=0",
            "+time=2",
            "www.example.org",
            "A",
        ]
        refused = await asyncio.to_thread(subprocess.run, plain, capture_output=True, text=True, timeout=20)
        assert "NOERROR" not in refused.stdout, "somebody without a certificate of a unit was answered"


ZONE_FILE = """$TTL 300
@ SOA ns hostmaster 7 3600 600 86400 60
@ NS ns
ns A 192.0.2.60
mx A 192.0.2.60
*.wild TXT "any"
sub NS ns.sub
ns.sub A 192.0.2.99
"""


async def run(*command: str, stdin: str = "") -> str:
    done = await asyncio.to_thread(
        subprocess.run, command, input=stdin, capture_output=True, text=True, timeout=20, check=False
    )
    return str(done.stdout + done.stderr)


async def dig(*arguments: str) -> str:
    return await run("dig", f"@{PRIMARY}", "+tries=1", "+time=3", *arguments)


@asynccontextmanager
async def primary() -> AsyncIterator[Control]:
    """Run the name server on port 53; give what it said to its host."""
    world = SystemWorld()
    settings = {
        "zones": {"mirage.org": ZONE_FILE},
        "secondaries": {"mirage.org": [{"address": SECONDARY, "key": TRANSFER_KEY}]},
    }
    keys = ", ".join(f'"{name}:SHA256:{SECRET}"' for name in (UPDATE_KEY, TRANSFER_KEY))
    unit = unit_of(world, "dns_primary", settings, tsig_keys=f"[{keys}]")
    where = Endpoint(PRIMARY, 53)
    sockets = {"dns": listen_on(where, "test"), "dns_udp": listen_on(where, "test", "udp")}
    async with running(unit, serve_primary, sockets, Peers((), ())):
        yield cast("Control", unit.control)
    world.close()


async def programs_ask() -> None:
    async with primary() as control:
        found = await dig("mx.mirage.org", "A")
        assert "192.0.2.60" in found
        assert "flags: qr aa rd;" in found
        assert "status: NXDOMAIN" in await dig("nobody.mirage.org", "A")
        assert "status: REFUSED" in await dig("example.net", "A")
        assert "status: BADVERS" in await dig("mx.mirage.org", "A", "+edns=1", "+noednsneg")
        assert "status: NOTIMP" in await dig("mx.mirage.org", "A", "+opcode=status")
        assert '"any"' in await dig("x.y.wild.mirage.org", "TXT", "+tcp")
        assert "192.0.2.99" in await dig("www.sub.mirage.org", "A")
        assert "Transfer failed" in await dig("mirage.org", "AXFR")
        await an_update_is_taken(control)
        transferred = await dig("mirage.org", "AXFR", "-y", f"hmac-sha256:{TRANSFER_KEY}:{SECRET}")
        assert "_letsencrypt._tcp.mx.mirage.org" in transferred
        assert "Couldn't verify signature" not in transferred
        await the_secondary_follows()


async def nsupdate(*lines: str, key: str = UPDATE_KEY) -> str:
    script = "\n".join((f"server {PRIMARY}", "zone mirage.org", *lines, "send", ""))
    return await run("nsupdate", "-y", f"hmac-sha256:{key}:{SECRET}", stdin=script)


async def an_update_is_taken(control: Control) -> None:
    request = "update add _letsencrypt._tcp.mx.mirage.org 60 TLSA 3 255 0 AABB"
    assert not await nsupdate(request)
    assert "AABB" in await dig("_letsencrypt._tcp.mx.mirage.org", "TLSA")
    assert " 8 3600" in await dig("mirage.org", "SOA")
    assert any(isinstance(frame, KeepState) for frame in control.heard)
    assert "REFUSED" in await nsupdate("update add mx.mirage.org 60 A 192.0.2.1")
    assert "REFUSED" in await nsupdate(request, key=TRANSFER_KEY)
    assert "NXRRSET" in await nsupdate("prereq yxrrset mx.mirage.org MX", request)
    script = f"server {PRIMARY}\nzone mirage.org\n{request}\nsend\n"
    assert "BADKEY" in await run("nsupdate", "-y", f"hmac-sha256:stranger:{SECRET}", stdin=script)


async def the_secondary_follows() -> None:
    """NSD was told by NOTIFY and has transferred the zone with its key."""
    for _ in range(100):
        answer = await run("dig", f"@{SECONDARY}", "+tries=1", "_letsencrypt._tcp.mx.mirage.org", "TLSA")
        if "AABB" in answer:
            return
        await asyncio.sleep(0.1)
    pytest.fail(answer)
    raise AssertionError(answer)


def test_the_name_server(require_program: Callable[[str], str]) -> None:
    for program in ("dig", "nsupdate"):
        require_program(program)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(programs_ask())


def test_the_client_of_units() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(units_ask())


def test_kdig_over_tls(require_program: Callable[[str], str], tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(kdig_asks(require_program("kdig"), tmp_path))
