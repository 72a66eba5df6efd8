"""The common life of a unit: ready, served, drained, ended; every ``service.py`` runs through here.

``Life.run`` says ``Ready`` with the generation's certificate and then does what the host says: it serves the
listeners that are published, reads no more from those withdrawn, says which it reads from, hands peers, state
and probes to the unit and passes answers to who asked. At ``Drain`` it accepts nothing more and runs the
unit's ``drain`` while the host is still listened to (transactions under way ask and learn of peers), then
says ``Drained``. A host that is gone means the same, with a short deadline: whoever comes next starts units
of its own.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from ptt.boot import (
    Answer,
    Changed,
    Drain,
    Drained,
    GiveAnswer,
    GiveState,
    GiveStream,
    Peers,
    Probe,
    Publish,
    PutQuestion,
    Ready,
    Serving,
    Superseded,
    Time,
    Withdraw,
)
from ptt.net.counters import Counters
from ptt.net.late_server import LateServer
from ptt.net.questions import Questions
from ptt.net.unit import Unit
from ptt.net.world import Acceptor, Published, Server

COUNTERS_EVERY_S = 10.0  # often enough for a page, seldom enough to cost nothing
HOST_GONE_DRAIN_S = 30.0  # ends what is in the middle of a message; nobody new can come

ServiceFactory = Callable[[], asyncio.Protocol]
"""Makes the protocol of one accepted connection."""
Service = ServiceFactory | Acceptor


def leave_it(_frame: GiveState | Probe) -> None:
    """Take no notice of what this unit has no use for."""


def leave_name(_repository: str) -> None:
    """Take no notice: this unit has no repository."""


def close_it(_frame: GiveStream, stream: object) -> None:
    """Close a stream that nobody has asked for."""
    if isinstance(stream, socket.socket):
        stream.close()


def say_nothing(_question: PutQuestion) -> bytes | None:
    """Answer nothing: this unit owns nothing that another could ask about."""
    return None


def own_nothing() -> None:
    """Take no notice that another generation is published."""


async def nothing_to_drain(_deadline_s: float) -> None:
    """Drain a unit that has nothing open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a unit does when its host says so. ``drain`` gets the seconds that it has; it is cut off then.

    ``wait_served``: what must have come about before listeners are served, where there is something.
    """

    on_peers: Callable[[Peers], None]
    on_state: Callable[[GiveState], None] = leave_it
    on_probe: Callable[[Probe], None] = leave_it
    on_stream: Callable[[GiveStream, object], None] = close_it
    on_changed: Callable[[str], None] = leave_name
    on_question: Callable[[PutQuestion], bytes | None] = say_nothing
    on_superseded: Callable[[], None] = own_nothing
    drain: Callable[[float], Awaitable[None]] = nothing_to_drain
    wait_served: Callable[[], Awaitable[None]] | None = None


class Life:
    """One generation of a unit, from ready to drained.

    ``services`` has a factory for each of the manifest's listeners, by name; ``counters`` and ``questions``
    are those that the unit itself uses, when it has any.
    """

    def __init__(
        self,
        unit: Unit,
        services: Mapping[str, Service],
        orders: Orders,
        counters: Counters | None = None,
        questions: Questions | None = None,
    ) -> None:
        self._unit = unit
        self._services = services
        self._orders = orders
        self._counters = counters if counters is not None else Counters()
        self._questions = questions if questions is not None else Questions(unit.control)
        self._servers: dict[str, list[Server]] = {}
        self._drain_deadline: asyncio.Future[float]
        self._group: asyncio.TaskGroup

    async def run(self) -> None:
        """Live; returns when everything is drained."""
        self._drain_deadline = asyncio.get_running_loop().create_future()
        self._unit.control.send(Ready(self._unit.identity.certificate, self._unit.closed))
        async with asyncio.TaskGroup() as group:
            self._group = group
            helpers = (group.create_task(self._obey()), group.create_task(self._tell_counters()))
            deadline_s = await self._drain_deadline
            self._withdraw(tuple(self._servers))
            await self._drain(deadline_s)
            for helper in helpers:
                helper.cancel()
        self._send_counters()
        self._unit.control.send(Drained())

    async def _obey(self) -> None:
        """Do what the host says until it is gone."""
        while (said := await self._unit.control.receive()) is not None:
            match said.frame:
                case Publish():
                    await self._publish(said.published)
                    self._tell_serving()
                case Withdraw(names):
                    self._withdraw(names)
                    self._tell_serving()
                case Drain(deadline_s):
                    self._begin_drain(deadline_s)
                case Peers() as peers:
                    self._orders.on_peers(peers)
                case GiveState() as state:
                    self._orders.on_state(state)
                case GiveAnswer() | PutQuestion() | Superseded() as frame:
                    self._converse(frame)
                case GiveStream() as answer:
                    self._orders.on_stream(answer, said.stream)
                case Changed(repository):
                    self._orders.on_changed(repository)
                case Probe() as probe:
                    self._orders.on_probe(probe)
                case Time():
                    pass  # units of the process backend have the system's clock
                case _ as never:
                    assert_never(never)
        self._questions.host_gone()
        self._begin_drain(HOST_GONE_DRAIN_S)

    def _converse(self, frame: GiveAnswer | PutQuestion | Superseded) -> None:
        """Questions between units, and who is to be asked."""
        match frame:
            case GiveAnswer():
                self._questions.answered(frame)
            case PutQuestion(number):
                self._unit.control.send(Answer(number, self._orders.on_question(frame)))
            case Superseded():
                self._orders.on_superseded()
            case _ as never:
                assert_never(never)

    async def _publish(self, published: tuple[Published, ...]) -> None:
        """Serve what is new, of one name on several addresses too; names served already move to these."""
        if self._drain_deadline.done():
            return
        self._withdraw(tuple(each.listener.name for each in published))
        for each in published:
            service = self._services[each.listener.name]
            acceptor = service if isinstance(service, Acceptor) else Acceptor(service)
            serve = partial(self._unit.world.serve, each.handle, acceptor.factory, acceptor.tls_first)
            wait = self._orders.wait_served
            server = await serve() if wait is None else LateServer(self._group, wait, serve, each.handle)
            self._servers.setdefault(each.listener.name, []).append(server)

    def _withdraw(self, names: tuple[str, ...]) -> None:
        for name in names:
            for server in self._servers.pop(name, ()):
                server.close()

    def _tell_serving(self) -> None:
        self._unit.control.send(Serving(tuple(self._servers)))

    def _begin_drain(self, deadline_s: float) -> None:
        """The first order to drain counts; the host itself ends who takes longer than it allows."""
        if not self._drain_deadline.done():
            self._drain_deadline.set_result(deadline_s)

    async def _drain(self, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s) as limit:
                await self._orders.drain(deadline_s)
        except TimeoutError:
            if not limit.expired():
                raise
            self._counters.count("drain_cut_off")

    async def _tell_counters(self) -> None:
        while True:
            await asyncio.sleep(COUNTERS_EVERY_S)
            self._send_counters()

    def _send_counters(self) -> None:
        frame = self._counters.take()
        if frame is not None:
            self._unit.control.send(frame)
