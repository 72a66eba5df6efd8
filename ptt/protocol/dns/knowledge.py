"""What all work of one resolver shares: its settings, its cache, what it knows of servers, the time."""

from dataclasses import dataclass, field

from ptt.protocol.dns.cache import Cache
from ptt.protocol.dns.delegation import ROOT_HINTS, Delegation, root_delegation
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.reserved import RESERVED_ZONES
from ptt.protocol.dns.servers import Draw, ServerBook

DS = 43


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverSettings:
    """How a resolver works; the defaults are for the Internet.

    ``private_servers``: zones may be served on private networks, as those of a pretend Internet are.
    """

    root: Delegation = field(default_factory=lambda: root_delegation(ROOT_HINTS))
    ipv6: bool = True
    minimise: bool = True
    mix_case: bool = True
    private_servers: bool = False
    reserved: frozenset[Name] = RESERVED_ZONES


@dataclass(slots=True)
class Knowledge:
    """See the module. ``now`` is set by the engine before work goes on; ``draw`` gives random octets."""

    settings: ResolverSettings
    draw: Draw
    cache: Cache = field(default_factory=Cache)
    book: ServerBook = field(default_factory=ServerBook)
    now: float = 0.0

    def delegation_for(self, name: Name, rdtype: int) -> Delegation:
        """The nearest zone to ask; DS stands in the parent (RFC 4035 §3.1.4.1)."""
        start = next(name.parents(), name) if rdtype == DS else name
        return self.cache.closest_delegation(start, self.now) or self.settings.root
