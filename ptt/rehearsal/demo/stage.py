"""What the demonstration plays on: remote domains, our own service, the names that lead to them.

Who is where stands in ``places``. The pretend Internet and our units start at the same time; a real program
that cannot run here is replaced by its model, which ``why_not`` of the stage tells.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ptt import topology
from ptt.errors import ConfigError, Malformed
from ptt.host.unit_spec import JournalEntry
from ptt.net.fixed_lookup import read_zone
from ptt.net.system import SystemWorld
from ptt.net.world import Endpoint, Server
from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.demo.letters import model
from ptt.rehearsal.demo.places import (
    ALICE_AT_HOME,
    GMAIL,
    GREYLISTED_S,
    OUR_ADDRESS,
    OURS,
    OUTLOOK,
    PLACES,
    PLAIN_DOMAIN,
    REMOTE,
    ROOT,
    SERVERS,
    STRANGER,
    STUB,
    Kind,
    Place,
    addresses,
    entries,
)
from ptt.rehearsal.demo.real_servers import RealServers, why_not
from ptt.rehearsal.internet.acme_authority import AcmeAuthority
from ptt.rehearsal.internet.exim_like import EximLike
from ptt.rehearsal.internet.gmail_like import GmailLike
from ptt.rehearsal.internet.https_server import HttpsServer
from ptt.rehearsal.internet.manners import Manners
from ptt.rehearsal.internet.name_server import NameServer, serve_zones
from ptt.rehearsal.internet.names import Entry, ZoneServer, fixed_zone, zone_files
from ptt.rehearsal.internet.outlook_like import OutlookLike
from ptt.rehearsal.internet.people import DomainSigner, Sender
from ptt.rehearsal.internet.postfix_like import PostfixLike
from ptt.rehearsal.internet.remote_server import Accepted, RemoteServer, as_unit
from ptt.rehearsal.internet.yahoo_like import YahooLike
from ptt.rehearsal.namespace import add_addresses, use_name_server
from ptt.rehearsal.our_service import Domain, OurService

PASSWORD = "pretend password"  # noqa: S105 - of a person who does not exist
USERS = {"alice": PASSWORD}
TARGETS = {
    "alice": {"targets": [f"alice@{GMAIL.domain}"], "insecure": False},
    "carol": {"targets": [f"carol@{OUTLOOK.domain}"], "insecure": False},
}
UNITS = topology.ALL
ACME, ACME_NAME = "203.0.113.14", "authority.org"
CERTIFICATE_S = 30.0  # an order takes two seconds here
EDGES = 2  # units with ports that show a certificate
ARRIVAL_S = 15.0  # a real server puts it into the mailbox after its 250
POLL_S = 0.02


class Stage:
    """Everything that runs; made by ``set_up``."""

    def __init__(
        self, service: OurService, world: SystemWorld, authority: Authority, folder: Path, journal: list[str]
    ) -> None:
        self.service = service
        self.world = world
        self.authority = authority
        self.journal = journal
        """What our units have written so far."""
        self.servers: dict[str, RemoteServer] = {}
        self.signers = {place.domain: DomainSigner(place.domain) for place in PLACES}
        self.acme = AcmeAuthority(f"https://{ACME_NAME}", ROOT.address, authority)
        self.acme_server = HttpsServer(ACME, authority.issue(ACME_NAME), self.acme.handle)
        self.real = RealServers(folder, authority, service.dkim_records())
        self._listeners: list[Server] = []

    async def open_names(self, zones: Mapping[str, str], everything: str) -> None:
        """Start the root, the top-level domains, the remote domains' name servers, and one for programs."""
        theirs = {origin: text for origin, text in zones.items() if SERVERS[origin] != OURS}
        self._listeners += await serve_zones(self.world, theirs, SERVERS)
        self._listeners += await NameServer(as_unit(self.world, "names"), STUB, {".": everything}).serve()

    async def open_servers(self, found: Sequence[Entry]) -> None:
        """Start the remote domains' mail servers, real programs where they can run."""
        lookup = read_zone(fixed_zone(found))
        if isinstance(lookup, Malformed):
            raise ConfigError("rehearsal", lookup.reason, "this is a bug: the zone is our own")
        for place in PLACES:
            if why_not(place.kind) is None:
                continue
            manners = self._manners(place, lookup)
            certificate = self.authority.issue(place.host_name)
            server = RemoteServer(self.world, place.host_name, certificate, manners)
            self.servers[place.domain] = server
            self._listeners += await server.serve([_listen(place.address, 25)])
        await asyncio.gather(
            asyncio.to_thread(self.real.start_postfix), asyncio.to_thread(self.real.start_exim)
        )

    def manners(self, place: Place) -> Manners:
        """The manners of a place whose server is no real program."""
        return self.servers[place.domain].manners

    def accepted(self, place: Place) -> list[Accepted]:
        """What a place has taken so far."""
        server = self.servers.get(place.domain)
        return list(server.accepted) if server is not None else self.real.accepted(place)

    def asked_about(self, address: str) -> bool:
        """Whether remote.com has asked the server of this sender whether it is there, and was told yes."""
        if self.real.exim is not None:
            return self.real.exim.asked_about(address)
        manners = self.manners(REMOTE)
        return isinstance(manners, EximLike) and address in manners.callouts

    async def arrived(self, place: Place, mark: bytes) -> list[Accepted]:
        """Wait until a message with this mark is in a place's mailboxes; all that are there with it."""
        deadline = time.monotonic() + ARRIVAL_S
        while True:
            found = [each for each in self.accepted(place) if mark in each.message]
            if found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(POLL_S)

    async def wait_certified(self) -> None:
        """Wait until all units show a certificate of the authority."""
        deadline = time.monotonic() + CERTIFICATE_S
        while sum("is taken, valid for" in line for line in self.journal) < EDGES:
            if time.monotonic() > deadline:
                raise ConfigError("rehearsal", "no certificate has come", "\n".join(self.journal[-20:]))
            await asyncio.sleep(POLL_S)

    def alice(self) -> Sender:
        """Alice at her mail program."""
        return Sender(
            world=self.world,
            server=Endpoint(OUR_ADDRESS, 465),
            host_name="[192.0.2.77]",
            own_address=ALICE_AT_HOME,
            trust_anchor_pem=self.authority.anchor_pem,
            server_name="mail.mirage.org",
            login=("alice", PASSWORD),
        )

    def remote(self, place: Place) -> Sender:
        """The mail server of a remote domain as it sends to us."""
        return Sender(
            world=self.world,
            server=Endpoint(OUR_ADDRESS, 25),
            host_name=place.host_name,
            own_address=place.address,
            trust_anchor_pem=self.authority.anchor_pem,
            server_name="mail.mirage.org",
            signer=self.signers[place.domain],
        )

    def stranger(self, to: str = OUR_ADDRESS) -> Sender:
        """Somebody at an address without a name, who signs nothing."""
        return Sender(
            world=self.world,
            server=Endpoint(to, 25),
            host_name=PLAIN_DOMAIN,
            own_address=STRANGER,
            trust_anchor_pem=self.authority.anchor_pem,
            server_name="mail.mirage.org",
        )

    async def close(self) -> None:
        """End everything."""
        await self.service.stop()
        await self.acme_server.close()
        await self.acme.close()
        for listener in self._listeners:
            listener.close()
        await asyncio.to_thread(self.real.stop)
        self.world.close()

    def _manners(self, place: Place, lookup: Lookup) -> Manners:
        domains = (Name.of(place.domain),)
        match place.kind:
            case Kind.GMAIL:
                return GmailLike(domains, place.users, lookup)
            case Kind.OUTLOOK:
                return OutlookLike(domains, place.users, lookup)
            case Kind.YAHOO:
                return YahooLike(domains, place.users, lookup)
            case Kind.POSTFIX:
                return PostfixLike(domains, place.users, lookup, GREYLISTED_S)
            case Kind.EXIM:
                return EximLike(domains, place.users, lookup, self.world, place.host_name, place.address)


async def set_up(
    folder: Path,
    progress: Callable[[str], None],
    on_line: Callable[[JournalEntry], None] | None = None,
) -> Stage:
    """Start the pretend Internet and our service; ``progress`` hears what is being done."""
    add_addresses([*addresses(), ACME])
    use_name_server(STUB)
    authority, world, journal = Authority(), SystemWorld(), list[str]()

    def heard(entry: JournalEntry) -> None:
        journal.append(entry.text)
        if on_line is not None:
            on_line(entry)

    domain = Domain(addresses=(OUR_ADDRESS,), users=USERS, has_exchange=True)
    service = OurService(domain, authority, on_line=heard, units=UNITS)
    stage = Stage(service, world, authority, folder, journal)
    keys = dict(service.dkim_records())
    for signer in stage.signers.values():
        keys |= signer.records()
    found = (*entries(keys), Entry(ACME_NAME, "A", ACME))
    zones = zone_files(found, SERVERS)
    progress("the pretend Internet: a root, top-level domains, five remote domains")
    await stage.open_names(zones, zone_files(found, {"": ZoneServer("stub.net", STUB)})[""])
    progress("the mail servers of the remote domains, and our own units")
    service.settings = {
        "relay": {"users": TARGETS},
        "spam_filter": {"model": model()},
        "dns_primary": {
            "zones": {f"{origin}.": text for origin, text in zones.items() if SERVERS[origin] == OURS}
        },
        "dns_resolver": {
            "roots": [{"name": f"{ROOT.name}.", "ipv4": ROOT.address}],
            "ipv6": False,
            "private_servers": True,
        },
        "letsencrypt": {
            "zones": ("mirage.org",),
            "directory": f"https://{ACME_NAME}/directory",
            "roots": authority.anchor_pem,
            "settle_s": 0.0,
            "retry_s": 1.0,
        },
    }
    try:
        await stage.acme_server.serve()
        await asyncio.gather(stage.open_servers(found), service.start())
        progress("a certificate for our host, from a pretend authority")
        await stage.wait_certified()
    except BaseException:
        await stage.close()  # real programs would go on without us
        raise
    return stage


def _listen(address: str, port: int) -> socket.socket:
    listening = socket.create_server((address, port), backlog=100)
    listening.setblocking(False)
    return listening
