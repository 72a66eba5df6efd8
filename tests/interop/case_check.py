"""``ptt check`` over real sockets: nobody runs here yet, and what a terminal of 80 columns shows of it all.

The name servers are the rehearsal's, at real addresses; ours serves the zones that ``ptt init`` made.
"""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptt.deployer.first_zone import first_zones
from ptt.deployer.founding import Founded, Wishes, found
from ptt.host.daemon import Host
from ptt.host.inquiry_socket import InquirySocket
from ptt.net.system import SystemWorld
from ptt.net.world import Server
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.internet.name_server import NameServer, serve_zones
from ptt.rehearsal.internet.names import Entry, ZoneServer, zone_files
from ptt.rehearsal.internet.remote_server import as_unit
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.site import Background

OURS, ROOT, TOP, OTHERS, MX = "192.0.2.10", "198.51.100.1", "198.51.100.2", "203.0.113.53", "203.0.113.25"
SERVERS = {
    "": ZoneServer("a.root", ROOT),
    "org": ZoneServer("a.tld", TOP),
    "tld": ZoneServer("a.tld", TOP),
    "arpa": ZoneServer("ns.remote.tld", OTHERS),
    "remote.tld": ZoneServer("ns.remote.tld", OTHERS),
    "mirage.org": ZoneServer("ns1.mirage.org", OURS),
}
ENTRIES = (
    Entry("mx.remote.tld", "A", MX),
    Entry("10.2.0.192.in-addr.arpa", "PTR", "mail.mirage.org"),
)
PRETEND = f"""
[dns_resolver]
ipv6 = false
private_servers = true
unreserved = ["2.0.192.in-addr.arpa"]
roots = [{{ name = "a.root.", ipv4 = "{ROOT}" }}]
[check]
mail_servers = ["mx.remote.tld"]
"""
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def founded(open_place: Path) -> Founded:
    wishes = Wishes(
        domain="mirage.org", addresses=(OURS,), folder=open_place / "ptt", postmaster="a@home.tld"
    )
    made = found(wishes)
    with (wishes.folder / "ptt.toml").open("a") as file:
        file.write(PRETEND)
    return made


@pytest.fixture(scope="module")
def background() -> Iterator[Background]:
    running = Background()
    yield running
    running.close()


@pytest.fixture(scope="module")
def internet(founded: Founded, background: Background) -> Iterator[None]:
    """Serve the names, and take connections at the port 25 of mx.remote.tld."""
    add_addresses([OURS, ROOT, TOP, OTHERS, MX])
    ours = {name: text.decode() for name, text in first_zones(founded.naming).items()}
    theirs = zone_files(ENTRIES, SERVERS)
    del theirs["mirage.org"]
    listening: list[Server] = []

    async def serve() -> SystemWorld:
        world = SystemWorld()
        listening.extend(await serve_zones(world, theirs, SERVERS))
        listening.extend(await NameServer(as_unit(world, OURS), OURS, ours).serve())
        return world

    async def close() -> None:
        for server in listening:
            server.close()
        world.close()

    world = background.call(serve())
    with socket.create_server((MX, 25)):
        yield
    background.call(close())


class Pretender:
    """In the place of our mail ports, with a host that answers: ``reply`` is what RCPT hears."""

    def __init__(self, founded: Founded, place: Path) -> None:
        self.reply = b"550 5.7.1 no relaying\r\n"
        self._socket = founded.config.folder / "asked" / "host.sock"
        self._inquiries = InquirySocket(Host(), os.getuid())
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(Authority().issue("mail.mirage.org").write(place / "check.pem"))
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        await self._inquiries.open(self._socket)
        for port in (25, 465, 587):
            context = self._context if port == 465 else None
            self._servers.append(await asyncio.start_server(self._serve, OURS, port, ssl=context))

    async def close(self) -> None:
        self._inquiries.close()
        for server in self._servers:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.mirage.org ESMTP\r\n")
        while line := await reader.readline():
            writer.write(self.reply if line.lower().startswith(b"rcpt") else b"250 fine\r\n")
        writer.close()


@pytest.fixture
def pretender(
    founded: Founded, internet: None, background: Background, open_place: Path
) -> Iterator[Pretender]:
    made = Pretender(founded, open_place)
    background.call(made.open())
    yield made
    background.call(made.close())


def check(founded: Founded, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "COLUMNS": "80",
        "PTT_HOST_SOCKET": str(founded.config.folder / "asked" / "host.sock"),
    }
    file = str(founded.config.file)
    command = [sys.executable, "-m", "ptt.cli.main", "check", "--config", file, *arguments]
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_nobody_answers(founded: Founded) -> None:
    """Before the names are served: the loopback alone, which answers nothing."""
    done = check(founded, "--only", "outward")
    assert done.returncode == 69, done.stdout + done.stderr
    assert "nobody out there answers" in done.stderr
    assert "FAIL  port 53 outward" in done.stdout


def test_what_is_asked_of_whom(founded: Founded, internet: None) -> None:
    done = check(founded)
    told = done.stdout
    assert done.stderr == ""
    assert max(map(len, told.splitlines())) <= 80
    flat = " ".join(told.split())
    assert "ok delegation org. servers name ns1.mirage.org with glue 192.0.2.10" in flat
    assert "ok name server ns1.mirage.org (192.0.2.10) answers for mirage.org over UDP and TCP" in flat
    assert "ok reverse name 192.0.2.10 -> mail.mirage.org -> 192.0.2.10" in flat
    assert "ok port 25 outward mx.remote.tld took a connection" in flat
    # The rehearsal's name server is the other program here.
    assert "UDP port 53 at 192.0.2.10 is in use by another program" in flat
    assert done.returncode == 1
    assert "2 to mend" in flat


def test_as_json(founded: Founded, internet: None) -> None:
    done = check(founded, "--json", "--only", "mail")
    findings = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {each["level"] for each in findings} == {"ok"}
    assert {each["theme"] for each in findings} == {"mail"}
    assert [each["what"] for each in findings] == [
        "MX",
        "SPF",
        "DKIM",
        "DKIM",
        "DMARC",
        "address",
        "SPF of HELO",
        "way back",
    ]


def test_mistakes_of_the_operator(founded: Founded) -> None:
    done = check(founded, "--only", "everything")
    assert done.returncode == 64
    assert "one of configuration, repositories" in done.stderr
    file = founded.config.file
    good = file.read_text()
    file.write_text(good.replace("mirage.org", "mirage..org"))
    done = check(founded)
    file.write_text(good)
    assert done.returncode == 64
    assert "ptt.toml:2: domain" in done.stderr


def test_a_service_that_runs_has_nothing_to_mend(founded: Founded, pretender: Pretender) -> None:
    done = check(founded)
    flat = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout
    assert "ok ports here 465, 587, 25 at 192.0.2.10 are served by us" in flat
    assert "ok open relay 192.0.2.10:25 refuses mail from strangers to strangers (550)" in flat
    assert "FAIL" not in flat
    assert flat.endswith("nothing to mend")


def test_an_open_relay_is_found(founded: Founded, pretender: Pretender) -> None:
    pretender.reply = b"250 fine\r\n"
    done = check(founded, "--only", "relay")
    assert done.returncode == 1
    assert "it is an open relay" in " ".join(done.stdout.split())
