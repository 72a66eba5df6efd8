"""What a unit states about itself, once: its secrets, whom it calls, who calls it.

Everything else about isolation is derived from this value: sandbox, firewall, network policy,
``docs/units.md`` and the picture on the page. A call is written at both ends, ``calls`` of one unit and
``listens`` of the other; ``topology`` refuses a mismatch. Pure data, no logic.
"""

from dataclasses import dataclass
from enum import StrEnum

INTERNET = "internet"  # anybody out there, as a caller or as a callee


GIT_PORTS = (22, 80, 443, 9418)  # SSH, web servers, git-daemon: whichever of them holds the repository


class Channel(StrEnum):
    """What is spoken on a port or in a call."""

    SMTP = "smtp"  # port 25
    SUBMISSIONS = "submissions"  # port 465, implicit TLS (RFC 8314 §3.3)
    SUBMISSION = "submission"  # port 587, STARTTLS (RFC 6409)
    LMTP = "lmtp"  # between units, pinned TLS (RFC 2033)
    DNS = "dns"  # UDP and TCP
    DNS_OVER_TLS = "dns-over-tls"  # RFC 7858
    DNS_UPDATE = "dns-update"  # RFC 2136 with TSIG, transfers too
    NOTIFY = "notify"  # RFC 1996
    HTTPS = "https"
    GIT = "git"


class CallKind(StrEnum):
    """Hops carry mail and must be acyclic; look-ups go to the resolver; notices may be cyclic."""

    HOP = "hop"
    LOOKUP = "lookup"
    NOTICE = "notice"


class Secret(StrEnum):
    """The kinds of secret a boot record may hold. A unit makes its link key by itself: it is not listed."""

    TLS_KEY = "tls_key"  # of the public certificate, as the operator has it
    CERTIFICATE_SEED = "certificate_seed"  # of which that key is made, where the operator has none
    SSH_KEY = "ssh_key"
    TSIG_KEY = "tsig_key"
    TSIG_KEYS = "tsig_keys"
    DNSSEC_SEED = "dnssec_seed"
    ACME_ACCOUNT_KEY = "acme_account_key"
    DKIM_KEYS = "dkim_keys"
    VERIFIERS = "verifiers"
    SRS_KEYS = "srs_keys"
    LEDGER_KEY = "ledger_key"
    SMARTHOST_PASSWORD = "smarthost_password"  # noqa: S105 - the name of a kind, no secret


class Overlap(StrEnum):
    """May two generations serve the same listeners at the same time? (DESIGN section 10)."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True)
class Listen:
    """A port and who may call it: ``INTERNET`` or names of units."""

    name: str
    """How the boot record and the control stream name this listener."""
    port: int
    channel: Channel
    callers: tuple[str, ...]
    transport: str = "tcp"
    """``udp`` for datagrams; a server of both has two listeners at one port."""


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody this unit may open a connection to: a unit, or ``INTERNET`` at a port."""

    callee: str
    channel: Channel
    kind: CallKind
    ports: tuple[int, ...] = ()
    """For calls to the Internet: the ports that the firewall opens."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One unit's statement."""

    name: str
    purpose: str
    """One line for people."""
    listens: tuple[Listen, ...]
    calls: tuple[Call, ...]
    secrets: frozenset[Secret]
    memory_mb: int
    """What the unit may use at rest and at work, mail in flight apart."""
    overlap: Overlap = Overlap.SHARED
