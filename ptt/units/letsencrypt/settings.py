"""What letsencrypt is told in its boot record, and its two keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import dns.tsig
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ptt.errors import Malformed
from ptt.protocol.acme.account_key import AccountKey
from ptt.protocol.acme.objects import is_https
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.rights import Right, may, rights_of
from ptt.protocol.dns.tsig import make_key
from ptt.records.keys import ACME_ACCOUNT, parse_key
from ptt.records.tsig_key import parse_tsig_key

PRODUCTION = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
DAY_S = 86_400.0


class LetsencryptSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``zones`` are those that are read, without any nothing is done.

    ``directory`` empty: Let's Encrypt, by ``production``.
    """

    zones: tuple[str, ...] = ()
    email: str = ""
    production: bool = True
    directory: str = ""
    roots: str = ""
    """PEM of the certificates that the authority's server is trusted by; empty: the system's."""
    account_key_bits: int = ACME_ACCOUNT.rsa_bits
    """Of a key that is given as a seed."""
    look_every_s: float = DAY_S
    """How often zones are asked for without a notice."""
    settle_s: float = 5.0
    """From an answered update to the moment when all secondaries of a zone have it."""
    retry_s: float = 60.0
    """After a failure; doubled with each one more."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No zones: certificates come from elsewhere."""


@dataclass(frozen=True, slots=True)
class Told:
    """Settings and secrets, read."""

    zones: tuple[Name, ...]
    directory: str
    contact: tuple[str, ...]
    account_key: AccountKey = field(repr=False)
    tsig_key: dns.tsig.Key = field(repr=False)
    settings: LetsencryptSettings


def read_told(values: Mapping[str, object], account_key: str, tsig_key: str) -> Told | Idle | Malformed:
    """Read settings and secrets. A reason never shows a key. A seed takes seconds to become a key."""
    try:
        settings = msgspec.convert(values, LetsencryptSettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    if not settings.zones:
        return Idle()
    directory = settings.directory or (PRODUCTION if settings.production else STAGING)
    if not is_https(directory):
        return Malformed("directory: not an https URL")
    if min(settings.look_every_s, settings.retry_s) <= 0 or settings.settle_s < 0:
        return Malformed("look_every_s, retry_s, settle_s: times are above zero")
    zones = _read_zones(settings.zones)
    if isinstance(zones, Malformed):
        return zones
    tsig = _read_tsig_key(tsig_key, zones)
    if isinstance(tsig, Malformed):
        return tsig
    key = parse_key(account_key, ACME_ACCOUNT, settings.account_key_bits)
    match key:
        case Malformed():
            return key
        case RSAPrivateKey() | EllipticCurvePrivateKey():
            contact = (f"mailto:{settings.email}",) if settings.email else ()
            return Told(zones, directory, contact, AccountKey(key), tsig, settings)
        case _:
            return Malformed(f"the {ACME_ACCOUNT.name}: a kind of key that cannot be used here")


def _read_zones(texts: tuple[str, ...]) -> tuple[Name, ...] | Malformed:
    names = []
    for text in texts:
        name = Name.parse(text)
        if isinstance(name, Malformed):
            return Malformed(f"zones: {text!r}: {name.reason}")
        names.append(name)
    return tuple(dict.fromkeys(names))


def _read_tsig_key(text: str, zones: tuple[Name, ...]) -> dns.tsig.Key | Malformed:
    key = parse_tsig_key(text)
    if isinstance(key, Malformed):
        return Malformed(f"tsig_key: {key.reason}")
    foreign = [zone for zone in zones if not may(rights_of(key.name), Right.UPDATE, zone)]
    if foreign:
        return Malformed(f"tsig_key: {key.name} may not change {foreign[0]}")
    return make_key(key.name, key.algorithm.wire_name, key.secret)
