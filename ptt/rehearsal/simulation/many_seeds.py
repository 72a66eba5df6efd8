"""Many stories one after the other: ``python -m ptt.rehearsal.simulation.many_seeds LINE FIRST COUNT STEP``.

Tells the stories of a line's seeds FIRST, FIRST + STEP … and writes one line of JSON: how many of each thing
happened, and of each story that broke a promise its seed and everything about it. A process of its own does
this: hashes of text are fixed there, so that a seed tells the same story everywhere, and several use several
cores.
"""

import gc
import json
import os
import subprocess
import sys
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from ptt.rehearsal.simulation import inbound_stories, stories

MAX_FAILURES = 20  # of one process; more of them tell nothing new


class Line(StrEnum):
    """Whose stories."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


_TELL = {Line.OUTBOUND: stories.tell, Line.INBOUND: inbound_stories.tell}


@dataclass(slots=True)
class Outcome:
    """What many stories came to. ``failures``: seed -> what is to be read about it."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)


def tell_many(first: int, count: int, processes: int, line: Line = Line.OUTBOUND) -> Outcome:
    """Tell the stories of ``count`` seeds from ``first`` on, in several processes."""
    command = [sys.executable, "-m", __name__, line]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    running = [
        subprocess.Popen(
            [*command, str(first + place), str(len(range(place, count, processes))), str(processes)],
            stdout=subprocess.PIPE,
            env=environment,
        )
        for place in range(processes)
    ]
    whole = Outcome()
    for process in running:
        output, _ = process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"a process that told stories ended with {process.returncode}")
        part = json.loads(output)
        whole.counts += Counter(part["counts"])
        whole.failures |= {int(seed): text for seed, text in part["failures"].items()}
    return whole


def _tell(line: Line, first: int, count: int, step: int) -> Outcome:
    outcome = Outcome()
    with suppress(Exception):  # it is told again below, or by somebody else
        _TELL[line](first)  # imports what stories import
    gc.collect()
    gc.freeze()  # each story ends with a collection: it need not go through all modules again
    gc.disable()  # and needs none before
    for seed in range(first, first + count * step, step):
        outcome.counts["stories"] += 1
        try:
            outcome.counts += _TELL[line](seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's
            outcome.failures[seed] = "".join(traceback.format_exception(error))
            if len(outcome.failures) >= MAX_FAILURES:
                break
    return outcome


def main() -> None:
    """Tell what the arguments say."""
    outcome = _tell(Line(sys.argv[1]), *(int(argument) for argument in sys.argv[2:5]))
    sys.stdout.write(json.dumps({"counts": outcome.counts, "failures": outcome.failures}) + "\n")


if __name__ == "__main__":
    main()
