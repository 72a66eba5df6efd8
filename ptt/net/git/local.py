"""Streams to repositories of this machine, asked of the host and given by it over the control stream."""

import asyncio
import socket
from itertools import count

from ptt.boot import GiveStream, OpenRepository
from ptt.net.git.failures import GitFailed
from ptt.net.world import ControlStream

ANSWER_LIMIT_S = 10.0  # the host starts a program, that is all


class LocalStreams:
    """What was asked of the host and is not answered yet."""

    def __init__(self, control: ControlStream) -> None:
        self._control = control
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[socket.socket | GitFailed]] = {}

    async def open(self, name: str, service: str) -> socket.socket | GitFailed:
        """Ask for a stream to a repository by its name in our spec."""
        number = next(self._numbers)
        answer: asyncio.Future[socket.socket | GitFailed] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        self._control.send(OpenRepository(number, name, service))
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await answer
        except TimeoutError:
            return GitFailed("the host gives no answer")
        finally:
            del self._open[number]

    def answered(self, frame: GiveStream, handle: object) -> None:
        """Take the host's answer; a stream that nobody waits for any more is closed."""
        answer = self._open.get(frame.number)
        stream = handle if isinstance(handle, socket.socket) else None
        if answer is None or answer.done():
            if stream is not None:
                stream.close()
            return
        answer.set_result(
            stream or GitFailed(frame.reason or "the host gives no stream", needs_operator=True)
        )
