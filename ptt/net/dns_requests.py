"""Zones and updates of our name server for a unit with a TSIG key: asked over the link, bounded, repeated.

An update is tried some times, since the name server may be replaced at the moment; repeated, it changes
nothing more. What is not done is said in words for the journal.
"""

import asyncio
from collections.abc import Iterable
from itertools import count

import dns.rcode
import dns.tsig

from ptt.boot import Peers
from ptt.errors import Malformed
from ptt.net.dns_link import DnsLink
from ptt.net.unit import Unit
from ptt.net.world import ConnectFailed
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.requesting import (
    Edit,
    Progress,
    TransferReader,
    make_transfer,
    make_update,
    read_update_answer,
)
from ptt.protocol.dns.zone import Zone

UPDATE_TRIES = 4
UPDATE_WAIT_S = 1.0  # doubled: the name server is replaced in a second or two


class DnsRequests:
    """Requests of one unit, signed with its key."""

    def __init__(self, unit: Unit, key: dns.tsig.Key) -> None:
        self._world = unit.world
        self._link = DnsLink(unit)
        self._key = key
        self._numbers = count(1)

    @property
    def has_primary(self) -> bool:
        """Whether the name server is there."""
        return self._link.has_callee

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        self._link.peers_changed(peers)

    async def transfer(self, origin: Name, known: Zone | None) -> Zone | Progress | Malformed:
        """Get what is newer than ``known``: a zone, ``Progress.UNCHANGED``, or why not."""
        now = self._now()
        request = make_transfer(self._number(), origin, known, self._key, now)
        reader = TransferReader(request, origin, known, now)
        outcome: Zone | Progress | Malformed = Progress.MORE

        def is_last(message: bytes) -> bool:
            nonlocal outcome
            outcome = reader.take(message)
            return outcome is not Progress.MORE

        failed = await self._link.exchange(request.wire, is_last)
        return Malformed(failed.reason) if isinstance(failed, ConnectFailed) else outcome

    async def update(self, zone: Name, edits: Iterable[Edit]) -> str:
        """Change a zone; gives why not, empty: it is done."""
        edits, reason = tuple(edits), ""
        for turn in range(UPDATE_TRIES):
            if turn:
                await asyncio.sleep(UPDATE_WAIT_S * 2 ** (turn - 1))
            reason = await self._update_once(zone, edits)
            if not reason:
                return ""
        return reason

    async def _update_once(self, zone: Name, edits: tuple[Edit, ...]) -> str:
        now = self._now()
        request = make_update(self._number(), zone, edits, self._key, now)
        if isinstance(request, Malformed):
            return request.reason
        answers: list[bytes] = []

        def take(message: bytes) -> bool:
            answers.append(message)
            return True

        failed = await self._link.exchange(request.wire, take)
        if isinstance(failed, ConnectFailed):
            return failed.reason
        rcode = read_update_answer(request, answers[0], now)
        if isinstance(rcode, Malformed):
            return rcode.reason
        return "" if rcode == dns.rcode.NOERROR else f"the update is answered {dns.rcode.to_text(rcode)}"

    def _number(self) -> int:
        return next(self._numbers) & 0xFFFF

    def _now(self) -> int:
        return int(self._world.wall_time().timestamp())
