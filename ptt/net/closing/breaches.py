"""Watches that nothing is imported, opened or executed once a unit is closed (PEP 578).

The kernel refuses it anyway where it can; the line in the journal says who tried: a bug of ours, or somebody
who does not know where he is. Real processes of all tests are watched by it, and a line fails their run.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

WATCHED = frozenset(
    {
        *("import", "open", "ctypes.dlopen", "marshal.load", "sys.addaudithook"),
        *("os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.system", "subprocess.Popen"),
        *("os.listdir", "os.scandir", "os.chdir", "os.remove", "os.rename", "os.mkdir", "os.kill"),
    }
)
BREACH = "after closing"
"""How such a line's detail begins."""
MAX_TOLD = 16  # who tries a thousand times is told of no more


def watch(tell: Callable[[str], None]) -> None:
    """From now on tell of each attempt, in the running loop's thread."""
    loop, home = asyncio.get_running_loop(), threading.get_ident()
    told = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal told
        if event not in WATCHED or told >= MAX_TOLD or sys.is_finalizing():
            return
        told += 1
        what = f"{BREACH}: {event} {arguments[0] if arguments else ''}"
        if threading.get_ident() == home:
            tell(what)
            return
        with suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(tell, what)

    sys.addaudithook(hook)
