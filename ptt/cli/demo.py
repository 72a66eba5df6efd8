"""``ptt demo``: enters a namespace of its own, sets the stage, plays the scenes, shows them."""

import asyncio
import json
import os
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from rich.console import Console
from rich.markup import escape

from ptt.host.inquiry_socket import InquirySocket, proportional_memory_kb, socket_path
from ptt.host.unit_spec import JournalEntry
from ptt.rehearsal import namespace
from ptt.rehearsal.demo.places import PLACES, Place
from ptt.rehearsal.demo.real_servers import why_not
from ptt.rehearsal.demo.scene import Scene
from ptt.rehearsal.demo.scenes import PLAYS
from ptt.rehearsal.demo.stage import Stage, set_up

OK, FAILED, INTERRUPTED = 0, 1, 130
MAX_COLUMNS = 100  # longer lines are not read
KB_A_MB = 1024
INDENT, HANGING = " " * 3, " " * 6


def run(*, check: bool, as_json: bool, stays: bool, inside: str) -> int:
    """Run the demonstration; 0 only if every check holds. ``inside``: where the host answers questions."""
    if not inside:
        flags = ["--stay" if stays else "--no-stay", *(["--check"] * check), *(["--json"] * as_json)]
        command = [sys.executable, "-m", "ptt.cli.main", "demo", "--inside", str(socket_path()), *flags]
        return namespace.run(command)
    try:
        return uvloop.run(_play(Path(inside), check=check, as_json=as_json, stays=stays))
    except asyncio.CancelledError:
        return INTERRUPTED


async def _play(path: Path, *, check: bool, as_json: bool, stays: bool) -> int:
    _end_in_order()
    console = Console(quiet=check or as_json, highlight=False)
    console.width = min(console.width, MAX_COLUMNS)
    console.print("[bold]PTT demo[/]: a whole mail service and a pretend Internet, on this machine only")
    journal: list[JournalEntry] = []
    # Units run under user ids of their own: the folder of their images must be open to them.
    with tempfile.TemporaryDirectory(prefix="ptt-demo-", ignore_cleanup_errors=True) as name:
        folder = open_to_everybody(name)
        started = time.monotonic()
        with console.status("setting up") as status:
            stage = await set_up(folder, status.update, journal.append)
        inquiries = InquirySocket(stage.service.host, os.getuid())
        try:
            await inquiries.open(path)
            _show_stage(console, stage, time.monotonic() - started)
            scenes = await _scenes(console, stage)
            code = _conclude(scenes, journal, check=check, as_json=as_json)
            if stays:
                console.print("It goes on. In another terminal: ptt status, ptt logs relay. Ctrl-C ends it.")
                await _until_interrupted()
        except Exception:
            _tell_journal(journal)
            raise
        finally:
            inquiries.close()
            await stage.close()
    return code


def _end_in_order() -> None:
    """Whoever ends us early, a closed terminal too, leaves no mail server behind."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: None if task is None else task.cancel())


async def _until_interrupted() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    loop, interrupted = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted.set)
    await interrupted.wait()


def open_to_everybody(name: str) -> Path:
    """The folder, readable by the user ids of the units."""
    folder = Path(name)
    folder.chmod(0o755)
    return folder


async def _scenes(console: Console, stage: Stage) -> list[Scene]:
    scenes = []
    for number, play in enumerate(PLAYS, 1):
        with console.status(play.__name__.replace("_", " ")):
            scenes.append(await play(stage))
        _show(console, number, scenes[-1])
    return scenes


def _show_stage(console: Console, stage: Stage, took_s: float) -> None:
    units = stage.service.host.units
    memory_kb = sum(proportional_memory_kb(stage.service.host.pid(unit)) for unit in units)
    together = f", {memory_kb / KB_A_MB:.0f} MB together" if memory_kb else ""
    console.print(f"  set up in          {took_s:.1f} s")
    ready = f"  units              {len(units)} of {len(units)} ready{together}: {', '.join(units)}"
    console.print(_wrapped(console, ready, "", " " * 21))
    console.print(f"  pretend Internet   root, org., com., net., {len(PLACES)} remote domains")
    for place in PLACES:
        console.print(f"{' ' * 21}{place.domain:<17}{_nature(place)}", markup=False)
    if any(place.kind.is_program and why_not(place.kind) is not None for place in PLACES):
        console.print("  for real programs  scripts/packages test, and as an ordinary user uidmap")
    console.print()


def _nature(place: Place) -> str:
    """What its server is: a real program, a model, or a model instead of a program."""
    reason = why_not(place.kind)
    if reason is None:
        return f"a real {place.kind.value}"
    if place.kind.is_program:
        return f"a model of {place.kind.name.title()} ({reason})"
    return place.kind.value


def _show(console: Console, number: int, scene: Scene) -> None:
    console.print(f"[bold]{number}  {scene.title}[/]")
    for line in scene.lines:
        console.print(_wrapped(console, line, INDENT, HANGING), markup=False)
    for fact in scene.checks:
        if not fact.holds:
            text = _wrapped(console, f"does not hold: {fact.name} ({fact.shown})", INDENT, HANGING)
            console.print(f"[bold red]{escape(text)}[/]")
    console.print()


def _wrapped(console: Console, text: str, first: str, then: str) -> str:
    """In lines of the terminal's width; what goes on is indented."""
    return textwrap.fill(
        text, console.width, initial_indent=first, subsequent_indent=then, break_on_hyphens=False
    )


def _conclude(scenes: Sequence[Scene], journal: Sequence[JournalEntry], *, check: bool, as_json: bool) -> int:
    facts = [fact for scene in scenes for fact in scene.checks]
    holds = all(fact.holds for fact in facts)
    if as_json:
        told = {
            "holds": holds,
            "servers": {place.domain: _nature(place) for place in PLACES},
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
