"""What the demonstration plays on: remote domains, our own service, the names that lead to them.

mirage.org is ours; Bob is at remote.com, Alice's own mailbox is at home.com (strict about DMARC, as Gmail
is), yahoo-like.net tells unknown users only after the data. Everything has an address of its own here.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ptt.errors import ConfigError, Malformed
from ptt.host.unit_spec import JournalEntry
from ptt.net.fixed_lookup import read_zone
from ptt.net.system import SystemWorld
from ptt.net.world import Endpoint, Server
from ptt.protocol.dns.name import Name
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.internet.people import DomainSigner, Sender
from ptt.rehearsal.internet.remote_server import PLAIN, Personality, RemoteServer
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


def zone_text(service_records: Mapping[str, str]) -> str:
    """The names of the pretend Internet; ``service_records`` are TXT records: everybody's DKIM keys."""
    lines = [
        "mirage.org MX 10 mail.mirage.org",
        f"mail.mirage.org A {OUR_ADDRESS}",
        'mirage.org TXT "v=spf1 mx -all"',
        'mail.mirage.org TXT "v=spf1 a -all"',
        '_dmarc.mirage.org TXT "v=DMARC1; p=reject; aspf=s; adkim=s"',
        "srs.mirage.org MX 10 mail.mirage.org",
        f'srs.mirage.org TXT "v=spf1 ip4:{OUR_ADDRESS} -all"',
        '_dmarc.srs.mirage.org TXT "v=DMARC1; p=reject; psd=n"',
    ]
    for place in PLACES:
        lines += [
            f"{place.domain} MX 10 {place.host_name}",
            f"{place.host_name} A {place.address}",
            f'{place.domain} TXT "v=spf1 mx -all"',
            f'_dmarc.{place.domain} TXT "v=DMARC1; p=reject"',
        ]
    lines += [f'{name} TXT "{part}"' for name, part in service_records.items()]
    return "\n".join(lines)


class Stage:
    """Everything that runs; made by ``set_up``."""

    def __init__(self, service: OurService, world: SystemWorld, authority: Authority) -> None:
        self.service = service
        self.world = world
        self.authority = authority
        self.servers: dict[str, RemoteServer] = {}
        self.signers = {place.domain: DomainSigner(place.domain) for place in PLACES}
        self._listeners: list[Server] = []

    async def open_servers(self, zone: str) -> None:
        """Start the remote domains' mail servers."""
        lookup = read_zone(zone)
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
    add_addresses([OUR_ADDRESS, ALICE_AT_HOME, *(place.address for place in PLACES)])
    authority, world = Authority(), SystemWorld()
    service = OurService(folder, Domain(addresses=(OUR_ADDRESS,), users=USERS), authority, on_line=on_line)
    stage = Stage(service, world, authority)
    keys = dict(service.dkim_records())
    for signer in stage.signers.values():
        keys |= signer.records()
    zone = zone_text(keys)
    progress("starting the pretend Internet")
    await stage.open_servers(zone)
    progress("building images and starting the units")
    service.settings = {
        "relay": {"zone": zone, "users": TARGETS},
        "receiver": {"zone": zone},
    }
    await service.start()
    await asyncio.sleep(0)
    return stage


def _listen(address: str, port: int) -> socket.socket:
    listening = socket.create_server((address, port), backlog=100)
    listening.setblocking(False)
    return listening
