"""An event loop whose clock jumps: when nothing is ready it is at once as late as the next timer says.

No socket is polled and no thread runs, so the same program with the same seeds does the same thing at the
same time, however long that time would have been. A program that waits for what can no longer happen, or
that never stops doing things at one moment, ends in ``MisuseError`` with the tasks that wait; so does one
that leaves a failure which nobody looked at. What still could differ between two runs is the order in which
sets of tasks are gone through: tasks hash by their number here (and PYTHONHASHSEED is to be fixed for sets
of text).
"""

import asyncio
import gc
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from ptt.errors import MisuseError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_TURNS_AT_ONE_TIME = 50_000  # a busy scenario has a few thousand; beyond this something waits by spinning
LIMIT_S = (
    86_400.0  # a scenario that needs longer says so; units have timers for ever, so a hang is no deadlock
)
RESOLUTION_S = 1e-9  # of the timers; far below any time that is named in the code


class SimulatedTask(asyncio.Task[T]):
    """A task that hashes by its number, not by its address in memory."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        loop: asyncio.AbstractEventLoop,
        number: int,
        name: str | None,
        context: Context | None,
    ) -> None:
        self._number = number
        super().__init__(coroutine, loop=loop, name=name or f"task {number}", context=context)

    def set_name(self, value: object) -> None:
        """Keep our name where none is given: some versions of asyncio set ``None`` after the task is made."""
        if value is not None:
            super().set_name(value)

    def __hash__(self) -> int:
        return self._number


class _NothingToPoll:
    """Stands where an event loop has its selector: instead of waiting it moves the clock."""

    def __init__(self, loop: "SimulatedLoop") -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> tuple[()]:
        if timeout is None:
            self._loop.give_up("deadlock: nothing left to happen")
        if timeout > 0:
            self._turns = 0
            self._loop.advance(timeout)
            return ()
        self._turns += 1
        if self._turns > MAX_TURNS_AT_ONE_TIME:
            self._loop.give_up("no end: time does not go on")
        return ()

    def close(self) -> None:
        """Nothing is held."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module. The clock starts at 0; ``failures`` are those that nobody looked at."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        super().__init__()
        self._now = 0.0
        self._limit_s = limit_s
        self._tasks_made = 0
        self._selector = _NothingToPoll(self)
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._ready: deque[asyncio.Handle]
        self._stopping: bool
        self._clock_resolution = RESOLUTION_S
        self.failures: list[dict[str, Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, context: self.failures.append(context))

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock; what is due happens in the loop's next turn."""
        self._now += seconds
        if self._now > self._limit_s:
            self.give_up(f"no end within {self._limit_s:g} s")

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call when the clock shows ``when``; of the same time, in the order in which they were asked for."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def _run_once(self) -> None:
        """One turn: as ``BaseEventLoop`` does it, but quicker, since timers are most of a simulation."""
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if ready or self._stopping:
            self._selector.select(0)
        else:
            self._selector.select(max(timers[0][0] - self._now, 0) if timers else None)
        due = self._now + RESOLUTION_S
        while timers and timers[0][0] < due:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - as the loop's own turn does

    def close(self) -> None:
        """Forget what would still have happened."""
        self._timers.clear()
        super().close()

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002 - of whatever kind it is
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Call ``func`` in the loop's next turn; there are no threads."""
        future: asyncio.Future[T] = self.create_future()
        self.call_soon(_call_into, future, lambda: func(*args))
        return future

    def give_up(self, reason: str) -> NoReturn:
        """End the run with the names of the tasks that wait and where they do."""
        self._limit_s = math.inf  # the tasks are cancelled after this, which may take time
        waiting = sorted(asyncio.all_tasks(self), key=hash)
        places = "".join(f"\n  {_place(task)}" for task in waiting)
        raise MisuseError(f"{reason}, at {self._now:.6f} s; tasks that wait:{places or ' none'}")

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> SimulatedTask[Any]:
        self._tasks_made += 1
        return SimulatedTask(coroutine, loop, self._tasks_made, options.get("name"), options.get("context"))

    # What BaseEventLoop leaves to the loops that poll.

    def _process_events(self, _events: tuple[()]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nothing needs to be woken: there is no other thread."""


def simulate(main: Callable[[], Coroutine[Any, Any, T]], limit_s: float = LIMIT_S) -> T:
    """Run ``main`` to its end under a loop of its own; a failure that nobody looked at is ``MisuseError``.

    ``limit_s`` is simulated time.
    """
    loop = SimulatedLoop(limit_s)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main())
    gc.collect()  # a task that failed unseen tells when it is thrown away
    if loop.failures:
        first = loop.failures[0]
        words = f"{len(loop.failures)} failures that nobody looked at, first: {first['message']}"
        raise MisuseError(words) from first.get("exception")
    return result


def _call_into(future: asyncio.Future[T], function: Callable[[], T]) -> None:
    if future.done():
        return
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the call
        future.set_exception(error)


def _place(task: asyncio.Task[Any]) -> str:
    """The name of a task, and file, line and function of the innermost coroutine that it stands in."""
    inner: Any = task.get_coro()
    while getattr(inner, "cr_await", None) is not None and hasattr(inner.cr_await, "cr_frame"):
        inner = inner.cr_await
    frame = getattr(inner, "cr_frame", None)
    if frame is None:
        return task.get_name()
    code = frame.f_code
    return f"{task.get_name()}: {code.co_qualname} ({code.co_filename}:{frame.f_lineno})"
