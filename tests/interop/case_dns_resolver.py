"""The unit dns_resolver against real name servers (NSD) in the place of the root, a TLD and a domain.

It runs in this process with the system's sockets; who asks is the client of the other units, and kdig
over TLS with a client certificate.
"""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.boot import BootRecord, Drain, HostFrame, Listener, Peer, Peers, Publish, UnitFrame
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
from ptt.units.dns_resolver.service import serve

ROOT, TLD, OURS, SILENT = "198.41.0.4", "199.19.56.1", "192.0.2.53", "192.0.2.54"
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
    running = []
    for address, (zone, records) in ZONES.items():
        folder = tmp_path_factory.mktemp("nsd")
        (folder / "zone").write_text(SOA + records)
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
        )
        running.append(subprocess.Popen([nsd, "-d", "-c", str(folder / "nsd.conf")]))
    deadline = time.monotonic() + 10
    for address in ZONES:
        while not answers(address) and time.monotonic() < deadline:
            time.sleep(0.05)
    yield
    for process in running:
        process.terminate()
    for process in running:
        process.wait()


def answers(address: str) -> bool:
    command = ["dig", f"@{address}", "+tries=1", "+time=1", ". SOA"]
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
async def resolver() -> AsyncIterator[tuple[ResolverClient, LinkIdentity, Peer]]:
    """Run the unit; give a client of it, the client's identity and the address."""
    world = SystemWorld()
    control = Control()
    settings = {"roots": [{"name": "a.root", "ipv4": ROOT}], "ipv6": False, "private_servers": True}
    boot = BootRecord("dns_resolver", 1, "host.example.org", "digest", settings, {})
    unit = Unit(boot, world, control, Journal(), make_link_identity("dns_resolver", 1, world.wall_time()))
    mine = make_link_identity("relay", 1, world.wall_time())
    client = ResolverClient(Unit(boot, world, control, Journal(), mine))
    task = asyncio.create_task(serve(unit))
    listening = listen_on(Endpoint("127.0.0.1", 0), "test")
    where = bound_to(listening)
    control.say(Peers((Peer("relay", 1, "", 0, mine.certificate),), ()))
    listener = Listener("dns", where.host, where.port)
    control.say(Publish((listener,)), Published(listener, listening))
    ours = Peer("dns_resolver", 1, where.host, where.port, unit.identity.certificate)
    client.peers_changed(Peers((), (ours,)))
    try:
        yield client, mine, ours
    finally:
        control.say(Drain(1.0))
        await asyncio.wait_for(task, 10)
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


def test_the_client_of_units() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(units_ask())


def test_kdig_over_tls(require_program: Callable[[str], str], tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(kdig_asks(require_program("kdig"), tmp_path))
