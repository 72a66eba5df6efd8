"""A unit closes: the one place where it gives up, for good, what its manifest does not name.

Order: everything is loaded, one thread runs (what is given up is given up by a thread and those that it
starts later), then limits, Landlock, the filter of system calls. A kernel that lacks a part is reported in
``Closed``; one that has it and refuses is an error, and the unit does not serve.
"""

import os

from ptt.boot import Closed, Rights
from ptt.errors import MisuseError
from ptt.net.closing import landlock, seccomp
from ptt.net.closing.giving_up import lock_memory, set_limits
from ptt.net.closing.loading import load_everything
from ptt.net.closing.machines import this_machine
from ptt.net.closing.rules import rules


def forgo_rings() -> None:
    """Before the event loop is made: without io_uring. Needs ``no_new_privs``."""
    machine = this_machine()
    if machine is not None:
        seccomp.install(seccomp.without_rings(machine), machine)


def close(rights: Rights) -> Closed:
    """Close this process. Raises ``OSError`` when the kernel refuses what it can do."""
    load_everything(trust_anchors=rights.internet)
    threads = os.listdir("/proc/self/task")  # noqa: PTH208 - names are all that is wanted
    if len(threads) != 1:
        raise MisuseError(f"{len(threads)} threads run at closing, where one may")
    set_limits(own_user=rights.own_user)
    memory_locked = lock_memory()
    abi = landlock.restrict(rights.connect_ports, may_bind=rights.internet)
    machine = this_machine()
    if machine is not None:
        seccomp.install(seccomp.program(rules(rights, os.getpid()), machine), machine)
    return Closed(abi, machine is not None, rights.own_user, memory_locked)
