"""Repositories of this machine, served to units as streams: git's own programs at the other end [DESIGN 8].

A unit opens no file. It asks for a repository by a name of its spec and gets a connected socket, with
``git-upload-pack`` or ``git-receive-pack`` behind it, run as the repository's owner, whose hooks these are.
Whether something may have been pushed is seen from the times of a few folders, once a second.
"""

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ptt.boot import OpenRepository
from ptt.host.process import LineReader

SERVICES = ("upload-pack", "receive-pack")
MAX_OPEN = 8  # of all units together: a fetch takes some 50 ms
PROGRAM_LIMIT_S = 120.0  # twice what a unit waits
LOOK_EVERY_S = 1.0
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "LC_ALL": "C",
}


@dataclass(frozen=True, slots=True)
class LocalRepository:
    """A repository that a unit may ask for, and whether it may push to it."""

    path: Path
    may_push: bool = False


Repositories = Mapping[str, LocalRepository]


class RepositoryServer:
    """Starts git's programs for units and ends those that take too long."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: dict[subprocess.Popen[bytes], Callable[[], None]] = {}

    def open(
        self, repositories: Repositories, asked: OpenRepository, tell: Callable[[str], None]
    ) -> socket.socket | str:
        """The unit's end of a stream, the caller's to close; or why there is none.

        ``tell`` hears what git complains of.
        """
        repository = repositories.get(asked.name)
        if repository is None:
            return f"there is no repository {asked.name} for this unit"
        if asked.service not in SERVICES or (asked.service == SERVICES[1] and not repository.may_push):
            return f"this unit may not do {asked.service} on {asked.name}"
        if len(self._running) >= MAX_OPEN:
            return "too many repositories are open at this moment"
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        try:
            process = _start(asked.service, repository.path, theirs, writing)
        except OSError as error:
            ours.close()
            os.close(reading)
            return f"{repository.path}: {error.strerror or error}"
        finally:
            theirs.close()
            os.close(writing)
        words = LineReader(
            reading, lambda line: tell(f"git {asked.service}: {line.decode(errors='replace')}")
        )
        self._running[process] = self._watch(process, words)
        return ours

    def close(self) -> None:
        """End all that runs."""
        for process, ended in list(self._running.items()):
            process.kill()
            ended()

    def _watch(self, process: subprocess.Popen[bytes], words: LineReader) -> Callable[[], None]:
        """Wait for its end; gives what clears up after it."""
        descriptor = os.pidfd_open(process.pid)
        late = self._loop.call_later(PROGRAM_LIMIT_S, process.kill)

        def ended() -> None:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
            late.cancel()
            process.wait()
            words.close()
            del self._running[process]

        self._loop.add_reader(descriptor, ended)
        return ended


class PushWatch:
    """Calls ``on_push`` with a path when something in it may have been pushed."""

    def __init__(self, on_push: Callable[[Path], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_push = on_push
        self._seen: dict[Path, tuple[int, ...]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, path: Path) -> None:
        """Look at this one too."""
        self._seen.setdefault(path, _times(path))
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_EVERY_S, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK_EVERY_S, self._look)
        for path, before in self._seen.items():
            now = _times(path)
            if now != before:
                self._seen[path] = now
                self._on_push(path)


def _start(service: str, path: Path, stream: socket.socket, words: int) -> subprocess.Popen[bytes]:
    owner = path.stat()
    as_owner = os.geteuid() == 0  # else git refuses: the repository would belong to somebody else
    return subprocess.Popen(
        ["git", service, *(["--strict"] if service == SERVICES[0] else []), "."],
        stdin=stream.fileno(),
        stdout=stream.fileno(),
        stderr=words,
        cwd=path,
        env=ENVIRONMENT,
        start_new_session=True,
        umask=0o022,
        user=owner.st_uid if as_owner else None,
        group=owner.st_gid if as_owner else None,
        extra_groups=[] if as_owner else None,
    )


def _times(path: Path) -> tuple[int, ...]:
    """When branches were last written: a push replaces files in these folders, by rename."""
    folder = path / ".git" if (path / ".git").is_dir() else path
    places = [folder / "HEAD", folder / "packed-refs", folder / "reftable"]
    places += [Path(name) for name, _, _ in os.walk(folder / "refs" / "heads")]
    times = []
    for place in places:
        try:
            times.append(place.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)
