"""The client's side of SMTP and LMTP on a connection: coroutines around ``ClientDialogue``.

Every wait has an end (``timeout_s``). What the network does is a value: ``Lost`` says that the connection is
gone, broken or too slow; if that was after the end of the data, the outcome is unknown. Bodies and chunks are
written as the buffers they came in, and writing waits while the peer is behind.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ptt.net.waiting import Waiting
from ptt.net.world import ConnectFailed, Endpoint, TlsFacts, TlsFailed, TlsRole, World
from ptt.protocol.smtp.client import ClientDialogue, ClientSettings
from ptt.protocol.smtp.commands import (
    Answered,
    ClientCommand,
    ClientEvent,
    FinalAnswered,
    Greeted,
    GreetingReceived,
    Hello,
    ProtocolBroken,
    Quit,
    Reset,
    ServerClosing,
    StartTls,
)
from ptt.protocol.smtp.reply import RemoteReply

QUIT_TIMEOUT_S = 5.0  # politeness has an end


@dataclass(frozen=True, slots=True)
class Lost:
    """No connection any more, or no answer in time. ``reply`` is the 421 that it ended with, if any."""

    reason: str
    reply: RemoteReply | None = None


@dataclass(frozen=True, slots=True)
class StillWaiting:
    """The verdict has not come yet; the session stays open for it."""


class ClientConnection(asyncio.Protocol):
    """A connection to a server; opened by ``open_connection``."""

    def __init__(
        self, world: World, endpoint: Endpoint, settings: ClientSettings, *, implicit_tls: bool = False
    ) -> None:
        self.endpoint = endpoint
        self.dialogue = ClientDialogue(settings, tls=implicit_tls)
        self.tls: TlsFacts | None = None
        self._world = world
        self._transport: asyncio.Transport
        self._writable = True
        self._lost: Lost | None = None
        self._kept: ClientEvent | None = None
        self._waiting = Waiting()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment] # uvloop's transports are none by inheritance

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the dialogue."""
        self.dialogue.receive_data(data)
        self._waiting.wake()

    def eof_received(self) -> bool:
        """The server leaves; replies that came before are still read."""
        self.dialogue.receive_eof()
        self._lost = self._lost or Lost("the server closed the connection")
        self._waiting.wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        reason = f"the connection broke ({exc})" if exc else "the connection was closed"
        self._lost = self._lost or Lost(reason)
        self._waiting.wake()
        self._waiting.close()

    def pause_writing(self) -> None:
        """The peer is behind."""
        self._writable = False

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._writable = True
        self._waiting.wake()

    # What callers use

    @property
    def is_open(self) -> bool:
        """Whether nothing has ended it yet; while idle, an unasked 421 counts as the end."""
        is_over = self.dialogue.closed or (self.dialogue.is_idle and self.dialogue.next_event() is not None)
        if self._lost is None and is_over:
            self._lost = Lost("the server ended the idle connection")
            self._transport.close()
        return self._lost is None

    async def greeting(self, timeout_s: float) -> RemoteReply | Lost:
        """Wait for the whole opening (postscreen and others send it in parts)."""
        event = await self._next(timeout_s)
        match event:
            case GreetingReceived(reply):
                return reply
            case Lost():
                return event
            case _:
                return self._broken(event)

    async def hello(self, client_name: str, timeout_s: float) -> Greeted | Lost:
        """Say EHLO or LHLO; the offer is in ``dialogue.extensions`` too."""
        self.dialogue.send(Hello(client_name))
        self._flush()
        event = await self._next(timeout_s)
        match event:
            case Greeted() | Lost():
                return event
            case _:
                return self._broken(event)

    async def start_tls(self, role: TlsRole, timeout_s: float) -> TlsFacts | RemoteReply | TlsFailed | Lost:
        """STARTTLS and the handshake; a reply is the server's refusal. Say ``hello`` again afterwards."""
        answered = await self.ask(StartTls(), timeout_s=timeout_s)
        if isinstance(answered, Lost):
            return answered
        if not answered[0].is_completed:
            return answered[0]
        return await self.secure(role, timeout_s)

    async def secure(self, role: TlsRole, timeout_s: float) -> TlsFacts | TlsFailed | Lost:
        """Do the handshake on the spot: after STARTTLS, or first of all where TLS is implicit."""
        upgraded = await self._world.start_tls(self._transport, self, role, timeout_s)
        if isinstance(upgraded, TlsFailed):
            self._lost = self._lost or Lost(upgraded.reason)
            return upgraded
        self._transport, self.tls = upgraded
        if not self.dialogue.tls:
            self.dialogue.tls_established()
        return self.tls

    async def ask(self, *commands: ClientCommand, timeout_s: float) -> tuple[RemoteReply, ...] | Lost:
        """Send commands, pipelined where the server allows it; one reply for each, in order."""
        self.dialogue.send(*commands)
        self._flush()
        replies: list[RemoteReply] = []
        deadline = self._world.now() + timeout_s
        while len(replies) < len(commands):
            event = await self._next(deadline - self._world.now())
            match event:
                case Answered(command, reply):
                    if any(command is ours for ours in commands):  # else a reply to an earlier chunk
                        replies.append(reply)
                    self._flush()
                case FinalAnswered() if isinstance(commands[0], Reset):
                    pass  # a chunk was refused meanwhile, which RSET clears away (RFC 3030 §2)
                case Lost():
                    return event
                case _:
                    return self._broken(event)
        return tuple(replies)

    def send(self, *commands: ClientCommand) -> None:
        """Send commands without waiting; their answers come by ``answers`` or ``verdict``."""
        self.dialogue.send(*commands)
        self._flush()

    async def write_body(
        self, buffers: Sequence[bytes], *, last: bool, timeout_s: float
    ) -> RemoteReply | Lost | None:
        """Write a piece of the message after 354, dot-stuffed; ``last`` adds the end of the data.

        None when written; a reply when the server refused in the middle (it is read before the failure of the
        write, mail servers do close like that).
        """
        self.dialogue.send_body(buffers, last=last)
        self._flush()
        return await self.written(timeout_s)

    async def written(self, timeout_s: float) -> RemoteReply | Lost | None:
        """Wait until the transport takes more; an early refusal ends the wait."""
        deadline = self._world.now() + timeout_s
        while not (self._writable or self.dialogue.closed or self.dialogue.body_refused or self._lost):
            remaining = deadline - self._world.now()
            if remaining <= 0 or not await self._wait(remaining):
                return self._give_up("the server takes no more data")
        if self._lost is None and not self.dialogue.body_refused:
            return None  # a 421 waits for who asks for the verdict
        return self._why_not_written()

    def _why_not_written(self) -> RemoteReply | Lost | None:
        """The refusal, or what else the server said last; None: it has the whole message and has answered."""
        while True:
            event = self.dialogue.next_event()
            match event:
                case Answered(_, reply) if reply.is_completed:
                    continue  # BDAT's replies to chunks before the refused one
                case FinalAnswered((reply, *_)) if self.dialogue.body_refused:
                    return reply
                case FinalAnswered():
                    self._kept = event
                    return None
                case ServerClosing(reply):
                    return reply
                case _:
                    return self._lost or self._broken(event)

    async def verdict(self, timeout_s: float) -> tuple[RemoteReply, ...] | StillWaiting | Lost:
        """Wait for the replies after the data. ``StillWaiting`` leaves the session open: ask again."""
        deadline = self._world.now() + timeout_s
        while True:
            event = self._take()
            match event:
                case FinalAnswered(replies):
                    return replies
                case Answered(_, reply) if reply.is_completed:
                    continue  # BDAT's replies to chunks before the last
                case Answered(_, reply):
                    return self._give_up(f"refused while sending: {reply}", reply)
                case Lost():
                    return event
                case None:
                    if not await self._wait(deadline - self._world.now()):
                        return StillWaiting()
                case _:
                    return self._broken(event)

    async def quit(self) -> None:
        """Take leave; never fails."""
        if self.is_open:
            await self.ask(Quit(), timeout_s=QUIT_TIMEOUT_S)
        self._lost = self._lost or Lost("we have left")
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once, without the end of the data."""
        self._lost = self._lost or Lost("we gave up")
        self._transport.abort()

    # Within

    def _flush(self) -> None:
        buffers = self.dialogue.data_to_send()
        if buffers and self._lost is None:
            self._transport.writelines(buffers)

    def _take(self) -> ClientEvent | Lost | None:
        """The next event if there is one; ``Lost`` only when all that came before the end was read."""
        event, self._kept = self._kept or self.dialogue.next_event(), None
        self._flush()
        match event:
            case None:
                return self._lost
            case ServerClosing(reply):
                self._transport.close()
                self._lost = Lost(f"the server left: {reply}", reply)
                return self._lost
            case ProtocolBroken(reason):
                return self._give_up(reason)
            case _:
                return event

    async def _next(self, timeout_s: float) -> ClientEvent | Lost:
        deadline = self._world.now() + timeout_s
        while (event := self._take()) is None:
            remaining = deadline - self._world.now()
            if remaining <= 0 or not await self._wait(remaining):
                return self._give_up("no answer in time")
        return event

    async def _wait(self, timeout_s: float) -> bool:
        """Wait for anything to happen; False: nothing did."""
        return await self._waiting.wait(timeout_s)

    def _give_up(self, reason: str, reply: RemoteReply | None = None) -> Lost:
        self._lost = self._lost or Lost(reason, reply)
        self._transport.abort()
        return self._lost

    def _broken(self, event: object) -> Lost:
        return self._give_up(f"the server answered out of turn ({type(event).__name__})")


async def open_connection(
    world: World,
    endpoint: Endpoint,
    settings: ClientSettings,
    timeout_s: float,
    local_host: str | None = None,
    *,
    implicit_tls: bool = False,
) -> ClientConnection | ConnectFailed:
    """Connect.

    The greeting is still to come. ``implicit_tls``: ``secure`` must come before it (RFC 8314 §3).
    """
    return await world.connect(
        endpoint,
        lambda: ClientConnection(world, endpoint, settings, implicit_tls=implicit_tls),
        timeout_s,
        local_host,
    )
