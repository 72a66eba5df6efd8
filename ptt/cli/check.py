"""``ptt check``: asks this machine and the world whether everything is right; one line a fact."""

import asyncio
import json
import sys
import textwrap
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ptt.deployer.checks.finding import Finding, Level, Theme
from ptt.deployer.checks.inspection import Inspection, Outside
from ptt.deployer.checks.outside import SystemCarrier
from ptt.deployer.config import load_config
from ptt.errors import ConfigError, UnreachableError
from ptt.host.inquiry import AskStatus, Status
from ptt.host.inquiry_socket import ask, socket_path
from ptt.net.system import SystemWorld

OK, FAILED = 0, 1
STYLES = {
    Level.OK: "green",
    Level.WAIT: "yellow",
    Level.FAIL: "bold red",
    Level.WARN: "yellow",
    Level.TODO: "dim",
}
MARK_WIDTH, WHAT_WIDTH = 6, 17
LEAST_WIDTH = 20  # of sentences, in the narrowest terminal
OUTSIDE = frozenset({Theme.OUTWARD, Theme.DELEGATION})

Judged = tuple[Theme, Finding]


def run(file: Path | None, only: str, *, as_json: bool) -> int:
    """Ask, tell, and give 1 where something fails."""
    theme = _theme(only)
    config = load_config(file)
    console = Console(highlight=False)
    waiting = Console(stderr=True, highlight=False, quiet=as_json or not sys.stderr.isatty())

    async def inspect() -> tuple[list[Judged], bool]:
        world = SystemWorld()
        carrier = SystemCarrier(world)
        judged = []
        try:
            with waiting.status("reading") as status:
                outside = Outside(carrier, world.random_bytes)
                inspection = Inspection(config, outside, _is_running(), progress=status.update)
                async for each in inspection.run(theme):
                    judged.append(each)
                    if not as_json:
                        _show(console, each[1])
        finally:
            await carrier.close()
            world.close()
        return judged, inspection.reached

    judged, reached = asyncio.run(inspect())
    if as_json:
        sys.stdout.write(json.dumps([_told(*each) for each in judged], indent=1) + "\n")
    if not reached and (theme is None or theme in OUTSIDE):
        mend = "is this machine online, and does it let port 53 and 25 out?"
        raise UnreachableError("ptt check", "nobody out there answers: no name server, no mail server", mend)
    fails = sum(finding.level is Level.FAIL for _, finding in judged)
    if not as_json:
        console.print(_sum(judged, fails))
    return FAILED if fails else OK


def _theme(only: str) -> Theme | None:
    if not only:
        return None
    if only not in set(Theme):
        raise ConfigError("--only", f"{only!r} is no theme", f"one of {', '.join(Theme)}")
    return Theme(only)


def _is_running() -> bool:
    try:
        return isinstance(ask(AskStatus(), socket_path()), Status)
    except ConfigError:
        return False


def _show(console: Console, finding: Finding) -> None:
    """The sentence, wrapped beside its mark; the mend below it."""
    indent = " " * (MARK_WIDTH + WHAT_WIDTH)
    width = max(console.width - len(indent), LEAST_WIDTH)
    sentence, *rest = textwrap.wrap(finding.sentence, width, break_on_hyphens=False)
    mark = Text(finding.level.ljust(MARK_WIDTH), style=STYLES[finding.level])
    lines = [Text.assemble(mark, finding.what.ljust(WHAT_WIDTH), sentence)]
    lines += [Text(indent + line) for line in rest]
    mend = textwrap.wrap(finding.mend, width, break_on_hyphens=False)
    lines += [Text(indent + line, style="bold") for line in mend]
    for line in lines:
        console.print(line, soft_wrap=True)


def _sum(judged: list[Judged], fails: int) -> str:
    waits = sum(finding.level is Level.WAIT for _, finding in judged)
    if fails:
        return f"\n[bold red]{fails} to mend[/]" + (f", {waits} to wait for" if waits else "")
    return "\n[green]nothing to mend[/]" + (f", {waits} to wait for" if waits else "")


def _told(theme: Theme, finding: Finding) -> dict[str, str]:
    return {
        "theme": theme,
        "level": finding.level,
        "what": finding.what,
        "sentence": finding.sentence,
        "mend": finding.mend,
    }
