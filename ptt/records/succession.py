"""Whether what a push brought takes the place of what was there [S7, DESIGN section 8].

A file that cannot be read leaves its user as the last good file had it. A list that lost more than half of
its users, or all, is not taken unless a commit since says ``Users-Removed: yes``: it looks like an accident,
and who is not in the list is refused for good. An alarm names file and line, once for each fault.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic

import msgspec

from ptt.errors import Malformed
from ptt.records.user_list import REMOVAL_TRAILER, R, UserList, may_succeed, read_user_list

_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_AT_FIELD = re.compile(r"at `(?:\$\.)?([A-Za-z_]+)")


@dataclass(frozen=True, slots=True)
class LastGood:
    """What was taken last. ``files`` are as they hold: of a broken one the last good content.

    ``files`` is empty where only the number of users is remembered.
    """

    commit: str
    size: int
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    faults: Mapping[str, Malformed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken(Generic[R]):
    """The new list holds from now on."""

    users: UserList[R]
    good: LastGood
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The last good list stays. ``may_be_meant``: it would be taken if a commit since said so."""

    alarm: str
    may_be_meant: bool


Parse = Callable[[str, bytes], R | Malformed | None]


def succeed(
    last: LastGood | None,
    commit: str,
    files: Mapping[str, bytes],
    parse: Parse[R],
    *,
    removal_is_meant: bool,
) -> Taken[R] | NotTaken:
    """Judge the files of ``commit``; ``removal_is_meant``: a commit since the last good one says so."""
    faults = read_user_list(files, parse).faults
    former = last.files if last is not None else {}
    holding = {**files, **{name: former[name] for name in faults if name in former}}
    users: UserList[R] = read_user_list(holding, parse)
    size, last_size = len(users.users), last.size if last is not None else None
    if not may_succeed(size, last_size, removal_is_meant=removal_is_meant):
        return _not_taken(commit, size, last_size)
    told = last.faults if last is not None else {}
    alarms = tuple(
        _fault_alarm(name, files[name], fault, is_kept=name in former)
        for name, fault in faults.items()
        if told.get(name) != fault
    )
    return Taken(users, LastGood(commit, size, holding, faults), alarms)


def has_trailer(messages: Mapping[str, str]) -> bool:
    """Whether one of these commit messages carries the trailer of a removal that is meant."""
    return any(
        line.strip().lower() == REMOVAL_TRAILER.lower()
        for message in messages.values()
        for line in message.splitlines()
    )


def fault_line(content: bytes, fault: Malformed) -> int:
    """The line of a JSON file that a fault is about, from 1; the first where it is about the whole."""
    try:
        msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        at = _AT_BYTE.search(str(error))
        # Where the text just ends, the fault is in its last line.
        return content.rstrip().count(b"\n", 0, int(at[1]) if at is not None else None) + 1
    except (UnicodeDecodeError, RecursionError):
        return 1
    named = _AT_FIELD.search(fault.reason)
    place = content.find(f'"{named[1]}"'.encode()) if named is not None else -1
    return content.count(b"\n", 0, max(place, 0)) + 1


def _fault_alarm(name: str, content: bytes, fault: Malformed, *, is_kept: bool) -> str:
    consequence = "the last good file stays in force" if is_kept else "nothing of this file is in force"
    return f"{name}, line {fault_line(content, fault)}: {fault.reason}; {consequence}"


def _not_taken(commit: str, size: int, last_size: int | None) -> NotTaken:
    if size == 0:
        kept = "the last good list stays" if last_size is not None else "there is no list yet"
        return NotTaken(f"commit {commit[:12]} has no user that can be read; {kept}", may_be_meant=False)
    return NotTaken(
        f"commit {commit[:12]} has {size} users where there were {last_size}; the last good list stays. "
        f'If this is meant: git commit --allow-empty -m "Remove users" -m "{REMOVAL_TRAILER}", and push',
        may_be_meant=True,
    )
