"""Between sockets, host and secondaries on one side and the authority's rules on the other."""

from collections.abc import Callable

from ptt.boot import GiveState, KeepState, Peers
from ptt.net.counters import Counters
from ptt.net.dns_notice import Notices, UnitNotices
from ptt.net.dns_streams import Caller
from ptt.net.unit import Unit
from ptt.net.world import Endpoint
from ptt.protocol.dns.authority import Authority, Handled
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.transfer import notice
from ptt.protocol.dns.tsig import sign
from ptt.protocol.dns.zone import Zone
from ptt.units.dns_primary.handing_over import entries_of, taken_over
from ptt.units.dns_primary.settings import Secondary, Told


class PrimarySession:
    """One authority at work on all listeners."""

    def __init__(self, unit: Unit, told: Told, counters: Counters) -> None:
        self._unit = unit
        self._told = told
        self._as_read = {zone.origin: zone for zone in told.zones}
        self._counters = counters
        self._authority = Authority(told.zones, told.keys)
        self._notices = Notices(unit.world)
        self._letsencrypt = UnitNotices(unit, "letsencrypt")

    def datagram(self, wire: bytes) -> bytes | None:
        """Answer a datagram."""
        messages = self._handle(wire, stream=False).messages
        return messages[0] if messages else None

    def message(self, wire: bytes, _caller: Caller, answer: Callable[[list[bytes]], None]) -> None:
        """Answer a message that came over a connection."""
        answer(list(self._handle(wire, stream=True).messages))

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        self._letsencrypt.peers_changed(peers)

    def take_over(self, state: GiveState) -> None:
        """Go on from what earlier generations left with the host."""
        for zone in self._as_read.values():
            present = taken_over(zone, state.entries)
            if present is not zone:
                self._authority.put(present)
                self._notify(present)

    def notify_all(self) -> None:
        """Tell all secondaries what is served now."""
        for zone in self._authority.zones.values():
            self._notify(zone)

    async def close(self) -> None:
        """Send no more notices."""
        await self._notices.close()
        await self._letsencrypt.close()

    def _handle(self, wire: bytes, *, stream: bool) -> Handled:
        self._counters.count("questions")
        now = int(self._unit.world.wall_time().timestamp())
        handled = self._authority.handle(now, wire, stream=stream)
        if handled.zone is not None:
            self._counters.count("updates")
            self._keep(handled)
            self._notify(handled.zone)
        return handled

    def _keep(self, handled: Handled) -> None:
        """Leave the change with the host before it is answered."""
        zone = handled.zone
        if zone is not None:
            for key, value in entries_of(zone, handled.changes, self._as_read[zone.origin]):
                self._unit.control.send(KeepState(key, value))

    def _notify(self, zone: Zone) -> None:
        for secondary in self._told.secondaries.get(zone.origin, ()):
            where = Endpoint(secondary.address, secondary.port)
            self._notices.send(zone.origin.text, where, self._notice_of(zone, secondary))
        self._letsencrypt.send(zone.origin.text, lambda number: notice(zone, number))

    def _notice_of(self, zone: Zone, secondary: Secondary) -> Callable[[int], bytes]:
        key = self._told.keys[Name.of(secondary.key)] if secondary.key else None

        def make(number: int) -> bytes:
            wire = notice(zone, number)
            now = int(self._unit.world.wall_time().timestamp())
            return sign(wire, key, now) if key is not None else wire

        return make
