"""The process of a unit, from exec to exit: what every image's ``__main__.py`` calls.

Standard input holds the boot record, one frame. Standard output is the control stream: a starter can give
descriptors 0, 1 and 2 fixed numbers without code between fork and exec. It is moved to 3 at once, so that a
stray print ends in the journal, which is standard error. Exit codes (sysexits.h): 0 the end, 64 a boot record
that no restart will mend, 70 a bug of ours, whose traceback stands in the journal.
"""

import asyncio
import os
import socket
import sys
from typing import Any

import uvloop

from ptt.boot import LENGTH_OCTETS, MAX_FRAME_OCTETS, BootRecord, FrameCutter, decode_boot_record
from ptt.errors import ConfigError, Malformed
from ptt.net.closing.breaches import watch
from ptt.net.closing.close import close, forgo_rings
from ptt.net.closing.giving_up import give_up_core_and_privileges
from ptt.net.control import CONTROL_DESCRIPTOR, SocketControlStream
from ptt.net.stderr_journal import StderrJournal
from ptt.net.system import SystemWorld
from ptt.net.tls import make_link_identity
from ptt.net.unit import Serve, Unit

EXIT_BAD_BOOT_RECORD = 64  # EX_USAGE: starting again with the same record would end the same way
EXIT_BUG = 70  # EX_SOFTWARE
SWITCH_INTERVAL_S = 0.0005  # DESIGN section 9: a worker's call must not hold the loop for Python's 5 ms
LAST_WORDS_S = 2.0  # for the host to read ``Drained``


def main(serve: Serve) -> int:
    """Run one unit; gives the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    journal = StderrJournal()
    try:
        control = _take_control()
        give_up_core_and_privileges()
        forgo_rings()
        boot = _read_boot_record()
    except OSError as error:
        journal.failure("start", error)
        return EXIT_BUG
    if isinstance(boot, Malformed):
        journal.say("start", f"the boot record is refused: {boot.reason}")
        return EXIT_BAD_BOOT_RECORD
    journal.name(boot)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(serve, boot, control, journal))
    except ConfigError as error:
        journal.say("start", str(error))
        return EXIT_BAD_BOOT_RECORD
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an exit code
        journal.failure("serve", error)
        return EXIT_BUG
    finally:
        journal.flush()
    return 0


async def _live(serve: Serve, boot: BootRecord, control: socket.socket, journal: StderrJournal) -> None:
    asyncio.get_running_loop().set_exception_handler(_journal_stray_failures(journal))
    world = SystemWorld()
    stream = SocketControlStream(control, lambda reason: journal.say("control", reason))
    identity = make_link_identity(boot.unit, boot.generation, world.wall_time())
    try:
        closed = close(boot.rights)  # within the loop, whose own descriptors are open by now
        watch(journal.alarm)
        await serve(Unit(boot, world, stream, journal, identity, closed))
        async with asyncio.timeout(LAST_WORDS_S):
            await stream.wait_flushed()
    finally:
        stream.close()
        world.close()


def _journal_stray_failures(journal: StderrJournal) -> Any:
    """What nobody awaited (a callback, a task): a bug of ours, which the loop survives."""

    def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        journal.failure("loop", context.get("exception") or RuntimeError(str(context["message"])))

    return handle


def _take_control() -> socket.socket:
    """Move the control stream from 1 to 3 and let 1 be the journal."""
    os.dup2(1, CONTROL_DESCRIPTOR, inheritable=False)
    os.dup2(2, 1)
    return socket.socket(fileno=CONTROL_DESCRIPTOR)


def _read_boot_record() -> BootRecord | Malformed:
    """Read standard input to its end and put nothing in its place, so that the record is gone from there."""
    with open(0, "rb", closefd=False) as record:
        data = record.read(LENGTH_OCTETS + MAX_FRAME_OCTETS + 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return boot_record_of(data)


def boot_record_of(data: bytes) -> BootRecord | Malformed:
    """Exactly one frame that is a boot record; else the reason names the field that is wrong."""
    match FrameCutter().feed(data):
        case Malformed() as malformed:
            return malformed
        case [body] if len(data) == LENGTH_OCTETS + len(body):
            return decode_boot_record(body)
        case _:
            return Malformed(f"not exactly one frame in {len(data)} octets")
