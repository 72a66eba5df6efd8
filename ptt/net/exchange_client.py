"""The host's side of the certificate exchange, on the wire: look at the name, put our request there.

By the pinned connection to our own name server, so what is read needs no DNSSEC. Nothing is raised; what does
not come about is a ``Failed`` with words for the operator.
"""

from dataclasses import dataclass

import dns.rcode

from ptt.boot import Peers
from ptt.errors import Malformed
from ptt.net.dns_link import DnsLink
from ptt.net.unit import Unit
from ptt.protocol.dns.certificate_exchange import Exchange, owner, read_exchange, write_exchange
from ptt.protocol.dns.direct_question import ask_directly, read_records, read_zone_origin
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.requesting import Add, Delete, make_update, read_update_answer
from ptt.protocol.dns.tsig import make_key
from ptt.records.tsig_key import TsigKey


@dataclass(frozen=True, slots=True)
class Failed:
    """Why it did not come about."""

    reason: str


class ExchangeClient:
    """What stands at the name of one host."""

    def __init__(self, unit: Unit, host: Name, tsig_key: TsigKey) -> None:
        self._world = unit.world
        self._link = DnsLink(unit)
        self._host = host
        self._owner = owner(host)
        self._key = make_key(tsig_key.name, tsig_key.algorithm.wire_name, tsig_key.secret)

    @property
    def has_callee(self) -> bool:
        """Whether our name server is there."""
        return self._link.has_callee

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        self._link.peers_changed(peers)

    async def look(self) -> Exchange | Failed:
        """What stands there now."""
        query = ask_directly(self._owner, RecordType.TLSA, self._world.random_bytes)
        heard = await self._say(query.wire)
        if isinstance(heard, Failed):
            return heard
        records = read_records(query, heard)
        return Failed(records.reason) if isinstance(records, Malformed) else read_exchange(records)

    async def put(self, exchange: Exchange) -> Failed | None:
        """Have this stand there and nothing else: all at once, by a signed update (RFC 2136)."""
        zone = await self._zone()
        if isinstance(zone, Failed):
            return zone
        number = int.from_bytes(self._world.random_bytes(2), "big")
        edits = (Delete(self._owner, RecordType.TLSA), Add(write_exchange(self._host, exchange)))
        request = make_update(number, zone, edits, self._key, self._now())
        if isinstance(request, Malformed):
            return Failed(request.reason)
        heard = await self._say(request.wire)
        if isinstance(heard, Failed):
            return heard
        answer = read_update_answer(request, heard, self._now())
        if isinstance(answer, Malformed):
            return Failed(answer.reason)
        if answer != dns.rcode.NOERROR:
            return Failed(f"our request is refused: {dns.rcode.to_text(answer)}")
        return None

    async def _zone(self) -> Name | Failed:
        query = ask_directly(self._owner, RecordType.SOA, self._world.random_bytes)
        heard = await self._say(query.wire)
        if isinstance(heard, Failed):
            return heard
        origin = read_zone_origin(query, heard)
        return Failed(origin.reason) if isinstance(origin, Malformed) else origin

    async def _say(self, message: bytes) -> bytes | Failed:
        heard: list[bytes] = []

        def is_last(answer: bytes) -> bool:
            heard.append(answer)
            return True

        failed = await self._link.exchange(message, is_last)
        return heard[0] if failed is None else Failed(failed.reason)

    def _now(self) -> int:
        return int(self._world.wall_time().timestamp())
