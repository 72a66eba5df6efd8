"""Waits of one connection for whatever comes next, each with a limit: one timer serves them all.

A connection waits several times for each message, and almost never until the limit. Setting a timer for
every wait and taking it back was a tenth of a unit's time, so it is left to ring, and set again only then.
"""

import asyncio
from math import inf


class Waiting:
    """One wait at a time; ``close`` when the connection is over, so that no timer holds it in memory."""

    __slots__ = ("_due", "_timer", "_timer_due", "_waiter")

    def __init__(self) -> None:
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = inf
        self._due = inf

    async def wait(self, timeout_s: float) -> bool:
        """Wait until ``wake``; False: it did not come in time."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiter = waiter
        self._due = loop.time() + timeout_s
        if self._due < self._timer_due:
            self._set_timer(loop)
        return await waiter

    def wake(self) -> None:
        """Something has come; nothing where nobody waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def close(self) -> None:
        """Set no timer any more than is waited for now."""
        if self._timer is not None and (self._waiter is None or self._waiter.done()):
            self._timer.cancel()
            self._timer, self._timer_due = None, inf

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._due
        self._timer = loop.call_at(self._due, self._rang, loop)

    def _rang(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._timer_due = None, inf
        if self._waiter is None or self._waiter.done():
            return
        if loop.time() >= self._due:
            self._waiter.set_result(False)
        else:
            self._set_timer(loop)
