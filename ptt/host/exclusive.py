"""Units of which one generation alone serves (DESIGN section 10): when the old one withdraws, and comes back.

The new generation is published when the old one has said that it reads from the public listeners no more;
what comes meanwhile waits in them. One that does not say so in time is ended: then it reads nothing either.
The old one stays for a while, is told what the new one leaves with the host, and is published again if the
new one ends. Pure; ``supervisor`` asks.
"""

from dataclasses import dataclass

from ptt.host.supervision import Generation, Phase, UnitState
from ptt.manifest import Overlap

WITHDRAW_LIMIT_S = 1.0  # aimed at are 20 ms; resolvers ask again after some seconds, on a busy machine too
FALLBACK_S = 10.0  # DESIGN section 10: a new generation that ends in its first 10 s gives way to the old one


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The one that serves is to stop reading."""

    former: Generation


@dataclass(frozen=True, slots=True)
class Publication:
    """Who is to serve. ``overdue`` have not said that they withdrew and are to be ended first."""

    next: Generation
    overdue: tuple[Generation, ...] = ()


def is_exclusive(unit: UnitState) -> bool:
    """Whether two generations may never serve at the same time."""
    return unit.manifest.overlap is Overlap.EXCLUSIVE


def next_turn(unit: UnitState, due: Generation | None, now: float) -> Withdrawal | Publication | None:
    """What is to be done now. ``due`` is the new generation that may be published, if there is one."""
    serving = unit.published
    if due is None:
        former = fallback(unit)
        return Publication(former) if serving is None and former is not None else None
    if serving is not None:
        return Withdrawal(serving)
    waited_for = _withdrawing(unit)
    if any(now < each.since + WITHDRAW_LIMIT_S for each in waited_for):
        return None
    return Publication(due, waited_for)


def waits_until(unit: UnitState) -> float | None:
    """When those that are withdrawing are waited for no more; None: nobody is."""
    ends = [each.since + WITHDRAW_LIMIT_S for each in _withdrawing(unit)]
    return max(ends) if ends and unit.published is None else None


def fallback(unit: UnitState) -> Generation | None:
    """The one that would serve again."""
    return next((each for each in reversed(unit.generations) if each.phase is Phase.WITHDRAWN), None)


def _withdrawing(unit: UnitState) -> tuple[Generation, ...]:
    return tuple(each for each in unit.generations if each.phase is Phase.WITHDRAWN and each.unanswered)
