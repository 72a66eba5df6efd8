"""``ptt status``, ``ptt logs`` and ``ptt restart``: asks the host that runs here and shows what it says."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ptt.cli.journal_words import shown_line
from ptt.deployer.config_kinds import DURATION
from ptt.errors import ConfigError, Malformed
from ptt.host.inquiry import (
    Answer,
    AskLogs,
    AskRestart,
    AskStatus,
    LogLine,
    Logs,
    Refusal,
    Restarted,
    Status,
    read_time,
)
from ptt.host.inquiry_socket import ask, socket_path

KB_A_MB = 1024
FOLLOW_S = 0.5  # between questions
MAX_TROUBLE = 200  # characters of it; --json has it whole
STATES = {"published": "serves", "draining": "drains"}


def show_status(*, as_json: bool) -> None:
    """Print a table of units."""
    answer = ask(AskStatus(), socket_path())
    if not isinstance(answer, Status):
        raise _refused("ptt status", answer)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer.units), indent=1).decode() + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("unit", "generation", "state", "since", "memory", "mails"):
        is_number = column in {"generation", "memory", "mails"}
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for unit in answer.units:
        table.add_row(
            unit.unit,
            str(unit.generation),
            STATES.get(unit.state, unit.state),
            _span(unit.since_s),
            f"{unit.memory_kb / KB_A_MB:.0f} MB" if unit.memory_kb else "-",
            str(unit.transactions),
        )
    console = Console(highlight=False)
    console.print(table)
    troubles = {unit.unit: unit.last_trouble for unit in answer.units if unit.last_trouble}
    if troubles:
        console.print("\nlast trouble")
    for name, text in troubles.items():
        console.print(Padding(Text(f"{name}  {_cut(text)}", style="yellow"), (0, 0, 0, 2), expand=False))


def show_logs(unit: str, *, count: int, since: str, follow: bool, as_json: bool) -> None:
    """Print what a unit wrote, oldest first; with ``follow`` also what it writes from now on."""
    begin = _since(since) if since else ""
    logs = _asked(AskLogs(unit, count, since=begin))
    _print(logs.lines, as_json=as_json)
    while follow:
        time.sleep(FOLLOW_S)
        logs = _asked(AskLogs(unit, count=10_000, after=logs.newest))
        _print(logs.lines, as_json=as_json)


def restart(unit: str, *, as_json: bool) -> None:
    """Put a new generation in a unit's place and say which one serves."""
    answer = ask(AskRestart(unit), socket_path())
    if not isinstance(answer, Restarted):
        raise _refused("ptt restart", answer)
    if as_json:
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    else:
        sys.stdout.write(
            f"{unit}: generation {answer.generation} serves, the one before finishes what it has open\n"
        )


def _asked(question: AskLogs) -> Logs:
    answer = ask(question, socket_path())
    if not isinstance(answer, Logs):
        raise _refused("ptt logs", answer)
    return answer


def _print(lines: tuple[LogLine, ...], *, as_json: bool) -> None:
    for line in lines:
        if as_json:
            text = json.dumps(msgspec.to_builtins(line))
        else:
            text = shown_line(datetime.fromisoformat(line.at), line.unit, line.generation, line.text)
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _since(text: str) -> str:
    """A time as it is, or a duration before now."""
    ago = DURATION.read(text)
    if not isinstance(ago, Malformed):
        return (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
    if read_time(text) is None:
        mend = 'a duration before now ("10 min") or a time with its zone ("2026-01-05T10:00:00Z")'
        raise ConfigError("--since", repr(text), mend)
    return text


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TROUBLE else f"{text[: MAX_TROUBLE - 1]}…"


def _refused(where: str, answer: Answer) -> ConfigError:
    reason = answer.reason if isinstance(answer, Refusal) else "the host answered something else"
    return ConfigError(where, reason, "ptt status names the units")
