"""The client's side of SMTP and LMTP as a dialogue without I/O (RFC 5321 §4.3, RFC 2033).

Commands are queued by ``send`` and leave by ``data_to_send`` as far as RFC 2920 §3.1 allows; each reply comes
out of ``next_event`` in the order of the commands. Nothing leaves before the last line of the greeting
(postscreen and others listen for that). DATA waits until every RCPT before it is answered: only then is it
known whether a message should go, and so the lone dot of RFC 2920 §3.1 is needed in one rare case only, which
is handled here. BDAT may follow RCPT at once (RFC 3030 §4.2).

A reply counts only if it comes after its command was taken by ``data_to_send``: one that is there before was
written by somebody else or is an answer too many, and everything behind it would be ascribed to the wrong
command.

Once the dialogue is ``closed`` input is ignored, ``send`` and ``send_body`` drop what they get, and the
connection must be closed; an event has said why, unless the server left while nothing was open. Limits: those
of ``reply_reader``.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import ClassVar, cast

from ptt.errors import Malformed, MisuseError
from ptt.protocol.smtp.client_steps import DECISIVE, RULES, ClientSettings, Place, Sent, Step, prepare
from ptt.protocol.smtp.client_transaction import ANALYSIS_STARTED, ClientTransaction
from ptt.protocol.smtp.command_wire import write_helo
from ptt.protocol.smtp.commands import (
    Answered,
    Chunk,
    ClientCommand,
    ClientEvent,
    FinalAnswered,
    Greeted,
    GreetingReceived,
    Hello,
    Mail,
    Noop,
    ProtocolBroken,
    Reset,
    ServerClosing,
)
from ptt.protocol.smtp.extensions import Extensions, Flavour, Keyword
from ptt.protocol.smtp.login_exchange import LoginExchange
from ptt.protocol.smtp.offers import read_offer
from ptt.protocol.smtp.reply import RemoteReply
from ptt.protocol.smtp.reply_reader import ReplyReader
from ptt.protocol.smtp.sending import END_OF_DATA, OutgoingMessage

SERVER_LEAVES = 421  # RFC 5321 §3.8: may answer any command, and none


__all__ = ["ClientDialogue", "ClientSettings"]

_TO_FOREIGN_HOSTS = ClientSettings()


class ClientDialogue:
    """One connection to a server. Feed it octets, take events and octets from it; see the module's text."""

    def __init__(self, settings: ClientSettings = _TO_FOREIGN_HOSTS, *, tls: bool = False) -> None:
        self._settings = settings
        self._tls = tls
        self._closed = False
        self._extensions: Extensions | None = None
        self._reader = ReplyReader()
        self._events: deque[ClientEvent] = deque()
        self._queue: deque[Sent] = deque()
        self._owed: deque[Sent] = deque([Sent(Step.GREETING, Noop())])
        self._transaction = ClientTransaction(self._settings.flavour)
        self._body = OutgoingMessage()
        self._smtputf8 = False

    # ------------------------------------------------------------------------------ what the caller may know

    @property
    def extensions(self) -> Extensions | None:
        """What the server offered; None before EHLO was answered, and again after ``tls_established``."""
        return self._extensions

    @property
    def outstanding(self) -> int:
        """How many replies the server owes; the greeting and a message under way count as one each."""
        return len(self._owed)

    @property
    def is_idle(self) -> bool:
        """Whether everything was answered and the connection can be used."""
        return not (self._owed or self._queue or self._closed)

    @property
    def accepted_recipients(self) -> int:
        """How many RCPT of this transaction were answered 2yz."""
        return self._transaction.accepted

    @property
    def body_refused(self) -> bool:
        """Whether the verdict came before the end of the message: the rest of it is dropped."""
        return self._transaction.refused

    @property
    def closed(self) -> bool:
        """Whether the connection is at its end."""
        return self._closed

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self._tls

    # ------------------------------------------------------------------------------------------------ input

    def receive_data(self, data: bytes) -> None:
        """Take octets from the server; they are judged at once, by what was taken to be sent until now."""
        if self._closed or not data:
            return
        if self._is_owed(Step.HANDSHAKE):
            self._break("octets in clear behind the answer to STARTTLS")  # RFC 3207 §6; response injection
            return
        self._reader.feed(data)
        while not self._closed:
            reply = self._reader.next_reply()
            if reply is None:
                return
            if isinstance(reply, Malformed):
                self._break(reply.reason)
            else:
                self._take(reply)

    def receive_eof(self) -> None:
        """Take the end of the connection. What was open stays open: its outcome is not known."""
        if self._closed:
            return
        if any(sent.step is not Step.QUIT for sent in (*self._owed, *self._queue)):
            self._break("the server closed the connection")
        self._close()

    def next_event(self) -> ClientEvent | None:
        """Give the next event, or None while there is none."""
        return self._events.popleft() if self._events else None

    def tls_established(self) -> None:
        """Say that the handshake is done, after STARTTLS or before everything (RFC 8314 §3).

        What the server said before is forgotten (RFC 3207 §4.2).
        """
        if self._is_owed(Step.HANDSHAKE):
            self._owed.popleft()
        elif self._tls or not self._is_owed(Step.GREETING) or self._reader.has_rest:
            raise MisuseError("TLS neither after STARTTLS nor before everything")
        self._tls = True
        self._extensions = None

    # ----------------------------------------------------------------------------------------------- output

    def send(self, *commands: ClientCommand) -> None:
        """Queue commands. ``MisuseError`` for what the state or the server's offer forbids.

        Nothing may be queued behind EHLO, STARTTLS, AUTH, DATA and QUIT until they are answered, nor a second
        MAIL before the first transaction has ended (by its verdict, a refused MAIL, or RSET). Chunks behind a
        refused one are dropped.
        """
        for command in commands:
            if self._closed:
                return
            if self._queue_tail() in DECISIVE:
                raise MisuseError(f"{type(command).__name__} behind a command whose answer decides")
            if isinstance(command, Chunk) and self._transaction.refused:
                continue
            if isinstance(command, Mail | Reset):
                self._plan(command)
            self._queue.append(
                prepare(
                    command,
                    offer=self._extensions,
                    tls=self._tls,
                    settings=self._settings,
                    smtputf8=self._smtputf8,
                )
            )

    def send_body(self, buffers: Iterable[bytes], *, last: bool) -> Malformed | None:
        """Send the next pieces of the message after 354, dots doubled; ``last`` ends it.

        ``Malformed`` for a bare CR or LF or a message without CRLF at its end: then the end of data is not
        sent, a ``ProtocolBroken`` says so too, and the dialogue is closed. ``find_bad_line_end`` tells
        before.
        """
        if self._closed or self._transaction.refused:
            return None
        if not self._is_owed(Step.MESSAGE) or self._body.is_whole:
            raise MisuseError("a message that no 354 asked for")
        malformed = self._body.add(buffers, last=last)
        if malformed:
            self._break(f"the message was stopped: {malformed.reason}")
        return malformed

    def data_to_send(self) -> list[bytes]:
        """Take what may be sent now. Buffers of messages and chunks are passed on as they were given."""
        output = self._body.take()
        lines: list[bytes] = []
        while self._queue and self._may_leave(self._queue[0].step):
            sent = self._queue.popleft()
            self._owed.append(sent)
            lines.append(sent.line)
            if sent.data:
                output.append(b"".join(lines))
                output += sent.data
                lines.clear()
        if lines:
            output.append(b"".join(lines))
        return output

    def _plan(self, command: Mail | Reset) -> None:
        for sent in (*reversed(self._queue), *reversed(self._owed)):
            if isinstance(sent.command, Mail | Reset):
                is_open = isinstance(sent.command, Mail)
                break
        else:
            is_open = self._transaction.is_open
        if isinstance(command, Mail) and is_open:
            raise MisuseError("MAIL within a transaction")
        self._smtputf8 = isinstance(command, Mail) and command.parameters.smtputf8
        self._transaction.refused = False

    def _may_leave(self, step: Step) -> bool:
        if not self._owed:
            return True
        if self._extensions is None or not self._extensions.offers(Keyword.PIPELINING):
            return False
        behind, _ = RULES[self._owed[-1].step]
        place, _ = RULES[step]
        return behind is Place.ANYWHERE and place is not Place.ALONE

    def _queue_tail(self) -> Step | None:
        waiting = self._queue or self._owed
        return waiting[-1].step if waiting else None

    def _is_owed(self, step: Step) -> bool:
        return bool(self._owed) and self._owed[0].step is step

    def _break(self, reason: str) -> None:
        self._events.append(ProtocolBroken(reason))
        self._close()

    def _close(self) -> None:
        self._closed = True
        self._queue.clear()
        self._owed.clear()
        self._body = OutgoingMessage()

    # ---------------------------------------------------------------------------------------------- replies

    def _take(self, reply: RemoteReply) -> None:
        if self._owed:
            self._answer(reply)
        elif reply.code != SERVER_LEAVES:
            self._break("a reply that nothing asked for")
        if reply.code == SERVER_LEAVES:
            while self._owed:  # it answers all that waits: nothing else will
                self._answer(reply)
            self._events.append(ServerClosing(reply))
            self._close()

    def _answer(self, reply: RemoteReply) -> None:
        """Give the reply to the first command that waits for one."""
        sent = self._owed[0]
        _, positive = RULES[sent.step]
        if (
            reply.code == ANALYSIS_STARTED
            and self._awaits_verdict(sent)
            and self._transaction.start_analysis()
        ):
            return
        if not (reply.is_temporary or reply.is_permanent or reply.code // 100 in positive):
            self._break(f"{reply.code} where another kind of reply is due")
            return
        self._owed.popleft()
        take = self._takers.get(sent.step, ClientDialogue._take_plain)
        take(self, sent, reply)

    def _take_greeting(self, _sent: Sent, reply: RemoteReply) -> None:
        self._events.append(GreetingReceived(reply))

    def _take_hello(self, sent: Sent, reply: RemoteReply) -> None:
        hello = cast("Hello", sent.command)
        may_fall_back = hello.fall_back and self._settings.flavour is Flavour.SMTP
        if reply.is_permanent and may_fall_back and sent.step is Step.EHLO:
            self._queue.appendleft(Sent(Step.HELO, hello, write_helo(hello.client_name)))
            return
        self._transaction = ClientTransaction(self._settings.flavour)  # RFC 5321 §4.1.4: EHLO is also RSET
        offer = read_offer(reply) if reply.is_completed else None
        if offer and sent.step is Step.HELO:
            offer = Extensions(offer.server_name, {})
        self._extensions = offer
        self._events.append(Greeted(reply, offer))

    def _take_starttls(self, sent: Sent, reply: RemoteReply) -> None:
        if reply.is_completed and self._reader.has_rest:
            self._break("octets in clear behind the answer to STARTTLS")  # RFC 3207 §6; response injection
            return
        if reply.is_completed:
            self._owed.append(Sent(Step.HANDSHAKE, sent.command))
        self._events.append(Answered(sent.command, reply))

    def _take_login(self, sent: Sent, reply: RemoteReply) -> None:
        if not reply.is_intermediate:
            self._events.append(Answered(sent.command, reply))
            return
        exchange = cast("LoginExchange", sent.login)
        line = exchange.respond(reply)
        if line is None:
            self._break("a challenge after the login was cancelled")
        else:
            self._queue.appendleft(Sent(Step.LOGIN, sent.command, line, login=exchange))

    def _take_mail(self, sent: Sent, reply: RemoteReply) -> None:
        mail = cast("Mail", sent.command)
        self._transaction.begin(mail, accepted=reply.is_completed)
        self._events.append(Answered(mail, reply))

    def _take_recipient(self, sent: Sent, reply: RemoteReply) -> None:
        self._transaction.accepted += reply.is_completed
        self._events.append(Answered(sent.command, reply))

    def _take_reset(self, sent: Sent, reply: RemoteReply) -> None:
        self._transaction.end()
        self._events.append(Answered(sent.command, reply))

    def _take_data(self, sent: Sent, reply: RemoteReply) -> None:
        if reply.is_intermediate and not self._transaction.accepted:
            # RFC 2920 §3.1: the server waits for a message that nobody gets; it is ended at once.
            if self._settings.flavour is Flavour.LMTP:
                self._break("354 without a recipient")  # RFC 2033 §4.2 forbids it and gives the end no answer
                return
            self._queue.appendleft(Sent(Step.LONE_DOT, sent.command, END_OF_DATA))
            return
        if reply.is_intermediate:
            self._body = OutgoingMessage()
            self._owed.append(Sent(Step.MESSAGE, sent.command))
        self._events.append(Answered(sent.command, reply))

    def _awaits_verdict(self, sent: Sent) -> bool:
        return sent.step is Step.LAST_CHUNK or (sent.step is Step.MESSAGE and self._body.is_away)

    def _take_verdict(self, sent: Sent, reply: RemoteReply) -> None:
        if not self._awaits_verdict(sent):
            self._take_early_verdict(reply)
            return
        replies = self._transaction.verdict(reply)
        if replies is None:
            self._owed.appendleft(sent)  # more are due
        else:
            self._finish(replies)

    def _take_early_verdict(self, reply: RemoteReply) -> None:
        """A refusal while the message is being sent: half a message cannot be taken back: the end."""
        if reply.is_completed:
            self._break("a message was accepted before its end")
            return
        self._finish(self._transaction.for_each(reply))
        self._transaction.refused = True
        self._close()

    def _finish(self, replies: tuple[RemoteReply, ...]) -> None:
        self._transaction.end()
        self._events.append(FinalAnswered(replies))

    def _take_chunk(self, sent: Sent, reply: RemoteReply) -> None:
        if reply.is_completed:
            self._events.append(Answered(sent.command, reply))
            return
        # RFC 3030 §2: the transaction has failed, no further chunk may be sent; those under way are answered
        # in vain. Chunks behind another command are of the next transaction.
        for late in self._owed:
            if not isinstance(late.command, Chunk):
                break
            late.step = Step.LATE_CHUNK
            late.replies = self._transaction.replies_to_late_chunk(last=late.command.last)
        else:
            while self._queue and isinstance(self._queue[0].command, Chunk):
                self._queue.popleft()
        self._finish(self._transaction.for_each(reply))
        self._transaction.is_open = True  # RFC 3030 §2: RSET must come first
        self._transaction.refused = not any(
            isinstance(behind.command, Reset) for behind in (*self._owed, *self._queue)
        )

    def _take_late_chunk(self, sent: Sent, _reply: RemoteReply) -> None:
        """Nobody is told: the refusal has been."""
        sent.replies -= 1
        if sent.replies:
            self._owed.appendleft(sent)

    def _take_quit(self, sent: Sent, reply: RemoteReply) -> None:
        self._events.append(Answered(sent.command, reply))
        self._close()

    def _take_plain(self, sent: Sent, reply: RemoteReply) -> None:
        self._events.append(Answered(sent.command, reply))

    _takers: ClassVar[dict[Step, Callable[["ClientDialogue", Sent, RemoteReply], None]]] = {
        Step.GREETING: _take_greeting,
        Step.EHLO: _take_hello,
        Step.HELO: _take_hello,
        Step.STARTTLS: _take_starttls,
        Step.LOGIN: _take_login,
        Step.MAIL: _take_mail,
        Step.RECIPIENT: _take_recipient,
        Step.RESET: _take_reset,
        Step.DATA: _take_data,
        Step.MESSAGE: _take_verdict,
        Step.LAST_CHUNK: _take_verdict,
        Step.CHUNK: _take_chunk,
        Step.LATE_CHUNK: _take_late_chunk,
        Step.QUIT: _take_quit,
    }
