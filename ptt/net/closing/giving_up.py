"""What a process gives up before it reads its secrets: new rights by exec, and leaving a core behind.

Linux only (prctl(2), getrlimit(2)). Whatever the kernel does not allow is reported, not passed over.
"""

import ctypes
import os
import resource

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


def give_up_core_and_privileges() -> None:
    """No core file, no reading of our memory by others of the same user, no more rights by any exec.

    Raises ``OSError`` when the kernel refuses: then the process must not read its secrets.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    numbers = [ctypes.c_ulong(number) for number in (value, 0, 0, 0)]  # unused arguments must be 0
    if library.prctl(ctypes.c_int(option), *numbers) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), f"prctl option {option}")
