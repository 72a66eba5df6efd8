"""Authoritative name servers of the pretend Internet: a root, its top-level domains, everybody's own zones.

The same pure authority answers here as in our own name server, from zone texts in the form of BIND.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ptt.errors import ConfigError
from ptt.net.dns_server import DnsDatagrams
from ptt.net.dns_streams import Caller, DnsStreams
from ptt.net.unit import Unit
from ptt.net.world import Server, World
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone
from ptt.rehearsal.internet.names import ZoneServer
from ptt.rehearsal.internet.remote_server import as_unit

DNS_PORT = 53


@dataclass(slots=True)
class NameServer:
    """One server at one address, by UDP and TCP. ``zones``: text by origin."""

    unit: Unit
    address: str
    zones: Mapping[str, str]

    async def serve(self) -> list[Server]:
        """Bind and answer."""
        authority = Authority([_read(origin, text) for origin, text in self.zones.items()], {})
        world = self.unit.world

        def handle(wire: bytes, *, stream: bool) -> list[bytes]:
            now = int(world.wall_time().timestamp())
            return list(authority.handle(now, wire, stream=stream).messages)

        def datagram(wire: bytes) -> bytes | None:
            return next(iter(handle(wire, stream=False)), None)

        def message(wire: bytes, _caller: Caller, answer: Callable[[list[bytes]], None]) -> None:
            answer(handle(wire, stream=True))

        streams = DnsStreams(self.unit, message)
        tcp = socket.create_server((self.address, DNS_PORT))
        tcp.setblocking(False)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((self.address, DNS_PORT))
        udp.setblocking(False)
        return [
            await world.serve(tcp, streams.factory),
            await world.serve(udp, lambda: DnsDatagrams(datagram)),
        ]


async def serve_zones(
    world: World, zones: Mapping[str, str], servers: Mapping[str, ZoneServer]
) -> list[Server]:
    """Serve each zone at its server's address; both by origin, "" is the root."""
    by_address: dict[str, dict[str, str]] = {}
    for origin, text in zones.items():
        by_address.setdefault(servers[origin].address, {})[origin or "."] = text
    listening: list[Server] = []
    for address, texts in by_address.items():
        listening += await NameServer(as_unit(world, f"names at {address}"), address, texts).serve()
    return listening


def _read(origin: str, text: str) -> Zone:
    zone = read_zone(text, Name.of(origin), origin)
    if not isinstance(zone, Zone):
        raise ConfigError(zone.where, zone.reason, "this is a bug: the zone is the rehearsal's own")
    return zone
