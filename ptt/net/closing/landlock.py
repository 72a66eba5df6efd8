"""Landlock (landlock(7), Linux 5.13 and later): no file at all, and TCP by the ports of the manifest.

A ruleset names what it handles; what it handles and no rule allows is refused from then on, for this thread
and all that it starts. Files have no rule. Ports are handled from ABI 4 (Linux 6.7), signals and abstract
sockets of other processes from ABI 6 (Linux 6.12). Descriptors that are open stay usable; memory files are on
no file system that could be mounted, so they can still be opened by /proc/self/fd.
"""

import ctypes
import os
import struct
from collections.abc import Iterable

from ptt.net.closing.kernel import KernelError, syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every machine
VERSION_FLAG = 1
RULE_NET_PORT = 2
ABI_WITH_PORTS, ABI_WITH_SCOPES = 4, 6
BIND_TCP, CONNECT_TCP = 1, 2
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2
SYSTEM_CHOOSES = 0  # the port of a bind that leaves the choice to the system

# How many rights to files a version knows, as bits from the lowest on: refer came with 2, truncate with 3,
# the ioctls of devices with 5.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def version() -> int:
    """The kernel's Landlock ABI; 0 where it has none, or it is switched off."""
    try:
        return syscall(CREATE_RULESET, 0, 0, VERSION_FLAG)
    except KernelError:
        return 0


def restrict(connect_ports: Iterable[int], *, may_bind: bool) -> int:
    """Close files and ports for good; gives the ABI it was done with, 0: not at all.

    ``may_bind``: to a port that the system chooses, as an outgoing connection with a source address does.
    Needs ``no_new_privs``. Raises ``OSError`` where the kernel has Landlock and refuses.
    """
    abi = version()
    if abi == 0:
        return 0
    ruleset = _create(abi)
    try:
        if abi >= ABI_WITH_PORTS:
            for port in connect_ports:
                _allow(ruleset, CONNECT_TCP, port)
            if may_bind:
                _allow(ruleset, BIND_TCP, SYSTEM_CHOOSES)
        syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def ruleset_of(abi: int) -> bytes:
    """What is handled, as the ABI lays it out (struct landlock_ruleset_attr)."""
    files = (1 << FILE_RIGHTS.get(abi, max(FILE_RIGHTS.values()))) - 1
    parts = [files]
    if abi >= ABI_WITH_PORTS:
        parts.append(BIND_TCP | CONNECT_TCP)
    if abi >= ABI_WITH_SCOPES:
        parts.append(SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS)
    return struct.pack(f"={len(parts)}Q", *parts)


def _create(abi: int) -> int:
    attributes = ruleset_of(abi)
    held = ctypes.create_string_buffer(attributes, len(attributes))
    return syscall(CREATE_RULESET, ctypes.addressof(held), len(attributes), 0)


def _allow(ruleset: int, access: int, port: int) -> None:
    held = ctypes.create_string_buffer(struct.pack("=QQ", access, port), 16)
    syscall(ADD_RULE, ruleset, RULE_NET_PORT, ctypes.addressof(held), 0)
