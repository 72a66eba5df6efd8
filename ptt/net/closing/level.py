"""How far units are closed on a machine, in sentences for its operator."""

import os

from ptt.boot import Closed
from ptt.net.closing import landlock
from ptt.net.closing.machines import MACHINES, this_machine


def reachable(*, own_user: bool, memory_locked: bool) -> Closed:
    """What a unit will reach on this machine, by what the kernel says; nothing is closed."""
    return Closed(landlock.version(), this_machine() is not None, own_user, memory_locked)


def missing(closed: Closed, *, own_network: bool) -> tuple[str, ...]:
    """What is not closed, and what would close it; empty: everything is."""
    sentences = []
    if closed.landlock_abi == 0:
        sentences.append(
            "Files that its user may read can be opened: this kernel has no Landlock. "
            "Linux 5.13 has it; it may have to be named in the boot parameter lsm=."
        )
    if closed.landlock_abi < landlock.ABI_WITH_PORTS and not own_network:
        sentences.append(
            "TCP connections may go to any port: this kernel's Landlock knows none. "
            "Linux 6.7 does; or run the host as root, which gives each unit a network of its own."
        )
    if not closed.seccomp:
        names = " and ".join(sorted(MACHINES))
        sentences.append(
            f"System calls are not filtered: no filter is written for {os.uname().machine}, only for {names}."
        )
        if closed.landlock_abi < landlock.ABI_WITH_SCOPES and not closed.own_user:
            sentences.append(
                "Other processes of the same user can be sent signals. "
                "Linux 6.12 closes this; or run the host as root, which gives each unit a user id of its own."
            )
    if not closed.own_user:
        sentences.append(
            "All units run as one user: run the host as root, and each unit has a user id of its own."
        )
    if not own_network:
        sentences.append(
            "Datagrams may go to any address, and TCP connections to any host at the ports allowed: "
            "run the host as root, which gives each unit a network of its own."
        )
    if not closed.memory_locked:
        sentences.append(
            "Memory may go to a swap device: give the host LimitMEMLOCK=infinity, or the machine no swap."
        )
    return tuple(sentences)
