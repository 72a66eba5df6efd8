"""A scenario: the network, our units of a line, mail servers of others, programs of our users, one chronicle.

``play`` runs a story under the jumping clock, lets everything come to rest and looks whether it did: no bug
in any journal, no octet held, no connection open, no task left. The default scene has two foreign domains:
``one.example`` on the servers ``one`` and ``one_next`` (MX 10 and 20), ``two.example`` on ``two``. With
``INBOUND_SITE`` the targets of our users are there: alice's and ann's at ``one.example``, bert's at
``two.example``, cleo's at both; strangers are in ``remote.example``, whose bounces go to ``remote``.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

from ptt import topology
from ptt.errors import MisuseError
from ptt.rehearsal.simulation.chain import DOMAIN, PASSWORD, SMTP, SUBMISSIONS, SimulatedChain, Site
from ptt.rehearsal.simulation.chronicle import Chronicle
from ptt.rehearsal.simulation.clients import Draft, Habits, MailProgram
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.name_servers import NameServer
from ptt.rehearsal.simulation.network import Break, Network
from ptt.rehearsal.simulation.pipes import Shape
from ptt.rehearsal.simulation.senders import POSTFIX, Letter, Manner, StrangersServer
from ptt.rehearsal.simulation.targets import Target
from ptt.rehearsal.simulation.world import BEGINNING, SimulatedWorld
from ptt.rehearsal.simulation.zones import authorities

T = TypeVar("T")

ZONE = """
one.example          MX 10 mx1.one.example
one.example          MX 20 mx2.one.example
mx1.one.example      A  198.51.100.1
mx2.one.example      A  198.51.100.2
two.example          MX 10 mx.two.example
mx.two.example       A  198.51.100.3
"""
QUICK_SITE = Site(ZONE, selectors=("ed1",))
STRANGERS_ZONE = """
remote.example       TXT "v=spf1 ip4:203.0.113.0/24 -all"
remote.example       MX 10 mx.remote.example
mx.remote.example    A  198.51.100.4
example.org          TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.example.org   TXT "v=DMARC1; p=reject"
"""
USERS = {
    "alice": {"targets": ["alice@one.example"]},
    "ann": {"targets": ["ann@one.example"]},
    "bert": {"targets": ["bert@two.example"]},
    "cleo": {"targets": ["cleo@one.example", "cleo@two.example"]},
}
TARGETS_OF = {f"{user}@{DOMAIN}": tuple(each["targets"]) for user, each in USERS.items()}
INBOUND_SITE = Site(
    ZONE + STRANGERS_ZONE,
    users=(),
    settings={"relay": {"users": USERS}},
    selectors=(),
    line=topology.INBOUND,
)
DNS_UNITS = tuple(manifest.name for manifest in topology.DNS)
LIFE_S = 100_000.0  # of simulated time: a story of hours, each wait of ours minutes
REST_S = 1.0  # a last word arrives within it; whatever waits longer is waited for by the drain


class Scene:
    """See the module."""

    def __init__(self, seed: int | str, shape: Shape | None = None, site: Site | None = None) -> None:
        self.seed = seed
        self.chronicle = Chronicle()
        self.network = Network(seed) if shape is None else Network(seed, shape)
        self.chain = SimulatedChain(self.network, site or QUICK_SITE, self.chronicle, seed)
        self.one = self._target("198.51.100.1", "mx1.one.example")
        self.one_next = self._target("198.51.100.2", "mx2.one.example")
        self.two = self._target("198.51.100.3", "mx.two.example")
        self.remote = self._target("198.51.100.4", "mx.remote.example")
        site = self.chain.site
        served = authorities(site.zone) if site.has_dns else {}
        self.name_servers = {
            host: NameServer(self.network, host, authority, self.chronicle)
            for host, authority in served.items()
        }
        self._hosts = count(1)
        self._tokens = count(1)
        self.disturbances: list[tuple[float, str]] = []
        self._silences: list[float] = []
        """When a path broke and nobody was told."""
        self.programs: list[MailProgram] = []
        self.servers: list[StrangersServer] = []

    @property
    def targets(self) -> tuple[Target, ...]:
        """All mail servers that take mail from us, but for the strangers' own."""
        return (self.one, self.one_next, self.two)

    def program(self, user: str = "alice", habits: Habits = Habits()) -> MailProgram:  # noqa: B008 - frozen
        """A mail program of a user, on a host of its own."""
        world = SimulatedWorld(self.network, f"203.0.113.{next(self._hosts)}")
        program = MailProgram(world, SUBMISSIONS, f"{user}@example.org", PASSWORD, self.chronicle, habits)
        self.programs.append(program)
        return program

    def draft(self, *recipients: str, body: bytes = b"Hello\r\n") -> Draft:
        """A new mail."""
        return Draft(recipients, f"mail-{next(self._tokens)}.", body)

    def server(self, manner: Manner = POSTFIX) -> StrangersServer:
        """A stranger's mail server, on a host of its own."""
        world = SimulatedWorld(self.network, f"203.0.113.{next(self._hosts)}")
        server = StrangersServer(world, SMTP, self.chronicle, manner)
        self.servers.append(server)
        return server

    def letter(self, *users: str, body: bytes = b"Hello\r\n") -> Letter:
        """A new mail from a stranger to users of ours."""
        recipients = tuple(user if "@" in user else f"{user}@{DOMAIN}" for user in users)
        return Letter(recipients, f"letter-{next(self._tokens)}.", body)

    def kill(self, unit: str) -> None:
        """Kill a unit, and remember when; those that only answer questions are no excuse for anything."""
        if unit not in DNS_UNITS:
            self.disturbances.append((asyncio.get_running_loop().time(), unit))
        self.chain.kill(unit)

    def cut(self, host: str, how: Break) -> None:
        """Break all connections to a host, and remember when, as with ``kill``."""
        if not any(host in self.chain.hosts(unit) for unit in DNS_UNITS):
            self.disturbances.append((asyncio.get_running_loop().time(), host))
        self.chronicle.tell("network", f"all connections to {host} break: {how.value}")
        self.network.cut_now(host, how)
        if how is Break.SILENCE:
            self._silences.append(asyncio.get_running_loop().time())

    def was_disturbed(self, begin: float, end: float, *where: str) -> bool:
        """Whether any of these (any at all) was killed or cut between two times."""
        cuts = [(time, target.host) for target in self.targets for time in target.cuts]
        all_times = (*self.disturbances, *cuts)
        return any(begin <= time <= end and (not where or who in where) for time, who in all_times)

    def was_silenced(self, begin: float, end: float) -> bool:
        """Whether a path broke between two times so that nobody could know who had left."""
        return any(begin <= time <= end for time in self._silences)

    def relay_said_250_for(self, recipient: str, begin: float, end: float) -> bool:
        """Whether the relay has answered with nothing but 250, between two times, for it and others."""
        return any(
            begin <= (line.at - BEGINNING).total_seconds() <= end and _is_all_250(line.outcome)
            for name, journal in self.chain.journals
            if name.startswith("relay.")
            for line in journal.lines
            if recipient in line.forward_paths
        )

    async def end(self) -> None:
        """Let everything come to rest, and look whether it did."""
        for program in self.programs:
            await program.leave()
        for server in self.servers:
            await server.leave()
        await asyncio.sleep(REST_S)
        await self.chain.stop()
        for target in (*self.targets, self.remote):
            await target.close()
        for name_server in self.name_servers.values():
            name_server.close()
        await asyncio.sleep(REST_S)
        faults = [*self.chain.failures, *self._leaks()]
        if faults:
            raise MisuseError("\n".join(faults))

    def _target(self, host: str, name: str) -> Target:
        return Target(self.network, host, name, self.chronicle)

    def _leaks(self) -> list[str]:
        leaks = [
            f"{name}.{generation.number} still holds {held:g} octets at its end"
            for name, generation in self.chain.ended
            if (held := generation.gauges.get("held_octets", 0)) != 0
        ]
        leaks += [
            f"a task is left: {task}" for task in asyncio.all_tasks() if task is not asyncio.current_task()
        ]
        return [*leaks, *(f"left open: {connection}" for connection in self.network.connections)]


def _is_all_250(outcome: str | None) -> bool:
    return set(re.findall(r"(?:^| / )(\d{3})", outcome or "x")) == {"250"}


def play(
    story: Callable[[Scene], Awaitable[T]],
    seed: int | str = 1,
    shape: Shape | None = None,
    site: Site | None = None,
) -> T:
    """Run a story to its end; what goes wrong carries the whole chronicle."""
    scenes: list[Scene] = []

    async def main() -> T:
        scene = Scene(seed, shape, site)
        scenes.append(scene)
        await scene.chain.start()
        result = await story(scene)
        await scene.end()
        return result

    try:
        return simulate(main, LIFE_S)
    except Exception as error:
        if scenes:
            error.add_note(f"what came to pass (seed {seed}):\n{scenes[0].chronicle}")
        raise
