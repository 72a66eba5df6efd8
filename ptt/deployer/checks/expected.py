"""What ought to be out there, from configuration, keys and zones: the values that ``ptt init`` prints."""

from collections.abc import Mapping
from dataclasses import dataclass

from ptt.deployer.config import Config
from ptt.deployer.first_zone import Naming
from ptt.deployer.unit_secrets import dkim_records
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import name_of
from ptt.protocol.dns.response import addresses_of
from ptt.protocol.dns.zone import Zone
from ptt.records.secrets_file import Secrets


@dataclass(frozen=True, slots=True)
class Expected:
    """``name_servers``: names and addresses, the latter empty where another zone has them."""

    naming: Naming
    domains: tuple[Name, ...]
    srs: Name
    name_servers: Mapping[Name, tuple[str, ...]]
    are_keys_known: bool = True
    """False: the file of secrets could not be read."""

    @property
    def host(self) -> Name:
        """The name of our greeting and of our MX records."""
        return Name.of(self.naming.host_name)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our public addresses."""
        return self.naming.addresses


def expected_of(config: Config, known: Secrets | None, zone: Zone | None) -> Expected:
    """``known`` and ``zone`` (our first domain's, from its file) are None where they cannot be read."""
    keys = {} if known is None else dkim_records(config, known)
    naming = Naming(config.domain, config.name, config.addresses, keys)
    servers = {} if zone is None else name_servers_of(zone)
    return Expected(
        naming,
        tuple(map(Name.of, config.domains)),
        Name.of(config.relay.srs_domain or naming.srs_domain),
        servers or {Name.of(naming.name_server): naming.addresses},
        are_keys_known=known is not None,
    )


def name_servers_of(zone: Zone) -> Mapping[Name, tuple[str, ...]]:
    """The servers at a zone's origin with the addresses that the zone has for them."""
    apex = zone.at(zone.origin, RecordType.NS)
    found = {}
    for rdata in apex.rdatas if apex is not None else ():
        name = name_of(rdata.target)  # type: ignore[attr-defined] # of every NS record
        sets = (zone.at(name, kind) for kind in (RecordType.A, RecordType.AAAA))
        found[name] = tuple(address for each in sets if each is not None for address in addresses_of(each))
    return found
