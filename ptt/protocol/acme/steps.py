"""What a dialogue about an order says and is told: its states, its steps, what is known of the authority."""

from dataclasses import dataclass, field
from enum import Enum, auto

from ptt.protocol.acme.account_key import AccountKey
from ptt.protocol.acme.http import Request
from ptt.protocol.acme.objects import Directory
from ptt.protocol.dns.name import Name


class State(Enum):
    """Which exchange is next, or under way."""

    DIRECTORY = auto()
    ACCOUNT = auto()
    ORDER = auto()
    AUTHORIZATION = auto()
    CHALLENGE = auto()
    VALIDATION = auto()
    ORDER_POLL = auto()
    FINALIZE = auto()
    CERTIFICATE = auto()


@dataclass(frozen=True, slots=True)
class ChallengeRecord:
    """A TXT record to show: ``_acme-challenge.NAME`` and its text."""

    name: Name
    text: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; then ``receive_response``."""

    request: Request


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass; then ``waited``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Present:
    """Show these records to the Internet; then ``presented``, or ``give_up``."""

    records: tuple[ChallengeRecord, ...]


@dataclass(frozen=True, slots=True)
class Issued:
    """The chain in DER, leaf first."""

    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """No certificate. ``retry_after_s``: not before; ``limited``: by the authority's limits."""

    reason: str
    retry_after_s: float = 0.0
    limited: bool = False


Step = Send | Wait | Present | Issued | Failed


@dataclass(slots=True)
class Acquaintance:
    """What is known of the authority from one order to the next."""

    directory_url: str
    key: AccountKey = field(repr=False)
    contact: tuple[str, ...] = ()
    """``mailto:`` URLs."""
    directory: Directory | None = None
    account_url: str = ""
    nonce: str = ""
