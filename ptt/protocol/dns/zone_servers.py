"""One question to a zone, whichever of its servers answers it.

Addresses at hand are tried first, the likely fastest before the others, each a second time when all were
silent. Names of servers without glue are looked up a few at a time, and only when no address at hand helps:
a delegation to a thousand strange names costs a handful of queries (NXNSAttack).
"""

from collections.abc import Generator
from dataclasses import dataclass, field

import dns.message

from ptt.protocol.dns.delegation import Delegation
from ptt.protocol.dns.exchange import exchange
from ptt.protocol.dns.knowledge import Knowledge
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Resolved
from ptt.protocol.dns.response import Meaning, Useless, addresses_of, meaning_of
from ptt.protocol.dns.servers import may_be_asked
from ptt.protocol.dns.work import Allowance, Given, Kind, Need, Wish

MAX_SERVER_LOOKUPS = 5  # names resolved for one delegation and question; MaxFetch of the NXNSAttack paper
MAX_ASKED = 12  # addresses asked for one question; the root has 26, two that answer are enough


@dataclass(slots=True)
class ZoneServers:
    """The servers of a delegation as they are tried for one question."""

    knowledge: Knowledge
    delegation: Delegation
    allowance: Allowance
    _names: list[Name] = field(init=False)
    _looked_up: int = 0
    _silent: list[str] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # Those with glue come last: their own zone may know better addresses, unless it is the one asked.
        zone, glue = self.delegation.zone, self.delegation.glue
        outside = [name for name in self.delegation.servers if name in glue and not name.is_at_or_below(zone)]
        self._names = [*self.delegation.without_glue, *outside]

    def ask(self, qname: Name, rdtype: int) -> Generator[Wish, Given, Meaning]:
        """Ask until a server gives something of use."""
        worst = Useless("no server can be reached")
        addresses = self.delegation.addresses
        while True:
            for address in self._ranked(addresses):
                meaning = yield from self._one(address, qname, rdtype)
                if not isinstance(meaning, Useless):
                    return meaning
                worst = meaning if worst.otherwise is None else worst
            if not self._names or self._looked_up >= MAX_SERVER_LOOKUPS or self.allowance.is_spent:
                break
            addresses = yield from self._look_up(self._names.pop(0))
        for address in list(self._silent):
            meaning = yield from self._one(address, qname, rdtype)
            if not isinstance(meaning, Useless):
                return meaning
        return worst.otherwise or worst

    def _ranked(self, addresses: tuple[str, ...]) -> list[str]:
        settings = self.knowledge.settings
        fit = [
            address
            for address in addresses
            if address not in self._asked
            and may_be_asked(address, ipv6=settings.ipv6, private=settings.private_servers)
        ]
        ranked = self.knowledge.book.ranked(
            fit, self.delegation.zone, self.knowledge.now, self.knowledge.draw
        )
        return ranked[: max(0, MAX_ASKED - len(self._asked))]

    def _one(self, address: str, qname: Name, rdtype: int) -> Generator[Wish, Given, Meaning]:
        self._asked.add(address)
        zone, book = self.delegation.zone, self.knowledge.book
        reply = yield from exchange(address, qname, rdtype, book, self.allowance)
        if not isinstance(reply, dns.message.Message):
            self._silent.append(address)
            return Useless(f"{address}: {reply.reason}")
        meaning = meaning_of(reply, zone, qname, rdtype)
        if isinstance(meaning, Useless):
            book.lame(address, zone, self.knowledge.now)
            return Useless(f"{address}: {meaning.reason}", meaning.otherwise)
        return meaning

    def _look_up(self, name: Name) -> Generator[Wish, Given, tuple[str, ...]]:
        """Addresses of a server by name; the engine sees when that leads back here."""
        self._looked_up += 1
        found: list[str] = []
        kinds = (RecordType.A, RecordType.AAAA) if self.knowledge.settings.ipv6 else (RecordType.A,)
        for kind in kinds:
            given = yield Need(Kind.CHAIN, name, kind)
            if isinstance(given, Resolved):
                found += [address for rrset in given.answer for address in addresses_of(rrset)]
        if not found:  # then what the parent of its zone says of it
            found += self.knowledge.cache.glue_of(name, self.knowledge.now)
        return tuple(found)
