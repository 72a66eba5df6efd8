"""Turns figures into the tables of docs/benchmarks.md: medians, and ratios of the same round."""

import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from statistics import median
from typing import Protocol

from bench.scenarios import Scenario

OURS = "ours, RSA-2048"
SHIPPED = "ours, RSA and Ed25519"
THEIRS = "Postfix and OpenDKIM"
BEGIN, END = "<!-- written by make bench: begin -->", "<!-- written by make bench: end -->"


class Figures(Protocol):
    """``bench.measure.Measured``."""

    @property
    def rate(self) -> float:
        """Messages, or connections, a second."""

    @property
    def cpu_ms(self) -> float:
        """CPU time for each."""

    @property
    def p50_ms(self) -> float:
        """Half of the answers came within this."""

    @property
    def p99_ms(self) -> float:
        """And 99 of 100 within this."""


Results = dict[str, dict[str, list[Figures]]]
Peaks = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Around:
    """What was measured besides: the tools (messages a second), memory (PSS, MB), seconds to start."""

    tools: Mapping[tuple[str, str], float]
    idle_mb: Mapping[str, float]
    peak_mb: Peaks
    start_s: Mapping[str, float]
    rounds: int
    scenarios: Sequence[Scenario]


def write(results: Results, around: Around) -> str:
    """Everything between the markers."""
    return "\n".join(
        [*_about(around), "", *_speed(results, around.scenarios), "", *_costs(around), "", *_tools(around)]
    )


def insert(path: Path, text: str) -> None:
    """Put it between the markers of the page."""
    page = path.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


def _about(around: Around) -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("uvloop", "cryptography", "msgspec"))
    return [
        (
            f"Measured on {datetime.now(UTC):%Y-%m-%d}: {cpu_count()} cores, Linux {_kernel()}, "
            f"Python {platform.python_version()}, {versions}; Postfix {_debian('postfix')}, "
            f"OpenDKIM {_debian('opendkim')}. Medians of {around.rounds} rounds, ratios within each round."
        ),
    ]


def _speed(results: Results, known: Sequence[Scenario]) -> list[str]:
    lines = [
        "| what is sent | contender | a second | CPU ms each | p50 ms | p99 ms | rate, ratio | CPU, ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for scenario in known:
        of = results.get(scenario.name, {})
        lines += [_row(scenario, name, of) for name in (OURS, SHIPPED, THEIRS) if name in of]
    return lines


def _row(scenario: Scenario, name: str, of: Mapping[str, Sequence[Figures]]) -> str:
    runs, theirs = of[name], of[THEIRS]
    cells = [
        scenario.name,
        name,
        f"{_middle(runs, lambda each: each.rate):.0f}"
        if scenario.size < 1_000_000
        else f"{_middle(runs, lambda each: each.rate):.2f}",
        f"{_middle(runs, lambda each: each.cpu_ms):.2f}",
        f"{_middle(runs, lambda each: each.p50_ms):.1f}" if scenario.messages_per_connection else "",
        f"{_middle(runs, lambda each: each.p99_ms):.1f}" if scenario.messages_per_connection else "",
    ]
    if name == THEIRS:
        return f"| {' | '.join(cells)} | 1 | 1 |"
    rate = median(mine.rate / other.rate for mine, other in zip(runs, theirs, strict=True))
    cpu = median(mine.cpu_ms / other.cpu_ms for mine, other in zip(runs, theirs, strict=True))
    wanted = name == OURS
    rate_cell = f"{rate:.2f}{_verdict(rate >= scenario.wanted_rate, '≥', scenario.wanted_rate, wanted)}"
    cpu_cell = f"{cpu:.2f}{_verdict(cpu <= scenario.wanted_cpu, '≤', scenario.wanted_cpu, wanted)}"
    return f"| {' | '.join(cells)} | {rate_cell} | {cpu_cell} |"


def _verdict(is_met: bool, sign: str, target: float, wanted: bool) -> str:  # noqa: FBT001
    if not wanted or not target:
        return ""
    return f" ({'met' if is_met else 'missed'}: {sign} {target:g})"


def _costs(around: Around) -> list[str]:
    sizes = list(around.peak_mb)
    peaks = " | ".join(f"most at {size}" for size in sizes)
    lines = [
        f"| unit | start to serving, s | memory when idle, MB | {peaks} |",
        f"| --- | ---: | ---: |{' ---: |' * len(sizes)}",
    ]
    for unit in around.idle_mb:
        cells = [f"{around.start_s[unit]:.2f}", f"{around.idle_mb[unit]:.1f}"]
        cells += [f"{around.peak_mb[size][unit]:.1f}" for size in sizes]
        lines.append(f"| {unit} | {' | '.join(cells)} |")
    total = sum(around.idle_mb.values())
    return [
        *lines,
        f"| together | | {total:.1f} |{' |' * len(sizes)}",
        "",
        "Memory is PSS, MB of 10^6 octets.",
    ]


def _tools(around: Around) -> list[str]:
    return [
        "| tools on plain SMTP, 10 kB, 10 connections that stay | messages a second |",
        "| --- | ---: |",
        *(f"| {source} to {sink} | {rate:.0f} |" for (source, sink), rate in around.tools.items()),
    ]


def _middle(runs: Sequence[Figures], of: Callable[[Figures], float]) -> float:
    return median(of(each) for each in runs)


def _kernel() -> str:
    return ".".join(platform.release().split(".")[:2])


def _debian(package: str) -> str:
    command = ["dpkg-query", "-W", "-f", "${Version}", package]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout or "(version unknown)"
