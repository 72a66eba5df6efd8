"""``ptt status`` and ``ptt logs``: asks the host that runs here and shows what it says."""

import json
import sys
from datetime import timedelta

import msgspec
from rich.console import Console
from rich.table import Table

from ptt.errors import ConfigError
from ptt.host.inquiry import AskLogs, AskStatus, Logs, Refusal, Status
from ptt.host.inquiry_socket import ask, socket_path
from ptt.records.journal import JournalLine, decode_line

KB_A_MB = 1024


def show_status(*, as_json: bool) -> None:
    """Print a table of units."""
    answer = ask(AskStatus(), socket_path())
    if not isinstance(answer, Status):
        raise ConfigError("host", _reason(answer), "is it of the same version?")
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer.units), indent=1).decode() + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("unit", "generation", "state", "since", "memory", "mails", "trouble"):
        table.add_column(column, justify="right" if column in {"generation", "memory", "mails"} else "left")
    for unit in answer.units:
        table.add_row(
            unit.unit,
            str(unit.generation),
            unit.state,
            str(timedelta(seconds=round(unit.since_s))),
            f"{unit.memory_kb / KB_A_MB:.0f} MB" if unit.memory_kb else "-",
            str(unit.transactions),
            unit.last_trouble or "-",
        )
    Console().print(table)


def show_logs(unit: str, *, count: int, as_json: bool) -> None:
    """Print what a unit wrote, oldest first."""
    answer = ask(AskLogs(unit, count), socket_path())
    if not isinstance(answer, Logs):
        raise ConfigError("ptt logs", _reason(answer), "ptt status names the units")
    for line in answer.lines:
        if as_json:
            sys.stdout.write(json.dumps(msgspec.to_builtins(line)) + "\n")
            continue
        read = decode_line(line.text.encode())
        text = _sentence(read) if isinstance(read, JournalLine) else line.text
        sys.stdout.write(f"{line.at[11:23]}  {line.unit}.{line.generation}  {text}\n")


def _sentence(line: JournalLine) -> str:
    """A transaction in one line that a person can read."""
    to = ", ".join(f"<{path}>" for path in line.forward_paths) or f"{line.forward_path_count} recipients"
    took = f" in {line.duration_ms:.0f} ms" if line.duration_ms is not None else ""
    detail = f"  ({line.detail})" if line.detail else ""
    return f"{line.trace}  <{line.reverse_path or ''}> -> {to}{took}: {line.outcome}{detail}"


def _reason(answer: object) -> str:
    return answer.reason if isinstance(answer, Refusal) else "the host answered something else"
