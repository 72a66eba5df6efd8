"""Along a chain of aliases to its end (RFC 1034 §3.6.2), bounded and never in a circle."""

from collections.abc import Generator, Iterable
from typing import assert_never

from ptt.protocol.dns.knowledge import Knowledge
from ptt.protocol.dns.lookup import Rcode, RecordType, Security
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Alias, Empty, Failed, Found, Missing, Outcome, Resolved
from ptt.protocol.dns.records import RRset
from ptt.protocol.dns.reserved import local_outcome
from ptt.protocol.dns.work import Given, Kind, Need, Wish

MAX_ALIASES = 12  # BIND follows 16, unbound 11

_WORST_FIRST = (Security.BOGUS, Security.INDETERMINATE, Security.INSECURE, Security.SECURE)


def follow(knowledge: Knowledge, name: Name, rdtype: int) -> Generator[Wish, Given, Resolved]:
    """The chain from ``name`` and what stands at its end."""
    links: list[RRset] = []
    seen: set[Name] = set()
    found: list[Security] = []
    while name not in seen and len(seen) <= MAX_ALIASES:
        seen.add(name)
        outcome = yield from _one(knowledge, name, rdtype)
        if isinstance(outcome, Failed):
            return Resolved(Rcode.SERVFAIL, reason=outcome.reason)
        found.append(outcome.security)
        security = _least(found)
        match outcome:
            case Found(rrset):
                return Resolved(Rcode.NOERROR, (*links, rrset), None, security)
            case Empty(soa):
                return Resolved(Rcode.NOERROR, tuple(links), soa, security)
            case Missing(_, soa):
                return Resolved(Rcode.NXDOMAIN, tuple(links), soa, security)
            case Alias(cname, target, dname):
                links += [cname] if dname is None else [dname, cname]
                if rdtype == RecordType.CNAME:
                    return Resolved(Rcode.NOERROR, tuple(links), None, security)
                name = target
            case _ as never:
                assert_never(never)
    return Resolved(Rcode.SERVFAIL, reason="aliases that go round, or too many of them")


def _one(
    knowledge: Knowledge, name: Name, rdtype: int
) -> Generator[Wish, Given, Found | Alias | Empty | Missing | Failed]:
    outcome = local_outcome(name, rdtype, knowledge.settings.reserved)
    if outcome is not None:
        return outcome
    given = yield Need(Kind.STEP, name, rdtype)
    return given if isinstance(given, Outcome) else Failed("no outcome")


def _least(found: Iterable[Security]) -> Security:
    """A chain is as good as its worst link."""
    return min(found, key=_WORST_FIRST.index)
