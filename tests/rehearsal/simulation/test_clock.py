"""The clock jumps, the run ends when nothing can happen, and two runs are the same."""

import asyncio
import re
import time

import pytest

from ptt.errors import MisuseError
from ptt.rehearsal.simulation.clock import SimulatedTask, simulate


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_day_passes_at_once() -> None:
    async def scenario() -> float:
        await asyncio.sleep(86_000)
        return now()

    start = time.perf_counter()
    assert simulate(scenario) == pytest.approx(86_000)
    assert time.perf_counter() - start < 5


def test_timers_fire_in_order_and_on_time() -> None:
    async def scenario() -> list[tuple[float, str]]:
        seen: list[tuple[float, str]] = []
        loop = asyncio.get_running_loop()

        def note(name: str) -> None:
            seen.append((round(now(), 9), name))

        for delay, name in ((0.3, "c"), (0.1, "a"), (0.2, "b"), (100_000.0, "never")):
            loop.call_later(delay, note, name)
        await asyncio.sleep(0.5)
        return seen

    assert simulate(scenario) == [(0.1, "a"), (0.2, "b"), (0.3, "c")]


def test_time_limits_work() -> None:
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(45):
                await asyncio.get_running_loop().create_future()
        return now()

    assert simulate(scenario) == pytest.approx(45)


def test_a_deadlock_names_who_waits_and_where() -> None:
    async def wait_for_nobody() -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_nobody(), name="the lonely one")
            await asyncio.sleep(3)

    with pytest.raises(MisuseError, match=r"deadlock: nothing left to happen, at 3\.0") as caught:
        simulate(scenario)
    assert "the lonely one: Event.wait" in str(caught.value)
    assert re.search(r"task 1: TaskGroup\.\w*aexit", str(caught.value))


def test_a_task_that_spins_ends_the_run() -> None:
    async def scenario() -> None:
        while True:  # noqa: ASYNC110 - it is what the loop must catch
            await asyncio.sleep(0)

    with pytest.raises(MisuseError, match="time does not go on"):
        simulate(scenario)


def test_a_run_that_only_has_periodic_timers_ends() -> None:
    async def tick() -> None:
        while True:  # noqa: ASYNC110 - as units count
            await asyncio.sleep(10)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(tick())
            await asyncio.Event().wait()

    with pytest.raises(MisuseError, match="no end within 1000 s"):
        simulate(scenario, limit_s=1000)


def test_a_failure_that_nobody_looks_at_is_told() -> None:
    async def fail() -> None:
        raise ValueError("unseen")

    async def scenario() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        del task

    with pytest.raises(MisuseError, match="never retrieved") as caught:
        simulate(scenario)
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_the_scenario_raises_comes_out() -> None:
    async def scenario() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        simulate(scenario)


def test_workers_are_done_in_the_next_turn() -> None:
    async def scenario() -> list[object]:
        loop = asyncio.get_running_loop()
        seen: list[object] = []
        call = loop.run_in_executor(None, lambda: seen.append("worker"))
        seen.append("before")
        await call
        seen.append(await asyncio.to_thread(divmod, 7, 2))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 7, 0)
        return seen

    assert simulate(scenario) == ["before", "worker", (3, 1)]


def test_a_worker_s_call_can_be_given_up() -> None:
    async def scenario() -> list[str]:
        called: list[str] = []
        call = asyncio.get_running_loop().run_in_executor(None, called.append, "x")
        call.cancel()
        await asyncio.sleep(1)
        return called

    assert simulate(scenario) == []


def test_calls_from_other_threads_need_no_wake_up() -> None:
    async def scenario() -> bool:
        event = asyncio.Event()
        asyncio.get_running_loop().call_soon_threadsafe(event.set)
        return await event.wait()

    assert simulate(scenario)


def test_sets_of_tasks_keep_the_order_in_which_they_were_made() -> None:
    async def scenario() -> list[str]:
        tasks = {asyncio.create_task(asyncio.sleep(1), name=str(number)) for number in range(50)}
        assert all(isinstance(task, SimulatedTask) for task in tasks)
        names = [task.get_name() for task in tasks]
        for task in tasks:
            await task
        return names

    assert simulate(scenario) == [str(number) for number in range(50)]
