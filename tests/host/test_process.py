"""One process as the host sees it: started by exec, heard, ended. The programs here are of the shell."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ptt.boot import BootRecord, Drain, Drained, KeepState, UnitFrame, encode
from ptt.host import process
from ptt.host.process import LineReader, Listeners, Program, UnitProcess

RECORD = BootRecord("trial", 1, "mail.example", "digest", {}, {})


@dataclass
class Heard:
    """Everything about a process, in order."""

    events: list[object] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, event: object) -> None:
        self.events.append(event)
        self.changed.set()

    def listeners(self) -> Listeners:
        return Listeners(
            on_frame=self.note,
            on_hang_up=lambda reason: self.note(("hung up", reason)),
            on_line=self.note,
            on_exit=lambda code: self.note(("exit", code)),
        )

    async def until(self, condition: Callable[[list[object]], bool]) -> list[object]:
        while not condition(self.events):
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)
        return self.events

    async def until_exit(self) -> list[object]:
        return await self.until(lambda events: any(isinstance(e, tuple) and e[0] == "exit" for e in events))


def program(tmp_path: Path, script: str) -> Program:
    """A program that takes the place of Python: its arguments are ignored."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Program(path, tmp_path)


def run(scene: Callable[[Heard], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        async with asyncio.timeout(20):
            await scene(Heard())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


def octal(frame: UnitFrame) -> str:
    """A frame for printf of the shell."""
    return "".join(f"\\{octet:03o}" for octet in encode(frame))


def test_what_was_said_is_heard_before_the_end(tmp_path: Path) -> None:
    frames = octal(KeepState("k", b"1")) + octal(Drained())
    script = f"cat >&2; printf '{frames}'; echo one >&2; printf two >&2; exit 5"

    async def scene(heard: Heard) -> None:
        UnitProcess(program(tmp_path, script), RECORD, heard.listeners())
        events = await heard.until_exit()
        assert [event for event in events if not isinstance(event, bytes)] == [
            KeepState("k", b"1"),
            Drained(),
            ("exit", 5),
        ]
        lines = [event for event in events if isinstance(event, bytes)]
        assert lines == [encode(RECORD) + b"one", b"two"]  # the boot record, whole, from standard input
        assert events[-1] == ("exit", 5)

    run(scene)


def test_it_inherits_nothing_but_its_three_descriptors(tmp_path: Path) -> None:
    secret = fcntl.fcntl(0, fcntl.F_DUPFD, 50)
    os.set_inheritable(secret, True)
    script = "ls /proc/$$/fd >&2; env >&2; pwd >&2; umask >&2; ps -o sid= -p $$ >&2; echo $$ >&2"

    async def scene(heard: Heard) -> None:
        UnitProcess(program(tmp_path, script), RECORD, heard.listeners())
        events = await heard.until_exit()
        *facts, session, own = [event.decode().strip() for event in events if isinstance(event, bytes)]
        assert {"0", "1", "2", "/", "0077"} <= set(facts)
        descriptors = {int(fact) for fact in facts if fact.isdigit() and fact != "0077"}
        assert descriptors - set(range(10, 20)) == {0, 1, 2}  # from 10 on are the shell's own
        environment = dict(fact.split("=", 1) for fact in facts if "=" in fact)
        assert environment == {**process.ALLOCATOR, "PWD": "/"}
        assert session == own

    run(scene)
    os.close(secret)


def test_it_can_be_spoken_to_and_killed(tmp_path: Path) -> None:
    async def scene(heard: Heard) -> None:
        running = UnitProcess(
            program(tmp_path, "head -c 4 <&1 >&2; echo >&2; sleep 100"), RECORD, heard.listeners()
        )
        frame = encode(Drain(1.0))
        running.send(frame)
        events = await heard.until(bool)
        assert events == [frame[:4]]
        os.kill(running.pid, 0)  # it is there
        running.kill()
        assert (await heard.until_exit())[-1] == ("exit", -signal.SIGKILL)
        running.kill()  # nobody is hit any more
        running.send(frame)

    run(scene)


def test_who_breaks_the_stream_is_told_on(tmp_path: Path) -> None:
    async def scene(heard: Heard) -> None:
        script = r"printf '\000\000\000\001\301'; sleep 100"
        running = UnitProcess(program(tmp_path, script), RECORD, heard.listeners())
        events = await heard.until(bool)
        assert len(events) == 1
        assert isinstance(events[0], tuple)
        assert "malformed" in events[0][1]
        running.kill()
        await heard.until_exit()
        assert len(heard.events) == 2

    run(scene)


def test_who_hangs_up_and_stays_is_told_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HANG_UP_DELAY_S", 0.05)

    async def scene(heard: Heard) -> None:
        running = UnitProcess(program(tmp_path, "exec >&- 1>/dev/null; sleep 100"), RECORD, heard.listeners())
        assert await heard.until(bool) == [("hung up", "")]
        running.kill()
        await heard.until_exit()

    run(scene)


def test_an_end_does_not_wait_for_children_that_hold_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LAST_FRAMES_S", 0.05)

    async def scene(heard: Heard) -> None:
        UnitProcess(program(tmp_path, "sleep 3 & exit 7"), RECORD, heard.listeners())
        assert await heard.until_exit() == [("exit", 7)]

    run(scene)


def test_what_cannot_be_executed_leaves_nothing_open(tmp_path: Path) -> None:
    async def scene(heard: Heard) -> None:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers
        with pytest.raises(FileNotFoundError):
            UnitProcess(Program(tmp_path / "nothing", tmp_path), RECORD, heard.listeners())
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - numbers

    run(scene)


def test_lines_come_whole_and_endless_ones_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_LINE_OCTETS", 10)

    async def scene(heard: Heard) -> None:
        reading, writing = os.pipe()
        reader = LineReader(reading, heard.note)
        for piece in (b"on", b"e\ntw", b"o\n\n", b"12345678901", b"2\nrest"):
            os.write(writing, piece)
            await asyncio.sleep(0.01)
        os.close(writing)
        await asyncio.sleep(0.01)
        assert heard.events == [b"one", b"two", b"", b"12345678901", b"2"]
        reader.close()
        assert heard.events[-1] == b"rest"

    run(scene)
