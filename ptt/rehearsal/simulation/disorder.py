"""How the world misbehaves in a story: servers at every step, paths that break, units of ours that die.

Where names come by our DNS units, name servers misbehave too, datagrams are lost, doubled and overtaken, and
the DNS units die and are replaced as the others are.

Units are killed or replaced at the worst moments, just around a server's 250. All of it by one source of
dice, so that a seed tells the same story again.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ptt.rehearsal.simulation.chain import PUBLIC_HOST
from ptt.rehearsal.simulation.datagrams import Weather
from ptt.rehearsal.simulation.name_servers import NameServer, Trouble
from ptt.rehearsal.simulation.network import Break, Door
from ptt.rehearsal.simulation.pipes import Shape
from ptt.rehearsal.simulation.scene import DNS_UNITS, Scene
from ptt.rehearsal.simulation.targets import (
    Act,
    Step,
    Target,
    Then,
    closes,
    cut_off,
    late,
    resets,
    says,
    silent,
)

_BEFORE_DATA = (
    says("450 4.2.0 not now"),
    says("550 5.7.1 never"),
    says("421 4.3.2 leaving"),
    says("554 5.7.1 spam", then=Then.CLOSE),
    silent(),
    closes(),
    resets(),
)
_IN_DATA = (
    says("554 5.7.1 [CS01] spam", then=Then.CLOSE, at_octets=300),
    says("451 4.7.1 wait", then=Then.RESET, at_octets=300),
    closes(at_octets=700),
    resets(at_octets=200),
    silent(),
)
_AT_END = (
    says("451 4.3.0 later"),
    says("550 5.7.1 never"),
    says("421 4.3.2 leaving"),
    silent(),
    silent(takes=True),
    closes(),
    closes(takes=True),
    resets(takes=True),
    resets(),
    cut_off(),
)


def some_shape(dice: random.Random) -> Shape:
    """How fast and how evenly octets travel."""
    return Shape(
        latency_s=dice.choice([0.001, 0.02, 0.02, 0.15]),
        jitter_s=dice.choice([0.0, 0.005, 0.1]),
        piece_octets=dice.choice([3_000, 16_384, 16_384, 65_536]),
        small_every=dice.choice([3, 8, 20]),
        window_octets=dice.choice([30_000, 262_144]),
    )


class Disorder:
    """All that goes wrong on a scene.

    ``units``: from the edge inwards; ``mailboxes``: those of the targets; ``tried``: what the chronicle says
    of each try.
    """

    def __init__(
        self,
        scene: Scene,
        dice: random.Random,
        units: Sequence[str],
        mailboxes: Sequence[str],
        tried: str = "try 0",
    ) -> None:
        self._scene = scene
        self._dice = dice
        self._units = (*units, *DNS_UNITS) if scene.name_servers else tuple(units)
        self._mailboxes = mailboxes
        self._tried = tried
        self._locks = {unit: asyncio.Lock() for unit in self._units}

    def spoil(self) -> None:
        """Have the targets and the name servers misbehave."""
        for target in self._scene.targets:
            self._spoil(target)
        for name_server in self._scene.name_servers.values():
            self._spoil_names(name_server)
        if self._scene.name_servers and self._happens(0.3):
            self._scene.network.set_weather(PUBLIC_HOST, self._weather())

    def calm(self) -> None:
        """Have the targets and the name servers do well from now on."""
        servers: list[Target | NameServer] = [*self._scene.targets, *self._scene.name_servers.values()]
        for server in servers:
            server.calm()
            self._scene.network.set_door(Door.OPEN, server.host)
            self._scene.network.set_weather(server.host, Weather())
        self._scene.network.set_weather(PUBLIC_HOST, Weather())

    async def fault(self) -> None:
        """Break something of ours or between us, at some moment."""
        dice = self._dice
        wait_for = dice.choice(["keeps a message", "keeps a message", "at ", self._tried, None, None])
        pause_s = dice.choice([dice.uniform(0, 0.2), dice.uniform(0, 3), dice.uniform(0, 50)])
        faults: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._kill, self._kill, self._replace, self._cut,
        ]  # fmt: skip
        fault = dice.choice(faults)
        if wait_for is not None:
            try:
                async with asyncio.timeout(dice.choice([2, 60])):
                    await self._scene.chronicle.wait_for(wait_for)
            except TimeoutError:
                pass
        await asyncio.sleep(pause_s)
        await fault()

    async def replace(self, unit: str) -> None:
        """Put a new generation in the place of the old one, which drains."""
        async with self._locks[unit]:
            await self._scene.chain.replace(unit)

    def _happens(self, chance: float) -> bool:
        return self._dice.random() < chance

    # Servers

    def _spoil(self, target: Target) -> None:
        dice = self._dice
        if self._happens(0.05):
            door = dice.choice([Door.REFUSED, Door.SWALLOWED])
            self._scene.network.set_door(door, target.host)
        for _ in range(dice.choice([0, 1, 1, 2, 3])):
            step = dice.choice([*Step, Step.END, Step.END, Step.END])
            target.will(step, self._act(step))
        if self._happens(0.1):
            target.will(dice.choice(self._mailboxes), dice.choice(_BEFORE_DATA))

    def _spoil_names(self, name_server: NameServer) -> None:
        dice = self._dice
        if self._happens(0.05):
            door = dice.choice([Door.REFUSED, Door.SWALLOWED])
            self._scene.network.set_door(door, name_server.host)
        if self._happens(0.15):
            name_server.always(dice.choice(list(Trouble)))
        for _ in range(dice.choice([0, 0, 1, 2, 5])):
            name_server.will(dice.choice(list(Trouble)))
        if self._happens(0.3):
            self._scene.network.set_weather(name_server.host, self._weather())

    def _weather(self) -> Weather:
        dice = self._dice
        return Weather(dice.choice([0, 0.1, 0.5]), dice.choice([0, 0.3]), dice.choice([0, 0.05, 2]))

    def _act(self, step: Step) -> Act:
        dice = self._dice
        if self._happens(0.4):
            return late(dice.choice([1, 5, 12, 30, 44, 60, 200, 500]) * dice.uniform(0.9, 1.1))
        match step:
            case Step.BODY:
                return dice.choice(_IN_DATA)
            case Step.END:
                return dice.choice(_AT_END)
            case _:
                return dice.choice(_BEFORE_DATA)

    # Within and between us

    async def _kill(self) -> None:
        unit = self._dice.choice(self._units)
        down_s = self._dice.choice([0, 0.1, self._dice.uniform(0, 30)])
        async with self._locks[unit]:
            self._scene.kill(unit)
            await asyncio.sleep(down_s)
            await self._scene.chain.restart(unit)

    async def _replace(self) -> None:
        await self.replace(self._dice.choice(self._units))

    async def _cut(self) -> None:
        newest = self._scene.chain.newest
        hosts = [PUBLIC_HOST, *(target.host for target in self._scene.targets)]
        hosts += [newest(unit).world.host for unit in self._units[1:] if not self._locks[unit].locked()]
        host, how = self._dice.choice(hosts), self._dice.choice([Break.RESET, Break.RESET, Break.SILENCE])
        self._scene.cut(host, how)
