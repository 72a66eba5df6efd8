"""Stories by seed: who sends what to whom, how the world misbehaves, when units of ours die.

The same number tells the same story, event by event. A story is small (three mails or so) and bad: most of
its servers do something wrong at some step, units are killed or replaced at the worst moments (just around a
server's 250), paths break. ``tell`` plays one and judges it by ``promises``.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ptt.errors import MisuseError
from ptt.rehearsal.simulation.chain import PUBLIC_HOST
from ptt.rehearsal.simulation.clients import Draft, Habits, MailProgram, Naming, Try
from ptt.rehearsal.simulation.network import Break, Door
from ptt.rehearsal.simulation.pipes import Shape
from ptt.rehearsal.simulation.promises import Sending, judge
from ptt.rehearsal.simulation.scene import Scene, play
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

RECIPIENTS = ("bob@one.example", "ben@one.example", "carl@two.example")
UNITS = ("submission", "signer", "relay")
MAX_TRIES = 4
LARGE_CHANCE = 0.01  # of a mail; each costs as much as ten stories
LARGE_OCTETS = 1_100_000  # above what submission and relay hold
LINE = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n"

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


def tell(seed: int) -> Counter[str]:
    """Play the story of a seed; a breach is ``MisuseError`` with the whole chronicle."""
    dice = random.Random(f"story {seed}")  # noqa: S311 - to be repeated
    shape = _shape(dice)

    async def story(scene: Scene) -> tuple[Scene, list[Sending]]:
        return scene, await _Story(scene, dice).run()

    def checked(scene: Scene, sendings: Sequence[Sending]) -> Counter[str]:
        breaches, counts = judge(scene, sendings)
        if breaches:
            error = MisuseError(f"PTT_SEED={seed}: " + "; ".join(breaches))
            error.add_note(str(scene.chronicle))
            raise error
        return counts

    try:
        return checked(*play(story, f"story {seed}", shape))
    except Exception as error:
        error.add_note(f"to be told again by PTT_SEED={seed}")
        raise


def _shape(dice: random.Random) -> Shape:
    return Shape(
        latency_s=dice.choice([0.001, 0.02, 0.02, 0.15]),
        jitter_s=dice.choice([0.0, 0.005, 0.1]),
        piece_octets=dice.choice([3_000, 16_384, 16_384, 65_536]),
        small_every=dice.choice([3, 8, 20]),
        window_octets=dice.choice([30_000, 262_144]),
    )


class _Story:
    """One story on its scene."""

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        self._scene = scene
        self._dice = dice
        self._locks = {unit: asyncio.Lock() for unit in UNITS}
        self._sendings: list[Sending] = []

    async def run(self) -> list[Sending]:
        """Let it all happen at the same time; afterwards everything serves again."""
        dice, scene = self._dice, self._scene
        for target in scene.targets:
            self._spoil(target)
        work = [self._author(user) for user in ("alice", "bert")[: dice.choice([1, 1, 2])]]
        work += [self._fault() for _ in range(dice.choice([0, 1, 1, 2, 3]))]
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
        for target in scene.targets:
            target.calm()
            scene.network.set_door(Door.OPEN, target.host)
        await asyncio.sleep(dice.choice([0, 0, 0, 5, 5, 700]))
        await self._send(scene.program(), scene.draft(RECIPIENTS[0]), [60, 700])
        return self._sendings

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
            target.will(dice.choice(RECIPIENTS), dice.choice(_BEFORE_DATA))

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

    # Authors

    async def _author(self, user: str) -> None:
        dice = self._dice
        habits = Habits(
            patience_s=dice.choice([3, 20, 46, 100, 100]),
            naming=dice.choice([Naming.KEEPS, Naming.KEEPS, Naming.RENEWS, Naming.LEAVES]),
            pipelines=self._happens(0.5),
            keeps_connection=self._happens(0.5),
            leaves_in_order=self._happens(0.5),
            quits=self._happens(0.7),
        )
        program = self._scene.program(user, habits)
        await asyncio.sleep(dice.choice([0, dice.uniform(0, 5)]))
        for _ in range(dice.choice([1, 1, 2])):
            count = dice.choice([1, 1, 2, 3])
            draft = self._scene.draft(*sorted(dice.sample(RECIPIENTS, count)), body=self._body())
            pauses = [dice.choice([0.5, 5, 60, 300]) * dice.uniform(0.8, 1.2) for _ in range(MAX_TRIES - 1)]
            sending = await self._send(program, draft, pauses)
            if sending.meanings[-1][-1].is_250 and self._happens(0.3):
                await asyncio.sleep(dice.choice([0.2, 2, 30]))
                sending.meanings.append([])
                await self._send_again(sending, pauses)

    async def _send(self, program: MailProgram, draft: Draft, pauses: Sequence[float]) -> Sending:
        sending = Sending(program.habits.naming, draft, [[]])
        self._sendings.append(sending)
        sending.program = program
        await self._send_again(sending, pauses)
        return sending

    @staticmethod
    async def _send_again(sending: Sending, pauses: Sequence[float]) -> None:
        """Mean it once (more)."""
        tries: list[Try] = sending.meanings[-1]
        for number, pause in enumerate([0.0, *pauses]):
            await asyncio.sleep(pause)
            # A second meaning is the same octets again, as when a person presses Send in "Sent".
            tries.append(await sending.program.send(sending.draft, number))
            if tries[-1].code // 100 in (2, 5):
                break

    def _body(self) -> bytes:
        dice = self._dice
        if self._happens(LARGE_CHANCE):
            return LINE * (LARGE_OCTETS // len(LINE))
        return dice.choice([b"Hello\r\n", b".\r\n..\r\n", b"", LINE * dice.randint(1, 200)])

    # What goes wrong with us and between us

    async def _fault(self) -> None:
        dice = self._dice
        wait_for = dice.choice(["keeps a message", "keeps a message", "at ", "try 0", None, None])
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

    async def _kill(self) -> None:
        unit = self._dice.choice(UNITS)
        down_s = self._dice.choice([0, 0.1, self._dice.uniform(0, 30)])
        async with self._locks[unit]:
            self._scene.kill(unit)
            await asyncio.sleep(down_s)
            await self._scene.chain.restart(unit)

    async def _replace(self) -> None:
        unit = self._dice.choice(UNITS)
        async with self._locks[unit]:
            await self._scene.chain.replace(unit)

    async def _cut(self) -> None:
        newest = self._scene.chain.newest
        hosts = [PUBLIC_HOST, *(target.host for target in self._scene.targets)]
        hosts += [newest(unit).world.host for unit in ("signer", "relay") if not self._locks[unit].locked()]
        host, how = self._dice.choice(hosts), self._dice.choice([Break.RESET, Break.RESET, Break.SILENCE])
        self._scene.cut(host, how)
