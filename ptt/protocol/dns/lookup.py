"""The one question that mail asks of the DNS, and the form of its answer.

``Lookup`` is what verification code takes as an argument: in production it asks our resolver over
TLS, in tests it reads a dict. A look-up never raises: no answer at all is ``Rcode.SERVFAIL``.
``Security`` says what validation found (RFC 4035 §4.3); ``BOGUS`` is a temporary failure for mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, TypeVar

from ptt.protocol.dns.name import Name


class Rcode(IntEnum):
    """Response codes (RFC 1035 §4.1.1, RFC 2136 §2.2) that a look-up may end in."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5


class RecordType(IntEnum):
    """Record types that mail asks for, with their numbers on the wire."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28
    TLSA = 52


class Security(Enum):
    """What DNSSEC validation says of an answer (RFC 4035 §4.3)."""

    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class A:
    """An IPv4 address (RFC 1035 §3.4.1)."""

    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Aaaa:
    """An IPv6 address (RFC 3596 §2.2)."""

    address: IPv6Address


@dataclass(frozen=True, slots=True)
class Mx:
    """A mail exchange (RFC 1035 §3.3.9); exchange ``.`` is the null MX of RFC 7505."""

    preference: int
    exchange: Name


@dataclass(frozen=True, slots=True)
class Txt:
    """Text (RFC 1035 §3.3.14): one or more character-strings."""

    strings: tuple[bytes, ...]

    @property
    def joined(self) -> bytes:
        """The strings put together without blanks, as SPF and DKIM read them (RFC 7208 §3.3)."""
        return b"".join(self.strings)


@dataclass(frozen=True, slots=True)
class Ptr:
    """A pointer to a name (RFC 1035 §3.3.12)."""

    target: Name


@dataclass(frozen=True, slots=True)
class Ns:
    """An authoritative server (RFC 1035 §3.3.11)."""

    target: Name


@dataclass(frozen=True, slots=True)
class Soa:
    """The start of a zone (RFC 1035 §3.3.13); only what callers read."""

    primary: Name
    serial: int
    minimum_s: int


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A certificate association (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


Record = A | Aaaa | Mx | Txt | Ptr | Ns | Soa | Tlsa
R = TypeVar("R", A, Aaaa, Mx, Txt, Ptr, Ns, Soa, Tlsa)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look-up came to.

    ``canonical_name`` is the owner of ``records`` after CNAMEs were followed; NODATA is ``NOERROR``
    without records. ``ttl_s`` is the least of the chain.
    """

    rcode: Rcode
    records: tuple[Record, ...] = ()
    canonical_name: Name | None = None
    security: Security = Security.INDETERMINATE
    ttl_s: int = 0

    @property
    def is_failure(self) -> bool:
        """No trustworthy answer was to be had: doubt, hence temporary."""
        return self.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN) or self.security is Security.BOGUS

    def of(self, kind: type[R]) -> list[R]:
        """The records of one kind, in the order received."""
        return [record for record in self.records if isinstance(record, kind)]


@dataclass(frozen=True, slots=True)
class Question:
    """One name and type to ask for."""

    name: Name
    record_type: RecordType


class Lookup(Protocol):
    """Asks the DNS. Implementations bound their own time and never raise."""

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        """Ask one question."""
        ...

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        """Ask several questions at the same time; answers in the order of the questions."""
        ...
