"""Keeps an eye on a repository: asks now and then, at once when told to, and slower while it is down.

Whoever watches gets each new head once. A repository that cannot be had is told once, and once more when it
is back; what was there before holds meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ptt.boot import GiveStream
from ptt.errors import Malformed
from ptt.net.git.client import Head, Unchanged
from ptt.net.git.failures import GitFailed
from ptt.net.git.local import LocalStreams
from ptt.net.git.repository import GitRepository
from ptt.net.unit import Unit
from ptt.protocol.dns.lookup import Lookup
from ptt.records.repository import LocalPlace, Repository, RepositorySettings, read_repository

MIN_PAUSE_S = 0.2  # however often somebody says that there is something new
FIRST_RETRY_S = 1.0
MAX_RETRY_S = 60.0  # a repository that is back is noticed within a minute
TOLD_AFTER = 2  # failures in a row: one may be a moment's

OnHead = Callable[[Head], Awaitable[None]]


class RepositoryWatch:
    """Watches one branch. ``source`` is there for who wants to ask more of the repository."""

    def __init__(self, unit: Unit, source: GitRepository, on_head: OnHead) -> None:
        self.source = source
        self.known: str | None = None
        """The commit that was seen last; set it to one that needs no fetching."""
        self._unit = unit
        self._on_head = on_head
        self._poke = asyncio.Event()
        self._failures = 0
        self._told: GitFailed | None = None

    @property
    def name(self) -> str:
        """What alarms call the repository."""
        return self.source.repository.name

    def poke(self) -> None:
        """Look at once: something may have been pushed."""
        self._poke.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        if not self.source.repository.is_protected:
            self._unit.journal.alarm(f"{self.name}: anybody on the way can change what comes from there")
        while True:
            self._poke.clear()
            wait_s = await self._look_again()
            await asyncio.sleep(MIN_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._poke.wait()

    async def _look_again(self) -> float:
        """Look; a bug of ours must not end the watch, or no later commit would ever be taken."""
        try:
            return await self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, what was there before holds
            self._unit.journal.failure("repository", error)
            return MAX_RETRY_S

    async def _look(self) -> float:
        """Ask once; gives how long to wait."""
        found = await self.source.fetch(self.known)
        if isinstance(found, Head) and not found.commit:
            found = GitFailed("the repository is empty", needs_operator=True)
        if isinstance(found, GitFailed):
            return self._failed(found)
        self._recovered()
        if not isinstance(found, Unchanged):
            self.known = found.commit
            await self._on_head(found)
        return self.source.repository.poll_s

    def _failed(self, failed: GitFailed) -> float:
        self._failures += 1
        is_worse = self._told is None or (failed.needs_operator and not self._told.needs_operator)
        if is_worse and (failed.needs_operator or self._failures >= TOLD_AFTER):
            self._told = failed
            self._unit.journal.alarm(f"{self.name}: {failed.reason}; what was there before holds")
        retry_s = FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10)
        return min(retry_s, max(self.source.repository.poll_s, MAX_RETRY_S))

    def _recovered(self) -> None:
        self._failures = 0
        if self._told is not None:
            self._told = None
            self._unit.journal.alarm(f"{self.name}: the repository can be had again")


class Watches:
    """All watches of a unit, and what they need of its life."""

    def __init__(self, unit: Unit, lookup: Lookup | None) -> None:
        self._unit = unit
        self._lookup = lookup
        self._streams = LocalStreams(unit.control)
        self._watches: list[RepositoryWatch] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, settings: RepositorySettings, on_head: OnHead) -> RepositoryWatch | Malformed:
        """Watch a repository from ``start`` on."""
        repository = read_repository(settings)
        if isinstance(repository, Malformed):
            return repository
        watch = RepositoryWatch(self._unit, self._source(repository), on_head)
        self._watches.append(watch)
        return watch

    def start(self) -> None:
        """Begin to look."""
        for watch in self._watches:
            self._tasks.append(asyncio.create_task(watch.run()))

    def stream(self, frame: GiveStream, handle: object) -> None:
        """Take a stream from the host."""
        self._streams.answered(frame, handle)

    def changed(self, name: str) -> None:
        """Look at a repository of this machine at once."""
        for watch in self._watches:
            place = watch.source.repository.place
            if isinstance(place, LocalPlace) and place.name == name:
                watch.poke()

    async def close(self) -> None:
        """Look no more."""
        for watch in self._watches:
            watch.source.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _source(self, repository: Repository) -> GitRepository:
        return GitRepository(
            self._unit.world,
            repository,
            lookup=self._lookup,
            key_text=self._unit.boot.secrets.get("ssh_key", ""),
            open_local=self._streams.open,
        )
