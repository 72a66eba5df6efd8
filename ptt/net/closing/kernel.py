"""Calls into the kernel for which Python has no function of its own (syscall(2), prctl(2), mlockall(2))."""

import ctypes
import os

_LIBRARY = ctypes.CDLL(None, use_errno=True)


class KernelError(OSError):
    """The kernel refused a call; ``errno`` says why."""


def syscall(number: int, *arguments: int) -> int:
    """Make a system call with numbers and addresses; gives its result."""
    return _checked(_LIBRARY.syscall(*map(ctypes.c_long, (number, *arguments))), f"system call {number}")


def prctl(option: int, value: int, further: int = 0) -> int:
    """Set or ask something about this thread or process (prctl(2)); unused arguments must be 0."""
    numbers = [ctypes.c_ulong(number) for number in (value, further, 0, 0)]
    return _checked(_LIBRARY.prctl(ctypes.c_int(option), *numbers), f"prctl option {option}")


def mlockall(flags: int) -> None:
    """Keep all pages in memory, as the flags say (mlockall(2))."""
    _checked(_LIBRARY.mlockall(ctypes.c_int(flags)), "mlockall")


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise KernelError(code, os.strerror(code), what)
    return result
