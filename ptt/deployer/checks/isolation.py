"""How far the kernel lets units be closed, for whoever runs the host as this user."""

import resource
from collections.abc import Iterator
from pathlib import Path

from ptt.boot import Closed
from ptt.deployer.checks.finding import Finding, ok, warn
from ptt.host.user_ids import is_root
from ptt.net.closing.level import missing, reachable

WHAT = "isolation"


def this_kernel() -> tuple[Closed, bool]:
    """What a unit will reach, and whether it has a network of its own."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    is_locked = limit == resource.RLIM_INFINITY or not _has_swap()
    return reachable(own_user=is_root(), memory_locked=is_locked), is_root()


def judge_isolation(closed: Closed, *, own_network: bool) -> Iterator[Finding]:
    """One line for each part that stays open."""
    sentences = missing(closed, own_network=own_network)
    for sentence in sentences:
        what, _, mend = sentence.partition(". ")
        if not mend:
            what, _, mend = sentence.partition(": ")
        yield warn(WHAT, what.rstrip("."), mend)
    if not sentences:
        yield ok(
            WHAT, f"complete: Landlock {closed.landlock_abi}, system calls filtered, own users and networks"
        )


def _has_swap() -> bool:
    try:
        return len(Path("/proc/swaps").read_text(encoding="ascii").splitlines()) > 1
    except OSError:
        return True
