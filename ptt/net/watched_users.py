"""A list of users that a repository holds, as a unit has it: watched, judged, kept for the next generation.

The list goes to the host as ``state`` with every change, so that a successor has it before it serves, also
while the repository cannot be had. What is decided about a new list is in ``records.succession``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic

import msgspec

from ptt.boot import KeepState
from ptt.net.git.client import Head
from ptt.net.git.failures import GitFailed
from ptt.net.git.pack import MAX_OBJECTS_OCTETS
from ptt.net.repository_watch import RepositoryWatch, Watches
from ptt.net.unit import Unit, wanted
from ptt.records.compressed import compress, decompress
from ptt.records.repository import RepositorySettings
from ptt.records.succession import LastGood, NotTaken, Parse, Taken, has_trailer, succeed
from ptt.records.user_list import R, UserList, may_succeed, read_user_list

STATE_PREFIX = "users "
MAX_KEPT_OCTETS = 8 * 1024 * 1024  # compressed: some 40,000 users; of more only the number is kept
MAX_FILES_OCTETS = 2 * MAX_OBJECTS_OCTETS  # unpacked: a head of the largest, and the names of its files


class _Kept(msgspec.Struct, frozen=True):
    commit: str
    size: int
    files: dict[str, bytes] = {}


class WatchedUsers(Generic[R]):
    """``users`` is None until there was a list that could be taken."""

    def __init__(
        self,
        unit: Unit,
        watches: Watches,
        settings: RepositorySettings,
        parse: Parse[R],
        on_list: Callable[[UserList[R]], None],
        field: str = "repository",
    ) -> None:
        self.users: UserList[R] | None = None
        self._unit = unit
        self._parse = parse
        self._on_list = on_list
        self._good: LastGood | None = None
        self._refused = ""
        self._watch: RepositoryWatch = wanted(watches.add(settings, self._judge), unit, f"settings, {field}")
        self._key = f"{STATE_PREFIX}{field}"

    def take_over(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Go on from what an earlier generation has left with the host."""
        values = [value for key, value in entries if key == self._key]
        kept = _read(values[-1]) if values else None
        if kept is None:
            return
        good = self._good
        if good is not None and may_succeed(good.size, kept.size, removal_is_meant=False):
            return  # ours is from the repository itself
        self._good = LastGood(kept.commit, kept.size, kept.files)
        if kept.files:
            self._watch.known = kept.commit
            self._hold(read_user_list(kept.files, self._parse))
        elif good is not None:
            self._watch.known = None
        self._watch.poke()

    async def _judge(self, head: Head) -> None:
        """Take a new head's list, or say why not."""
        result = await self._succeed(head, removal_is_meant=False)
        if isinstance(result, NotTaken) and result.may_be_meant and self._good is not None:
            messages = await self._watch.source.messages_since(self._good.commit)
            if isinstance(messages, GitFailed):
                self._watch.known = None  # nobody knows yet whether it is meant: ask again
            elif has_trailer(messages):
                result = await self._succeed(head, removal_is_meant=True)
        match result:
            case NotTaken(alarm) if alarm == self._refused:
                pass
            case NotTaken(alarm):
                self._refused = alarm
                self._unit.journal.alarm(f"{self._watch.name}: {alarm}")
            case Taken(users, good, alarms):
                for alarm in alarms:
                    self._unit.journal.alarm(f"{self._watch.name}: {alarm}")
                if self._refused:
                    self._refused = ""
                    self._unit.journal.alarm(f"{self._watch.name}: commit {good.commit[:12]} is taken again")
                self._good = good
                self._hold(users)
                self._unit.control.send(KeepState(self._key, await self._packed(good)))

    async def _succeed(self, head: Head, *, removal_is_meant: bool) -> Taken[R] | NotTaken:
        parse = self._parse
        while True:
            last = self._good

            def judge(last: LastGood | None = last) -> Taken[R] | NotTaken:
                return succeed(last, head.commit, head.files, parse, removal_is_meant=removal_is_meant)

            result = await self._unit.world.run_in_worker(judge)
            if self._good is last:  # else the host has told meanwhile of an earlier generation's
                return result

    async def _packed(self, good: LastGood) -> bytes:
        return await self._unit.world.run_in_worker(_pack, good.commit, good.size, good.files)

    def _hold(self, users: UserList[R]) -> None:
        self.users = users
        self._on_list(users)


def _pack(commit: str, size: int, files: Mapping[str, bytes]) -> bytes:
    whole = compress(msgspec.msgpack.encode(_Kept(commit, size, dict(files))))
    return whole if len(whole) <= MAX_KEPT_OCTETS else compress(msgspec.msgpack.encode(_Kept(commit, size)))


def _read(value: bytes) -> _Kept | None:
    """What ``_pack`` wrote; None for what it did not."""
    whole = decompress(value, MAX_FILES_OCTETS)
    try:
        return None if whole is None else msgspec.msgpack.decode(whole, type=_Kept)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
