"""Between sockets, host and secondaries on one side and the authority's rules on the other."""

from collections.abc import Callable, Mapping

from ptt.boot import GiveState, KeepState, Peers
from ptt.errors import Malformed
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
from ptt.units.dns_primary.zone_files import ZoneFiles, pack_files, raised, succeed, unpack_files

FILES_KEY = "zone files"


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
        self._files: Mapping[str, bytes] = {}
        self._entries: dict[str, bytes] = {}
        """What updates have changed, as the host keeps it: a pushed zone gets them too."""
        self.on_notice: Callable[[], None] = lambda: None
        """Called when somebody who may say so says that a zone has changed."""

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
        for key, value in state.entries:
            if key == FILES_KEY:
                self._restore_files(value)
            elif value:
                self._entries[key] = value
            else:
                self._entries.pop(key, None)
        for zone in self._as_read.values():
            present = taken_over(zone, self._entries.items())
            if state.entries and present is not zone:
                # What comes later, one entry at a time, must not take the serial back (RFC 1982).
                present, _ = raised(present, self._authority.zones.get(zone.origin))
                self._authority.put(present)
                self._notify(present)

    def _restore_files(self, value: bytes) -> None:
        files = unpack_files(value)
        if not self._files and files is not None:
            self._serve_files(succeed(self._files, files))

    async def take_files(self, files: Mapping[str, bytes]) -> None:
        """Serve what was pushed; the host keeps it for the next generation.

        Large zones take seconds to read, in which questions are answered all the same.
        """
        run = self._unit.world.run_in_worker
        while True:
            former = self._files
            judged = await run(succeed, former, files)
            if self._files is former:  # else the host has told meanwhile of an earlier generation's
                break
        if self._serve_files(judged):
            self._unit.control.send(KeepState(FILES_KEY, await run(pack_files, self._files)))

    def _serve_files(self, judged: ZoneFiles | Malformed) -> bool:
        """Serve what was judged; whether there is anything."""
        if isinstance(judged, Malformed):
            self._unit.journal.alarm(f"zones: {judged.reason}; what was there before holds")
            return False
        self._files = judged.files
        for alarm in judged.alarms:
            self._unit.journal.alarm(f"zone {alarm}")
        for zone in judged.zones:
            self._serve(zone)
        for origin in judged.gone:
            self._as_read.pop(origin, None)
            self._authority.drop(origin)
            self._unit.journal.alarm(f"zone {origin} is in the repository no more and not served")
        return True

    def _serve(self, zone: Zone) -> None:
        """Serve a zone as pushed, with what updates have changed since."""
        self._as_read[zone.origin] = zone
        present, was_old = raised(
            taken_over(zone, self._entries.items()), self._authority.zones.get(zone.origin)
        )
        if was_old:
            self._unit.journal.alarm(
                f"zone {zone.origin}: its serial {zone.serial} was not raised; {present.serial} is served"
            )
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
        if handled.is_news:
            self.on_notice()
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
                if value:
                    self._entries[key] = value
                else:
                    self._entries.pop(key, None)

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
