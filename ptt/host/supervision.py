"""The words of supervision: what the host knows of its units, what may happen, what it then does.

A generation is one process of a unit. It starts, says that it is ready, is published (accepts connections),
drains and is gone. Values only; ``supervisor`` has the rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from ptt.boot import HostFrame, OpenRepository, Peers, UnitFrame
from ptt.host.kept import Kept
from ptt.host.questions import OpenQuestions
from ptt.manifest import Manifest
from ptt.net.world import Endpoint


class Phase(StrEnum):
    """Where a generation is in its life."""

    STARTING = "starting"
    READY = "ready"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"  # of a unit of which one serves: it was published, and may be so again
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Generation:
    """One process of a unit. It is killed at ``deadline`` if it is still in this phase then."""

    number: int
    phase: Phase
    since: float
    deadline: float = inf
    private: Mapping[str, Endpoint] = field(default_factory=dict)
    """Its own listeners on the private network, by name."""
    certificate: bytes = b""
    told: Peers | None = None
    """The peers that it was last told of."""
    unanswered: int = 0
    """Orders to publish or withdraw listeners that it has not said anything to."""
    is_killed: bool = False
    """Its process was killed and will be gone any moment."""

    @property
    def is_active(self) -> bool:
        """It serves, or will."""
        return self.phase is not Phase.DRAINING


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit: its generations, oldest first, and how it fares."""

    manifest: Manifest
    kept: Kept
    generations: tuple[Generation, ...] = ()
    last_number: int = 0
    failures: int = 0
    """Ends that nobody ordered, since it last lasted."""
    start_at: float = -inf
    """When it may be started next."""
    silent_since: float | None = None
    """Since when nobody reads from its public listeners, while one generation takes over from another."""
    refused: str = ""
    """Why it is not started again: its boot record is bad. A replacement tries anew."""

    @property
    def active(self) -> tuple[Generation, ...]:
        """The generations that serve, or will."""
        return tuple(each for each in self.generations if each.is_active)

    @property
    def published(self) -> Generation | None:
        """The newest generation that accepts connections."""
        return next((each for each in reversed(self.generations) if each.phase is Phase.PUBLISHED), None)


@dataclass(frozen=True, slots=True)
class HostState:
    """All units, by name. ``stop_at`` is when everything must have ended, once the host is to stop."""

    units: Mapping[str, UnitState] = field(default_factory=dict)
    stop_at: float | None = None
    questions: OpenQuestions = field(default_factory=OpenQuestions)


# What happens ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Added:
    """There is to be a unit."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Started:
    """The process is there, and its private listeners are bound."""

    unit: str
    generation: int
    private: Mapping[str, Endpoint]


@dataclass(frozen=True, slots=True)
class Said:
    """A frame of a unit."""

    unit: str
    generation: int
    frame: UnitFrame


@dataclass(frozen=True, slots=True)
class HungUp:
    """The control stream is closed; ``reason`` says what was wrong with it, empty: the unit closed it."""

    unit: str
    generation: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone; ``code`` is its exit code, or minus the signal that killed it."""

    unit: str
    generation: int
    code: int


@dataclass(frozen=True, slots=True)
class ReplaceAsked:
    """A new generation is to take over from those that are there."""

    unit: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Everything is to end within so many seconds."""

    deadline_s: float


@dataclass(frozen=True, slots=True)
class Woken:
    """Nothing, but time has passed."""


Input = Added | Started | Said | HungUp | Exited | ReplaceAsked | StopAsked | Woken

# What the host does ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Bind its private listeners and start its process; then ``Started``, or ``Exited`` if that failed."""

    unit: str
    generation: int


@dataclass(frozen=True, slots=True)
class Send:
    """Say this to a generation."""

    unit: str
    generation: int
    frame: HostFrame


@dataclass(frozen=True, slots=True)
class PublishListeners:
    """Hand it all its listeners, public and private, with ``Publish``."""

    unit: str
    generation: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End its process at once."""

    unit: str
    generation: int


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the host's own journal."""

    unit: str
    generation: int
    text: str


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Give it a stream to a repository of its spec, or say why not, with ``GiveStream``."""

    unit: str
    generation: int
    asked: OpenRepository


Effect = Start | Send | PublishListeners | Kill | Note | OpenStream


@dataclass(frozen=True, slots=True)
class Step:
    """The new state and what is to be done, in this order."""

    state: HostState
    effects: tuple[Effect, ...] = ()
