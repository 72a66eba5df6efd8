"""What one name and type came to: one step of an answer, an alias not yet followed.

RFC 1034 §4.3.2, RFC 2308. ``Failed`` is doubt: SERVFAIL to who asked.
"""

from dataclasses import dataclass

from ptt.protocol.dns.lookup import Rcode, Security
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset


@dataclass(frozen=True, slots=True)
class Found:
    """There is such an RRset."""

    rrset: RRset
    security: Security = Security.INDETERMINATE


@dataclass(frozen=True, slots=True)
class Alias:
    """The name is another's (RFC 1034 §3.6.2); ``dname`` when the CNAME follows from it (RFC 6672 §3.1)."""

    cname: RRset
    target: Name
    dname: RRset | None = None
    security: Security = Security.INDETERMINATE


@dataclass(frozen=True, slots=True)
class Empty:
    """The name exists, or something below it, but not of this type (NODATA, RFC 2308 §2.2)."""

    soa: RRset | None
    security: Security = Security.INDETERMINATE


@dataclass(frozen=True, slots=True)
class Missing:
    """No such name, and nothing below it (RFC 8020). ``name`` is the one that was denied."""

    name: Name
    soa: RRset | None
    security: Security = Security.INDETERMINATE


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody gave an answer of use. ``reason`` is for the journal."""

    reason: str


Outcome = Found | Alias | Empty | Missing | Failed


@dataclass(frozen=True, slots=True)
class Resolved:
    """The answer to a question: the chain of aliases and what stands at its end."""

    rcode: Rcode
    answer: tuple[RRset, ...] = ()
    soa: RRset | None = None
    security: Security = Security.INDETERMINATE
    reason: str = ""
