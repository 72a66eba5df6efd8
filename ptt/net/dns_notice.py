"""Tells secondaries that a zone has changed (RFC 1996), again and again until each has answered."""

import asyncio
from collections.abc import Callable

from ptt.boot import Peers
from ptt.net.dns_datagrams import datagrams_of
from ptt.net.dns_link import DnsLink
from ptt.net.unit import Unit
from ptt.net.world import ConnectFailed, Endpoint, World
from ptt.protocol.dns.transfer import acknowledges

FIRST_WAIT_S = 2.0  # doubled each time; RFC 1996 §3.6 proposes 60 s, but a certificate waits for this
TRIES = 6  # two minutes in all; the zone's refresh timer does the rest


class Notices:
    """Notices under way; a newer one of the same zone replaces an older."""

    def __init__(self, world: World) -> None:
        self._datagrams = datagrams_of(world)
        self._world = world
        self._open: dict[tuple[str, Endpoint], asyncio.Task[None]] = {}

    def send(self, zone: str, secondary: Endpoint, make: Callable[[int], bytes]) -> None:
        """Send what ``make`` writes for a number, until the secondary answers."""
        self.cancel(zone, secondary)
        number = int.from_bytes(self._world.random_bytes(2), "big")
        task = asyncio.ensure_future(self._send(secondary, number, make(number)))
        self._open[zone, secondary] = task
        task.add_done_callback(lambda _task: self._ended(zone, secondary, task))

    def cancel(self, zone: str, secondary: Endpoint) -> None:
        """Send no more about this zone to this secondary."""
        task = self._open.pop((zone, secondary), None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Send no more."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, zone: str, secondary: Endpoint, task: "asyncio.Task[None]") -> None:
        if self._open.get((zone, secondary)) is task:
            del self._open[zone, secondary]

    async def _send(self, secondary: Endpoint, number: int, wire: bytes) -> None:
        socket = _Notice(number)
        opened = await self._datagrams.open_datagram(secondary, lambda: socket)
        if isinstance(opened, ConnectFailed):
            return
        try:
            wait_s = FIRST_WAIT_S
            for _ in range(TRIES):
                socket.transport.sendto(wire)
                await asyncio.wait((socket.answered,), timeout=wait_s)
                if socket.answered.done():
                    return
                wait_s *= 2
        finally:
            socket.transport.abort()


class UnitNotices:
    """Notices to another unit of ours, over the link; a newer one of the same zone replaces an older."""

    def __init__(self, unit: Unit, callee: str) -> None:
        self._world = unit.world
        self._link = DnsLink(unit, callee)
        self._open: dict[str, asyncio.Task[None]] = {}

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        self._link.peers_changed(peers)

    def send(self, zone: str, make: Callable[[int], bytes]) -> None:
        """Send what ``make`` writes for a number; nobody there: whoever comes reads the zones anyway."""
        before = self._open.pop(zone, None)
        if before is not None:
            before.cancel()
        if self._link.has_callee:
            self._open[zone] = asyncio.ensure_future(self._send(make))

    async def close(self) -> None:
        """Send no more."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _send(self, make: Callable[[int], bytes]) -> None:
        wait_s = FIRST_WAIT_S
        for _ in range(TRIES):
            number = int.from_bytes(self._world.random_bytes(2), "big")
            if await self._link.exchange(make(number), lambda wire: acknowledges(wire, number)) is None:  # noqa: B023
                return
            await asyncio.sleep(wait_s)
            wait_s *= 2


class _Notice(asyncio.DatagramProtocol):
    """One notice to one secondary."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's are none by inheritance

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the name is asyncio's
        if acknowledges(data, self._number) and not self.answered.done():
            self.answered.set_result(None)
