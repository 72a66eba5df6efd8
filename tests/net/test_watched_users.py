"""A list of users from a real repository that a host serves: its state, its successor, its alarms."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ptt.boot import BootRecord, GiveStream, KeepState, OpenRepository
from ptt.errors import Malformed
from ptt.host.repositories import LocalRepository, RepositoryServer
from ptt.net.repository_watch import Watches
from ptt.net.system import SystemWorld
from ptt.net.tls import LinkIdentity
from ptt.net.unit import Unit
from ptt.net.watched_users import WatchedUsers
from ptt.records.compressed import compress
from ptt.records.repository import RepositorySettings
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser, parse_relay_user
from ptt.rehearsal.peers.git_server import Operator
from ptt.rehearsal.simulation.control import SimulatedControl, SimulatedJournal

ALICE = b'{"targets": ["alice@home.com"]}'


@dataclass(slots=True)
class Scene:
    """One generation of a unit with one repository, and its host."""

    world: SystemWorld
    path: Path
    control: SimulatedControl = field(default_factory=SimulatedControl)
    journal: SimulatedJournal = field(default_factory=SimulatedJournal)
    lists: list[UserList[RelayUser]] = field(default_factory=list)
    watches: Watches = field(init=False)
    users: WatchedUsers[RelayUser] = field(init=False)

    def __post_init__(self) -> None:
        boot = BootRecord("relay", 1, "mail.mirage.org", "", {}, {})
        unit = Unit(boot, self.world, self.control, self.journal, LinkIdentity(b"", b""))
        self.watches = Watches(unit, None)
        settings = RepositorySettings("local:relay", poll_s=0.5)
        self.users = WatchedUsers(unit, self.watches, settings, parse_relay_user, self.lists.append)

    async def serve(self) -> None:
        """Answer as the host does."""
        server = RepositoryServer()
        answered = 0
        try:
            while True:
                asked = await self.control.wait_for(OpenRepository, answered + 1)
                answered += 1
                stream = server.open({"relay": LocalRepository(self.path)}, asked, print)
                if isinstance(stream, str):
                    self.watches.stream(GiveStream(asked.number, stream), None)
                else:
                    self.watches.stream(GiveStream(asked.number), stream)
        finally:
            server.close()

    def state(self) -> list[tuple[str, bytes]]:
        """What the host keeps."""
        return [(each.key, each.value) for each in self.control.heard if isinstance(each, KeepState)]

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not what():  # noqa: ASYNC110 - the unit tells of nothing
                await asyncio.sleep(0.01)

    def names(self) -> list[str]:
        return sorted(self.users.users.users) if self.users.users is not None else []


def run(
    path: Path, work: Callable[[Scene], Awaitable[None]], *, begin: Callable[[Scene], None] = lambda _: None
) -> None:
    async def live() -> None:
        world = SystemWorld()
        scene = Scene(world, path)
        begin(scene)
        serving = asyncio.create_task(scene.serve())
        scene.watches.start()
        try:
            await work(scene)
        finally:
            await scene.watches.close()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            world.close()
        assert scene.journal.failures == []

    asyncio.run(live())


@pytest.fixture
def operator(open_folder: Path, require_program: Callable[[str], str]) -> Operator:
    require_program("git")
    made = Operator(open_folder, "relay")
    made.push(dict.fromkeys(("alice", "bruno", "carol", "dora", "eva"), ALICE))
    return made


def state_of(path: Path) -> list[tuple[str, bytes]]:
    """What a generation leaves with the host when it has seen the repository as it is."""
    kept: list[tuple[str, bytes]] = []

    async def work(scene: Scene) -> None:
        await scene.until(scene.state)
        kept.extend(scene.state())

    run(path, work)
    return kept


def test_a_successor_has_the_list_before_it_asks(operator: Operator, tmp_path: Path) -> None:
    state = state_of(operator.bare)

    async def work(scene: Scene) -> None:
        assert scene.names() == ["alice", "bruno", "carol", "dora", "eva"]
        await scene.until(lambda: scene.journal.alarms)
        assert "what was there before holds" in scene.journal.alarms[0]
        assert len(scene.names()) == 5

    run(tmp_path / "gone.git", work, begin=lambda scene: scene.users.take_over(state))


def test_a_successor_knows_that_the_list_has_shrunk(operator: Operator) -> None:
    state = state_of(operator.bare)
    operator.push(dict.fromkeys(("bruno", "carol", "dora", "eva")))

    async def work(scene: Scene) -> None:
        await scene.until(lambda: scene.names() == ["alice"])
        scene.users.take_over(state)  # the host's word comes after the repository's
        assert len(scene.names()) == 5
        await scene.until(lambda: scene.journal.alarms)
        assert "has 1 users where there were 5" in scene.journal.alarms[0]
        await asyncio.to_thread(operator.push, {}, "Meant\n\nUsers-Removed: yes")
        await scene.until(lambda: scene.names() == ["alice"])
        assert scene.state()[-1] != state[-1]

    run(operator.bare, work)


def test_what_the_host_kept_badly_is_nothing(operator: Operator) -> None:
    async def work(scene: Scene) -> None:
        await scene.until(scene.names)

    def begin(scene: Scene) -> None:
        bad_text = b"\x83\xa6commit\xa1\xff\xa4size\x01\xa5files\x80"
        for rubbish in (b"rubbish", compress(b"rubbish"), compress(bad_text)):
            scene.users.take_over([("users repository", rubbish), ("something", b"else")])
            assert scene.users.users is None

    run(operator.bare, work, begin=begin)


def test_a_repository_that_is_gone_is_told_once_and_once_more_when_it_is_back(operator: Operator) -> None:
    away = operator.bare.with_suffix(".away")

    async def work(scene: Scene) -> None:
        await scene.until(scene.names)
        operator.bare.rename(away)
        scene.watches.changed("relay")
        await scene.until(lambda: scene.journal.alarms)
        for _ in range(3):
            scene.watches.changed("relay")
            await asyncio.sleep(0.3)
        assert len(scene.journal.alarms) == 1
        away.rename(operator.bare)
        scene.watches.changed("relay")
        await scene.until(lambda: len(scene.journal.alarms) == 2)
        assert scene.journal.alarms[1] == "relay: the repository can be had again"

    run(operator.bare, work)


def test_after_a_bug_the_next_commit_is_looked_at(operator: Operator) -> None:
    def parse(name: str, content: bytes) -> RelayUser | Malformed:
        if name == "mallory":
            raise ArithmeticError
        return parse_relay_user(name, content)

    async def work(scene: Scene) -> None:
        await scene.until(scene.names)
        await asyncio.to_thread(operator.push, {"mallory": ALICE})
        scene.watches.changed("relay")
        await scene.until(lambda: scene.journal.failures)
        assert len(scene.names()) == 5
        scene.journal.failures.clear()
        await asyncio.to_thread(operator.push, {"mallory": None, "frank": ALICE})
        scene.watches.changed("relay")
        await scene.until(lambda: "frank" in scene.names())

    run(operator.bare, work, begin=lambda scene: setattr(scene.users, "_parse", parse))
