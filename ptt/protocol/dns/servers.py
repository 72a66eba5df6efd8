"""What is known of servers out there, and which of them is asked next.

A smoothed round-trip time (RFC 6298 §2), time-outs in a row, whether EDNS works, zones that a server was
named for and does not serve. Servers as fast as the best, within a band, share the questions by lot, so that
a spoofer cannot know which is asked (RFC 5452 §9.2); those that time out come last, never never.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ptt.protocol.dns.name import Name

MAX_SERVERS = 10_000  # remembered; about 300 octets each
FIRST_RTT_S = 0.15  # of a server never asked: tried before those known to be slower
BAND_S = 0.1
MIN_TIMEOUT_S = 0.4
MAX_TIMEOUT_S = 3.0
TCP_TIMEOUT_S = 4.0
TIMEOUT_RTTS = 4.0
FAILURE_PENALTY_S = 1.0
MAX_COUNTED_FAILURES = 4
LAME_S = 900.0  # BIND's lame-ttl is 600 s; a server named for a zone by mistake stays so for long
SMOOTHING = 0.3

Draw = Callable[[int], bytes]
"""Gives so many unpredictable octets."""


@dataclass(slots=True)
class Server:
    """One address."""

    rtt_s: float = FIRST_RTT_S
    failures: int = 0
    plain: bool = False
    """It does not understand EDNS (RFC 6891 §7): ask without."""
    lame_until: dict[Name, float] = field(default_factory=dict)

    @property
    def timeout_s(self) -> float:
        """How long to wait for its next answer over UDP."""
        patience = max(MIN_TIMEOUT_S, TIMEOUT_RTTS * self.rtt_s) * float(
            2 ** min(self.failures, MAX_COUNTED_FAILURES)
        )
        return min(patience, MAX_TIMEOUT_S)

    @property
    def score_s(self) -> float:
        """The less, the sooner it is asked."""
        return self.rtt_s + FAILURE_PENALTY_S * min(self.failures, MAX_COUNTED_FAILURES)


class ServerBook:
    """All servers known, bounded: what was used longest ago is forgotten first."""

    def __init__(self, limit: int = MAX_SERVERS) -> None:
        self._limit = limit
        self._servers: OrderedDict[str, Server] = OrderedDict()

    def of(self, address: str) -> Server:
        """What is known of an address."""
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = Server()
            if len(self._servers) > self._limit:
                self._servers.popitem(last=False)
        self._servers.move_to_end(address)
        return server

    def answered(self, address: str, after_s: float) -> None:
        """It answered."""
        server = self.of(address)
        first = server.rtt_s == FIRST_RTT_S
        server.rtt_s = after_s if first else (1 - SMOOTHING) * server.rtt_s + SMOOTHING * after_s
        server.failures = 0

    def failed(self, address: str) -> None:
        """It did not answer in time, or refused the connection."""
        self.of(address).failures += 1

    def lame(self, address: str, zone: Name, now: float) -> None:
        """It does not serve a zone that it was named for."""
        lame_until = self.of(address).lame_until
        for old in [each for each, until in lame_until.items() if until <= now]:
            del lame_until[old]
        lame_until[zone] = now + LAME_S

    def ranked(self, addresses: Iterable[str], zone: Name, now: float, draw: Draw) -> list[str]:
        """The order in which to ask them about a zone; those that are lame for it last."""

        def rank(address: str) -> tuple[bool, int, bytes]:
            server = self.of(address)
            is_lame = server.lame_until.get(zone, 0.0) > now
            return is_lame, int(server.score_s / BAND_S), draw(4)

        return sorted(addresses, key=rank)


def may_be_asked(address: str, *, ipv6: bool, private: bool) -> bool:
    """Whether a server of the Internet's can be there: not on ourselves, in a group or in a private network.

    ``private`` allows the last, for a pretend Internet. No zone shall make us knock at our own doors.
    """
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and not ipv6:  # noqa: PLR2004
        return False
    if ip.is_unspecified or ip.is_multicast or ip.is_loopback:
        return False
    return private or ip.is_global
