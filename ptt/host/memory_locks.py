"""Units keep their memory from swap devices where the host may let them: root, or systemd's LimitMEMLOCK.

A limit of a process is inherited by those that it starts. How much memory a unit may have at all is for its
memory cgroup to say.
"""

import resource
from contextlib import suppress

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def let_units_lock_memory() -> None:
    """Take the limit away, if we may; units that find one lock nothing and say so."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, UNLIMITED)
