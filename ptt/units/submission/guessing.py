"""Who may try a password now, so that nobody guesses one and nobody's guessing locks its owner out [S4, C7].

Failures fill a bucket that drains with time: one for each network that they come from, and one for each
login, whoever tries it. Where one more does not fit the answer is 454 before any password is looked at, which
keeps our processor out of it too. From where a login has succeeded lately it has a bucket of its own:
strangers fill only theirs. Pure and in memory; times are in seconds of any clock.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from ptt.protocol.smtp.peer_network import PeerNetwork, peer_network
from ptt.protocol.smtp.reply import Reply

FAILURES_OF_A_NETWORK = 10  # at once: a person with three devices and an old password has as many
NETWORK_DRAIN_S = 60.0  # then one a minute: 1,440 guesses a day find no password worth the name
FAILURES_OF_A_LOGIN = 100  # by all strangers together, at once
LOGIN_DRAIN_S = 36.0  # then a hundred an hour
KNOWN_FOR_S = 30 * 86_400.0  # a telephone that was on holiday is still known
MAX_REMEMBERED = 10_000  # of each kind, some 2 MB; those who would be free soonest are forgotten
KEPT_OF_TEN = 9  # when there are too many: one look at all of them for a thousand further failures

TOO_MANY = Reply(454, "4.7.0", "Too many wrong passwords lately, please try again in some minutes.")

_Known = tuple[PeerNetwork, str]
_Whose = PeerNetwork | str | _Known


@dataclass(slots=True)
class _Bucket:
    """What is in it, as of when."""

    level: float = 0.0
    since: float = 0.0


@dataclass(slots=True)
class Guessing:
    """Everybody who tried lately. A login is named in its one form."""

    _buckets: dict[_Whose, _Bucket] = field(default_factory=dict)
    _known: dict[_Known, float] = field(default_factory=dict)

    def may_try(self, address: IPv4Address | IPv6Address, login: str, now: float) -> bool:
        """Whether a password of this login, from here, is looked at."""
        network = peer_network(address)
        if self._is_known(network, login, now):
            return self._level((network, login), now) <= FAILURES_OF_A_NETWORK - 1
        return (
            self._level(network, now) <= FAILURES_OF_A_NETWORK - 1
            and self._level(login, now) <= FAILURES_OF_A_LOGIN - 1
        )

    def failed(self, address: IPv4Address | IPv6Address, login: str, now: float) -> None:
        """A password was wrong."""
        network = peer_network(address)
        if self._is_known(network, login, now):
            self._fill((network, login), now)
            return
        self._fill(network, now)
        self._fill(login, now)

    def succeeded(self, address: IPv4Address | IPv6Address, login: str, now: float) -> None:
        """A password was right: the login is known to be used from here."""
        known = (peer_network(address), login)
        self._buckets.pop(known, None)
        self._known.pop(known, None)  # the latest stands last
        self._known[known] = now
        if len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]

    def _is_known(self, network: PeerNetwork, login: str, now: float) -> bool:
        since = self._known.get((network, login))
        return since is not None and now - since < KNOWN_FOR_S

    def _level(self, whose: _Whose, now: float) -> float:
        bucket = self._buckets.get(whose)
        return 0.0 if bucket is None else max(bucket.level - (now - bucket.since) / _drain_s(whose), 0.0)

    def _fill(self, whose: _Whose, now: float) -> None:
        level = self._level(whose, now) + 1.0
        self._buckets.pop(whose, None)  # the latest stands last
        self._buckets[whose] = _Bucket(level, now)
        if len(self._buckets) > MAX_REMEMBERED:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Keep the fullest as they are now, not as they once were; of equally full ones the latest."""
        levels = {whose: self._level(whose, now) for whose in reversed(self._buckets)}
        kept = set(sorted(levels, key=levels.__getitem__, reverse=True)[: MAX_REMEMBERED * KEPT_OF_TEN // 10])
        self._buckets = {whose: bucket for whose, bucket in self._buckets.items() if whose in kept}


def _drain_s(whose: _Whose) -> float:
    """How long one failure stays in the bucket."""
    return LOGIN_DRAIN_S if isinstance(whose, str) else NETWORK_DRAIN_S
