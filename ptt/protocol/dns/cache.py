"""What the resolver remembers: outcomes by name and type, denied names, delegations, recent failures.

TTLs count down from when the answer came (RFC 1035 §3.2.1), at most a day; negative answers live as long as
their SOA says (RFC 2308 §5), at most three hours; a denied name denies all below it (RFC 8020); a failure is
remembered for seconds (RFC 9520 §3). What was longest not asked for goes first when the cache is full.
Delegations come from parents only and are never prolonged by the child ("ghost domains").
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, assert_never

import dns.rdtypes.ANY.SOA

from ptt.protocol.dns.delegation import Delegation
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Alias, Empty, Failed, Found, Missing, Outcome
from ptt.protocol.dns.records import RRset

V = TypeVar("V")

MAX_ENTRIES = 50_000  # about 1 kB each
MAX_DELEGATIONS = 10_000
MAX_TTL_S = 86_400  # RFC 8767 §4 leaves the cap to us: a day bounds how long a mistake of others lives here
MAX_NEGATIVE_TTL_S = 10_800  # RFC 2308 §5: one to three hours work well
FAILURE_TTL_S = 5  # RFC 9520 §3.2: 1 s to 5 minutes; mail is tried again minutes later


@dataclass(frozen=True, slots=True)
class _Kept(Generic[V]):
    value: V
    expires_at: float


class _Store(Generic[V]):
    """A bounded dictionary that forgets what expired, and what was used longest ago when it is full."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[Name, int], _Kept[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: tuple[Name, int], value: V, expires_at: float) -> None:
        self._kept[key] = _Kept(value, expires_at)
        self._kept.move_to_end(key)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def get(self, key: tuple[Name, int], now: float) -> _Kept[V] | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.expires_at <= now:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept

    def drop(self, key: tuple[Name, int]) -> None:
        self._kept.pop(key, None)


_DENIED = -1  # in place of a type: the name itself does not exist
_CUT = 0


class Cache:
    """See the module. Times are the caller's monotonic seconds."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_delegations: int = MAX_DELEGATIONS) -> None:
        self._outcomes: _Store[Outcome] = _Store(max_entries)
        self._delegations: _Store[Delegation] = _Store(max_delegations)

    def __len__(self) -> int:
        return len(self._outcomes)

    def put(self, name: Name, rdtype: int, outcome: Outcome, now: float) -> None:
        """Remember an outcome for as long as it may be."""
        ttl = ttl_of(outcome)
        if ttl > 0:
            self._outcomes.put((name, _slot(rdtype, outcome)), outcome, now + ttl)

    def get(self, name: Name, rdtype: int, now: float) -> Outcome | None:
        """What is known of a name and type, with the TTLs that are left."""
        for slot in (rdtype, RecordType.CNAME):
            kept = self._outcomes.get((name, slot), now)
            if kept is not None:
                return _aged(kept.value, int(kept.expires_at - now))
        for denied in (name, *name.parents()):
            kept = self._outcomes.get((denied, _DENIED), now)
            if kept is not None:
                return _aged(kept.value, int(kept.expires_at - now))
        return None

    def put_delegation(self, delegation: Delegation, now: float) -> None:
        """Remember whom a parent named for a zone."""
        expires_at = now + min(delegation.ttl, MAX_TTL_S)
        for zone in delegation.zone.parents():
            above = self._delegations.get((zone, _CUT), now)
            if above is not None:  # no longer than those who said so are believed
                expires_at = min(expires_at, above.expires_at)
                break
        if expires_at > now:
            self._delegations.put((delegation.zone, _CUT), delegation, expires_at)

    def drop_delegation(self, zone: Name) -> None:
        """Forget a delegation whose servers are of no use: ask the parent again."""
        self._delegations.drop((zone, _CUT))

    def closest_delegation(self, name: Name, now: float) -> Delegation | None:
        """The nearest zone at or above ``name`` whose servers are known."""
        for zone in (name, *name.parents()):
            kept = self._delegations.get((zone, _CUT), now)
            if kept is not None:
                return kept.value
        return None

    def glue_of(self, name: Name, now: float) -> tuple[str, ...]:
        """Addresses of a server as the delegation of a zone that it lies in gave them."""
        for zone in (name, *name.parents()):
            kept = self._delegations.get((zone, _CUT), now)
            if kept is not None and name in kept.value.glue:
                return kept.value.glue[name]
        return ()


def ttl_of(outcome: Outcome) -> int:
    """How long an outcome may be remembered, in seconds."""
    match outcome:
        case Found(rrset):
            return min(rrset.ttl, MAX_TTL_S)
        case Alias(cname):
            return min(cname.ttl, MAX_TTL_S)
        case Empty(soa) | Missing(_, soa):
            return negative_ttl(soa) if soa is not None else 0
        case Failed():
            return FAILURE_TTL_S
        case _ as never:
            assert_never(never)


def negative_ttl(soa: RRset) -> int:
    """RFC 2308 §5: the lesser of the SOA's own TTL and its minimum."""
    rdata = soa.rdatas[0]
    minimum = rdata.minimum if isinstance(rdata, dns.rdtypes.ANY.SOA.SOA) else 0
    return min(soa.ttl, minimum, MAX_NEGATIVE_TTL_S)


def _slot(rdtype: int, outcome: Outcome) -> int:
    match outcome:
        case Alias():
            return RecordType.CNAME
        case Missing():
            return _DENIED
        case _:
            return rdtype


def told(outcome: Outcome) -> Outcome:
    """An outcome as it is given out the first time: the SOA of a denial lives as long as the denial does."""
    return _aged(outcome, ttl_of(outcome)) if isinstance(outcome, Empty | Missing) else outcome


def _aged(outcome: Outcome, ttl: int) -> Outcome:
    match outcome:
        case Found(rrset):
            return replace(outcome, rrset=replace(rrset, ttl=ttl))
        case Alias(cname, _, dname):
            older = replace(dname, ttl=ttl) if dname is not None else None
            return replace(outcome, cname=replace(cname, ttl=ttl), dname=older)
        case Empty(soa) | Missing(_, soa):
            return replace(outcome, soa=replace(soa, ttl=ttl) if soa is not None else None)
        case Failed():
            return outcome
        case _ as never:
            assert_never(never)
