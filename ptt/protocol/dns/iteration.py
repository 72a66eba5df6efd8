"""From the nearest zone that is known down to the answer for one name and type (RFC 1034 §5.3.3).

Servers are told no more of the name than they need (RFC 9156): one label is added at a time, asked for as
type A; where that is answered badly the whole name is asked. A delegation from memory that proves useless is
asked of its parent anew, once. Every turn goes down in the tree, adds a label or gives up, so it ends.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import assert_never

from ptt.protocol.dns.cache import told
from ptt.protocol.dns.delegation import Delegation
from ptt.protocol.dns.knowledge import DS, Knowledge
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Alias, Empty, Failed, Found, Missing, Outcome
from ptt.protocol.dns.response import Useless
from ptt.protocol.dns.work import Allowance, Given, Wish
from ptt.protocol.dns.zone_servers import ZoneServers

MAX_MINIMISED = 10  # RFC 9156 §2.3: labels added one by one for one question, then the whole name


@dataclass(slots=True)
class Descent:
    """Where a question stands on its way down."""

    knowledge: Knowledge
    name: Name
    rdtype: int
    allowance: Allowance
    _delegation: Delegation = field(init=False)
    _within: Name = field(init=False)
    """The longest name, from the right, that is known to lie in the zone."""
    _remembered: bool = True
    _minimised: int = 0

    def __post_init__(self) -> None:
        self._delegation = self.knowledge.delegation_for(self.name, self.rdtype)
        self._within = self._delegation.zone
        # DS stands above the cut, and servers of both sides would answer for the lower: go down by labels.
        if not self.knowledge.settings.minimise and self.rdtype != DS:
            self._minimised = MAX_MINIMISED

    def run(self) -> Generator[Wish, Given, Outcome]:
        """Ask downwards until the answer is there; it goes into the cache."""
        outcome: Outcome | None = None
        while outcome is None:
            outcome = yield from self._turn()
        self.knowledge.cache.put(self.name, self.rdtype, outcome, self.knowledge.now)
        return told(outcome)

    def _turn(self) -> Generator[Wish, Given, Outcome | None]:
        qname = self._next_name()
        rdtype = self.rdtype if qname == self.name else RecordType.A
        servers = ZoneServers(self.knowledge, self._delegation, self.allowance)
        meaning = yield from servers.ask(qname, rdtype)
        match meaning:
            case Delegation():
                self.knowledge.cache.put_delegation(meaning, self.knowledge.now)
                self._delegation, self._within, self._remembered = meaning, meaning.zone, False
            case _ if qname == self.name:
                if not isinstance(meaning, Useless):
                    return meaning
                return None if self._ask_parent_again() else Failed(meaning.reason)
            case Empty() | Found() | Alias():
                self._within = qname
                self._minimised += 1
            case Useless() | Missing():
                self._minimised = MAX_MINIMISED  # RFC 9156 §3: some deny a name that has others below it
            case _ as never:
                assert_never(never)
        return None

    def _next_name(self) -> Name:
        if self._minimised >= MAX_MINIMISED:
            return self.name
        return Name(self.name.labels[-len(self._within.labels) - 1 :])

    def _ask_parent_again(self) -> bool:
        """Whether the zone's servers came from memory: then they may have changed meanwhile."""
        zone = self._delegation.zone
        if not self._remembered or not zone.labels:
            return False
        self.knowledge.cache.drop_delegation(zone)
        self._delegation = self.knowledge.delegation_for(next(zone.parents()), RecordType.NS)
        self._within, self._remembered = self._delegation.zone, False
        return True
