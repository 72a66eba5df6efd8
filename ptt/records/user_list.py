"""A repository's files as one list of users, and whether a new list may take the place of the last good one.

A bad file affects its user only: it is among the faults, and everybody else is served. A list that lost
more than half of its users looks like an accident and is not taken (DESIGN: rule 1; unknown users would be
refused for good).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ptt.errors import Malformed
from ptt.records.local_part import fold

REMOVAL_TRAILER = "Users-Removed: yes"  # in the message of a commit that takes away more than half on purpose


_WIDE_FIELDS = (b'"pattern"', b'"catch_all"')  # with them a file is for many addresses


class _Record(Protocol):
    @property
    def local_part(self) -> str: ...


R = TypeVar("R", bound=_Record)


@dataclass(frozen=True, slots=True)
class UserList(Generic[R]):
    """``users`` by folded local part, ``faults`` by file name.

    ``wide_faults``: those of the faults that may be for more than the local part of their name.
    """

    users: Mapping[str, R]
    faults: Mapping[str, Malformed]
    wide_faults: frozenset[str] = field(default=frozenset())

    def find(self, local_part: str) -> R | None:
        """The user of exactly this local part, as a login names it."""
        return self.users.get(fold(local_part))


def read_user_list(
    files: Mapping[str, bytes], parse: Callable[[str, bytes], R | Malformed | None]
) -> UserList[R]:
    """Read files by name with ``parse_relay_user``, ``parse_login`` or ``parse_compatible_login``.

    Names that begin with a dot are no users. Of two names that differ by case only, the first in the order
    of their characters holds and the other is a fault.
    """
    users: dict[str, R] = {}
    faults: dict[str, Malformed] = {}
    for file_name in sorted(files):
        if file_name.startswith("."):
            continue
        record = parse(file_name, files[file_name])
        if record is None:
            continue
        if isinstance(record, Malformed):
            faults[file_name] = record
        elif fold(record.local_part) in users:
            faults[file_name] = Malformed("another file has the same name but for case")
        else:
            users[fold(record.local_part)] = record
    wide = (name for name in faults if any(field in files[name] for field in _WIDE_FIELDS))
    return UserList(users, faults, frozenset(wide))


def may_succeed(size: int, last_good_size: int | None, *, removal_is_meant: bool) -> bool:
    """Whether a list of ``size`` users is taken in place of the last good one (None: there was none yet).

    ``removal_is_meant``: a commit since the last good one carries the trailer ``Users-Removed: yes``. An
    empty list is never taken.
    """
    if size == 0:
        return False
    return last_good_size is None or removal_is_meant or 2 * size >= last_good_size
