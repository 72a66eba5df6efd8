"""A host with real processes: they start, call each other, die, come back and are replaced."""

import asyncio
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ptt.deployer.images import build_image
from ptt.errors import ConfigError, MisuseError
from ptt.host import supervisor
from ptt.host.daemon import Host
from ptt.host.interpreter import base_interpreter
from ptt.host.process import ALLOCATOR
from ptt.host.unit_spec import JournalEntry, UnitSpec
from ptt.net.world import Endpoint

MakeSpec = Callable[..., UnitSpec]
START_LIMIT_S = 30.0
as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="units have users of their own only where the host is root"
)


class Conversation:
    """Somebody out there who talks with the front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, line: str) -> str:
        self.writer.write(line.encode() + b"\n")
        return (await asyncio.wait_for(self.reader.readline(), 10)).decode().strip()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def talk(host: Host) -> Conversation:
    endpoint = host.endpoint("front", "lines")
    return Conversation(*await asyncio.open_connection(endpoint.host, endpoint.port))


async def say(host: Host, line: str) -> str:
    conversation = await talk(host)
    answer = await conversation.say(line)
    await conversation.close()
    return answer


def run(scene: Callable[[Host], Coroutine[Any, Any, None]], *specs: UnitSpec) -> list[JournalEntry]:
    """Play a scene on a host that runs these units; gives the journal."""
    lines: list[JournalEntry] = []

    async def play() -> None:
        host = Host(on_line=lines.append)
        await host.start(specs)
        try:
            async with asyncio.timeout(60):
                await scene(host)
        finally:
            await host.stop(5.0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())
    return lines


def details(lines: list[JournalEntry], unit: str) -> list[str]:
    return [json.loads(line.text).get("detail", "") for line in lines if line.unit == unit]


def about(pid: int, what: str) -> bytes:
    return Path(f"/proc/{pid}/{what}").read_bytes()


def is_running(pid: int) -> bool:
    try:
        return b"Z (zombie)" not in about(pid, "status")
    except FileNotFoundError:
        return False


def test_units_start_with_what_they_are_told_and_nothing_else(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        who = await say(host, "who")
        digest = host._specs["front"].digest
        assert who == f"front.1 mail.example {digest} {{'color': 'red'}} {{'tls_key': 's3cret'}}"
        files = await say(host, "files")
        environment = {**ALLOCATOR, "LC_CTYPE": "C.UTF-8"}  # the latter is Python's own
        assert files == f"['0', '1', '2', '3'] {environment} / True"
        command = about(host.pid("front"), "cmdline").split(b"\0")[1:]
        assert command == [b"-I", b"-S", b"-B", bytes(host._specs["front"].image), b""]

    lines = run(scene, make_spec("front", settings={"color": "red"}), make_spec("back"))
    assert details(lines, "front") == ["alive as 1"]
    assert [(line.unit, line.generation) for line in lines] == [("front", 1)]


def test_units_call_each_other_by_pins_and_tell_the_host(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        assert await say(host, "call") == "pong from 1"
        assert await host.replace("back")
        assert await say(host, "call") == "pong from 2"
        assert host.endpoint("back", "hop").port != 0
        assert await say(host, "ask") == "None"
        await say(host, "keep a 1")
        held = host._running["front", 1]
        assert await host.replace("front")
        assert await say(host, "call") == "pong from 2"
        await host._wait_for(lambda: ("front", 1) not in host._running, 5.0)
        assert held.counters == {"kept": 1}
        assert host.counters("front") == {2: {}}

    run(scene, make_spec("front"), make_spec("back"))


def test_who_is_killed_comes_back_with_what_it_left(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        assert await say(host, "state") == "{}"
        conversation = await talk(host)
        await conversation.say("keep a 1")
        await conversation.say("keep b 2")
        await conversation.say("keep a")
        host.kill("front")
        await conversation.close()
        # The listener is the host's: whoever connects now waits, and is served by the next.
        assert await say(host, "state") == "{'b': b'2'}"
        assert (await say(host, "who")).startswith("front.2 ")
        assert await say(host, "call") == "pong from 1"

    lines = run(scene, make_spec("front"), make_spec("back"))
    assert details(lines, "front") == ["alive as 1", "ended while published, exit code -9", "alive as 2"]


def test_nobody_is_refused_while_a_unit_is_replaced(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        answers: list[str] = []
        replaced = asyncio.Event()

        async def visitors() -> None:
            while not replaced.is_set():
                answers.append((await say(host, "who")).split()[0])

        conversation = await talk(host)
        assert (await conversation.say("who")).startswith("front.1 ")
        async with asyncio.TaskGroup() as group:
            group.create_task(visitors())
            group.create_task(visitors())
            for _ in range(2):
                assert await host.replace("front")
                await host._wait_for(lambda: len(host.units["front"].active) == 1, 5.0)
            answers.append((await say(host, "who")).split()[0])
            replaced.set()
        assert set(answers) == {"front.1", "front.2", "front.3"}
        # What was open goes on in the old generation, which ends when it is over.
        assert (await conversation.say("who")).startswith("front.1 ")
        await host._wait_for(lambda: len(host.units["front"].generations) == 2, 5.0)
        assert [each.number for each in host.units["front"].generations] == [1, 3]
        await conversation.close()
        await host._wait_for(lambda: len(host.units["front"].generations) == 1, 5.0)
        assert [each.number for each in host.units["front"].generations] == [3]

    run(scene, make_spec("front"), make_spec("back"))


def test_a_bad_boot_record_is_not_tried_twice(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert not await host.ready(START_LIMIT_S)
        await asyncio.sleep(0.3)
        assert host.units["front"].last_number == 1
        assert host.units["front"].refused
        with pytest.raises(MisuseError):
            host.kill("front")
        with pytest.raises(MisuseError):
            host.pid("front")
        assert await host.replace("front", make_spec("front"))
        assert (await say(host, "who")).startswith("front.2 ")

    lines = run(scene, make_spec("front", settings={"refuse": True}), make_spec("back"))
    assert "settings.refuse: says so" in details(lines, "front")[0]


def test_a_replacement_that_fails_leaves_the_old_one(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        for fault in ("refuse", "crash"):
            assert not await host.replace("front", make_spec("front", settings={fault: True}))
            assert (await say(host, "who")).startswith("front.1 ")
        # Started again by itself it is what served, not what failed.
        host.kill("front")
        assert (await say(host, "who")).startswith("front.4 ")

    lines = run(scene, make_spec("front"), make_spec("back"))
    assert any("ZeroDivisionError" in detail for detail in details(lines, "front"))


def test_who_never_gets_ready_is_killed(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "READY_LIMIT_S", 0.6)

    async def scene(host: Host) -> None:
        assert not await host.ready(0.8)

    lines = run(scene, make_spec("front", settings={"hang": True}), make_spec("back"))
    assert "killed: starting for too long" in details(lines, "front")


def test_a_unit_that_fails_from_within_is_started_again(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        await say(host, "fail")
        host.kill("back", signal.SIGTERM)
        await host._wait_for(lambda: host.units["front"].last_number == 2, 5.0)
        assert (await say(host, "who")).startswith("front.2 ")
        assert await host.ready(START_LIMIT_S)
        assert host.units["back"].last_number == 2

    lines = run(scene, make_spec("front"), make_spec("back"))
    assert details(lines, "back") == ["ended while published, exit code -15"]


def test_the_end_is_a_drain_and_is_cut_off(make_spec: MakeSpec) -> None:
    async def play() -> None:
        host = Host()
        await host.start([make_spec("front"), make_spec("back")])
        assert await host.ready(START_LIMIT_S)
        endpoint = host.endpoint("front", "lines")
        conversation = await talk(host)
        await conversation.say("who")
        pids = [host.pid("front"), host.pid("back")]
        stopping = asyncio.create_task(host.stop(1.0))
        await asyncio.sleep(0.2)
        assert (await conversation.say("who")).startswith("front.1 ")  # still served
        assert not await stopping  # it did not leave by itself
        assert not any(is_running(pid) for pid in pids)
        await conversation.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(endpoint.host, endpoint.port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


def test_a_host_that_is_gone_leaves_no_unit(make_spec: MakeSpec) -> None:
    program = f"""
import asyncio, os, sys, pickle
from ptt.host.daemon import Host
async def play():
    host = Host()
    await host.start(pickle.loads(sys.stdin.buffer.read()))
    assert await host.ready({START_LIMIT_S})
    print(host.pid("front"), host.pid("back"), flush=True)
    os._exit(1)
asyncio.run(play())
"""
    specs = pickle.dumps([make_spec("front"), make_spec("back")])
    done = subprocess.run([sys.executable, "-c", program], input=specs, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2

    async def until_gone() -> None:
        async with asyncio.timeout(10):
            while any(is_running(pid) for pid in pids):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)

    asyncio.run(until_gone())


def test_specs_must_fit_their_manifests(make_spec: MakeSpec) -> None:
    async def refuse(spec: UnitSpec, words: str) -> None:
        with pytest.raises(MisuseError, match=words):
            await Host().start([spec])

    async def scenes() -> None:
        await refuse(make_spec("front", public={}), "public listeners")
        await refuse(make_spec("front", public={"lines": ()}), "public listeners")
        await refuse(make_spec("back", public={"hop": (Endpoint("::1", 0),)}), "public listeners")
        await refuse(make_spec("back", secrets={"tls_key": "x"}), "tls_key")

    asyncio.run(scenes())


def test_an_address_that_is_taken_is_named_and_nothing_runs(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        taken = host.endpoint("front", "lines")
        other = Host()
        with pytest.raises(ConfigError, match=r"front\.lines: cannot listen on .*: Address already in use"):
            await other.start([make_spec("front", public={"lines": (Endpoint("127.0.0.1", 0), taken)})])
        assert other.units == {}

    run(scene, make_spec("front"), make_spec("back"))


def test_one_listener_on_two_families(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        ports = [listener.port for listener, _ in host._public["front"]]
        for address, port in zip(("127.0.0.1", "::1"), ports, strict=True):
            conversation = Conversation(*await asyncio.open_connection(address, port))
            assert (await conversation.say("who")).startswith("front.1 ")
            await conversation.close()
        with pytest.raises(MisuseError):
            host.endpoint("back", "lines")

    both = {"lines": (Endpoint("127.0.0.1", 0), Endpoint("::1", 0))}
    run(scene, make_spec("front", public=both), make_spec("back"))


def test_what_cannot_be_started_is_noted(make_spec: MakeSpec, tmp_path: Path) -> None:
    lines: list[JournalEntry] = []

    async def play() -> None:
        host = Host(interpreter=tmp_path / "python", on_line=lines.append)
        shutil.copy("/bin/true", tmp_path / "python")
        host._user_ids = None
        await host.start([make_spec("back")])
        assert not await host.ready(0.2)
        (tmp_path / "python").unlink()
        assert not await host.ready(0.5)
        await host.stop(0.1)

    asyncio.run(play())
    found = details(lines, "back")
    assert "ended while starting, exit code 0" in found
    assert any("cannot be started: [Errno 2]" in detail for detail in found)


@as_root
@pytest.mark.root
def test_as_root_each_unit_has_a_user_of_its_own(make_spec: MakeSpec) -> None:
    async def scene(host: Host) -> None:
        assert await host.ready(START_LIMIT_S)
        for unit, user in (("front", 64001), ("back", 64002)):
            status = about(host.pid(unit), "status").decode().splitlines()
            facts = dict(line.split(":", 1) for line in status)
            assert facts["Uid"].split() == facts["Gid"].split() == [str(user)] * 4
            assert facts["Groups"].split() == []
            assert int(facts["CapPrm"], 16) == int(facts["CapEff"], 16) == 0
            assert facts["NoNewPrivs"].strip() == "1"
            assert facts["Umask"].strip() == "0077"

    run(scene, make_spec("front"), make_spec("back"))


@as_root
@pytest.mark.root
def test_an_image_that_units_cannot_read_is_refused(make_spec: MakeSpec, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    shutil.copytree(make_spec("back").image, closed / "image")
    closed.chmod(0o700)
    spec = make_spec("back")

    async def play() -> None:
        host = Host()
        with pytest.raises(ConfigError, match="may not be entered by other users"):
            await host.start(
                [
                    UnitSpec(
                        manifest=spec.manifest, image=closed / "image", digest="", host_name="mail.example"
                    )
                ]
            )
        (closed / "image" / "__main__.py").chmod(0o600)
        with pytest.raises(ConfigError, match="is closed to other users"):
            await host.start(
                [
                    UnitSpec(
                        manifest=spec.manifest, image=closed / "image", digest="", host_name="mail.example"
                    )
                ]
            )

    asyncio.run(play())


@as_root
@pytest.mark.root
def test_an_ordinary_user_may_run_a_host_too(make_spec: MakeSpec, open_folder: Path) -> None:
    """The whole of the first test again, by the user nobody, who may not enter the folders of ours."""
    program = """
import asyncio, os, sys, pickle
from pathlib import Path
from ptt.host.daemon import Host
async def play():
    host = Host()
    await host.start(pickle.loads(sys.stdin.buffer.read()))
    assert await host.ready(30)
    endpoint = host.endpoint("front", "lines")
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.write(b"call\\n")
    print((await reader.readline()).decode().strip(), os.getuid())
    writer.close()
    status = Path(f"/proc/{host.pid('front')}/status").read_text().splitlines()
    print(next(line for line in status if line.startswith("Uid")))
    assert await host.replace("back")
    assert await host.stop(5)
asyncio.run(play())
"""
    specs = pickle.dumps([make_spec("front"), make_spec("back")])
    code = build_image("host", open_folder, service="ptt.host.daemon").folder
    done = subprocess.run(
        [base_interpreter(), "-S", "-B", "-c", program],
        input=specs,
        capture_output=True,
        check=False,
        user=65534,
        group=65534,
        extra_groups=[],
        cwd=open_folder,
        env={"PYTHONPATH": str(code)},
    )
    assert done.stdout.decode().splitlines() == ["pong from 1 65534", "Uid:\t65534\t65534\t65534\t65534"], (
        done.stderr
    )
