"""Whether units can have user ids of their own: root can give them, where the kernel maps so many.

In a user namespace of somebody who may map one id alone (user_namespaces(7)) root is that user, and all units
run as it.
"""

import os
from pathlib import Path

MAPS = ("/proc/self/uid_map", "/proc/self/gid_map")


def is_root() -> bool:
    """Whether this process has the rights of root, here at least."""
    return os.geteuid() == 0


def can_have_own(first: int, count: int) -> bool:
    """Whether this process can start others as these users and groups."""
    if os.geteuid() != 0:
        return False
    return all(covers(Path(path).read_text(encoding="ascii"), first, count) for path in MAPS)


def covers(id_map: str, first: int, count: int) -> bool:
    """Whether one line of a map (inside, outside, length) holds all of these ids."""
    ranges = [(int(inside), int(length)) for inside, _, length in map(str.split, id_map.splitlines())]
    return any(start <= first and first + count <= start + length for start, length in ranges)
