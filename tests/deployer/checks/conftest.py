"""A pretend Internet in memory: name servers by address, from zone texts; a folder by ``ptt init``."""

import asyncio
import os
import time
from dataclasses import dataclass, field

import pytest

from ptt.deployer.checks.finding import Finding, Theme
from ptt.deployer.checks.inspection import Inspection, Outside
from ptt.deployer.checks.outside import Silence
from ptt.deployer.config import Config, load_config
from ptt.deployer.first_zone import first_zones
from ptt.deployer.founding import Founded, Wishes, found
from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.work import Transport
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone

OURS, OURS_6 = "192.0.2.10", "2001:db8::10"
ROOT, TOP, TOP_2, NAMES = "198.51.100.1", "198.51.100.2", "198.51.100.3", "203.0.113.53"
HEAD = "$TTL 60\n@ SOA a.root. hostmaster.a.root. 1 3600 600 86400 60\n@ NS {server}\n"
DELEGATED = f"example NS ns1.example\nns1.example A {OURS}\nns1.example AAAA {OURS_6}\n"
ORG = HEAD.format(server="a.tld.root.") + "@ NS b.tld.root.\n" + DELEGATED
REVERSE = "10.2.0.192.in-addr.arpa"
REVERSE_6 = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
PRETEND = f"""
[dns_resolver]
private_servers = true
ipv6 = false
roots = [{{ name = "a.root.", ipv4 = "{ROOT}" }}]
unreserved = ["2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"]
"""


@dataclass
class Pretend:
    """``zones`` by address and origin; a test changes them. ``silent`` do not answer."""

    config: Config
    zones: dict[str, dict[str, str]]
    silent: set[tuple[str, Transport]] = field(default_factory=set)
    is_running: bool = True

    def edit(self, address: str, origin: str, old: str, new: str) -> None:
        """Replace a part of a zone's text that must be there."""
        assert old in self.zones[address][origin], self.zones[address][origin]
        self.zones[address][origin] = self.zones[address][origin].replace(old, new)

    async def carry(self, address: str, transport: Transport, wire: bytes) -> bytes | Silence:
        if address not in self.zones or (address, transport) in self.silent:
            return Silence("no answer within 2 s")
        zones = [_zone(origin, text) for origin, text in self.zones[address].items()]
        is_stream = transport is Transport.TCP
        handled = Authority(zones, {}).handle(int(time.time()), wire, stream=is_stream)
        return handled.messages[0]

    def findings(self, theme: Theme) -> list[Finding]:
        """What a check of this theme comes to."""

        async def run() -> list[Finding]:
            inspection = Inspection(self.config, Outside(self, os.urandom), self.is_running)
            return [finding async for _, finding in inspection.run(theme)]

        return asyncio.run(run())


def _zone(origin: str, text: str) -> Zone:
    zone = read_zone(text, Name.of(origin or "."), origin)
    assert isinstance(zone, Zone), zone
    return zone


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    folder = tmp_path_factory.mktemp("checks") / "ptt"
    wishes = Wishes(
        domain="example.org", addresses=(OURS, OURS_6), folder=folder, postmaster="me@home.example"
    )
    made = found(wishes)
    with (folder / "ptt.toml").open("a") as file:
        file.write(PRETEND)
    return made


@pytest.fixture(scope="session")
def config(founded: Founded) -> Config:
    return load_config(founded.config.file)


@pytest.fixture
def pretend(founded: Founded, config: Config) -> Pretend:
    """Everything is right."""
    ours = {name: text.decode() for name, text in first_zones(founded.naming).items()}
    root = (
        HEAD.format(server="a.root.")
        + f"a.root. A {ROOT}\norg. NS a.tld.root.\norg. NS b.tld.root.\n"
        + f"a.tld.root. A {TOP}\nb.tld.root. A {TOP_2}\n"
        + f"arpa. NS names.root.\nnames.root. A {NAMES}\n"
    )
    arpa = HEAD.format(server="names.root.") + "".join(
        f"{name}. PTR mail.example.org.\n" for name in (REVERSE, REVERSE_6)
    )
    return Pretend(
        config,
        {
            ROOT: {"": root},
            TOP: {"org": ORG},
            TOP_2: {"org": ORG},
            NAMES: {"arpa": arpa},
            OURS: dict(ours),
            OURS_6: dict(ours),
        },
    )
