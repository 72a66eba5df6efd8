"""What is measured: how mail is sent, and what ratio to the others is wanted (ours / theirs)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to send. ``limit`` ends a run after so many messages, 0: the time does.

    ``plain_theirs``: they are reached on port 25 without TLS and login, which we do not have.
    """

    name: str
    sessions: int
    messages_per_connection: int = 10
    size: int = 10_000
    limit: int = 0
    plain_theirs: bool = False
    wanted_rate: float = 0.0
    wanted_cpu: float = 0.0
    is_quick: bool = True
    longer: float = 1.0
    """So many times the usual seconds, where something at the beginning must not count."""


TEN_KB = (
    Scenario("10 kB, 1 session", 1, wanted_rate=2.0, wanted_cpu=0.4),
    Scenario("10 kB, 10 sessions", 10, wanted_rate=2.5, wanted_cpu=0.4),
    Scenario("10 kB, 50 sessions", 50, wanted_rate=3.0, wanted_cpu=0.4),
)
STAYING = Scenario(
    "10 kB, 10 sessions, connections that stay",
    10,
    messages_per_connection=100_000,
    wanted_rate=2.5,
    wanted_cpu=0.4,
    is_quick=False,
    longer=3.0,
)
LONG = Scenario(
    "10 kB, 10 sessions, they: neither login nor TLS",
    10,
    messages_per_connection=100_000,
    plain_theirs=True,
    is_quick=False,
    longer=3.0,
)
HANDSHAKES = Scenario(
    "connections a second: TLS, login, QUIT", 10, messages_per_connection=0, wanted_rate=1.0, is_quick=False
)
LARGE = (
    Scenario("1 MB, 1 session", 1, size=1_000_000, limit=20, wanted_rate=1.0),
    Scenario("20 MB, 1 session", 1, size=20_000_000, limit=3, wanted_rate=1.0),
)
ALL = (*TEN_KB, STAYING, LONG, HANDSHAKES, *LARGE)
