"""What the relay is told in its boot record, beside its secrets.

Read at once and whole: every mistake is a sentence with the field's name, and nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import parse_domain, parse_mailbox
from ptt.protocol.mail.srs import SrsKeys
from ptt.protocol.smtp.events import DEFAULT_SIZE_LIMIT
from ptt.records.local_part import fold
from ptt.records.repository import RepositorySettings, read_repository
from ptt.records.user_list import UserList
from ptt.records.users import RelayFile, RelayUser, user_of
from ptt.units.relay.bounces import SrsDomains
from ptt.units.relay.routing import POSTMASTER, Directory

SMTP_PORT = 25
CATCH_ALL = "*"  # the local part of a catch-all that is a mailbox only
SRS_LABEL = b"srs"
MIN_SRS_KEY_OCTETS = 16  # 128 bits
MAX_SRS_DOMAIN_OCTETS = 180  # leaves the whole local part its 64 octets and the path its 256
SUBMISSIONS_PORT = 465  # RFC 8314 §3.3: TLS from the first octet
DEFAULT_MEMORY_OCTETS = 48 * 1024 * 1024  # of mail in flight: 48 messages just below the streaming limit


class _SrsKeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[str, ...]


class UserSettings(RelayFile, frozen=True, forbid_unknown_fields=True):
    """A user as in ``relay.git``."""

    targets: list[str] = msgspec.field(default_factory=list)


class SmarthostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server that takes all outbound mail [R18]; its password is among the secrets."""

    host: str
    login: str
    port: int = SUBMISSIONS_PORT
    implicit_tls: bool | None = None
    """TLS from the first octet, else by STARTTLS; None: as is usual on the port."""
    trust_anchors_pem: str | None = None
    """None: those of the system."""

    @property
    def has_implicit_tls(self) -> bool:
        """Whether TLS comes first of all."""
        return self.port == SUBMISSIONS_PORT if self.implicit_tls is None else self.implicit_tls


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Towards one destination, whoever it is; big receivers count both (specs/receivers.md section 7)."""

    connections: int = 5
    messages_per_connection: int = 20


class DeadlineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Overrides of ``ptt.net.deadlines``, in seconds; None leaves what stands there."""

    recipients_s: float | None = None
    taken_s: float | None = None
    answer_s: float | None = None
    late_s: float | None = None


class RelaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Field defaults are the product's defaults for a unit started by hand.

    The deployer fills them from ptt.toml.
    """

    domains: tuple[str, ...] = ()
    users: dict[str, UserSettings] = {}
    repository: RepositorySettings | None = None
    """``relay.git``, where the users are then, in place of ``users``."""
    postmaster: str = ""
    """A mailbox or a user: who gets the mail for postmaster and abuse in all our domains [R3]."""
    catch_all: str = ""
    """A mailbox or a user: who gets the mail for nobody; empty: it is refused [R2]."""
    srs_domain: str = ""
    """Where the envelope senders of forwarded mail are; empty: ``srs.`` below each domain of ours [C4]."""
    zone: str = ""
    """Text of a fixed zone that is asked in place of the DNS."""
    smarthost: SmarthostSettings | None = None
    ipv6: bool = False
    """Whether mail may go out by IPv6: only with a forward-confirmed reverse name."""
    source_addresses: tuple[str, ...] = ()
    """Our published addresses, at most one a family: the ones whose reverse names and SPF receivers look at.
    None of a family: the system chooses."""
    port: int = SMTP_PORT
    """Of the servers of the Internet; another one only where there is no Internet."""
    size_limit: int = DEFAULT_SIZE_LIMIT
    memory_octets: int = DEFAULT_MEMORY_OCTETS
    limits: LimitSettings = LimitSettings()
    deadlines: DeadlineSettings = DeadlineSettings()


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings and what was read out of them."""

    settings: RelaySettings
    directory: Directory
    srs_domains: SrsDomains

    def with_users(self, users: UserList[RelayUser]) -> Directory:
        """The directory with another list; roles that are named after users are looked up in it."""
        roles = _roles(self.settings, users.users)
        postmaster, catch_all = roles if isinstance(roles, tuple) else (None, None)
        return replace(self.directory, users=users, postmaster=postmaster, catch_all=catch_all)

    def unknown_roles(self, users: UserList[RelayUser]) -> tuple[str, ...]:
        """The names of ``postmaster`` and ``catch_all`` that no user of this list has."""
        roles = (self.settings.postmaster, self.settings.catch_all)
        return tuple(text for text in roles if text and "@" not in text and users.find(text) is None)


def read_settings(values: Mapping[str, object], host_name: str) -> Configured | Malformed:
    """Read the boot record's settings; the reason names the field."""
    try:
        settings = msgspec.convert(values, RelaySettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    domains = _domains("domains", settings.domains)
    if isinstance(domains, Malformed):
        return domains
    users = _users(settings)
    if isinstance(users, Malformed):
        return users
    if isinstance(fault := _fault(settings), Malformed):
        return fault
    roles = _roles(settings, users)
    if isinstance(roles, Malformed):
        return roles
    srs_domains = _srs_domains(settings.srs_domain, domains, Name.of(host_name))
    if isinstance(srs_domains, Malformed):
        return srs_domains
    directory = Directory(frozenset(domains), UserList(users, {}), Name.of(host_name), *roles)
    return Configured(settings, directory, srs_domains)


def read_srs_keys(secret: str) -> SrsKeys | Malformed:
    """Read the secret ``srs_keys``: ``{"keys": ["hex", ...]}``, the first signs, all verify."""
    try:
        keys = msgspec.json.decode(secret, type=_SrsKeyFile).keys
        octets = tuple(map(bytes.fromhex, keys))
    except (msgspec.DecodeError, ValueError):
        return Malformed("no JSON object with a list of keys in hexadecimal")
    if not octets or min(map(len, octets)) < MIN_SRS_KEY_OCTETS:
        return Malformed(f"no key, or one of fewer than {MIN_SRS_KEY_OCTETS} octets")
    return SrsKeys(octets)


def _users(settings: RelaySettings) -> dict[str, RelayUser] | Malformed:
    users: dict[str, RelayUser] = {}
    for local_part, user in settings.users.items():
        read = _user(local_part, user)
        if isinstance(read, Malformed):
            return read
        if users.setdefault(fold(local_part), read) is not read:
            return Malformed(f"users: {local_part!r} is there twice")
    return users


def _fault(settings: RelaySettings) -> Malformed | None:
    """What is wrong with one of the settings that are used as they are."""
    if settings.repository is not None:
        if settings.users:
            return Malformed("users: they are in the repository")
        repository = read_repository(settings.repository)
        if isinstance(repository, Malformed):
            return Malformed(f"repository.{repository.reason}")
    if settings.smarthost is not None and isinstance(Name.parse(settings.smarthost.host), Malformed):
        return Malformed(f"smarthost.host: {settings.smarthost.host!r} is no name")
    return _check_sources(settings.source_addresses)


def _roles(
    settings: RelaySettings, users: Mapping[str, RelayUser]
) -> tuple[RelayUser | None, RelayUser | None] | Malformed:
    """Who is postmaster and who has mail for nobody; a user of a repository is known with its list."""
    roles: list[RelayUser | None] = []
    for where, text, name in (
        ("postmaster", settings.postmaster, POSTMASTER),
        ("catch_all", settings.catch_all, CATCH_ALL),
    ):
        role = _role(where, text, name, users)
        if isinstance(role, Malformed) and (settings.repository is None or "@" in text):
            return role
        roles.append(None if isinstance(role, Malformed) else role)
    return roles[0], roles[1]


def _role(where: str, text: str, name: str, users: Mapping[str, RelayUser]) -> RelayUser | Malformed | None:
    """Who stands in for a name that no user has: a user of the list, or one made of a mailbox alone."""
    if not text:
        return None
    if "@" not in text:
        return users.get(fold(text)) or Malformed(f"{where}: {text!r} is no user")
    target = parse_mailbox(text.encode(), allow_utf8=True)
    if isinstance(target, Malformed):
        return Malformed(f"{where}: {text!r}: {target.reason}")
    return RelayUser(name, (target,))


def _srs_domains(text: str, domains: tuple[Name, ...], host_name: Name) -> SrsDomains | Malformed:
    """The SRS domain of each domain of ours; mail for our host's postmaster goes by the first one's."""
    if text:
        given = parse_domain(text)
        names = dict.fromkeys((*domains, host_name), given)
    else:
        names = {domain: domain.below(SRS_LABEL) for domain in (*domains, host_name)}
    by_domain: dict[Name, Name] = {}
    for domain, name in names.items():
        if isinstance(name, Malformed):
            return Malformed(f"srs_domain: {text or domain}: {name.reason}")
        if name in domains or len(name.text) > MAX_SRS_DOMAIN_OCTETS:
            return Malformed(f"srs_domain: {name} is a domain of users, or too long")
        by_domain[domain] = name
    default = by_domain[(*domains, host_name)[0]]
    return SrsDomains({domain: by_domain[domain] for domain in domains}, default)


def _check_sources(texts: tuple[str, ...]) -> Malformed | None:
    families = set()
    for text in texts:
        try:
            families.add(ip_address(text).version)
        except ValueError:
            return Malformed(f"source_addresses: {text!r} is no address")
    if len(families) < len(texts):
        return Malformed("source_addresses: more than one of a family")
    return None


def _user(local_part: str, user: UserSettings) -> RelayUser | Malformed:
    read = user_of(local_part, user)
    return Malformed(f"users.{local_part}: {read.reason}") if isinstance(read, Malformed) else read


def _domains(where: str, texts: tuple[str, ...]) -> tuple[Name, ...] | Malformed:
    names = []
    for text in texts:
        name = parse_domain(text)
        if isinstance(name, Malformed):
            return Malformed(f"{where}: {text!r}: {name.reason}")
        names.append(name)
    return tuple(names)
