"""``ptt demo``: enters a namespace of its own, sets the stage, plays the scenes, shows them."""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop
from rich.console import Console

from ptt import topology
from ptt.host.inquiry_socket import InquirySocket, socket_path
from ptt.host.unit_spec import JournalEntry
from ptt.rehearsal import namespace
from ptt.rehearsal.demo.scenes import INBOUND, OUTBOUND, Scene
from ptt.rehearsal.demo.stage import PLACES, Stage, set_up

OK, FAILED = 0, 1


def run(*, check: bool, as_json: bool, stays: bool, inside: str) -> int:
    """Run the demonstration; 0 only if every check holds. ``inside``: where the host answers questions."""
    if not inside:
        flags = ["--stay" if stays else "--no-stay", *(["--check"] * check), *(["--json"] * as_json)]
        command = [sys.executable, "-m", "ptt.cli.main", "demo", "--inside", str(socket_path()), *flags]
        return namespace.run(command)
    return uvloop.run(_play(Path(inside), check=check, as_json=as_json, stays=stays))


async def _play(path: Path, *, check: bool, as_json: bool, stays: bool) -> int:
    console = Console(quiet=check or as_json, highlight=False)
    console.print("[bold]PTT demo[/]: a whole mail service and a pretend Internet, on this machine only")
    journal: list[JournalEntry] = []
    # Units run under user ids of their own: the folder of their images must be open to them.
    with tempfile.TemporaryDirectory(prefix="ptt-demo-") as name:
        folder = open_to_everybody(name)
        started = time.monotonic()
        with console.status("setting up") as status:
            stage = await set_up(folder, status.update, journal.append)
        inquiries = InquirySocket(stage.service.host, os.getuid())
        try:
            await inquiries.open(path)
            _show_stage(console, stage, time.monotonic() - started)
            scenes = await _scenes(stage, lambda number, scene: _show(console, number, scene))
            code = _conclude(scenes, journal, check=check, as_json=as_json)
            if stays:
                console.print("It goes on. In another terminal: ptt status, ptt logs relay. Ctrl-C ends it.")
                await _until_interrupted()
        except BaseException:
            _tell_journal(journal)
            raise
        finally:
            inquiries.close()
            await stage.close()
    return code


async def _until_interrupted() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    await interrupted.wait()


def open_to_everybody(name: str) -> Path:
    """The folder, readable by the user ids of the units."""
    folder = Path(name)
    folder.chmod(0o755)
    return folder


async def _scenes(stage: Stage, show: Callable[[int, Scene], None]) -> list[Scene]:
    plays = [*(INBOUND if _has_inbound() else ()), *OUTBOUND]
    scenes = []
    for number, play in enumerate(plays, 1):
        scenes.append(await play(stage))
        show(number, scenes[-1])
    return scenes


def _has_inbound() -> bool:
    return any(manifest.name == "receiver" for manifest in topology.ALL)


def _show_stage(console: Console, stage: Stage, took_s: float) -> None:
    units = stage.service.host.units
    console.print(f"  pretend Internet   {', '.join(place.domain for place in PLACES)}")
    console.print(f"  units              {', '.join(units)}: {len(units)} of {len(units)} ready")
    console.print(f"  set up in          {took_s:.1f} s\n")


def _show(console: Console, number: int, scene: Scene) -> None:
    console.print(f"[bold]{number}  {scene.title}[/]")
    for line in scene.lines:
        console.print(f"   {line}", markup=False, soft_wrap=True)
    for fact in scene.checks:
        if not fact.holds:
            console.print(f"   [bold red]does not hold:[/] {fact.name} ({fact.shown})")
    console.print()


def _conclude(scenes: Sequence[Scene], journal: Sequence[JournalEntry], *, check: bool, as_json: bool) -> int:
    facts = [fact for scene in scenes for fact in scene.checks]
    holds = all(fact.holds for fact in facts)
    if as_json:
        told = {
            "holds": holds,
            "scenes": [
                {
                    "title": scene.title,
                    "lines": scene.lines,
                    "checks": [
                        {"name": fact.name, "holds": fact.holds, "shown": fact.shown} for fact in scene.checks
                    ],
                }
                for scene in scenes
            ],
        }
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    elif check:
        for fact in facts:
            sys.stdout.write(
                f"{'ok  ' if fact.holds else 'FAIL'}  {fact.name}{'' if fact.holds else ': ' + fact.shown}\n"
            )
    sys.stdout.flush()
    if not holds:
        _tell_journal(journal)
    return OK if holds else FAILED


def _tell_journal(journal: Sequence[JournalEntry]) -> None:
    """Everything that the units wrote: what went wrong is in there."""
    for entry in journal:
        sys.stderr.write(f"{entry.unit}.{entry.generation} {entry.text}\n")
