"""What ``serve`` of a unit gets: its boot record, the world, its line to the host and its journal."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ptt.boot import BootRecord, Closed
from ptt.errors import ConfigError, Malformed
from ptt.net.tls import LinkIdentity
from ptt.net.world import ControlStream, World
from ptt.records.journal import JournalLine

T = TypeVar("T")


class Journal(Protocol):
    """Where a unit's journal lines go: standard error, one line each; a list in the simulation."""

    def write(self, line: JournalLine) -> None:
        """Write one line, at once."""
        ...

    def alarm(self, what: str) -> None:
        """Something that an operator must see; mail goes on."""
        ...

    def failure(self, where: str, error: BaseException) -> None:
        """A bug of ours: the traceback, one line."""
        ...


@dataclass(frozen=True, slots=True)
class Unit:
    """One generation of a unit, running."""

    boot: BootRecord
    world: World
    control: ControlStream
    journal: Journal
    identity: LinkIdentity
    closed: Closed = field(default_factory=Closed)


def wanted(read: T | Malformed, unit: Unit, part: str = "settings", mend: str = "mend this setting") -> T:
    """What a unit has read of its boot record; with what is malformed it does not start (``ConfigError``)."""
    if isinstance(read, Malformed):
        where = f"boot record of {unit.boot.unit}"
        raise ConfigError(f"{where}, {part}" if part else where, read.reason, mend)
    return read


Serve = Callable[[Unit], Awaitable[None]]
