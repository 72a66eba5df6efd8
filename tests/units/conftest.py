"""A unit by itself in the simulation: its peer in front is raw lines, the unit behind it is scripted."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

import pytest

from ptt.boot import Drain, Drained, Peer, Peers, Ready
from ptt.net.hop import Hop
from ptt.net.unit import Serve
from ptt.net.world import Endpoint, TlsRole
from ptt.rehearsal.certificates import Authority, ServerCertificate
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.control import SimulatedJournal
from ptt.rehearsal.simulation.neighbour import NextUnit, identity, unit_on
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.raw_lines import RawLines
from ptt.rehearsal.simulation.world import SimulatedWorld

HOST = "192.0.2.10"
CLIENT = "198.51.100.7"


@cache
def certificate() -> ServerCertificate:
    return Authority().issue("mail.example.org")


class Talk:
    """A peer of the unit under test."""

    def __init__(self, lines: RawLines) -> None:
        self.lines = lines

    async def hears(self) -> str:
        return await self.lines.reply() or "gone"

    async def says(self, *commands: str) -> list[str]:
        self.lines.say(*commands)
        return [(await self.hears())[:9] for _ in commands]

    async def sends(self, message: bytes) -> str:
        assert (await self.says("DATA"))[0][:3] == "354"
        self.lines.write(message + b".\r\n")
        return await self.hears()


class Stage:
    """The unit under test (``name``, listening as ``listener`` on ``port``) between its neighbours."""

    def __init__(self, name: str, caller: str, callee: str, listener: str, port: int) -> None:
        self.network = Network(1)
        self.name, self.caller, self.listener = name, caller, listener
        self.place = Endpoint(HOST, port)
        self.next = NextUnit(self.network, callee, name)
        self.journal: SimulatedJournal
        self.gauges: dict[str, float] = {}

    async def start(self, serve: Serve, settings: dict[str, Any], secrets: dict[str, str]) -> None:
        await self.next.start()
        unit, self.control, self.journal = unit_on(self.network, self.name, HOST, settings, secrets)
        self.life = asyncio.ensure_future(serve(unit))
        await self.control.wait_for(Ready)
        caller = Peer(self.caller, 1, "", 0, identity(self.caller).certificate)
        self.control.say(Peers((caller,), (self.next.peer,)))
        self.control.publish({self.listener: self.network.bind(self.place)})
        await asyncio.sleep(0.1)

    async def stop(self) -> None:
        self.control.say(Drain(5))
        await self.control.wait_for(Drained)
        self.control.hang_up()
        await self.life

    async def peer(self, *, secure: bool = False, hello: str | None = "EHLO client.example.com") -> Talk:
        """Somebody from outside."""
        _, lines = await self.network.connect(CLIENT, self.place, RawLines)
        talk = Talk(lines)
        if secure:
            world = SimulatedWorld(self.network, CLIENT)
            await world.start_tls(lines.transport, lines, TlsRole(server_side=False), 5)
        assert (await talk.hears())[:3] == "220"
        if hello is not None:
            assert (await talk.says(hello))[0][:3] == "250"
        return talk

    def hop(self) -> Hop:
        """The unit in front, as its calls."""
        unit, _, _ = unit_on(self.network, self.caller, "10.0.0.2")
        hop = Hop(unit, self.name)
        shown = identity(self.name).certificate
        hop.peers_changed(Peers((), (Peer(self.name, 1, HOST, self.place.port, shown),)))
        return hop

    @property
    def outcomes(self) -> list[str]:
        return [line.outcome or "" for line in self.journal.lines if line.event == "transaction"]


Story = Callable[[Stage], Coroutine[Any, Any, None]]
Play = Callable[..., Stage]


@pytest.fixture
def play() -> Play:
    """Tell a story of one unit; at its end all memory must have come back and no bug been met."""

    def tell(
        stage_of: Callable[[], Stage],
        serve: Serve,
        story: Story,
        settings: dict[str, Any],
        secrets: dict[str, str],
    ) -> Stage:
        stages = []

        async def main() -> None:
            stage = stage_of()
            stages.append(stage)
            await stage.start(serve, settings, secrets)
            await story(stage)
            await stage.stop()
            assert stage.journal.failures == []
            assert stage.next.journal.failures == []

        simulate(main)
        return stages[0]

    return tell


@pytest.fixture
def stage() -> type[Stage]:
    return Stage


@pytest.fixture
def tls() -> ServerCertificate:
    return certificate()
