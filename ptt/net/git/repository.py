"""A Git repository as a unit uses it: fetch and push as coroutines whose outcomes are values.

Names are asked of our resolver, connections are the world's, a local repository's stream is the host's. What
blocks runs in a thread; the whole of it is bounded in time, and what is late is ended by closing its sockets.
"""

import asyncio
import concurrent.futures
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from ptt.errors import Malformed, MisuseError
from ptt.net.git.client import Author, Head, Reach, Unchanged, fetch_head, messages_since, push_change
from ptt.net.git.failures import GitFailed, GitTroubleError, RemoteMovedError
from ptt.net.git.wire import STEP_S
from ptt.net.world import ConnectFailed, Endpoint, World
from ptt.protocol.dns.addresses import is_address
from ptt.protocol.dns.lookup import A, Aaaa, Lookup, RecordType
from ptt.protocol.dns.name import Name
from ptt.records.keys import SSH, PrivateKey, parse_key
from ptt.records.repository import LocalPlace, Repository

T = TypeVar("T")

CONNECT_S = 10.0  # per address; it is also how long each single step may take
WHOLE_S = 60.0  # for a fetch or a push in all
MAX_ADDRESSES = 4
MAX_PUSHES = 6  # somebody else is faster each time: then it is no accident

OpenLocal = Callable[[str, str], Awaitable[socket.socket | GitFailed]]
"""Asks the host for a stream to a repository by name, for ``upload-pack`` or ``receive-pack``."""
Change = Callable[[Mapping[str, bytes]], Mapping[str, bytes | None] | Malformed]
"""What to change of the files as they are: new contents by name, None removes. Done again after a race."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The change is at the branch's head. ``commit`` is empty where nothing was to be changed."""

    commit: str
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(slots=True, eq=False)
class _Doing:
    """What one call has open, to be closed when it is late."""

    sockets: list[socket.socket] = field(default_factory=list)
    connecting: "concurrent.futures.Future[socket.socket | GitFailed] | None" = None
    is_over: bool = False


class GitRepository:
    """See the module. ``key_text``: the secret ``ssh_key``, read when it is first needed."""

    def __init__(
        self,
        world: World,
        repository: Repository,
        *,
        lookup: Lookup | None = None,
        key_text: str = "",
        open_local: OpenLocal | None = None,
    ) -> None:
        self.repository = repository
        self._world = world
        self._lookup = lookup
        self._key_text = key_text
        self._key: PrivateKey | None = None
        self._open_local = open_local
        self._host_key_kinds: dict[bytes, tuple[str, ...]] = {}
        self._open: set[_Doing] = set()

    async def fetch(self, known: str | None) -> Head | Unchanged | GitFailed:
        """The branch's head, unless it is the known commit."""
        return await self._do(lambda reach: fetch_head(reach, self.repository.branch, known))

    async def messages_since(self, last: str | None) -> Mapping[str, str] | GitFailed:
        """The messages of the commits since the last one that was taken."""
        return await self._do(lambda reach: messages_since(reach, self.repository.branch, last))

    async def push(self, change: Change, author: str, message: str) -> Pushed | Malformed | GitFailed:
        """Commit a change and push it; where somebody else was faster, on top of theirs.

        ``author``: ``NAME <MAIL>``. Malformed: ``change`` has refused.
        """
        for _ in range(MAX_PUSHES):
            head = await self._do(lambda reach: fetch_head(reach, self.repository.branch, None))
            if isinstance(head, GitFailed | Unchanged):
                return head if isinstance(head, GitFailed) else GitFailed("nothing was fetched")
            changes = change(head.files)
            if isinstance(changes, Malformed):
                return changes
            files = _changed(head.files, changes)
            if files == head.files:
                return Pushed("", files)
            commit = await self._push(head, changes, author, message)
            if commit is not None:
                return commit if isinstance(commit, GitFailed) else Pushed(commit, files)
        return GitFailed(f"somebody else has pushed {MAX_PUSHES} times meanwhile")

    def close(self) -> None:
        """Give up what is under way."""
        for doing in list(self._open):
            _end(doing)

    async def _push(
        self, head: Head, changes: Mapping[str, bytes | None], author: str, message: str
    ) -> str | GitFailed | None:
        """The commit; None: somebody else was faster."""
        by = Author(author, int(self._world.wall_time().timestamp()))

        def push(reach: Reach) -> str | None:
            try:
                return push_change(reach, head, changes, by, message)
            except RemoteMovedError:
                return None

        return await self._do(push)

    async def _do(self, work: Callable[[Reach], T]) -> T | GitFailed:
        doing = _Doing()
        loop = asyncio.get_running_loop()

        def connect(service: str) -> socket.socket:
            """Called in the thread; the connection is made in the loop."""
            if doing.is_over:
                raise GitTroubleError("it is too late")
            doing.connecting = asyncio.run_coroutine_threadsafe(self._connect(service, doing), loop)
            made = doing.connecting.result(WHOLE_S)
            if isinstance(made, GitFailed):
                raise GitTroubleError(made.reason, needs_operator=made.needs_operator)
            return made

        def call() -> T | GitFailed:
            try:
                return work(
                    Reach(
                        self.repository.place,
                        connect,
                        self._ssh_key(),
                        host_key_kinds=self._host_key_kinds,
                    )
                )
            except GitTroubleError as error:
                return error.failed
            except Exception as error:  # noqa: BLE001 - dulwich and paramiko raise anything about odd servers
                return GitFailed(_words(error))

        self._open.add(doing)
        try:
            async with asyncio.timeout(WHOLE_S):
                return await self._world.wait_in_thread(call)
        except TimeoutError:
            return GitFailed(f"it took longer than {WHOLE_S:g} s")
        finally:
            self._open.discard(doing)
            _end(doing)

    async def _connect(self, service: str, doing: _Doing) -> socket.socket | GitFailed:
        place = self.repository.place
        if isinstance(place, LocalPlace):
            if self._open_local is None:
                raise MisuseError("there is no host to ask for a local repository")
            made = await self._open_local(place.name, service)
        else:
            made = await self._connect_remote(place.host, place.port)
        if isinstance(made, GitFailed):
            return made
        if doing.is_over:
            made.close()
            return GitFailed("it is too late")
        made.settimeout(STEP_S)
        # A copy of the descriptor: whoever uses the socket closes it, and what is ours still ends the stream.
        doing.sockets.append(made.dup())
        return made

    async def _connect_remote(self, host: str, port: int) -> socket.socket | GitFailed:
        addresses = await self._addresses(host)
        if isinstance(addresses, GitFailed):
            return addresses
        reasons = []
        for address in addresses:
            made = await self._world.connect_socket(Endpoint(address, port), CONNECT_S)
            if not isinstance(made, ConnectFailed):
                return made
            reasons.append(made.reason)
        return GitFailed("; ".join(reasons))

    async def _addresses(self, host: str) -> list[str] | GitFailed:
        if is_address(host):
            return [host]
        name = Name.parse(host)
        if isinstance(name, Malformed) or self._lookup is None:
            return GitFailed(f"{host} is no address, and there is nobody to ask for names")
        found: list[str] = []
        for kind in (RecordType.AAAA, RecordType.A):
            answer = await self._lookup.query(name, kind)
            found += [str(each.address) for each in answer.records if isinstance(each, A | Aaaa)]
        return found[:MAX_ADDRESSES] or GitFailed(f"{host} has no address, or names cannot be asked now")

    def _ssh_key(self) -> PrivateKey | None:
        """Called in a thread: a key made of a seed takes seconds."""
        if self._key is None and self._key_text:
            key = parse_key(self._key_text, SSH)
            if isinstance(key, Malformed):
                raise GitTroubleError(key.reason, needs_operator=True)
            self._key = key
        return self._key


def _changed(files: Mapping[str, bytes], changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    changed = {**files, **{name: content for name, content in changes.items() if content is not None}}
    for name, content in changes.items():
        if content is None:
            changed.pop(name, None)
    return changed


def _end(doing: _Doing) -> None:
    doing.is_over = True
    if doing.connecting is not None:
        doing.connecting.cancel()  # else a thread would wait for a loop that has ended
    for each in doing.sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
    doing.sockets.clear()


def _words(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"the server did not answer within {STEP_S:g} s"
        case EOFError() | ConnectionError():
            return "the server has closed the connection"
        case _:
            said = " ".join(str(error).split()) or type(error).__name__
            return said[:300]
