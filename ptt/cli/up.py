"""``ptt up``: runs the service of this machine in the foreground, tells what happens, drains at Ctrl-C.

Nothing of the machine's network is changed: the addresses must be there. What units write goes to standard
error as sentences, or as it is (one JSON object a line) into a file.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import uvloop
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ptt.cli.journal_words import is_of_interest, shown_line
from ptt.deployer.service import Service
from ptt.errors import Malformed
from ptt.host.inquiry_socket import InquirySocket, socket_path
from ptt.host.unit_spec import JournalEntry
from ptt.records.journal import JournalLine, decode_line, encode_line

OK, CUT_OFF = 0, 1


def run(file: Path | None, *, journal: Path | None, as_json: bool) -> int:
    """Run until Ctrl-C or SIGTERM; 1: mail under way had to be cut off."""
    console = Console(stderr=True, highlight=False, quiet=as_json)
    with _journal(console, journal, as_json=as_json) as on_line:
        return uvloop.run(_up(Service(file, on_line), console, as_json=as_json))


async def _up(service: Service, console: Console, *, as_json: bool) -> int:
    ends = _signals()
    inquiries = InquirySocket(service.host, os.getuid(), service.restart)
    try:
        started = asyncio.get_running_loop().time()
        if not await _is_started(service, console, ends):
            return OK
        await inquiries.open(socket_path())
        _show(console, service, asyncio.get_running_loop().time() - started)
        if as_json:
            sys.stdout.write(json.dumps({"ready": list(service.host.units)}) + "\n")
            sys.stdout.flush()
        await ends.get()
    except BaseException:
        service.abandon()
        await service.stop()
        raise
    return await _drain(service, inquiries, console, ends)


async def _is_started(service: Service, console: Console, ends: "asyncio.Queue[int]") -> bool:
    """Start; False: somebody wants the end before everything is there."""
    with console.status("reading") as status:
        starting = asyncio.ensure_future(service.start(status.update))
        ended = asyncio.ensure_future(ends.get())
        await asyncio.wait((starting, ended), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            starting.cancel()
            await asyncio.wait((starting,))
            service.abandon()
            await service.stop()
            return False
        ended.cancel()
        await starting
    return True


async def _drain(
    service: Service, inquiries: InquirySocket, console: Console, ends: "asyncio.Queue[int]"
) -> int:
    """Let mail under way finish; a second Ctrl-C cuts it off."""
    limit_s = service.plan.config.drain
    console.print(f"draining, at most {limit_s:.0f} s; Ctrl-C again ends at once")
    stopping = asyncio.ensure_future(service.stop())
    again = asyncio.ensure_future(ends.get())
    await asyncio.wait((stopping, again), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        service.abandon()
    done = await stopping
    again.cancel()
    inquiries.close()
    console.print("ended" if done else "[yellow]ended; something was cut off: its senders will try again[/]")
    return OK if done else CUT_OFF


def _signals() -> "asyncio.Queue[int]":
    ends: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ends.put_nowait, number)
    return ends


def _show(console: Console, service: Service, took_s: float) -> None:
    config, units = service.plan.config, service.host.units
    console.print(f"[bold]{config.name}[/] serves {', '.join(config.domains)}")
    console.print(f"  units      {len(units)} of {len(units)} ready after {took_s:.1f} s")
    console.print(Padding(", ".join(units), (0, 0, 0, 13), expand=False))
    console.print(f"  addresses  {', '.join(config.bound_addresses)}")
    for text in service.plan.notices:
        _notice(console, text)
    console.print("In another terminal: ptt status, ptt logs, ptt user add. Ctrl-C ends it.")


def _notice(console: Console, text: str) -> None:
    console.print(Padding(Text.assemble(("note  ", "yellow"), text), (0, 0, 0, 2), expand=False))


@contextlib.contextmanager
def _journal(
    console: Console, path: Path | None, *, as_json: bool
) -> Iterator[Callable[[JournalEntry], None]]:
    """Where what units write goes."""
    if path is not None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", buffering=1) as file:
            yield lambda entry: _write(file, entry)
    elif as_json or not sys.stderr.isatty():
        yield lambda entry: _write(sys.stderr, entry)
    else:
        yield lambda entry: _tell(console, entry)


def _tell(console: Console, entry: JournalEntry) -> None:
    if is_of_interest(entry.text):
        line = shown_line(entry.at, entry.unit, entry.generation, entry.text)
        console.print(line, markup=False, soft_wrap=not console.is_terminal)  # in files a line stays one


def _write(file: IO[str], entry: JournalEntry) -> None:
    """One JSON object a line, also of what is none (a crash of the interpreter)."""
    text = entry.text
    if isinstance(decode_line(text.encode()), Malformed):
        line = JournalLine(
            at=entry.at, event="text", unit=entry.unit, generation=entry.generation, detail=text
        )
        text = encode_line(line).decode()
    file.write(text + "\n")
