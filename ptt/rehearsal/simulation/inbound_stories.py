"""Inbound stories by seed: strangers' servers write to our users while everything goes wrong.

As in ``stories``: the same number tells the same story, small and bad. When the disorder is over, whoever is
still in a stranger's queue must come to an answer. ``tell`` plays one and judges it by ``inbound_promises``.
"""

import asyncio
import random
from collections import Counter
from dataclasses import replace

from ptt.rehearsal.simulation.disorder import Disorder
from ptt.rehearsal.simulation.inbound_promises import Posting, judge
from ptt.rehearsal.simulation.scene import INBOUND_SITE, TARGETS_OF, Scene
from ptt.rehearsal.simulation.senders import EXIM, POSTFIX, Manner, StrangersServer
from ptt.rehearsal.simulation.targets import Step, says
from ptt.rehearsal.simulation.telling import tell_story

UNITS = ("receiver", "spam_filter", "relay")
USERS = tuple(TARGETS_OF)
MAILBOXES = tuple(mailbox for mailboxes in TARGETS_OF.values() for mailbox in mailboxes)
ABOUT_US = says("554 5.7.1 client host [192.0.2.10] blocked using zen.spamhaus.org")
LARGE_CHANCE = 0.01  # of a letter; each costs as much as ten stories
PATIENT_S = 60.0  # who waits less never sees the end of a large one
LARGE_OCTETS = 1_100_000  # above what the relay holds
LINE = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n"


def tell(seed: int) -> Counter[str]:
    """Play the story of a seed; a breach is ``MisuseError`` with the whole chronicle."""
    return tell_story(
        seed, "inbound story", lambda scene, dice: _Story(scene, dice).run(), judge, INBOUND_SITE
    )


class _Story:
    """One story on its scene."""

    def __init__(self, scene: Scene, dice: random.Random) -> None:
        self._scene = scene
        self._dice = dice
        self._disorder = Disorder(scene, dice, UNITS, MAILBOXES, tried="letter-")
        self._postings: list[Posting] = []

    async def run(self) -> list[Posting]:
        """Let it all happen at the same time; afterwards everything serves again."""
        dice = self._dice
        self._disorder.spoil()
        if self._happens(0.1):
            dice.choice(self._scene.targets).will(dice.choice([Step.RCPT, Step.END]), ABOUT_US)
        work = [self._server() for _ in range(dice.choice([1, 1, 2]))]
        work += [self._disorder.fault() for _ in range(dice.choice([0, 1, 1, 2, 3]))]
        work.append(self._calm())
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
        posting = Posting(self._scene.letter("alice"))
        await self._mean(self._scene.server(), posting)
        return self._postings

    def _happens(self, chance: float) -> bool:
        return self._dice.random() < chance

    async def _calm(self) -> None:
        await asyncio.sleep(self._dice.choice([60, 700, 2000]))
        self._disorder.calm()

    # Strangers

    async def _server(self) -> None:
        dice = self._dice
        server = self._scene.server(self._manner())
        await asyncio.sleep(dice.choice([0, dice.uniform(0, 5)]))
        for _ in range(dice.choice([1, 1, 2])):
            posting = self._posting(server.manner)
            await self._mean(server, posting)
            if not posting.is_forged and self._happens(0.25):
                await asyncio.sleep(dice.choice([0.2, 2, 30]))
                await self._mean(server, posting)

    def _manner(self) -> Manner:
        dice = self._dice
        return replace(
            dice.choice([POSTFIX, POSTFIX, EXIM]),
            patience_s=dice.choice([10, 20, 60, 600, 600]),
            pipelines=self._happens(0.5),
            declares_size=self._happens(0.8),
            keeps_connection=self._happens(0.3),
            quits=self._happens(0.7),
            leaves_in_order=self._happens(0.5),
        )

    def _posting(self, manner: Manner) -> Posting:
        dice = self._dice
        recipients = dice.sample(USERS, dice.choice([1, 1, 2, 3]))
        if self._happens(0.1):
            recipients.append("nobody@example.org")
        letter = self._scene.letter(*recipients, body=self._body(may_be_large=manner.patience_s >= PATIENT_S))
        if self._happens(0.1):
            return Posting(replace(letter, author="bert@example.org"), is_forged=True)
        return Posting(replace(letter, is_named=self._happens(0.8)))

    async def _mean(self, server: StrangersServer, posting: Posting) -> None:
        if posting not in self._postings:
            self._postings.append(posting)
        posting.meanings.append(await server.deliver(posting.letter))

    def _body(self, *, may_be_large: bool) -> bytes:
        dice = self._dice
        if may_be_large and self._happens(LARGE_CHANCE):
            return LINE * (LARGE_OCTETS // len(LINE))
        return dice.choice([b"Hello\r\n", b".\r\n..\r\n", b"", LINE * dice.randint(1, 200)])
