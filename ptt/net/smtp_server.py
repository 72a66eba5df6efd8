"""The server's side of SMTP and LMTP on a connection: moves bytes between a transport and ``ServerDialogue``.

A unit's session is a coroutine that asks for the next event and replies to it. Reading stops while the
session is behind, so a peer that sends faster than the next hop takes is held back by TCP. Clocks run from
the moment our process read the end of the data (``data_ended_at``). Who says nothing for too long, or its
message octet by octet, is told so and closed (421), earlier where the listener is crowded.
"""

import array
import asyncio
import fcntl
import termios
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol, TypeVar

from ptt.net.unit import Unit
from ptt.net.waiting import Waiting
from ptt.net.world import Endpoint, TlsFacts, TlsFailed, TlsRole
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
DATA_TIMEOUT_S = 180.0  # RFC 5321 §4.5.3.2.5: 3 minutes for a piece of the message
DATA_PIECE_OCTETS = 64 * 1024  # such a piece; the slowest of mobile networks carries it in half a minute
CROWDED_TIMEOUT_S = 10.0  # for a command where places are few: an honest program's next one comes at once
TLS_TIMEOUT_S = 30.0  # a handshake takes two round trips; slower ones are slow-loris
MAX_UNREAD_OCTETS = 256 * 1024  # input kept for a session that is behind; then TCP holds the peer back
READS_TOLD_APART_S = 0.05  # how exactly we know when an octet was read; bounds what is kept of that
ACKNOWLEDGED_WITHIN_S = 5.0  # how long a peer that said QUIT too early may take to acknowledge our answer
CLOSING_S = 30.0  # for the last of what we wrote; a peer that never reads would keep its connection for ever

TOO_SLOW = Reply(421, "4.4.2", "Nothing came for too long, closing the connection.")


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over.

    ``orderly``: the peer said QUIT, or it closed or we did after it had acknowledged all we sent.
    """

    orderly: bool


class Listening(Protocol):
    """What a connection asks of the listener that it came by: ``SmtpService``."""

    unit: Unit
    settings: ServerSettings
    implicit_tls: bool
    tls_role: Callable[[], TlsRole]
    is_welcome: Callable[[TlsFacts], bool]
    count: Callable[[str], None]

    @property
    def is_crowded(self) -> bool:
        """Whether places are few, so that nobody is waited for long."""

    def opened(self, connection: "ServerConnection") -> None:
        """Start the session of a connection that has just been made."""


class ServerConnection(asyncio.Protocol):
    """One connection of a peer; see the module. Made by ``SmtpService.factory``."""

    def __init__(self, service: "Listening") -> None:
        self._service = service
        self._world = service.unit.world
        self.dialogue = ServerDialogue(service.settings, tls=service.implicit_tls)
        self.peer = Endpoint("", 0)
        """The address and port of the peer."""
        self.tls: TlsFacts | None = None
        self.data_ended_at = 0.0
        self.data_read_at = 0.0
        """When we read the last of the octets that were handed out."""
        self._transport: asyncio.Transport
        self._received_octets = 0
        self._reads: deque[tuple[int, float]] = deque()  # how much had come, and when that was read
        self._reading = True
        self._writable = True
        self._receiving_data = False
        self._patience_s = DATA_TIMEOUT_S
        self._piece_from = 0  # where in all that was received the piece begins that has this long
        self._handshaking = False
        self._closing: asyncio.TimerHandle | None = None
        self._is_lost = False
        self._closed: Closed | None = None
        self._waiting = Waiting()
        self._watched: asyncio.Task[object] | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        self._transport = transport  # type: ignore[assignment] # uvloop's transports are none by inheritance
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        self.peer = Endpoint(str(host), int(port))
        self._service.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the dialogue and wake the session."""
        now = self._world.now()
        self._received_octets += len(data)
        if self._reads and now - self._reads[-1][1] < READS_TOLD_APART_S:
            now = self._reads.pop()[1]
        self._reads.append((self._received_octets, now))
        self.dialogue.receive_data(data)
        if self.dialogue.unread_octets > MAX_UNREAD_OCTETS and self._reading:
            self._reading = False
            self._transport.pause_reading()
        self._waiting.wake()

    def eof_received(self) -> bool:
        """Note an orderly end; what was sent before it is still served."""
        self.dialogue.receive_eof()
        if self._closed is None:
            self._closed = Closed(orderly=self._unacknowledged() == 0)
        self._left()
        # Under TLS the transport closes itself; else it stays open for the replies to what came before.
        return self.tls is None and not self._service.implicit_tls

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        """Note the end."""
        if self._closed is None:
            self._closed = Closed(orderly=False)
        self._is_lost = True
        if self._closing is not None:
            self._closing.cancel()
        self._left()
        self._waiting.close()

    def pause_writing(self) -> None:
        """The peer does not read its replies: serve it no further until it does."""
        self._writable = False

    def resume_writing(self) -> None:
        """It reads again."""
        self._writable = True
        self._waiting.wake()

    # What a session calls

    @property
    def is_lmtp(self) -> bool:
        """Whether the peer is one of our units (RFC 2033), no stranger."""
        return self._service.settings.flavour is Flavour.LMTP

    @property
    def peer_address(self) -> IPv4Address | IPv6Address | None:
        """The peer's address where it tells anything: not between units."""
        if self.is_lmtp or not self.peer.host:
            return None
        address = ip_address(self.peer.host)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return mapped or address  # RFC 4291 §2.5.5.2: what a socket for both families makes of IPv4

    async def next_event(self) -> ServerEvent | Closed:
        """What the peer does next. TLS is handled here; so are time-outs (421) and QUIT."""
        deadline: float | None = None
        while True:
            event = self.dialogue.next_event() if self._writable else None
            if self.flush():
                deadline = None  # a whole command has come, else a peer could keep us with single octets
            match event:
                case None if self._receiving_data:
                    if not await self._wait_for_data():
                        return self._end()
                case None:
                    if deadline is None:
                        timeout_s = CROWDED_TIMEOUT_S if self._service.is_crowded else COMMAND_TIMEOUT_S
                        deadline = self._world.now() + timeout_s
                    if not await self._wait_for_input(deadline):
                        return self._end()
                case TlsRequested():
                    if not await self.upgrade():
                        return Closed(orderly=False)
                case QuitReceived():
                    closed = Closed(orderly=await self._has_taken_all())
                    self.close()
                    return closed
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
        if self._closed is not None:
            work.close()
            return self._closed
        self._read_on()
        # In this task: one of its own costs more than a short question does.
        task = self._watched = asyncio.current_task()
        try:
            result = await work
            if self._watched is None:
                await asyncio.sleep(0)  # it was ended in its last step: what ends it comes here, not later
        except asyncio.CancelledError:
            is_ours = self._watched is None
            if task is None or not is_ours or task.uncancel() > 0:
                raise  # somebody else ends this session
            return self._end()
        else:
            return result
        finally:
            self._watched = None

    def flush(self) -> bool:
        """Write what the dialogue has queued; whether there was anything."""
        buffers = self.dialogue.data_to_send()
        if buffers and not self._transport.is_closing():
            self._transport.write(b"".join(buffers))
        return bool(buffers)

    def dismiss(self, reply: Reply) -> None:
        """Say a 421 that nothing asked for (RFC 5321 §3.8) and close."""
        is_heard = self._closed is None and not (self._handshaking or self.dialogue.closing)
        if self._closed is None:
            # Who has had our last words for so long and was saying nothing has taken them.
            is_idle = is_heard and self.dialogue.unread_octets == 0
            self._closed = Closed(orderly=is_idle and self._unacknowledged() == 0)
        if is_heard and not self._transport.is_closing():
            self._transport.write(reply.encode())
        self.close()

    def close(self) -> None:
        """Send what is written, then close."""
        self._transport.close()
        if not self._is_lost and self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSING_S, self._transport.abort)

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    # Within

    async def upgrade(self) -> bool:
        """Do the handshake; False: it failed and the connection is closed."""
        if self._closed is not None:
            return False
        if not self._service.implicit_tls:
            self._transport.pause_reading()
        role = self._service.tls_role()
        self._handshaking = True
        upgraded = await self._world.start_tls(self._transport, self, role, TLS_TIMEOUT_S)
        self._handshaking = False
        if isinstance(upgraded, TlsFailed):
            self._service.count("tls_failed")
            self._closed = Closed(orderly=False)
            return False
        self._transport, self.tls = upgraded
        self._reading = True
        if not self._service.implicit_tls:
            self.dialogue.tls_established()
        return self._service.is_welcome(self.tls) or self._dismiss()

    def _dismiss(self) -> bool:
        self._service.count("wrong_certificate")
        self._transport.abort()
        return False

    async def _wait_for_data(self) -> bool:
        """Wait for more of the message; what counts is the time that we wait, not what the next hop takes."""
        if self._received_octets - self._piece_from >= DATA_PIECE_OCTETS:
            self._begin_piece()
        begun = self._world.now()
        is_in_time = await self._wait_for_input(begun + self._patience_s)
        self._patience_s -= self._world.now() - begun
        return is_in_time

    def _begin_piece(self) -> None:
        self._piece_from, self._patience_s = self._received_octets, DATA_TIMEOUT_S

    def _note(self, event: ServerEvent) -> None:
        used_octets = self._received_octets - self.dialogue.unread_octets
        while len(self._reads) > 1 and self._reads[0][0] < used_octets:
            self._reads.popleft()
        self.data_read_at = self._reads[0][1] if self._reads else self._world.now()
        match event:
            case DataReceived() | DataRequested():
                if not self._receiving_data:
                    self._begin_piece()
                self._receiving_data = True
            case DataFinished():
                self._receiving_data = False
                self.data_ended_at = self.data_read_at
            case _:
                self._receiving_data = False

    async def _wait_for_input(self, deadline: float) -> bool:
        """Wait until there is something to do; False: closed."""
        self._read_on()
        if self._closed is not None:
            self.close()
            return False
        if await self._waiting.wait(deadline - self._world.now()):
            return True
        if not self._writable:
            self._transport.abort()
        self.dismiss(TOO_SLOW)
        return False

    def _read_on(self) -> None:
        """Take more from the peer if there is room; so we hear, too, when it leaves."""
        if not self._reading and self._closed is None and self.dialogue.unread_octets <= MAX_UNREAD_OCTETS:
            self._reading = True
            self._transport.resume_reading()

    async def _has_taken_all(self) -> bool:
        """Whether the peer has our last final reply: it may have said QUIT before that was given."""
        give_up_at, pause_s = self._world.now() + ACKNOWLEDGED_WITHIN_S, 0.005
        while self.dialogue.final_reply_waits and self._closed is None and self._unacknowledged():
            if self._world.now() >= give_up_at:
                return False
            await asyncio.sleep(pause_s)
            pause_s *= 2
        return self._closed is None or self._closed.orderly

    def _end(self) -> Closed:
        return self._closed or Closed(orderly=False)

    def _left(self) -> None:
        """The peer is gone: end what is done for it alone."""
        self._waiting.wake()
        task, self._watched = self._watched, None
        if task is not None:
            task.cancel()

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
        except (OSError, ValueError):
            return 1  # cannot know: not orderly
        return count[0] + pending
