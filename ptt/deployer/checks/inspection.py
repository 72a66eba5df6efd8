"""All checks in the order in which they block each other, with the facts that each needs.

What stands below something that failed is asked all the same where it can be: while the zone above does not
lead to us yet, our own name server is asked for our records.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import dns.message

from ptt.deployer.checks import port_trying
from ptt.deployer.checks.configuration import judge_config, judge_secrets
from ptt.deployer.checks.delegation import judge_delegation, judge_servers
from ptt.deployer.checks.delegation_asking import ask_parents, ask_servers
from ptt.deployer.checks.expected import Expected, expected_of
from ptt.deployer.checks.finding import Finding, Level, Theme
from ptt.deployer.checks.isolation import judge_isolation, this_kernel
from ptt.deployer.checks.mail_records import MailRecords
from ptt.deployer.checks.outside import Asker, Carrier, FreshLookup, OwnServerLookup, Silence
from ptt.deployer.checks.ports import (
    WELL_KNOWN,
    judge_outward,
    judge_port_53,
    judge_ports,
    judge_relay,
)
from ptt.deployer.checks.repositories import (
    judge_logins,
    judge_unreachable,
    judge_users,
    judge_zones,
    read_repository_files,
    read_zones,
)
from ptt.deployer.checks.reverse_names import ReverseNames
from ptt.deployer.config import Config
from ptt.deployer.unit_secrets import load_secrets
from ptt.deployer.user_store import Files
from ptt.errors import ConfigError
from ptt.protocol.dns.delegation import ROOT_HINTS, root_delegation
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.lookup import Lookup, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.reserved import RESERVED_ZONES
from ptt.protocol.dns.servers import Draw, may_be_asked
from ptt.protocol.dns.zone import Zone
from ptt.records.secrets_file import Secrets

MAX_ROOTS = 4  # of the root's servers that are asked; they stand all over the world
REPOSITORIES = ("relay", "passwords", "zone")
NOT_BUILT = (
    ("DS", "DNSSEC is not built yet: no DS record is looked for"),
    ("TLSA", "DANE for our own port 25 is not built yet: no TLSA record is looked for"),
    ("certificate", "its age is not looked at yet: not built; letsencrypt renews it by itself"),
    ("secondary", "a second name server (--secondary) is not built yet: some registries want two"),
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outside:
    """How the world is asked."""

    carrier: Carrier
    draw: Draw


@dataclass(slots=True)
class Inspection:
    """One run. ``is_running``: the service runs on this machine now."""

    config: Config
    outside: Outside
    is_running: bool
    progress: Progress = lambda _: None
    reached: bool = field(default=False, init=False)
    """Something out there answered: a name server, or a mail server."""
    _asker: Asker = field(init=False)
    _lookup: FreshLookup = field(init=False)
    _settings: ResolverSettings = field(init=False)
    _secrets: Secrets | ConfigError = field(init=False)
    _known: Expected | None = field(init=False, default=None)
    _files: dict[str, Files | ConfigError] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._settings = resolver_settings(self.config)
        self._asker = Asker(self.outside.carrier, self.outside.draw)
        self._lookup = FreshLookup(self._settings, self.outside.carrier, self.outside.draw)
        try:
            self._secrets = load_secrets(self.config)
        except ConfigError as error:
            self._secrets = error

    async def run(self, only: Theme | None = None) -> AsyncIterator[tuple[Theme, Finding]]:
        """Give what is found, theme by theme."""
        themes: dict[Theme, Callable[[], AsyncIterator[Finding]]] = {
            Theme.CONFIGURATION: self._configuration,
            Theme.REPOSITORIES: self._repositories,
            Theme.ISOLATION: self._isolation,
            Theme.PORTS: self._ports,
            Theme.OUTWARD: self._outward,
            Theme.DELEGATION: self._delegation,
            Theme.REVERSE: self._reverse,
            Theme.MAIL: self._mail,
            Theme.RELAY: self._relay,
            Theme.LATER: self._later,
        }
        try:
            for theme, findings in themes.items():
                if only in (None, theme):
                    async for finding in findings():
                        yield theme, finding
        finally:
            await self._lookup.close()

    async def _configuration(self) -> AsyncIterator[Finding]:
        for finding in (*judge_config(self.config), *judge_secrets(self.config, self._secrets)):
            yield finding

    async def _repositories(self) -> AsyncIterator[Finding]:
        for name in REPOSITORIES:
            self.progress(f"reading {name}.git")
            files = await self._read(name)
            for finding in self._judge_repository(name, files):
                yield finding

    def _judge_repository(self, name: str, files: Files | ConfigError) -> Iterator[Finding]:
        if isinstance(files, ConfigError):
            yield judge_unreachable(name, files)
        elif name == "relay":
            yield from judge_users(files, self.config)
        elif name == "passwords":
            yield from judge_logins(files)
        else:
            yield from judge_zones(read_zones(files), self.config)

    async def _isolation(self) -> AsyncIterator[Finding]:
        closed, own_network = this_kernel()
        for finding in judge_isolation(closed, own_network=own_network):
            yield finding

    async def _ports(self) -> AsyncIterator[Finding]:
        self.progress("trying our ports")
        trying = port_trying
        facts = await trying.served_ports(self.config) if self.is_running else trying.free_ports(self.config)
        for finding in judge_ports(facts, self.config.name):
            yield finding

    async def _outward(self) -> AsyncIterator[Finding]:
        self.progress("asking servers of the root")
        yield await self._port_53()
        self.progress("connecting to port 25 of well-known servers")
        names = self.config.check.mail_servers or WELL_KNOWN
        tried = await port_trying.try_outward(self.config, self._lookup, names)
        self.reached |= any(not each.trouble for each in tried)
        smarthost = self.config.relay.smarthost.host if self.config.relay.smarthost else ""
        for finding in judge_outward(tried, self.config.addresses, smarthost=smarthost):
            yield finding

    async def _port_53(self) -> Finding:
        settings = self._settings
        roots = [
            each
            for each in settings.root.addresses
            if may_be_asked(each, ipv6=settings.ipv6, private=settings.private_servers)
        ]
        roots = sorted(roots, key=lambda address: ":" in address)[:MAX_ROOTS]
        asked = (self._asker.ask(address, Name(()), RecordType.NS) for address in roots)
        said = await asyncio.gather(*asked)
        answering = sum(isinstance(each, dns.message.Message) for each in said)
        self.reached |= answering > 0
        trouble = next((each.reason for each in said if isinstance(each, Silence)), "")
        return judge_port_53(answering, len(roots), trouble)

    async def _delegation(self) -> AsyncIterator[Finding]:
        expected = await self._expected()
        for domain in expected.domains:
            self.progress(f"asking the servers above {domain}")
            facts = await ask_parents(domain, self._asker, self._lookup, self._settings)
            self.reached |= facts.parent is not None
            findings = list(judge_delegation(facts, expected))
            self.progress(f"asking the name servers of {domain}")
            servers = await ask_servers(facts, expected, self._asker, self._lookup)
            findings += judge_servers(domain, servers, expected, is_running=self.is_running)
            for finding in findings:
                yield finding

    async def _reverse(self) -> AsyncIterator[Finding]:
        expected = await self._expected()
        names = ReverseNames(expected, await self._our_lookup(expected), self.config.relay.ipv6)
        for address in expected.addresses:
            self.progress(f"asking for the reverse name of {address}")
            yield await names.finding(address)

    async def _mail(self) -> AsyncIterator[Finding]:
        self.progress("asking for the records of mail")
        expected = await self._expected()
        lookup = await self._our_lookup(expected)
        asked = "from the root down"
        if isinstance(lookup, OwnServerLookup):
            asked = f"our own name server at {lookup.address}"
        async for finding in MailRecords(expected, lookup, asked).findings():
            yield finding

    async def _relay(self) -> AsyncIterator[Finding]:
        for address in self.config.bound_addresses:
            self.progress(f"asking {address}:25 to relay for a stranger")
            if self.is_running:
                told = await asyncio.to_thread(port_trying.ask_to_relay, address, self.config.name)
            else:
                told = 0, "the service does not run here"
            yield judge_relay(*told, address)

    async def _later(self) -> AsyncIterator[Finding]:
        for what, sentence in NOT_BUILT:
            yield Finding(Level.TODO, what, sentence)

    async def _our_lookup(self, expected: Expected) -> Lookup:
        """From the root down, or our own server for our zones while that does not lead there."""
        answer = await self._lookup.query(expected.domains[0], RecordType.SOA)
        if not answer.is_failure and answer.records:
            return self._lookup
        zones = (*expected.domains, expected.srs)
        address = next((each for found in expected.name_servers.values() for each in found), "")
        address = address or expected.addresses[0]
        return OwnServerLookup(self._asker, zones, address, self._lookup)

    async def _expected(self) -> Expected:
        if self._known is None:
            self._known = await self._find_expected()
        return self._known

    async def _find_expected(self) -> Expected:
        files = await self._read("zone")
        zone = None if isinstance(files, ConfigError) else read_zones(files).get(self.config.domain)
        secrets = None if isinstance(self._secrets, ConfigError) else self._secrets
        return await asyncio.to_thread(
            expected_of, self.config, secrets, zone if isinstance(zone, Zone) else None
        )

    async def _read(self, name: str) -> Files | ConfigError:
        if name not in self._files:
            self._files[name] = await asyncio.to_thread(read_repository_files, self.config, name)
        return self._files[name]


def resolver_settings(config: Config) -> ResolverSettings:
    """The resolver's own rules, as the unit is told them."""
    told = config.dns_resolver
    hints = tuple((root.name, root.ipv4, root.ipv6) for root in told.roots) or ROOT_HINTS
    return ResolverSettings(
        root=root_delegation(hints),
        ipv6=told.ipv6,
        private_servers=told.private_servers,
        reserved=RESERVED_ZONES - {Name.of(text) for text in told.unreserved},
    )
