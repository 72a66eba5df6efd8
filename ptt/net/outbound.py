"""Connections to mail servers of the Internet: which server of a destination, and when one is used again.

Servers are tried in their order, the addresses of each raced; before the data the next one takes over from
a server that cannot be reached, does not serve, or refuses MAIL for now (RFC 5321 §5.1). After the
handshake of STARTTLS failed, mail that may go in clear goes by a new connection. A connection is used again
only on the same ``Way``, that is the same destination, policy and identity; never more than the limits
allow. What a failure means is not decided here.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from ptt.net.deadlines import CONNECT_TIMEOUT_S
from ptt.net.racing import connect_first, source_for
from ptt.net.smtp_client import ClientConnection, Lost, open_connection
from ptt.net.world import ConnectFailed, Endpoint, TlsFacts, TlsFailed, TlsRole, World
from ptt.protocol.smtp.attempt import Broke, NoTls, Said, Stage, TlsBroke, Word, is_accepted
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import Login
from ptt.protocol.smtp.extensions import Keyword

GREETING_TIMEOUT_S = 60.0  # postscreen takes 6 s, Exim with delays 30 s (specs/receivers.md section 7)
GREETING_BEFORE_NEXT_S = 30.0  # where there is another server to try
HELLO_TIMEOUT_S = 30.0
TLS_TIMEOUT_S = 20.0
LOGIN_TIMEOUT_S = 30.0
IDLE_S = 20.0  # a connection kept for the next message; most servers close after 30 s to 5 min
DEFAULT_CONNECTIONS = 5
DEFAULT_MESSAGES = 20


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server by name, and its addresses."""

    name: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """How a destination is reached.

    Connections are used again where ``key``, policy and login are the same.
    """

    key: Hashable
    servers: tuple[MailServer, ...]
    tls_role: Callable[[str], TlsRole]
    """Our side of a handshake with the server of that name."""
    may_be_clear: bool
    implicit_tls: bool = False
    login: Login | None = None

    @property
    def identity(self) -> Hashable:
        """What must be the same for a connection to be used again."""
        login = None if self.login is None else self.login.login
        return (self.key, self.may_be_clear, self.implicit_tls, login)


@dataclass(frozen=True, slots=True)
class Limits:
    """Towards one destination."""

    connections: int = DEFAULT_CONNECTIONS
    messages_per_connection: int = DEFAULT_MESSAGES


@dataclass(slots=True, eq=False)
class Line:
    """A connection that is ready for MAIL.

    ``host`` is the server's name, ``messages`` what it has carried.
    """

    host: str
    server: MailServer
    connection: ClientConnection
    messages: int = 0
    idle_until: float = 0.0
    has_timer: bool = False
    """One rings for it already: it is asked again then how long it has been idle."""


@dataclass(slots=True, eq=False)
class _Destination:
    """Who is busy with one destination."""

    free: asyncio.Semaphore
    users: int = 0
    idle: list[Line] = field(default_factory=list)


class Outbound:
    """All connections to mail servers.

    ``client_name`` is what EHLO says, ``source_addresses`` (one a family) what they leave by.
    """

    def __init__(
        self,
        world: World,
        client_name: str,
        limits: Limits = Limits(),
        source_addresses: Sequence[str] = (),
    ) -> None:
        self.world = world
        self._client_name = client_name
        self._source_addresses = tuple(source_addresses)
        self._limits = limits
        self._destinations: dict[Hashable, _Destination] = defaultdict(self._new_destination)
        self._leaving: set[asyncio.Task[None]] = set()

    async def acquire(self, way: Way, timeout_s: float) -> bool:
        """Wait for the right to use one connection on this way; False: all are busy.

        Give it back by ``release``.
        """
        destination = self._destinations[way.identity]
        destination.users += 1
        if not destination.free.locked():
            return await destination.free.acquire()
        is_acquired = False
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                await destination.free.acquire()
            is_acquired = True
        except TimeoutError:
            pass
        finally:
            if not is_acquired:
                self._one_user_less(way)
        return is_acquired

    def release(self, way: Way, line: Line | None) -> None:
        """Give back the right and, where it is still of use, the connection."""
        destination = self._destinations[way.identity]
        destination.free.release()
        if line is not None:
            line.messages += 1
            if line.connection.is_open and line.messages < self._limits.messages_per_connection:
                destination.idle.append(line)
                line.idle_until = self.world.now() + IDLE_S
                if not line.has_timer:
                    self._set_timer(way, line)
            else:
                self._leave(line)
        self._one_user_less(way)

    def idle_line(self, way: Way) -> Line | None:
        """A connection that is open and waits for work."""
        idle = self._destinations[way.identity].idle
        while idle:
            line = idle.pop()
            if line.connection.is_open:
                return line
            line.connection.abort()
        return None

    async def open_line(
        self, way: Way, server: MailServer, endpoints: Sequence[Endpoint], timeout_s: float, *, is_last: bool
    ) -> "tuple[Endpoint | None, Line | Word]":
        """Connect to one of a server's addresses and get ready for MAIL.

        Gives the address that was used up, None when none of them answered, and the word when it came to
        nothing.
        """
        deadline = self.world.now() + timeout_s
        connection = await connect_first(
            self.world,
            endpoints,
            ClientSettings(),
            timeout_s,
            implicit_tls=way.implicit_tls,
            source_addresses=self._source_addresses,
        )
        if isinstance(connection, ConnectFailed):
            return None, Broke(server.name, Stage.CONNECTION, connection.reason)
        endpoint = connection.endpoint
        word = await self._introduce(way, server, connection, deadline, use_tls=True, is_last=is_last)
        if isinstance(word, TlsBroke) and way.may_be_clear and not way.implicit_tls:
            again = await open_connection(
                self.world,
                endpoint,
                ClientSettings(),
                min(CONNECT_TIMEOUT_S, deadline - self.world.now()),
                source_for(endpoint, self._source_addresses),
            )
            if isinstance(again, ClientConnection):
                connection = again
                word = await self._introduce(
                    way, server, connection, deadline, use_tls=False, is_last=is_last
                )
        return endpoint, Line(server.name, server, connection) if word is None else word

    async def close(self) -> None:
        """Take leave of all idle connections."""
        for destination in self._destinations.values():
            for line in destination.idle:
                self._leave(line)
            destination.idle.clear()
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _introduce(
        self,
        way: Way,
        server: MailServer,
        connection: ClientConnection,
        deadline: float,
        *,
        use_tls: bool,
        is_last: bool,
    ) -> Word | None:
        """Greeting, EHLO, TLS, login; whatever fails closes the connection. None: ready for MAIL."""
        introduction = _Introduction(self.world, self._client_name, server.name, connection, deadline)
        word: Word | None = Broke(server.name, Stage.CONNECTION, "given up")
        try:
            word = await introduction.run(way, use_tls=use_tls, is_last=is_last)
        finally:
            if isinstance(word, Said) and connection.is_open:
                self._leave(Line(server.name, server, connection))
            elif word is not None:
                connection.abort()
        return word

    def _leave(self, line: Line) -> None:
        """Say QUIT without letting anybody wait for it."""
        task = asyncio.ensure_future(line.connection.quit())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _set_timer(self, way: Way, line: Line) -> None:
        line.has_timer = True
        asyncio.get_running_loop().call_at(line.idle_until, self._idle_ended, way, line)

    def _idle_ended(self, way: Way, line: Line) -> None:
        line.has_timer = False
        destination = self._destinations.get(way.identity)
        if destination is None or line not in destination.idle:
            return
        if self.world.now() < line.idle_until:  # it has carried something meanwhile
            self._set_timer(way, line)
            return
        destination.idle.remove(line)
        self._leave(line)
        self._forget_unused(way)

    def _new_destination(self) -> _Destination:
        return _Destination(asyncio.Semaphore(self._limits.connections))

    def _one_user_less(self, way: Way) -> None:
        self._destinations[way.identity].users -= 1
        self._forget_unused(way)

    def _forget_unused(self, way: Way) -> None:
        destination = self._destinations[way.identity]
        if destination.users == 0 and not destination.idle:
            del self._destinations[way.identity]


class _Introduction:
    """The way from a new connection to MAIL."""

    def __init__(
        self, world: World, client_name: str, host: str, connection: ClientConnection, deadline: float
    ) -> None:
        self._world = world
        self._client_name = client_name
        self._host = host
        self._connection = connection
        self._deadline = deadline

    async def run(self, way: Way, *, use_tls: bool, is_last: bool) -> Word | None:
        """Do all of it; see ``Outbound._introduce``."""
        if way.implicit_tls and (word := await self._secure(way.tls_role(self._host))):
            return word
        greeting_s = GREETING_TIMEOUT_S if is_last else GREETING_BEFORE_NEXT_S
        greeting = await self._connection.greeting(self._left(greeting_s))
        if isinstance(greeting, Lost):
            return self._broke(Stage.GREETING, greeting)
        if not greeting.is_completed:
            return Said(self._host, Stage.GREETING, greeting)
        if word := await self._hello():
            return word
        if not way.implicit_tls and (word := await self._start_tls(way, use_tls=use_tls)):
            return word
        return await self._login(way.login) if way.login is not None else None

    async def _hello(self) -> Word | None:
        greeted = await self._connection.hello(self._client_name, self._left(HELLO_TIMEOUT_S))
        if isinstance(greeted, Lost):
            return self._broke(Stage.HELLO, greeted)
        return None if greeted.extensions is not None else Said(self._host, Stage.HELLO, greeted.reply)

    async def _start_tls(self, way: Way, *, use_tls: bool) -> Word | None:
        offer = self._connection.dialogue.extensions
        if not use_tls:
            return None
        if offer is None or not offer.offers(Keyword.STARTTLS):
            return None if way.may_be_clear else NoTls(self._host)
        facts = await self._connection.start_tls(way.tls_role(self._host), self._left(TLS_TIMEOUT_S))
        match facts:
            case TlsFacts():
                return await self._hello()
            case TlsFailed(reason):
                return TlsBroke(self._host, reason)
            case Lost():
                return self._broke(Stage.TLS, facts)
            case _:  # RFC 3207 §4: a server that offers STARTTLS and refuses it
                return None if way.may_be_clear else TlsBroke(self._host, f"STARTTLS was refused: {facts}")

    async def _secure(self, role: TlsRole) -> Word | None:
        facts = await self._connection.secure(role, self._left(TLS_TIMEOUT_S))
        return None if isinstance(facts, TlsFacts) else TlsBroke(self._host, facts.reason)

    async def _login(self, login: Login) -> Word | None:
        replies = await self._connection.ask(login, timeout_s=self._left(LOGIN_TIMEOUT_S))
        if isinstance(replies, Lost):
            return self._broke(Stage.LOGIN, replies)
        word = Said(self._host, Stage.LOGIN, replies[0])
        return None if is_accepted(word) else word

    def _left(self, timeout_s: float) -> float:
        return max(min(timeout_s, self._deadline - self._world.now()), 0.0)

    def _broke(self, stage: Stage, lost: Lost) -> Word:
        return said_or_broke(self._host, stage, lost)


def said_or_broke(host: str, stage: Stage, lost: Lost) -> Word:
    """The 421 that a connection ended with is the server's word; else there is none."""
    return Broke(host, stage, lost.reason) if lost.reply is None else Said(host, stage, lost.reply)
