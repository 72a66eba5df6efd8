"""Questions of a unit to the owner of something exclusive (the ledger), by way of the host.

A question that nobody answers in 2 s is answered None: whoever asks must then treat the matter as open
(451, never a guess).
"""

import asyncio
from itertools import count

from ptt.boot import Ask, GiveAnswer
from ptt.net.world import ControlStream

ANSWER_LIMIT_S = 2.0  # DESIGN section 10: no answer in 2 s is 451
MAX_OPEN = 1000  # one for each session there may be; past that something is stuck


class Questions:
    """What was asked and is not answered yet."""

    def __init__(self, control: ControlStream) -> None:
        self._control = control
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[bytes | None]] = {}

    async def ask(self, to: str, payload: bytes) -> bytes | None:
        """Ask unit ``to``; None: nobody could answer, or not in time."""
        if len(self._open) >= MAX_OPEN:
            return None
        number = next(self._numbers)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        self._control.send(Ask(number, to, payload))
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._open[number]

    def tell(self, to: str, payload: bytes) -> None:
        """Say something to unit ``to`` whose answer matters to nobody."""
        self._control.send(Ask(next(self._numbers), to, payload))

    def answered(self, frame: GiveAnswer) -> None:
        """Take an answer; one that came too late is dropped."""
        answer = self._open.get(frame.number)
        if answer is not None and not answer.done():
            answer.set_result(frame.payload)

    def host_gone(self) -> None:
        """Nobody will answer any more."""
        for answer in self._open.values():
            if not answer.done():
                answer.set_result(None)
