"""The Unix socket on which a host answers questions: only to its own user and to root (SO_PEERCRED)."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

from ptt.errors import ConfigError, Malformed, UnreachableError
from ptt.host.daemon import Host
from ptt.host.inquiry import (
    MAX_QUESTION_OCTETS,
    Answer,
    AskLogs,
    AskRestart,
    AskStatus,
    LogLine,
    Logs,
    Question,
    Refusal,
    Restarted,
    Status,
    UnitStatus,
    decode_answer,
    decode_question,
    encode,
    read_time,
)
from ptt.host.unit_spec import JournalEntry
from ptt.records.journal import JournalLine, decode_line

ANSWER_TIMEOUT_S = 5.0
RESTART_TIMEOUT_S = 75.0  # what the host gives a replacement, and a little more
TROUBLES = frozenset({"alarm", "bug", "host", "journal"})  # events of the journal that somebody should see
TRANSACTION = '"event":"transaction"'  # most lines; they are passed over without being read

Restart = Callable[[str], Awaitable[str]]
"""Puts a new generation in a unit's place; gives why not, or ""."""
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)


def socket_path() -> Path:
    """Where the host of this user listens: ``PTT_HOST_SOCKET``, else a place that namespaces share."""
    if chosen := os.environ.get("PTT_HOST_SOCKET"):
        return Path(chosen)
    return Path("/tmp") / f"ptt-{os.getuid()}" / "host.sock"  # noqa: S108 - the folder is 0700 and checked


class InquirySocket:
    """Answers for a host. ``user_id`` is who may ask, besides root; ``restart``: by default as it runs."""

    def __init__(self, host: Host, user_id: int, restart: Restart | None = None) -> None:
        self._host = host
        self._user_id = user_id
        self._restart = restart or self._replace
        self._server: asyncio.Server
        self._path: Path

    async def open(self, path: Path) -> None:
        """Listen; a socket that an earlier host left is replaced."""
        self._path = path
        _make_room(path)
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=MAX_QUESTION_OCTETS)

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                question = await self._question(reader, writer)
            async with asyncio.timeout(RESTART_TIMEOUT_S):
                writer.write(encode(await self._answer(question)))
                await writer.drain()
        except (TimeoutError, OSError, ValueError):  # too slow, gone, or a line without end
            pass
        finally:
            writer.close()

    async def _question(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Question | Malformed:
        peer = writer.get_extra_info("socket")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(credentials)[1] not in (0, self._user_id):
            return Malformed("only the user who started the host, and root, may ask")
        return decode_question(await reader.readline())

    async def _answer(self, question: Question | Malformed) -> Answer:
        match question:
            case Malformed(reason):
                return Refusal(reason)
            case AskStatus():
                return Status(tuple(self._statuses()))
            case AskLogs(unit) | AskRestart(unit) if unit not in ("", *self._host.units):
                return Refusal(f"no unit {unit}; there are {', '.join(self._host.units)}")
            case AskLogs():
                return self._logs(question)
            case AskRestart(unit):
                if unit not in self._host.units:
                    return Refusal("which unit?")
                reason = await self._restart(unit)
                published = self._host.units[unit].published
                number = published.number if published is not None else 0
                return Refusal(reason) if reason else Restarted(unit, number)

    async def _replace(self, unit: str) -> str:
        done = await self._host.replace(unit)
        return "" if done else f"the new generation of {unit} did not start: ptt logs {unit}"

    def _logs(self, question: AskLogs) -> Logs:
        newest = self._host.line_count
        first = newest - len(self._host.journal) + 1
        since = read_time(question.since) if question.since else None
        lines = [
            LogLine(entry.at.isoformat(), entry.unit, entry.generation, entry.text, number)
            for number, entry in enumerate(self._host.journal, first)
            if number > question.after
            and question.unit in ("", entry.unit)
            and (since is None or entry.at >= since)
            and question.holding in entry.text
        ]
        return Logs(tuple(lines[-question.count :]), newest)

    def _statuses(self) -> Iterator[UnitStatus]:
        now = asyncio.get_running_loop().time()
        troubles = last_troubles(self._host.journal)
        for name, unit in self._host.units.items():
            counted = self._host.counters(name)
            for generation in unit.generations:
                pid = self._host.pid_of(name, generation.number)
                yield UnitStatus(
                    unit=name,
                    generation=generation.number,
                    state=str(generation.phase),
                    since_s=now - generation.since,
                    pid=pid,
                    memory_kb=proportional_memory_kb(pid),
                    transactions=int(counted.get(generation.number, {}).get("transactions", 0)),
                    last_trouble=unit.refused or troubles.get(name, ""),
                )


def last_troubles(journal: Iterable[JournalEntry]) -> dict[str, str]:
    """The last alarm, bug or end of each unit, with its time of day."""
    found = {}
    for entry in journal:
        if TRANSACTION in entry.text:
            continue
        line = decode_line(entry.text.encode())
        what = line.detail if isinstance(line, JournalLine) and line.event in TROUBLES else None
        if isinstance(line, Malformed):  # words of the interpreter itself
            what = entry.text
        if what:
            found[entry.unit] = f"{entry.at:%H:%M:%S} {what.strip().splitlines()[-1]}"
    return found


def _make_room(path: Path) -> None:
    """A folder of our own, without an earlier host's socket in it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.parent.is_symlink() or path.parent.stat().st_uid != os.geteuid():
        raise ConfigError(str(path.parent), "belongs to somebody else", f"remove {path.parent}")
    path.unlink(missing_ok=True)


def proportional_memory_kb(pid: int) -> int:
    """The process's share of memory (PSS, proc(5)); 0 where it may not be read."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def ask(question: Question, path: Path) -> Answer:
    """Ask the host that listens at ``path``; ``UnreachableError`` when there is none."""
    limit_s = RESTART_TIMEOUT_S if isinstance(question, AskRestart) else ANSWER_TIMEOUT_S
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(limit_s)
            connection.connect(str(path))
            connection.sendall(encode(question))
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except OSError as error:
        raise UnreachableError(
            str(path), f"no host answers ({error.strerror or error})", "start one: ptt up (or ptt demo)"
        ) from error
    answer = decode_answer(line)
    return Refusal(answer.reason) if isinstance(answer, Malformed) else answer
