"""When a demand may become an order: one at a time for a host, with a wait after failures that doubles.

Whoever may change our zone may ask for as many hosts as there are names: what is under way at the same time
and what is remembered is bounded.

A failure counts for its host and request alone, so that a better request is tried at once; an authority's
limit holds for all. Times are seconds since 1970, since they outlive this generation: what must be waited for
is kept with the host [L4].
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from ptt.protocol.dns.name import Name
from ptt.units.letsencrypt.demands import Demand

MAX_WAIT_S = 86_400.0  # a day: a third of a certificate's life is a month
MAX_DOUBLINGS = 20
MAX_OPEN = 8  # orders at a time: a service has a few hosts, and an authority counts
MAX_KEPT = 1000  # hosts whose failures are known; the one that failed longest ago is forgotten
ALL_HOSTS = "*"  # the key of an authority's limit


class Kept(msgspec.Struct, frozen=True):
    """What is known of a host's failures. ``request`` is the SHA-256 of its DER."""

    failures: int
    not_before: float
    request: bytes = b""


class Orders:
    """What is under way and what has failed, by host."""

    def __init__(self, retry_s: float) -> None:
        self._retry_s = retry_s
        self._open: set[Name] = set()
        self._kept: dict[str, Kept] = {}
        self._forgotten: list[str] = []

    def due(self, demands: Iterable[Demand], now: float) -> list[Demand]:
        """Which of them to order now."""
        due = [each for each in demands if each.host not in self._open and self._start_at(each) <= now]
        return due[: self._room]

    def next_start(self, demands: Iterable[Demand]) -> float | None:
        """When the next of those that are not under way will be due; None too while as many are as may be."""
        if not self._room:
            return None
        return min((self._start_at(each) for each in demands if each.host not in self._open), default=None)

    def begin(self, demand: Demand) -> None:
        """An order is under way."""
        self._open.add(demand.host)

    def end(self, demand: Demand) -> None:
        """It is no more, however it came out."""
        self._open.discard(demand.host)

    def succeed(self, demand: Demand) -> None:
        """Forget its failures."""
        self._kept.pop(demand.host.text, None)

    def fail(self, demand: Demand, now: float, retry_after_s: float = 0.0, *, limited: bool = False) -> float:
        """Note a failure; gives how long to wait, in seconds."""
        before = self._of(demand)
        failures = before.failures + 1 if before is not None else 1
        doubled_s = self._retry_s * float(1 << min(failures - 1, MAX_DOUBLINGS))
        wait_s = max(min(doubled_s, MAX_WAIT_S), retry_after_s)
        self._kept.pop(demand.host.text, None)  # the latest stands last
        self._kept[demand.host.text] = Kept(failures, now + wait_s, _digest(demand))
        self._forget()
        if limited:
            self._kept[ALL_HOSTS] = Kept(1, now + retry_after_s)
        return wait_s

    def entries(self, demand: Demand) -> list[tuple[str, bytes]]:
        """What the next generation must know of this host, and of all: an empty value deletes."""
        keys = (*self._forgotten, demand.host.text, ALL_HOSTS)
        self._forgotten.clear()
        kept = ((key, self._kept.get(key)) for key in keys)
        return [(key, msgspec.msgpack.encode(each) if each is not None else b"") for key, each in kept]

    def take_over(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Take what an earlier generation left; what cannot be read was not ours."""
        for key, value in entries:
            try:
                self._kept[key] = msgspec.msgpack.decode(value, type=Kept)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._kept.pop(key, None)
        self._forget()

    @property
    def _room(self) -> int:
        return max(MAX_OPEN - len(self._open), 0)

    def _forget(self) -> None:
        hosts = (key for key in list(self._kept) if key != ALL_HOSTS)
        while len(self._kept) > MAX_KEPT:
            self._forgotten.append(gone := next(hosts))
            del self._kept[gone]

    def _of(self, demand: Demand) -> Kept | None:
        kept = self._kept.get(demand.host.text)
        return kept if kept is not None and kept.request == _digest(demand) else None

    def _start_at(self, demand: Demand) -> float:
        kept, limit = self._of(demand), self._kept.get(ALL_HOSTS)
        waits = (each.not_before for each in (kept, limit) if each is not None)
        return max((demand.since, *waits))


def _digest(demand: Demand) -> bytes:
    return sha256(demand.request.der).digest()
