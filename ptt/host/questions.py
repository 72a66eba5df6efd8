"""Questions between units on their way through the host, which reads none of them (DESIGN section 10).

A question goes to the generation that is published of the unit it names; its answer goes back to who asked.
Nobody there, too many, too large: the answer is None at once; so it is when a generation goes that was asked.
Who asks gives up after 2 s; what is older than ``FORGET_S`` is forgotten.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MAX_OPEN = 2000  # twice what one generation may ask at once (``ptt.net.questions``)
MAX_PAYLOAD_OCTETS = 1024 * 1024  # a transaction with 100 recipients asks in some 20 kB
FORGET_S = 10.0


@dataclass(frozen=True, slots=True)
class Open:
    """A question that was passed on: who asked, by which number, and whom."""

    unit: str
    generation: int
    number: int
    owner: str
    owner_generation: int
    since: float


class OpenQuestions:
    """All that is not answered, by the number that it was passed on with. Changed in place, as ``Kept``."""

    def __init__(self) -> None:
        self._open: dict[int, Open] = {}
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._open)

    def passed_on(self, question: Open, payload: bytes) -> int | None:
        """Note a question; gives its number for the owner, None: it is not to be passed on."""
        for number, other in list(self._open.items()):
            if other.since > question.since - FORGET_S:
                break
            del self._open[number]
        if len(self._open) >= MAX_OPEN or len(payload) > MAX_PAYLOAD_OCTETS:
            return None
        self._last_number += 1
        self._open[self._last_number] = question
        return self._last_number

    def answered(self, owner: str, generation: int, number: int) -> Open | None:
        """Whose question is answered; None: it was never put there, or is forgotten."""
        question = self._open.get(number)
        if question is None or (question.owner, question.owner_generation) != (owner, generation):
            return None
        return self._open.pop(number)

    def was_put(self, number: int) -> bool:
        """Whether there ever was a question of this number."""
        return 0 < number <= self._last_number

    def gone(self, unit: str, generation: int) -> Iterator[Open]:
        """A generation is gone: what it asked is forgotten; gives what it was asked, to be answered None."""
        for number, question in list(self._open.items()):
            if (question.owner, question.owner_generation) == (unit, generation):
                yield self._open.pop(number)
            elif (question.unit, question.generation) == (unit, generation):
                del self._open[number]
