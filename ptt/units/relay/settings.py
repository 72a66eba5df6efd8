"""What the relay is told in its boot record, beside its secrets.

Read at once and whole: every mistake is a sentence with the field's name, and nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, parse_domain, parse_mailbox
from ptt.protocol.smtp.events import DEFAULT_SIZE_LIMIT
from ptt.records.local_part import fold
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser
from ptt.units.relay.routing import Directory

SMTP_PORT = 25
SUBMISSIONS_PORT = 465  # RFC 8314 §3.3: TLS from the first octet
DEFAULT_MEMORY_OCTETS = 48 * 1024 * 1024  # of mail in flight: 48 messages just below the streaming limit


class UserSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user as in ``relay.git``."""

    targets: tuple[str, ...] = ()
    insecure: bool = False
    domains: tuple[str, ...] | None = None
    need: Literal["any", "all"] = "any"
    reveal: bool = False


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


def read_settings(values: Mapping[str, object], host_name: str) -> Configured | Malformed:
    """Read the boot record's settings; the reason names the field."""
    try:
        settings = msgspec.convert(values, RelaySettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    domains = _domains("domains", settings.domains)
    if isinstance(domains, Malformed):
        return domains
    users: dict[str, RelayUser] = {}
    for local_part, user in settings.users.items():
        read = _user(local_part, user)
        if isinstance(read, Malformed):
            return read
        if users.setdefault(fold(local_part), read) is not read:
            return Malformed(f"users: {local_part!r} is there twice")
    if settings.smarthost is not None and isinstance(Name.parse(settings.smarthost.host), Malformed):
        return Malformed(f"smarthost.host: {settings.smarthost.host!r} is no name")
    if isinstance(fault := _check_sources(settings.source_addresses), Malformed):
        return fault
    directory = Directory(frozenset(domains), UserList(users, {}), Name.of(host_name))
    return Configured(settings, directory)


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
    where = f"users.{local_part}"
    targets: list[Mailbox] = []
    for text in user.targets:
        target = parse_mailbox(text.encode(), allow_utf8=True)
        if isinstance(target, Malformed):
            return Malformed(f"{where}.targets: {text!r}: {target.reason}")
        targets.append(target)
    domains = None if user.domains is None else _domains(f"{where}.domains", user.domains)
    if isinstance(domains, Malformed):
        return domains
    return RelayUser(local_part, tuple(targets), user.insecure, domains, user.need == "all", user.reveal)


def _domains(where: str, texts: tuple[str, ...]) -> tuple[Name, ...] | Malformed:
    names = []
    for text in texts:
        name = parse_domain(text)
        if isinstance(name, Malformed):
            return Malformed(f"{where}: {text!r}: {name.reason}")
        names.append(name)
    return tuple(names)
