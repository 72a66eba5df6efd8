"""What the name server is told in its boot record: zone files, secondaries, keys."""

from collections.abc import Mapping
from dataclasses import dataclass

import dns.tsig
import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.addresses import is_address
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.tsig import make_key
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import ZoneFault, read_zone
from ptt.records.repository import RepositorySettings, read_repository
from ptt.records.tsig_key import parse_tsig_key

MAX_PORT = 65_535


class Secondary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is told of changes, with the key that signs the notice; no key: unsigned."""

    address: str
    port: int = 53
    key: str = ""


class DnsPrimarySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``zones``: the text of each zone file by origin; ``secondaries`` by origin."""

    zones: dict[str, str] = {}
    secondaries: dict[str, tuple[Secondary, ...]] = {}
    repository: RepositorySettings | None = None
    """``zone.git``, where the zones are then, in place of ``zones``."""


@dataclass(frozen=True, slots=True)
class Told:
    """Settings and secrets, read."""

    zones: tuple[Zone, ...]
    keys: Mapping[Name, dns.tsig.Key]
    secondaries: Mapping[Name, tuple[Secondary, ...]]
    faults: tuple[ZoneFault, ...]
    """Zones that cannot be served; the others are [P12]."""
    repository: RepositorySettings | None = None


def read_told(values: Mapping[str, object], secret: str) -> Told | Malformed:
    """Read settings and the secret ``tsig_keys``; a reason never shows a key."""
    try:
        settings = msgspec.convert(values, DnsPrimarySettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    keys = read_keys(secret)
    if isinstance(keys, Malformed):
        return keys
    if settings.repository is not None:
        repository = read_repository(settings.repository)
        if settings.zones or isinstance(repository, Malformed):
            reason = "zones: they are in the repository"
            return Malformed(
                f"repository.{repository.reason}" if isinstance(repository, Malformed) else reason
            )
    zones: list[Zone] = []
    faults: list[ZoneFault] = []
    for text, content in settings.zones.items():
        origin = Name.parse(text)
        if isinstance(origin, Malformed):
            return Malformed(f"zones: {text!r}: {origin.reason}")
        zone = read_zone(content, origin, text)
        if isinstance(zone, ZoneFault):
            faults.append(zone)
        else:
            zones.append(zone)
    secondaries = _secondaries(settings, keys)
    if isinstance(secondaries, Malformed):
        return secondaries
    return Told(tuple(zones), keys, secondaries, tuple(faults), settings.repository)


def read_keys(secret: str) -> Mapping[Name, dns.tsig.Key] | Malformed:
    """Read a JSON list of keys in the form NAME:ALGORITHM:BASE64."""
    try:
        texts = msgspec.json.decode(secret, type=list[str])
    except msgspec.DecodeError:
        return Malformed("tsig_keys: not a JSON list of texts")
    keys = {}
    for text in texts:
        key = parse_tsig_key(text)
        if isinstance(key, Malformed):
            return Malformed(f"tsig_keys: {key.reason}")
        keys[key.name] = make_key(key.name, key.algorithm.wire_name, key.secret)
    return keys


def _secondaries(
    settings: DnsPrimarySettings, keys: Mapping[Name, dns.tsig.Key]
) -> Mapping[Name, tuple[Secondary, ...]] | Malformed:
    found = {}
    for text, secondaries in settings.secondaries.items():
        origin = Name.parse(text)
        if isinstance(origin, Malformed):
            return Malformed(f"secondaries: {text!r}: {origin.reason}")
        for secondary in secondaries:
            if not is_address(secondary.address) or not 0 < secondary.port <= MAX_PORT:
                return Malformed(f"secondaries: {secondary.address}:{secondary.port} is no address and port")
            if secondary.key and Name.parse(secondary.key) not in keys:
                return Malformed(f"secondaries: there is no key {secondary.key}")
        found[origin] = secondaries
    return found
