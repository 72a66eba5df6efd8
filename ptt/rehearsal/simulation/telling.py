"""Tell one story by its seed and judge it: the same for both lines.

In some stories names come by our DNS units and pretend name servers, which go wrong too; in the others by a
fixed table, which is quicker. Which it is the seed says with dice of its own.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from ptt.errors import MisuseError
from ptt.rehearsal.simulation.chain import Site
from ptt.rehearsal.simulation.disorder import some_shape
from ptt.rehearsal.simulation.scene import QUICK_SITE, Scene, play

S = TypeVar("S")

DNS_CHANCE = 0.1  # such a story takes half as long again

Run = Callable[[Scene, random.Random], Awaitable[S]]
Judge = Callable[[Scene, S], tuple[list[str], Counter[str]]]


def tell_story(seed: int, title: str, run: Run[S], judge: Judge[S], site: Site = QUICK_SITE) -> Counter[str]:
    """Play the story of a seed; a breach is ``MisuseError`` with the whole chronicle."""
    has_dns = random.Random(f"names {title} {seed}").random() < DNS_CHANCE  # noqa: S311 - to be repeated
    dice = random.Random(f"{title} {seed}")  # noqa: S311 - to be repeated
    shape = some_shape(dice)

    async def story(scene: Scene) -> tuple[Scene, S]:
        return scene, await run(scene, dice)

    def checked(scene: Scene, told: S) -> Counter[str]:
        breaches, counts = judge(scene, told)
        if breaches:
            error = MisuseError(f"PTT_SEED={seed}, {title}: " + "; ".join(breaches))
            error.add_note(str(scene.chronicle))
            raise error
        counts["stories with DNS"] += has_dns
        return counts

    try:
        return checked(*play(story, f"{title} {seed}", shape, replace(site, has_dns=has_dns)))
    except Exception as error:
        error.add_note(f"to be told again by PTT_SEED={seed}")
        raise
