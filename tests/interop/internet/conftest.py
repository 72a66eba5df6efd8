"""Our service both ways, careful servers of others, models of the large ones, people with habits."""

import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ptt import topology
from ptt.errors import Malformed
from ptt.host.user_ids import can_have_own
from ptt.net.fixed_lookup import read_zone
from ptt.net.system import SystemWorld
from ptt.net.world import Endpoint, Server
from ptt.protocol.dns.name import Name
from ptt.rehearsal.internet.gmail_like import GmailLike
from ptt.rehearsal.internet.manners import Manners
from ptt.rehearsal.internet.name_server import NameServer
from ptt.rehearsal.internet.outlook_like import OutlookLike
from ptt.rehearsal.internet.people import Sender
from ptt.rehearsal.internet.remote_server import RemoteServer, as_unit
from ptt.rehearsal.internet.yahoo_like import YahooLike
from ptt.rehearsal.namespace import add_addresses, use_name_server
from ptt.rehearsal.our_service import Domain
from ptt.rehearsal.peers.exim import Exim
from ptt.rehearsal.peers.greylist import Greylist
from ptt.rehearsal.peers.opendkim import OpenDkim
from ptt.rehearsal.peers.opendmarc import OpenDmarc
from ptt.rehearsal.peers.postfix import MAIL_USER_ID, Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

ADDRESS, ADDRESS6 = "192.0.2.10", "2001:db8:10::10"
CAREFUL, EXIM, STRANGER = "198.51.100.40", "198.51.100.26", "198.51.100.99"
SENDERS = ("198.51.100.61", "198.51.100.62", "198.51.100.63")
SENDERS6 = "2001:db8:61::25"
LARGE = {
    "gmail-like.com": "203.0.113.25",
    "outlook-like.com": "203.0.113.60",
    "yahoo-like.net": "203.0.113.80",
}
SLOW = "203.0.113.101"
GREYLISTED_S = 1.0
STUB = "127.0.0.1"
ZONE = f"""
mirage.org            MX 10 mail.mirage.org
mail.mirage.org       A {ADDRESS}
mail.mirage.org       AAAA {ADDRESS6}
mirage.org            TXT "v=spf1 mx -all"
mail.mirage.org       TXT "v=spf1 a -all"
_dmarc.mirage.org     TXT "v=DMARC1; p=reject; aspf=s; adkim=s"
srs.mirage.org        MX 10 mail.mirage.org
srs.mirage.org        TXT "v=spf1 ip4:{ADDRESS} -all"
_dmarc.srs.mirage.org TXT "v=DMARC1; p=reject; psd=n"
10.2.0.192.in-addr.arpa PTR mail.mirage.org
careful.org           MX 10 mx.careful.org
mx.careful.org        A {CAREFUL}
exim.net              MX 10 mx.exim.net
mx.exim.net           A {EXIM}
exim.net              TXT "v=spf1 mx -all"
slow.net              MX 10 mx.slow.net
mx.slow.net           A {SLOW}
sender.net            MX 10 mx.sender.net
mx.sender.net         A {SENDERS[0]}
sender.net            TXT "v=spf1 ip4:198.51.100.0/24 ip6:{SENDERS6} -all"
lists.net             MX 10 mx.sender.net
lists.net             TXT "v=spf1 ip4:{STRANGER} -all"
""" + "".join(f"{domain} MX 10 mx.{domain}\nmx.{domain} A {address}\n" for domain, address in LARGE.items())
USERS = {"alice": "correct horse battery staple"}
TARGETS = {
    "alice": ["box@slow.net"],
    "paul": ["paul@careful.org"],
    "erik": ["erik@exim.net"],
    "grace": ["grace@gmail-like.com"],
    "oscar": ["oscar@outlook-like.com"],
    "yolanda": ["yolanda@yahoo-like.net"],
    "yonder": ["nobody@yahoo-like.net"],
}

Require = Callable[[str], str]


def relay_zone(dkim_records: dict[str, str]) -> str:
    """What is in the DNS."""
    return ZONE + "".join(f'{name} TXT "{text}"\n' for name, text in dkim_records.items())


def wait_for(what: Callable[[], Any], timeout_s: float = 15.0) -> Any:
    """Wait until something is so; gives it."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"did not happen within {timeout_s} s"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def wait() -> Callable[..., Any]:
    """Wait until something is so."""
    return wait_for


@pytest.fixture(scope="session")
def site(open_place: Path) -> Iterator[Site]:
    """Give our service, both ways."""
    add_addresses([CAREFUL, EXIM, STRANGER, SLOW, SENDERS6, *SENDERS, *LARGE.values()])
    domain = Domain(addresses=(ADDRESS, ADDRESS6), users=USERS)
    users = {name: {"targets": targets, "insecure": True} for name, targets in TARGETS.items()}
    settings: dict[str, dict[str, Any]] = {
        "relay": {"zone": ZONE, "users": users, "postmaster": "box@slow.net", "ipv6": True},
        "receiver": {"zone": ZONE, "lists": ["lists.net"]},
    }
    units = tuple(dict.fromkeys((*topology.OUTBOUND, *topology.INBOUND)))
    with Site(open_place, domain, settings, units=units) as running:
        yield running


@pytest.fixture(scope="session")
def world(site: Site) -> SystemWorld:
    """Give the world that servers and people of these cases are in: the site's loop."""

    async def made() -> SystemWorld:
        return SystemWorld()

    return site.background.call(made())


@pytest.fixture(scope="session")
def names(site: Site, world: SystemWorld) -> Iterator[None]:
    """Let real programs ask for names: a server that has them all, at an address of the loopback."""

    async def serve() -> list[Server]:
        lines = []
        for line in relay_zone(site.dkim_records).splitlines():
            owner, kind, *data = line.split(None, 2) if line else ("", "", "")
            value = " ".join(data)
            if kind in {"MX", "PTR"}:
                value += "."
            if kind == "TXT":
                value = " ".join(f'"{value.strip(chr(34))[n : n + 250]}"' for n in range(0, len(value), 250))
            if owner:
                lines.append(f"{owner}. {kind} {value}")
        head = "$TTL 60\n@ SOA ns.test. root.test. 1 3600 600 86400 60\n@ NS ns.test.\nns.test. A 127.0.0.1\n"
        server = NameServer(as_unit(world, "names"), STUB, {".": head + "\n".join([*lines, ""])})
        return await server.serve()

    use_name_server(STUB)
    servers = site.background.call(serve())
    yield
    site.background.call(_close(servers))


async def _close(servers: list[Server]) -> None:
    for server in servers:
        server.close()


@dataclass(frozen=True, slots=True)
class Careful:
    """A Postfix with postscreen and greylisting that judges what comes."""

    postfix: Postfix
    greylist: Greylist


@pytest.fixture(scope="session")
def careful(site: Site, names: None, open_place: Path, require_program: Require) -> Iterator[Careful]:
    """Give the Postfix of careful.org."""
    for program in ("postfix", "opendkim", "opendmarc"):
        require_program(program)
    if not can_have_own(MAIL_USER_ID, 1):
        pytest.skip("Postfix needs user ids of its own: root, or the subordinate ids of uidmap's newuidmap")
    greylist = Greylist(GREYLISTED_S)
    dkim = OpenDkim(open_place / "opendkim", "mx.careful.org", site.dkim_records)
    dmarc = OpenDmarc(open_place / "opendmarc", "mx.careful.org")
    postfix = Postfix(
        open_place / "careful",
        "mx.careful.org",
        CAREFUL,
        ["careful.org"],
        ["paul"],
        settings={
            "smtpd_recipient_restrictions": f"reject_unlisted_recipient, {greylist.restriction}",
            "smtpd_milters": f"{dkim.milter}, {dmarc.milter}",
        },
        certificate=site.authority.issue("mx.careful.org").write(open_place / "careful.pem"),
        has_postscreen=True,
    )
    parts = (greylist, dkim, dmarc, postfix)
    try:
        for part in parts:
            part.start()
        yield Careful(postfix, greylist)
    finally:
        for part in parts:
            part.stop()


@pytest.fixture(scope="session")
def exim(site: Site, open_place: Path, exim_program: None) -> Iterator[Exim]:
    """Give the Exim of exim.net, which asks back about senders and recipients."""
    server = Exim(
        open_place / "exim", "mx.exim.net", EXIM, ["exim.net"], ["erik"], ADDRESS, None, has_callouts=True
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class Large:
    """The three models, by domain."""

    servers: dict[str, RemoteServer]

    @property
    def outlook(self) -> OutlookLike:
        """What is behind outlook-like.com."""
        manners = self.servers["outlook-like.com"].manners
        assert isinstance(manners, OutlookLike)
        return manners

    @property
    def yahoo(self) -> YahooLike:
        """What is behind yahoo-like.net."""
        manners = self.servers["yahoo-like.net"].manners
        assert isinstance(manners, YahooLike)
        return manners


@pytest.fixture(scope="session")
def large(site: Site, world: SystemWorld) -> Iterator[Large]:
    """Give the models of the three large receivers."""
    lookup = read_zone(relay_zone(site.dkim_records))
    assert not isinstance(lookup, Malformed)
    names = ("gmail-like.com", "outlook-like.com", "yahoo-like.net")
    made: dict[str, Manners] = {
        names[0]: GmailLike((Name.of(names[0]),), ["grace"], lookup),
        names[1]: OutlookLike((Name.of(names[1]),), ["oscar"], lookup, per_connection=2),
        names[2]: YahooLike((Name.of(names[2]),), ["yolanda"], lookup),
    }
    listeners: list[Server] = []

    async def serve() -> dict[str, RemoteServer]:
        servers = {}
        for domain, manners in made.items():
            certificate = site.authority.issue(f"mx.{domain}")
            servers[domain] = RemoteServer(world, f"mx.{domain}", certificate, manners)
            listening = socket.create_server((LARGE[domain], 25))
            listening.setblocking(False)
            listeners.extend(await servers[domain].serve([listening]))
        return servers

    yield Large(site.background.call(serve()))
    site.background.call(_close(listeners))


@pytest.fixture
def slow(site: Site) -> Iterator[ScriptedServer]:
    """Give the server of slow.net, where alice's own mailbox is."""
    with ScriptedServer(SLOW) as server:
        yield server


@pytest.fixture(scope="session")
def post(site: Site) -> Callable[..., tuple[int, bytes]]:
    """Send alice's mail as Python's client does; the code and words of the first refusal, or of the 250."""

    def send(to: str, message: bytes) -> tuple[int, bytes]:
        with site.client("alice") as client:
            client.docmd("MAIL", "FROM:<alice@mirage.org>")
            answer = client.docmd("RCPT", f"TO:<{to}>")
            return client.data(message) if answer[0] == 250 else answer

    return send


@pytest.fixture(scope="session")
def bring_in(site: Site) -> Callable[..., tuple[int, bytes]]:
    """Bring mail to our port 25 from an address; the code and words of the first refusal, or of the 250."""

    def send(
        author: str, to: str, message: bytes, *, source: str = SENDERS[0], helo: str = "mx.sender.net"
    ) -> tuple[int, bytes]:
        with smtplib.SMTP(ADDRESS, 25, helo, timeout=60, source_address=(source, 0)) as client:
            client.ehlo()
            client.docmd("MAIL", f"FROM:<{author}>")
            answer = client.docmd("RCPT", f"TO:<{to}>")
            return client.data(message) if answer[0] == 250 else answer

    return send


@pytest.fixture(scope="session")
def draft() -> Callable[..., bytes]:
    """Write a message that is found again by its mark."""

    def write(mark: str, author: str = "alice@mirage.org", to: str = "x@y.test", number: int = 1) -> bytes:
        return (
            f"From: {author}\r\nTo: {to}\r\nSubject: {mark}\r\n"
            f"Date: Wed, 25 Nov 2026 10:00:0{number} +0000\r\n"
            f"Message-ID: <{mark}-{number}@{author.partition('@')[2]}>\r\n\r\n.Hello {mark}\r\n"
        ).encode()

    return write


@pytest.fixture(scope="session")
def people(site: Site, world: SystemWorld) -> Callable[..., Sender]:
    """Give a sender: a mail program with a login, or somebody's mail server at one of its addresses."""

    def make(own_address: str | None = None) -> Sender:
        is_client = own_address is None
        return Sender(
            world=world,
            server=Endpoint(ADDRESS, 465 if is_client else 25),
            host_name="[192.0.2.77]" if is_client else "mx.sender.net",
            own_address=own_address or ADDRESS,
            trust_anchor_pem=site.authority.anchor_pem,
            server_name="mail.mirage.org",
            login=("alice", USERS["alice"]) if is_client else None,
        )

    return make
