"""The Unix socket on which a host answers questions: only to its own user and to root (SO_PEERCRED)."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from ptt.errors import ConfigError, Malformed
from ptt.host.daemon import Host
from ptt.host.inquiry import (
    MAX_QUESTION_OCTETS,
    Answer,
    AskLogs,
    AskStatus,
    LogLine,
    Logs,
    Question,
    Refusal,
    Status,
    UnitStatus,
    decode_answer,
    decode_question,
    encode,
)

ANSWER_TIMEOUT_S = 5.0
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)


def socket_path() -> Path:
    """Where the host of this user listens: ``PTT_HOST_SOCKET``, else a place that namespaces share."""
    if chosen := os.environ.get("PTT_HOST_SOCKET"):
        return Path(chosen)
    return Path("/tmp") / f"ptt-{os.getuid()}" / "host.sock"  # noqa: S108 - the folder is 0700 and checked


class InquirySocket:
    """Answers for a host. ``user_id`` is who may ask, besides root."""

    def __init__(self, host: Host, user_id: int) -> None:
        self._host = host
        self._user_id = user_id
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
                writer.write(encode(await self._answer(reader, writer)))
                await writer.drain()
        except (TimeoutError, OSError, ValueError):  # too slow, gone, or a line without end
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        peer = writer.get_extra_info("socket")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(credentials)[1] not in (0, self._user_id):
            return Refusal("only the user who started the host, and root, may ask")
        question = decode_question(await reader.readline())
        return Refusal(question.reason) if isinstance(question, Malformed) else self._told(question)

    def _told(self, question: Question) -> Answer:
        match question:
            case AskStatus():
                return Status(tuple(self._statuses()))
            case AskLogs(unit, count):
                if unit and unit not in self._host.units:
                    return Refusal(f"no unit {unit}; there are {', '.join(self._host.units)}")
                entries = [entry for entry in self._host.journal if unit in ("", entry.unit)]
                return Logs(
                    tuple(
                        LogLine(entry.at.isoformat(), entry.unit, entry.generation, entry.text)
                        for entry in entries[-count:]
                    )
                )

    def _statuses(self) -> Iterator[UnitStatus]:
        now = asyncio.get_running_loop().time()
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
                    last_trouble=unit.refused,
                )


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
    """Ask the host that listens at ``path``; ``ConfigError`` when there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(encode(question))
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except OSError as error:
        raise ConfigError(
            str(path), f"no host answers ({error.strerror or error})", "start one: ptt demo"
        ) from error
    answer = decode_answer(line)
    return Refusal(answer.reason) if isinstance(answer, Malformed) else answer
