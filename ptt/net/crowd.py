"""How many connections of strangers a listener serves, and how many of one network among them.

A network (an IPv4 address, an IPv6 /64) gets at most a quarter of the places that are still free, so one of
them alone never takes all and each further one takes less; a few places it always gets while there is any.
Where more than half are taken, the crowd is dense: who says nothing is waited for less long. Peers behind one
address (an office, a large provider) stay far below: they open some tens of connections at a time.
"""

from collections import Counter
from ipaddress import IPv4Address, IPv6Address

from ptt.protocol.smtp.peer_network import PeerNetwork, peer_network

MAX_CONNECTIONS = 1000  # of one listener; each costs about 60 kB with TLS
SHARE_OF_THE_FREE = 4  # a network may have one in so many of the free places
ALWAYS_FOR_A_NETWORK = 4  # so that an honest peer gets in while a crowd of others takes nearly all
DENSE_AT = MAX_CONNECTIONS // 2


class Crowd:
    """The connections that are open now, by the network they come from."""

    def __init__(self) -> None:
        self._by_network: Counter[PeerNetwork | None] = Counter()
        self._all = 0

    @property
    def is_dense(self) -> bool:
        """Whether places are getting few."""
        return self._all >= DENSE_AT

    def enter(self, address: IPv4Address | IPv6Address | None) -> bool:
        """Count a new connection; False: it is one too many. ``address`` None: one of our own units."""
        network = _network(address)
        free = MAX_CONNECTIONS - self._all
        self._all += 1
        self._by_network[network] += 1
        if address is None:
            return free > 0
        allowed = max(free // SHARE_OF_THE_FREE, ALWAYS_FOR_A_NETWORK)
        return free > 0 and self._by_network[network] <= allowed

    def leave(self, address: IPv4Address | IPv6Address | None) -> None:
        """A connection that entered, admitted or not, is over."""
        network = _network(address)
        self._all -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


def _network(address: IPv4Address | IPv6Address | None) -> PeerNetwork | None:
    return None if address is None else peer_network(address)
