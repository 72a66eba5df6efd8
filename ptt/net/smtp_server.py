"""The server's side of SMTP and LMTP on a connection: moves bytes between a transport and ``ServerDialogue``.

A unit's session is a coroutine that asks for the next event and replies to it. Reading stops while the
session is behind, so a peer that sends faster than the next hop takes is held back by TCP. Clocks run from
the moment our process read the end of the data (``data_ended_at``). Whatever a session raises is a bug of
ours: 451 4.3.0 to the peer, the traceback to the journal.
"""

import array
import asyncio
import fcntl
import termios
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

from ptt.net.unit import Unit
from ptt.net.world import Acceptor, Endpoint, TlsFacts, TlsFailed, TlsRole
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    QuitReceived,
    ServerEvent,
    ServerSettings,
    TlsRequested,
)
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.server import ServerDialogue

T = TypeVar("T")

COMMAND_TIMEOUT_S = 300.0  # RFC 5321 §4.5.3.2.7: at least 5 minutes
DATA_TIMEOUT_S = 180.0  # RFC 5321 §4.5.3.2.5: 3 minutes between pieces of the message
TLS_TIMEOUT_S = 30.0  # a handshake takes two round trips; slower ones are slow-loris
MAX_UNREAD_OCTETS = 256 * 1024  # input kept for a session that is behind; then TCP holds the peer back
MAX_CONNECTIONS = 1000  # of one listener; each costs about 60 kB with TLS
FULL_SERVICE_WHILE_DRAINING_S = 120.0  # DESIGN section 9
LAST_WORD_S = 0.2  # between polls of a drain that waits for sessions to end

BUG = Reply(
    451, "4.3.0", "Something failed here, not in your mail. Nothing was lost: please try again later."
)
LEAVING = Reply(421, "4.3.2", "This server is being replaced. Please connect again.")
TOO_SLOW = Reply(421, "4.4.2", "Nothing came for too long, closing the connection.")
TOO_MANY = Reply(421, "4.7.0", "Too many connections, please try again later.")


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over.

    ``orderly``: the peer said QUIT or closed after it had acknowledged all we sent.
    """

    orderly: bool


class ServerConnection(asyncio.Protocol):
    """One connection of a peer; see the module. Made by ``SmtpService.factory``."""

    def __init__(self, service: "SmtpService") -> None:
        self._service = service
        self._world = service.unit.world
        self.dialogue = ServerDialogue(service.settings, tls=service.implicit_tls)
        self.peer = Endpoint("", 0)
        """The address and port of the peer."""
        self.tls: TlsFacts | None = None
        self.data_ended_at = 0.0
        self._transport: asyncio.Transport
        self._last_read_at = 0.0
        self._unread = 0
        self._reading = True
        self._writable = True
        self._receiving_data = False
        self._closed: Closed | None = None
        self._wake: asyncio.Future[None] | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        self._transport = transport  # type: ignore[assignment] # uvloop's transports are none by inheritance
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        self.peer = Endpoint(str(host), int(port))
        self._service.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the dialogue and wake the session."""
        self._last_read_at = self._world.now()
        self._unread += len(data)
        self.dialogue.receive_data(data)
        if self._unread > MAX_UNREAD_OCTETS and self._reading:
            self._reading = False
            self._transport.pause_reading()
        self._awake()

    def eof_received(self) -> bool:
        """Note an orderly end; what was sent before it is still served."""
        self.dialogue.receive_eof()
        if self._closed is None:
            self._closed = Closed(orderly=self._unacknowledged() == 0)
        self._awake()
        # Under TLS the transport closes itself; else it stays open for the replies to what came before.
        return self.tls is None and not self._service.implicit_tls

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        """Note the end."""
        if self._closed is None:
            self._closed = Closed(orderly=False)
        self._awake()

    def pause_writing(self) -> None:
        """The peer does not read its replies: serve it no further until it does."""
        self._writable = False

    def resume_writing(self) -> None:
        """It reads again."""
        self._writable = True
        self._awake()

    # What a session calls

    @property
    def is_lmtp(self) -> bool:
        """Whether the peer is one of our units (RFC 2033), no stranger."""
        return self._service.settings.flavour is Flavour.LMTP

    @property
    def peer_address(self) -> IPv4Address | IPv6Address | None:
        """The peer's address where it tells anything: not between units."""
        return None if self.is_lmtp or not self.peer.host else ip_address(self.peer.host)

    async def next_event(self) -> ServerEvent | Closed:
        """What the peer does next. TLS is handled here; so are time-outs (421) and QUIT."""
        while True:
            event = self.dialogue.next_event() if self._writable else None
            self.flush()
            match event:
                case None:
                    if not await self._wait_for_input():
                        return self._closed or Closed(orderly=False)
                case TlsRequested():
                    if not await self.upgrade():
                        return Closed(orderly=False)
                case QuitReceived():
                    self._transport.close()
                    return Closed(orderly=True)
                case _:
                    self._note(event)
                    return event

    def reply(self, *replies: Reply) -> None:
        """Answer the event that waits, at once."""
        if self._closed is not None:
            self._closed = Closed(orderly=False)  # it left before this answer, so it cannot have taken it
        self.dialogue.reply(*replies)
        self.flush()

    async def watch(self, work: Coroutine[Any, Any, T]) -> T | Closed:
        """Wait for ``work`` and notice when the peer leaves meanwhile: then it is cancelled."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                if self._closed is not None:
                    return self._closed
                waiter = self._new_waiter()
                await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    def flush(self) -> None:
        """Write what the dialogue has queued."""
        buffers = self.dialogue.data_to_send()
        if buffers and not self._transport.is_closing():
            self._transport.write(b"".join(buffers))

    def close(self) -> None:
        """Send what is written, then close."""
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    # Within

    async def upgrade(self) -> bool:
        """Do the handshake; False: it failed and the connection is closed."""
        if not self._service.implicit_tls:
            self._transport.pause_reading()
        role = self._service.tls_role()
        upgraded = await self._world.start_tls(self._transport, self, role, TLS_TIMEOUT_S)
        if isinstance(upgraded, TlsFailed):
            self._service.count("tls_failed")
            self._closed = self._closed or Closed(orderly=False)
            return False
        self._transport, self.tls = upgraded
        self._reading, self._unread = True, 0
        if not self._service.implicit_tls:
            self.dialogue.tls_established()
        return self._service.is_welcome(self.tls) or self._dismiss()

    def _dismiss(self) -> bool:
        self._service.count("wrong_certificate")
        self._transport.abort()
        return False

    def _note(self, event: ServerEvent) -> None:
        match event:
            case DataReceived() | DataRequested():
                self._receiving_data = True
            case DataFinished():
                self._receiving_data = False
                self.data_ended_at = self._last_read_at
            case _:
                self._receiving_data = False

    async def _wait_for_input(self) -> bool:
        """Wait until there is something to do; False: closed."""
        self._unread = 0
        if not self._reading and self._closed is None:
            self._reading = True
            self._transport.resume_reading()
        if self._closed is not None:
            self._transport.close()
            return False
        timeout_s = DATA_TIMEOUT_S if self._receiving_data else COMMAND_TIMEOUT_S
        try:
            async with asyncio.timeout(timeout_s):
                await self._new_waiter()
        except TimeoutError:
            if self._writable:
                self._transport.write(TOO_SLOW.encode())
                self._transport.close()
            else:
                self._transport.abort()
            self._closed = Closed(orderly=False)
            return False
        return True

    def _new_waiter(self) -> "asyncio.Future[None]":
        if self._wake is None or self._wake.done():
            self._wake = asyncio.get_running_loop().create_future()
        return self._wake

    def _awake(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _unacknowledged(self) -> int:
        """Octets that we wrote and the peer's kernel has not acknowledged (SIOCOUTQ, tcp(7))."""
        if self._transport.is_closing():
            return 1  # we have closed it ourselves, and a TLS transport tells nothing any more
        pending = self._transport.get_write_buffer_size()
        sock = self._transport.get_extra_info("socket")
        if sock is None:
            return int(self._transport.get_extra_info("unacknowledged", 0)) + pending
        try:
            count = array.array("i", [0])
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
        except OSError:
            return 1  # cannot know: not orderly
        return count[0] + pending


Session = Callable[[ServerConnection], Awaitable[None]]


class SmtpService:
    """All connections of one listener: makes them, bounds their number, drains them.

    ``tls_role`` gives the present server's side (certificates turn over in service); ``is_welcome`` judges
    the peer's certificate after the handshake (pins).
    """

    def __init__(
        self,
        unit: Unit,
        settings: ServerSettings,
        session: Session,
        tls_role: Callable[[], TlsRole],
        *,
        implicit_tls: bool = False,
        is_welcome: Callable[[TlsFacts], bool] = lambda _facts: True,
        count: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.unit = unit
        self.settings = settings
        self.implicit_tls = implicit_tls
        self.tls_role = tls_role
        self.is_welcome = is_welcome
        self.count = count
        self._session = session
        self._open: dict[ServerConnection, asyncio.Task[None]] = {}
        self._leaving = False

    @property
    def acceptor(self) -> Acceptor:
        """What serves a listener with this, for ``Life``."""
        return Acceptor(self.factory, self.tls_role if self.implicit_tls else None)

    def factory(self) -> ServerConnection:
        """Make the protocol of a new connection, for ``World.serve``."""
        return ServerConnection(self)

    def opened(self, connection: ServerConnection) -> None:
        """Start the session of a connection that has just been made."""
        task = asyncio.ensure_future(self._run(connection))
        self._open[connection] = task
        task.add_done_callback(lambda _task: self._open.pop(connection, None))

    @property
    def open_connections(self) -> int:
        """How many are open."""
        return len(self._open)

    async def drain(self, deadline_s: float) -> None:
        """Let what is open end.

        Full service, then 421 to the next command, then the cap (DESIGN section 9).
        """
        loop_end = self.unit.world.now() + deadline_s
        grace_end = self.unit.world.now() + min(FULL_SERVICE_WHILE_DRAINING_S, deadline_s / 2)
        while self._open and self.unit.world.now() < loop_end:
            if self.unit.world.now() >= grace_end and not self._leaving:
                self._leaving = True
                for connection in list(self._open):
                    connection.dialogue.shut_down(LEAVING)
                    connection.flush()
            await asyncio.wait(self._open.values(), timeout=LAST_WORD_S)
        await self.close()

    async def close(self) -> None:
        """End all sessions now."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, connection: ServerConnection) -> None:
        try:
            if connection.dialogue.tls and not await connection.upgrade():
                return
            if len(self._open) > MAX_CONNECTIONS or self._leaving:
                connection.dialogue.refuse(LEAVING if self._leaving else TOO_MANY)
                await connection.next_event()
                return
            connection.dialogue.greeting()
            await self._session(connection)
        except Exception as error:  # noqa: BLE001 - the one place where a bug becomes a reply
            self.unit.journal.failure("session", error)
            self.count("bugs")
            self._apologise(connection)
        finally:
            connection.flush()
            connection.close()

    @staticmethod
    def _apologise(connection: ServerConnection) -> None:
        wanted = connection.dialogue.replies_wanted
        if wanted:
            connection.reply(*[BUG] * wanted)
