"""Stories by seed: who sends what to whom, how the world misbehaves, when units of ours die.

The same number tells the same story, event by event. A story is small (three mails or so) and bad: most of
its servers do something wrong at some step, units are killed or replaced at the worst moments (just around a
server's 250), paths break. In some the same mail is on its way twice at once, by two programs, while the
relay is replaced. ``tell`` plays one and judges it by ``promises``.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from ptt.rehearsal.simulation.clients import Draft, Habits, MailProgram, Naming, Try
from ptt.rehearsal.simulation.disorder import Disorder
from ptt.rehearsal.simulation.promises import NOWHERE, Sending, judge
from ptt.rehearsal.simulation.scene import Scene
from ptt.rehearsal.simulation.targets import Step, late
from ptt.rehearsal.simulation.telling import tell_story

RECIPIENTS = ("bob@one.example", "ben@one.example", "carl@two.example")
NOBODY = f"zoe@{NOWHERE}"
UNITS = ("submission", "signer", "relay")
MAX_TRIES = 4
TWINS_CHANCE = 0.05
LARGE_CHANCE = 0.01  # of a mail; each costs as much as ten stories
LARGE_OCTETS = 1_100_000  # above what submission and relay hold
LINE = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n"


def tell(seed: int) -> Counter[str]:
    """Play the story of a seed; a breach is ``MisuseError`` with the whole chronicle."""
    return tell_story(seed, "story", lambda scene, dice: _Story(scene, dice).run(), judge)


class _Story:
    """One story on its scene."""

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        self._scene = scene
        self._dice = dice
        self._disorder = Disorder(scene, dice, UNITS, RECIPIENTS)
        self._sendings: list[Sending] = []

    async def run(self) -> list[Sending]:
        """Let it all happen at the same time; afterwards everything serves again."""
        dice, scene = self._dice, self._scene
        self._disorder.spoil()
        work = [self._author(user) for user in ("alice", "bert")[: dice.choice([1, 1, 2])]]
        work += [self._disorder.fault() for _ in range(dice.choice([0, 1, 1, 2, 3]))]
        own_dice = random.Random(f"twins {scene.seed}")  # noqa: S311 - to be repeated
        if own_dice.random() < TWINS_CHANCE:
            work.append(self._twins(own_dice))
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
        self._disorder.calm()
        await asyncio.sleep(dice.choice([0, 0, 0, 5, 5, 700]))
        await self._send(scene.program(), scene.draft(RECIPIENTS[0]), [60, 700])
        if scene.name_servers:
            await self._send(scene.program(), scene.draft(NOBODY), [60, 700, 400])
        return self._sendings

    def _happens(self, chance: float) -> bool:
        return self._dice.random() < chance

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

    async def _twins(self, dice: random.Random) -> None:
        """The same mail by two programs, as when one has lost its connection and nobody was told."""
        scene, habits = self._scene, Habits(patience_s=dice.choice([0.5, 3, 100]))
        for target in scene.targets:
            target.will(Step.RCPT, late(dice.uniform(0, 20)))
            target.will(Step.END, late(dice.uniform(0, 20)))
        sending = Sending(Naming.KEEPS, scene.draft(dice.choice(RECIPIENTS)), [[]], is_twin=True)
        self._sendings.append(sending)

        async def send(program: MailProgram, after_s: float) -> None:
            await asyncio.sleep(after_s)
            sending.meanings[0].append(await program.send(sending.draft))

        async def replace(after_s: float) -> None:
            await asyncio.sleep(after_s)
            await self._disorder.replace("relay")

        async with asyncio.TaskGroup() as group:
            group.create_task(send(scene.program(), 0.0))
            group.create_task(send(scene.program(habits=habits), dice.uniform(0, 30)))
            group.create_task(replace(dice.uniform(0, 30)))
        sending.program = scene.program()
        sending.meanings[0] += await sending.program.send_until_taken(sending.draft, [60, 300])

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
