"""What a process gives up before it reads its secrets, and the limits that it sets itself.

First of all new rights by exec and leaving a core behind; then how much it may open, start and write, and
that its memory goes to a swap device. Linux only (prctl(2), getrlimit(2), mlockall(2)).
"""

import resource
from contextlib import suppress

from ptt.net.closing.kernel import KernelError, mlockall, prctl

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4

MAX_DESCRIPTORS = 16384  # far above the sessions of any unit; the kernel's tables for it stay small
MAX_TASKS = 64  # both generations of a unit with their workers, when the user id is the unit's own
MAX_FILE_OCTETS = 1024 * 1024  # a certificate on its way to OpenSSL is all that is ever written, to memory


def give_up_core_and_privileges() -> None:
    """No core file, no reading of our memory by others of the same user, no more rights by any exec.

    Raises ``OSError`` when the kernel refuses: then the process must not read its secrets.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_limits(*, own_user: bool) -> None:
    """Bound descriptors, files and, where no other process counts with us, tasks."""
    _lower(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)
    _lower(resource.RLIMIT_FSIZE, MAX_FILE_OCTETS)
    if own_user:
        _lower(resource.RLIMIT_NPROC, MAX_TASKS)


def lock_memory() -> bool:
    """Keep memory from swap devices as it is used; False where this process may not.

    Only without a limit on locked memory: with one, taking more memory would fail some day.
    """
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return False
    with suppress(KernelError):
        mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
        return True
    return False


def _lower(what: int, limit: int) -> None:
    hard = resource.getrlimit(what)[1]
    least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (least, least))
