"""Where a unit asks for names: our resolver, or a fixed zone text where it is given one (for tests)."""

from ptt.boot import Peers
from ptt.net.fixed_lookup import read_zone
from ptt.net.resolver_client import ResolverClient
from ptt.net.unit import Unit, wanted
from ptt.protocol.dns.lookup import Lookup


class Names:
    """A ``Lookup`` and what it needs of the unit's life."""

    def __init__(self, lookup: Lookup, resolver: ResolverClient | None = None) -> None:
        self.lookup = lookup
        self._resolver = resolver

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        if self._resolver is not None:
            self._resolver.peers_changed(peers)

    def close(self) -> None:
        """Ask nobody any more."""
        if self._resolver is not None:
            self._resolver.close()


def names_of(unit: Unit, zone: str) -> Names:
    """``zone`` empty: by the resolver; else by this text, whose faults name their line (``ConfigError``)."""
    if not zone:
        resolver = ResolverClient(unit)
        return Names(resolver, resolver)
    return Names(wanted(read_zone(zone), unit, mend="mend this line of zone"))
