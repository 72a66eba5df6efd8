"""What a piece of resolving asks of the engine, what it may spend, and what it hears back.

A piece of work is a generator: it yields ``AskServer`` or ``Need`` and is given the response, ``NoReply`` or
the outcome. Everything that one question leads to draws on one ``Allowance``, so that no zone, however it is
made, can have us do more than that (NXNSAttack, loops of aliases and of servers) [Q7].
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum

import dns.message

from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Outcome, Resolved

MAX_QUERIES = 100  # to servers for one question; ordinary ones take 3 to 15
MAX_DEPTH = 8  # addresses of servers whose servers' addresses must be asked for, and so on


class Transport(Enum):
    """How a query goes out."""

    UDP = "udp"
    TCP = "tcp"


class Kind(Enum):
    """What is needed: one step, or the end of the chain of aliases."""

    STEP = "step"
    CHAIN = "chain"


@dataclass(slots=True)
class Allowance:
    """What is left to spend on a question."""

    queries: int = MAX_QUERIES

    def take(self) -> bool:
        """Take one query; False: nothing is left."""
        self.queries -= 1
        return self.queries >= 0

    @property
    def is_spent(self) -> bool:
        """Nothing is left."""
        return self.queries <= 0


@dataclass(frozen=True, slots=True)
class AskServer:
    """Send one query to one address and wait for its answer or the time-out."""

    address: str
    qname: Name
    rdtype: int
    transport: Transport
    edns: bool
    timeout_s: float


@dataclass(frozen=True, slots=True)
class NoReply:
    """Nothing of use came from the server. ``spoofed``: what came did not fit the query: ask over TCP."""

    reason: str
    spoofed: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """Resolve another name first (or wait for who is at it already)."""

    kind: Kind
    name: Name
    rdtype: int


Wish = AskServer | Need
Given = dns.message.Message | NoReply | Outcome | Resolved
Work = Generator[Wish, Given, Outcome | Resolved]


@dataclass(eq=False, slots=True)
class Job:
    """A piece of work under way, and who waits for its end."""

    need: Need
    allowance: Allowance
    depth: int
    work: Work
    waiting_on: "Job | None" = None
    jobs: "list[Job]" = field(default_factory=list)
    askers: list[int] = field(default_factory=list)

    def would_wait_for_itself(self, other: "Job") -> bool:
        """Whether ``other`` waits, through whomever, for this job: then neither would ever end."""
        job: Job | None = other
        while job is not None:
            if job is self:
                return True
            job = job.waiting_on
        return False
