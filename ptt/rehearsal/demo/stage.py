"""What the demonstration plays on: remote domains, our own service, the names that lead to them.

mirage.org is ours; Bob is at remote.com, Alice's own mailbox is at home.com (strict about DMARC, as Gmail
is), yahoo-like.net tells unknown users only after the data. Everything has an address of its own here.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptt.errors import ConfigError, Malformed
from ptt.host.unit_spec import JournalEntry
from ptt.net.fixed_lookup import read_zone
from ptt.net.system import SystemWorld
from ptt.net.world import Endpoint, Server
from ptt.protocol.dns.name import Name
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.internet.name_server import NameServer
from ptt.rehearsal.internet.names import Entry, ZoneServer, fixed_zone, zone_files
from ptt.rehearsal.internet.people import DomainSigner, Sender
from ptt.rehearsal.internet.remote_server import PLAIN, Personality, RemoteServer, as_unit
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.our_service import Domain, OurService

OUR_ADDRESS = "192.0.2.10"
ALICE_AT_HOME = "192.0.2.77"  # where Alice's mail program runs
PASSWORD = "pretend password"  # noqa: S105 - of a person who does not exist
USERS = {"alice": PASSWORD}
TARGETS = {"alice": {"targets": ["alice@home.com"], "insecure": False}}


@dataclass(frozen=True, slots=True)
class Place:
    """A remote domain."""

    domain: str
    host_name: str
    address: str
    users: tuple[str, ...]
    personality: Personality = PLAIN


PLACES = (
    Place("remote.com", "mx1.remote.com", "198.51.100.25", ("bob", "carol")),
    Place("home.com", "mail.home.com", "203.0.113.25", ("alice",), Personality(wants_dmarc_pass=True)),
    Place(
        "yahoo-like.net",
        "mx.yahoo-like.net",
        "203.0.113.80",
        ("dave",),
        Personality(unknown_after_data=True),
    ),
)


ROOT = ZoneServer("a.root", "198.51.100.1")
TOP = ZoneServer("a.tld", "198.51.100.2")
OURS = ZoneServer("ns1.mirage.org", OUR_ADDRESS)
REMOTE_NAMES = "203.0.113.53"  # one machine serves the zones of all remote domains
SERVERS = {
    "": ROOT,
    **dict.fromkeys(("org", "com", "net"), TOP),
    "mirage.org": OURS,
    "srs.mirage.org": OURS,
    **{place.domain: ZoneServer(f"ns.{place.domain}", REMOTE_NAMES) for place in PLACES},
}


def entries(keys: Mapping[str, str]) -> tuple[Entry, ...]:
    """All records of the pretend Internet; ``keys`` are TXT records: everybody's DKIM keys."""
    found = [
        Entry("mirage.org", "MX", "10 mail.mirage.org"),
        Entry("mail.mirage.org", "A", OUR_ADDRESS),
        Entry("mirage.org", "TXT", "v=spf1 mx -all"),
        Entry("mail.mirage.org", "TXT", "v=spf1 a -all"),
        Entry("_dmarc.mirage.org", "TXT", "v=DMARC1; p=reject; aspf=s; adkim=s"),
        Entry("srs.mirage.org", "MX", "10 mail.mirage.org"),
        Entry("srs.mirage.org", "TXT", f"v=spf1 ip4:{OUR_ADDRESS} -all"),
        Entry("_dmarc.srs.mirage.org", "TXT", "v=DMARC1; p=reject; psd=n"),
    ]
    for place in PLACES:
        found += [
            Entry(place.domain, "MX", f"10 {place.host_name}"),
            Entry(place.host_name, "A", place.address),
            Entry(place.domain, "TXT", "v=spf1 mx -all"),
            Entry(f"_dmarc.{place.domain}", "TXT", "v=DMARC1; p=reject"),
        ]
    return (*found, *(Entry(name, "TXT", text) for name, text in keys.items()))


class Stage:
    """Everything that runs; made by ``set_up``."""

    def __init__(self, service: OurService, world: SystemWorld, authority: Authority) -> None:
        self.service = service
        self.world = world
        self.authority = authority
        self.servers: dict[str, RemoteServer] = {}
        self.signers = {place.domain: DomainSigner(place.domain) for place in PLACES}
        self._listeners: list[Server] = []

    async def open_names(self, zones: Mapping[str, str]) -> None:
        """Start the root, the top-level domains and the remote domains' name servers."""
        by_address: dict[str, dict[str, str]] = {}
        for origin, text in zones.items():
            if SERVERS[origin] != OURS:
                by_address.setdefault(SERVERS[origin].address, {})[origin or "."] = text
        for address, served in by_address.items():
            server = NameServer(as_unit(self.world, f"names at {address}"), address, served)
            self._listeners += await server.serve()

    async def open_servers(self, found: Sequence[Entry]) -> None:
        """Start the remote domains' mail servers."""
        lookup = read_zone(fixed_zone(found))
        if isinstance(lookup, Malformed):
            raise ConfigError("rehearsal", lookup.reason, "this is a bug: the zone is our own")
        for place in PLACES:
            server = RemoteServer(
                self.world,
                place.host_name,
                (Name.of(place.domain),),
                place.users,
                lookup,
                self.authority.issue(place.host_name),
                place.personality,
            )
            self.servers[place.domain] = server
            self._listeners += await server.serve([_listen(place.address, 25)])

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

    def remote(self, domain: str) -> Sender:
        """The mail server of a remote domain as it sends to us."""
        place = next(place for place in PLACES if place.domain == domain)
        return Sender(
            world=self.world,
            server=Endpoint(OUR_ADDRESS, 25),
            host_name=place.host_name,
            own_address=place.address,
            trust_anchor_pem=self.authority.anchor_pem,
            server_name="mail.mirage.org",
            signer=self.signers[domain],
        )

    async def close(self) -> None:
        """End everything."""
        await self.service.stop()
        for listener in self._listeners:
            listener.close()
        self.world.close()


async def set_up(
    folder: Path,
    progress: Callable[[str], None],
    on_line: Callable[[JournalEntry], None] | None = None,
) -> Stage:
    """Start the pretend Internet, then our service; ``progress`` hears what is being done."""
    hosts = (place.address for place in PLACES)
    add_addresses([OUR_ADDRESS, ALICE_AT_HOME, *hosts, *{server.address for server in SERVERS.values()}])
    authority, world = Authority(), SystemWorld()
    service = OurService(folder, Domain(addresses=(OUR_ADDRESS,), users=USERS), authority, on_line=on_line)
    stage = Stage(service, world, authority)
    keys = dict(service.dkim_records())
    for signer in stage.signers.values():
        keys |= signer.records()
    found = entries(keys)
    zones = zone_files(found, SERVERS)
    progress("starting the pretend Internet")
    await stage.open_names(zones)
    await stage.open_servers(found)
    progress("building images and starting the units")
    service.settings = {
        "relay": {"users": TARGETS},
        "dns_primary": {
            "zones": {f"{origin}.": text for origin, text in zones.items() if SERVERS[origin] == OURS}
        },
        "dns_resolver": {
            "roots": [{"name": f"{ROOT.name}.", "ipv4": ROOT.address}],
            "ipv6": False,
            "private_servers": True,
        },
    }
    await service.start()
    return stage


def _listen(address: str, port: int) -> socket.socket:
    listening = socket.create_server((address, port), backlog=100)
    listening.setblocking(False)
    return listening
