"""The host: starts units, hands them their listeners, tells them of each other; the deeds of ``supervisor``.

Everything that happens goes through ``supervisor.handle`` one after the other; its effects are carried out
here at once, and what they come to is the next thing that happens. The host knows manifests and control
frames, no mail: state and answers pass it unread.
"""

import asyncio
import signal
import socket
import stat
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, assert_never

from ptt import boot
from ptt.boot import (
    Changed,
    Closed,
    Drain,
    GiveStream,
    Listener,
    OpenRepository,
    Publish,
    UnitFrame,
    encode,
)
from ptt.errors import ConfigError, MisuseError
from ptt.host.interpreter import base_interpreter, check_open_to_everybody
from ptt.host.listening import bound_to, listen_on, revive
from ptt.host.memory_locks import let_units_lock_memory
from ptt.host.private_listening import PrivateListeners
from ptt.host.process import Listeners, Program, UnitProcess
from ptt.host.repositories import PushWatch, RepositoryServer
from ptt.host.rights import rights_of
from ptt.host.supervision import (
    Added,
    Effect,
    Exited,
    HostState,
    HungUp,
    Input,
    Kill,
    Note,
    OpenStream,
    PublishListeners,
    ReplaceAsked,
    Said,
    Send,
    Start,
    Started,
    StopAsked,
    UnitState,
    Woken,
)
from ptt.host.supervisor import handle, next_wakeup
from ptt.host.unit_spec import JournalEntry, UnitSpec, boot_record, check_spec
from ptt.host.user_ids import can_have_own
from ptt.net.world import Endpoint
from ptt.records.journal import JournalLine, encode_line

FIRST_USER_ID = 64001  # Debian leaves 60000-64999 to packages; the units take theirs from here in order
MAX_UNITS = 16  # user ids in a row; there are eight units, and one that is deployed
KEPT_LINES = 10_000  # of the journal, some 4 MB: for the console; who wants all takes them as they come
REPLACE_LIMIT_S = 60.0
EXIT_NOT_STARTED = 71  # EX_OSERR
KILLED_LIMIT_S = 10.0  # beyond the last kill: a process that the kernel cannot end keeps nobody waiting


@dataclass(slots=True)
class _Running:
    """What the host holds of a generation."""

    process: UnitProcess
    spec: UnitSpec
    private: dict[str, socket.socket]
    counters: dict[str, float] = field(default_factory=dict)
    closed: Closed = field(default_factory=Closed)


class Host:
    """All units of one machine, as processes.

    ``private_host`` is the first of the addresses, in 127.0.0.0/8, that listeners between units are bound to.
    Where the host is root, and has so many user ids, each unit has one of its own, from ``first_user_id`` on.
    """

    def __init__(
        self,
        *,
        interpreter: Path | None = None,
        private_host: str = "127.0.0.1",
        first_user_id: int = FIRST_USER_ID,
        on_line: Callable[[JournalEntry], None] | None = None,
    ) -> None:
        self._interpreter = interpreter or base_interpreter()
        self._private = PrivateListeners(private_host)
        self._user_ids = first_user_id if can_have_own(first_user_id, MAX_UNITS) else None
        self._on_line = on_line
        self.journal: deque[JournalEntry] = deque(maxlen=KEPT_LINES)
        self.line_count = 0
        """Lines since the beginning, those that are kept no more too."""
        self._state = HostState()
        self._specs: dict[str, UnitSpec] = {}
        self._public: dict[str, list[tuple[Listener, socket.socket]]] = {}
        self._running: dict[tuple[str, int], _Running] = {}
        self._inbox: deque[Input] = deque()
        self._is_busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._repositories: RepositoryServer
        self._push_watch: PushWatch

    # What others ask of the host

    async def start(self, specs: Sequence[UnitSpec]) -> None:
        """Bind everything public, then start all units. ``ConfigError`` before anything runs."""
        self._loop = asyncio.get_running_loop()
        self._repositories = RepositoryServer()
        self._push_watch = PushWatch(self.pushed)
        for spec in specs:
            self._check(spec)
        try:
            for spec in specs:
                self._public[spec.manifest.name] = _bind_public(spec)
                self._private.reserve(spec.manifest)
        except ConfigError:
            self._close_public()
            self._private.close()
            raise
        let_units_lock_memory()
        # All are known before the first starts: a unit's rights depend on its callees.
        self._specs |= {spec.manifest.name: spec for spec in specs}
        for spec in specs:
            self._watch_repositories(spec)
            self._happen(Added(spec.manifest))

    async def ready(self, timeout_s: float) -> bool:
        """Wait until every unit is published; False: not in time, or one refused its boot record."""
        return await self._wait_for(
            lambda: all(unit.published for unit in self.units.values()),
            timeout_s,
            or_else=lambda: any(unit.refused for unit in self.units.values()),
        )

    async def replace(
        self, unit: str, spec: UnitSpec | None = None, timeout_s: float = REPLACE_LIMIT_S
    ) -> bool:
        """Put a new generation in the place of the old one, which drains.

        ``spec`` is what it runs from now on, with the same public listeners. False: it failed, and what was
        there still serves.
        """
        former = self._specs[unit]
        if spec is not None:
            self._check(spec)
            self._specs[unit] = spec
            self._watch_repositories(spec)
        number = self.units[unit].last_number + 1
        self._happen(ReplaceAsked(unit))

        def is_gone() -> bool:
            return number not in {each.number for each in self.units[unit].active}

        def is_published() -> bool:
            published = self.units[unit].published
            return published is not None and published.number >= number

        done = await self._wait_for(is_published, timeout_s, or_else=is_gone)
        if not done:
            self._specs[unit] = former
        return done

    def kill(self, unit: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the generation that serves."""
        published = self.units[unit].published
        if published is None:
            raise MisuseError(f"no generation of {unit} is published")
        self._running[unit, published.number].process.kill(number)

    async def stop(self, deadline_s: float) -> bool:
        """Drain everything, callers first, and end; False: something had to be killed."""
        self._happen(StopAsked(deadline_s))
        done = await self._wait_for(lambda: not self._running, deadline_s)
        if not done:
            await self._wait_for(lambda: not self._running, KILLED_LIMIT_S)
        if self._timer is not None:
            self._timer.cancel()
        self._push_watch.close()
        self._repositories.close()
        self._close_public()
        self._private.close()
        return done

    def end_now(self) -> None:
        """End everything without a drain, also one that runs; ``stop`` still has to be waited for."""
        self._happen(StopAsked(0.0))

    @property
    def units(self) -> Mapping[str, UnitState]:
        """What is known of all units, by name."""
        return self._state.units

    def endpoint(self, unit: str, listener: str) -> Endpoint:
        """Where a listener is reached: a public one, or the private one of the generation that serves."""
        for public, listening in self._public[unit]:
            if public.name == listener:
                return bound_to(listening)
        published = self.units[unit].published
        if published is None or listener not in published.private:
            raise MisuseError(f"{unit} does not serve {listener}")
        return published.private[listener]

    def pid(self, unit: str) -> int:
        """The process that serves."""
        published = self.units[unit].published
        if published is None:
            raise MisuseError(f"no generation of {unit} is published")
        return self._running[unit, published.number].process.pid

    def pid_of(self, unit: str, generation: int) -> int:
        """The process of a generation; 0 when it is gone."""
        held = self._running.get((unit, generation))
        return held.process.pid if held is not None else 0

    def pushed(self, path: Path) -> None:
        """Tell the units that have this repository that something may have been pushed to it."""
        for unit, spec in self._specs.items():
            names = [name for name, each in spec.repositories.items() if each.path == path]
            for (running, _), held in self._running.items():
                if running == unit:
                    for name in names:
                        held.process.send(encode(Changed(name)))

    def counters(self, unit: str) -> Mapping[int, Mapping[str, float]]:
        """What each running generation last counted."""
        return {number: held.counters for (name, number), held in self._running.items() if name == unit}

    def closed(self, unit: str) -> Closed:
        """How far the generation that serves is closed."""
        published = self.units[unit].published
        if published is None:
            raise MisuseError(f"no generation of {unit} is published")
        return self._running[unit, published.number].closed

    # What happens, and what is done about it

    def _happen(self, happened: Input) -> None:
        self._inbox.append(happened)
        if self._is_busy:  # an effect came to something: it is taken after the effects before it
            return
        self._is_busy = True
        before = self._state
        try:
            while self._inbox:
                step = handle(self._state, self._loop.time(), self._inbox.popleft())
                self._state = step.state
                for effect in step.effects:
                    self._do(effect)
        finally:
            self._is_busy = False
        if self._state is not before:
            self._set_timer()
            self._changed.set()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = next_wakeup(self._state)
        self._timer = self._loop.call_at(due, self._happen, Woken()) if due != inf else None

    def _do(self, effect: Effect) -> None:
        match effect:
            case Start(unit, generation):
                self._start(unit, generation)
            case Send(unit, generation, frame):
                if (held := self._running.get((unit, generation))) is not None:
                    held.process.send(encode(frame))
                    if isinstance(frame, Drain):
                        _close(held.private)  # nobody is to wait where nobody will answer
            case PublishListeners(unit, generation):
                self._publish(unit, generation)
            case Kill(unit, generation):
                if (held := self._running.get((unit, generation))) is not None:
                    held.process.kill()
            case Note(unit, generation, text):
                self._note(unit, generation, text)
            case OpenStream(unit, generation, asked):
                self._open_stream(unit, generation, asked)
            case _ as never:
                assert_never(never)

    def _start(self, unit: str, generation: int) -> None:
        spec = self._specs[unit]
        private: dict[str, socket.socket] = {}
        try:
            private = self._private.open(spec.manifest, generation)
            process = UnitProcess(
                Program(self._interpreter, spec.image, self._user_id(unit)),
                boot_record(spec, generation, self._rights(spec)),
                self._listeners(unit, generation),
            )
        except (OSError, ConfigError) as error:
            _close(private)
            self._note(unit, generation, f"cannot be started: {error}")
            self._happen(Exited(unit, generation, EXIT_NOT_STARTED))
            return
        self._running[unit, generation] = _Running(process, spec, private)
        self._happen(Started(unit, generation, {name: bound_to(each) for name, each in private.items()}))

    def _listeners(self, unit: str, generation: int) -> Listeners:
        def frame(said: UnitFrame) -> None:
            if isinstance(said, boot.Counters):
                self._running[unit, generation].counters = said.values
            if isinstance(said, boot.Ready):
                self._running[unit, generation].closed = said.closed
            self._happen(Said(unit, generation, said))

        def ended(code: int) -> None:
            _close(self._running.pop((unit, generation)).private)
            self._happen(Exited(unit, generation, code))

        return Listeners(
            on_frame=frame,
            on_hang_up=lambda reason: self._happen(HungUp(unit, generation, reason)),
            on_line=lambda line: self._write(unit, generation, line.decode(errors="replace")),
            on_exit=ended,
        )

    def _publish(self, unit: str, generation: int) -> None:
        held = self._running.get((unit, generation))
        if held is None:
            return
        if all(each.number <= generation for each in self.units[unit].active):
            self._specs[unit] = held.spec  # when a newer one has ended, what it ran is wanted no more
        private = [(_listener(name, each), each) for name, each in held.private.items()]
        listening = [*self._public[unit], *private]
        for listener, each in listening:
            if came_of_it := revive(each):
                self._note(unit, generation, f"listener {listener.name} {came_of_it}")
        frame = Publish(tuple(listener for listener, _ in listening))
        held.process.send(encode(frame), [each.fileno() for _, each in listening])

    def _rights(self, spec: UnitSpec) -> boot.Rights:
        callees = {name: each.manifest for name, each in self._specs.items()}
        own_user = self._user_ids is not None
        return rights_of(
            spec.manifest,
            callees,
            self._private.ports,
            own_user=own_user,
            named_ports=spec.connect_ports,
        )

    def _open_stream(self, unit: str, generation: int, asked: OpenRepository) -> None:
        held = self._running.get((unit, generation))
        if held is None:
            return
        opened = self._repositories.open(
            self._specs[unit].repositories, asked, lambda text: self._note(unit, generation, text)
        )
        if isinstance(opened, str):
            held.process.send(encode(GiveStream(asked.number, opened)))
            return
        with opened:
            held.process.send(encode(GiveStream(asked.number)), [opened.fileno()])

    def _user_id(self, unit: str) -> int | None:
        return None if self._user_ids is None else self._user_ids + list(self._specs).index(unit)

    def _check(self, spec: UnitSpec) -> None:
        check_spec(spec)
        if self._user_ids is not None:
            check_open_to_everybody(self._interpreter, stat.S_IXOTH)
            check_open_to_everybody(spec.image / "__main__.py", stat.S_IROTH)

    def _watch_repositories(self, spec: UnitSpec) -> None:
        for repository in spec.repositories.values():
            self._push_watch.watch(repository.path)

    def _note(self, unit: str, generation: int, text: str) -> None:
        line = JournalLine(at=datetime.now(UTC), event="host", unit=unit, generation=generation, detail=text)
        self._write(unit, generation, encode_line(line).decode())

    def _write(self, unit: str, generation: int, text: str) -> None:
        entry = JournalEntry(datetime.now(UTC), unit, generation, text)
        self.journal.append(entry)
        self.line_count += 1
        if self._on_line is not None:
            self._on_line(entry)

    def _close_public(self) -> None:
        for sockets in self._public.values():
            for _, listening in sockets:
                listening.close()

    async def _wait_for(
        self, condition: Callable[[], bool], timeout_s: float, or_else: Callable[[], bool] = lambda: False
    ) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not condition() and not or_else():
                    self._changed.clear()
                    await self._changed.wait()
        return condition()


def _bind_public(spec: UnitSpec) -> list[tuple[Listener, socket.socket]]:
    bound: list[tuple[Listener, socket.socket]] = []
    try:
        transports = {listen.name: listen.transport for listen in spec.manifest.listens}
        for name, endpoints in spec.public.items():
            for endpoint in endpoints:
                listening = listen_on(endpoint, f"{spec.manifest.name}.{name}", transports[name])
                bound.append((_listener(name, listening), listening))
    except ConfigError:
        _close(dict(bound))
        raise
    return bound


def _listener(name: str, listening: socket.socket) -> Listener:
    endpoint = bound_to(listening)
    transport = "udp" if listening.type == socket.SOCK_DGRAM else "tcp"
    return Listener(name, endpoint.host, endpoint.port, transport)


def _close(sockets: Mapping[Any, socket.socket]) -> None:
    for listening in sockets.values():
        listening.close()
