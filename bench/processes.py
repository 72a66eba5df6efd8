"""What processes cost, read from /proc: CPU time of whole trees, memory as PSS.

PSS shares each page among those who map it: the only figure that can be added up over processes.
"""

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
CPU_FIELDS = slice(11, 15)  # utime, stime, cutime, cstime, behind the command's name (proc(5))
SAMPLE_S = 0.02


def descendants(roots: Iterable[int]) -> set[int]:
    """These processes and all that they have started."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """CPU time of trees so far, with those that have ended and were waited for."""
    return (
        sum(sum(map(int, _stat(pid)[CPU_FIELDS])) for pid in descendants(roots) if _stat(pid)) / TICKS_PER_S
    )


def pss_mb(pid: int) -> float:
    """Memory of a process, in MB of 10^6; 0 when it is gone."""
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class PeakMemory:
    """Watches named groups of processes from a thread; ``with PeakMemory({"relay": [pid]}) as peak``."""

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self._groups = {name: tuple(pids) for name, pids in groups.items()}
        self.mb = dict.fromkeys(self._groups, 0.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            for name, pids in self._groups.items():
                self.mb[name] = max(self.mb[name], sum(map(pss_mb, pids)))


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name; empty when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
