"""The server's side of SMTP (RFC 5321) and LMTP (RFC 2033), sans-IO: bytes in, events and bytes out.

The dialogue answers by itself what needs no decision, and hands out the rest as ``events``; what may come
when is the table in ``order``. Extensions: PIPELINING (RFC 2920), CHUNKING (3030), 8BITMIME (6152), SMTPUTF8
(6531), SIZE (1870), ENHANCEDSTATUSCODES (2034), STARTTLS (3207), AUTH (4954), REQUIRETLS (8689), LIMITS
(9422), PRDR (draft-hall-prdr-00) and our own XPTT.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from ptt.errors import Malformed, MisuseError
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.envelope import Envelope
from ptt.protocol.smtp.events import (
    FinalReplyTaken,
    ServerEvent,
    ServerSettings,
    TakenReported,
    TlsRequested,
)
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.grammar import (
    is_http,
    parse_client_name,
    parse_taken,
    split_command,
)
from ptt.protocol.smtp.lines import Input, LineFault
from ptt.protocol.smtp.order import BEFORE_TLS, HELLO, INNOCENT, ORDER, WITHOUT_ARGUMENT, State, Verb
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.sasl import ScramVerifier
from ptt.protocol.smtp.server_login import LoginDialogue
from ptt.protocol.smtp.server_session import (
    CLOSING_CODE,
    ServerSession,
)
from ptt.protocol.smtp.transfer import Transfer


class ServerDialogue:
    """See the module. ``tls``: the connection began with TLS (RFC 8314 §3.3).

    Nothing is read before ``greeting`` or ``refuse``. A caller that is told ``TlsRequested`` gives nothing to
    ``receive_data`` but what came through TLS from then on.
    """

    def __init__(self, settings: ServerSettings, *, tls: bool = False) -> None:
        self._session = ServerSession(settings, tls=tls)
        self._input = Input()
        self._login = LoginDialogue(self._session, self._input)
        self._envelope = Envelope(self._session, self._input)
        self._transfer = Transfer(self._session, self._input)
        self._reading = False
        self._handshaking = False
        self._leaving: Reply | None = None

    # Input and output

    def greeting(self) -> None:
        """Queue the opening and begin to read."""
        settings = self._session.settings
        protocol = "LMTP" if settings.flavour is Flavour.LMTP else "ESMTP"
        self._session.say(wording.greeting(settings.host_name, protocol))
        self._reading = True

    def refuse(self, reply: Reply) -> None:
        """Queue a refusal instead of the opening: 421 and leave, or 554 and wait for QUIT (RFC 5321 §3.1)."""
        if not (reply.is_temporary or reply.is_permanent):
            raise MisuseError(f"{reply} refuses nothing")
        self._session.state = State.REFUSED
        self._session.say_verdict(reply)
        self._reading = True

    def receive_data(self, data: bytes) -> None:
        """Keep what the peer sent."""
        if not self._session.closing:
            self._input.receive(data)

    def receive_eof(self) -> None:
        """Note that the peer sends no more; whole commands that came before are still served."""
        self._input.ended = True

    def data_to_send(self) -> list[bytes]:
        """Take the output, in order."""
        return self._session.data_to_send()

    def next_event(self) -> ServerEvent | None:
        """What happens next; None: more input is needed, an event waits for its reply, or it is over."""
        session = self._session
        while (event := session.next_event()) is None:
            if session.closing or session.question is not None or not self._reading:
                return None
            if not self._advance() and not self._end_of_input():
                return None
        return event

    def reply(self, *replies: Reply) -> None:
        """Answer the event that waits."""
        self._session.answer(replies)

    def provide_scram(self, verifier: ScramVerifier, nonce: str) -> None:
        """Answer ``ScramStarted``; ``nonce`` is at least 16 random printable characters without comma."""
        self._login.provide_scram(verifier, nonce)

    def tls_established(self) -> None:
        """Answer ``TlsRequested``: forget what was said before (RFC 3207 §4.2) and read on."""
        if not self._handshaking:
            raise MisuseError("no TLS was requested")
        self._handshaking = False
        self._session.tls = True
        self._session.forget()

    def shut_down(self, reply: Reply) -> None:
        """Answer the next command with this 421 and leave, unless a transaction is open; it ends first."""
        if reply.code != CLOSING_CODE:
            raise MisuseError(f"{reply} does not shut down")
        self._leaving = reply

    # State

    @property
    def client_name(self) -> str | None:
        """The argument of EHLO, a claim of the peer; with tolerant settings any printable text."""
        return self._session.client_name

    @property
    def extended(self) -> bool:
        """Whether EHLO (or LHLO) was said, not HELO."""
        return self._session.extended

    @property
    def login(self) -> str | None:
        """Who logged in."""
        return self._session.login

    @property
    def tls(self) -> bool:
        """Whether the dialogue is within TLS."""
        return self._session.tls

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted and neither verdict nor ``TransactionAborted`` has ended it."""
        return self._session.in_transaction

    @property
    def replies_wanted(self) -> int:
        """How many replies the event that waits wants; 0 when none waits."""
        waiting = self._session.waiting
        return waiting.count if waiting is not None else 0

    @property
    def waits_for_reply(self) -> bool:
        """Whether an event waits for ``reply`` or ``provide_scram``."""
        return self._session.waiting is not None

    @property
    def final_reply_waits(self) -> bool:
        """Whether a final 2yz was given and nothing has shown yet that the peer read it."""
        return self._session.final_reply_at is not None

    @property
    def unread_octets(self) -> int:
        """How much of the input waits to be used."""
        return self._input.received - self._input.consumed

    @property
    def closing(self) -> bool:
        """Whether the dialogue is over: send the output and close."""
        return self._session.closing

    @property
    def accepted_recipients(self) -> tuple[Mailbox, ...]:
        """The accepted recipients of the open transaction, in order; LMTP answers for them in this order."""
        return tuple(self._session.recipients)

    # Reading

    def _advance(self) -> bool:
        """Use up some input; False when there is not enough."""
        if self._handshaking:
            return False
        if self._login.is_active:
            return self._login.advance()
        if self._transfer.is_active:
            return self._transfer.advance()
        return self._read_command()

    def _end_of_input(self) -> bool:
        if not self._input.ended:
            return False
        self._session.abort_transaction()
        self._session.closing = True
        return True

    def _read_command(self) -> bool:
        line = self._input.take_line()
        if line is None:
            return False
        session = self._session
        if session.final_reply_at is not None and self._input.consumed > session.final_reply_at:
            session.final_reply_at = None
            session.tell(FinalReplyTaken())
        if self._leaving is not None and not session.in_transaction:
            session.close(self._leaving)
        elif isinstance(line, bytes):
            self._run(line)
        elif line is LineFault.ENDLESS:
            session.close(wording.LINE_ENDLESS)
        else:
            session.refuse_bad(wording.LINE_FAULT[line])
        return True

    def _run(self, line: bytes) -> None:
        if is_http(line):
            self._session.close(wording.NOT_A_WEB_SERVER)
            return
        name, argument = split_command(line)
        verb = _VERBS[self._session.settings.flavour].get(name)
        if verb is None or (verb is Verb.XPTT and Keyword.XPTT not in self._session.offered):
            self._session.refuse_bad(wording.UNKNOWN_COMMAND)
            return
        refusal = self._refusal(verb, argument)
        if verb is Verb.DATA and not self._input.is_empty:
            self._session.close(wording.DATA_TOO_EARLY)
        elif verb is Verb.BDAT:
            self._transfer.bdat(argument, refusal)
        elif refusal is not None:
            self._session.say_verdict(refusal)
        else:
            self._RUN[verb](self, argument)

    def _refusal(self, verb: Verb, argument: bytes) -> Reply | None:
        """Why a command is not run, counted, if so."""
        session = self._session
        if session.settings.tls_required and not session.tls and verb not in BEFORE_TLS:
            return session.count_bad(wording.TLS_FIRST)
        refusal = ORDER[session.state].get(verb)
        if refusal is not None:
            is_innocent = (session.state, verb) in INNOCENT
            return session.count_idle(refusal) if is_innocent else session.count_bad(refusal)
        if verb is Verb.BDAT and Keyword.CHUNKING not in session.offered:
            return session.count_bad(wording.NOT_IMPLEMENTED)
        if verb in WITHOUT_ARGUMENT and argument:
            return session.count_bad(wording.NO_ARGUMENT)
        return None

    # Commands

    def _hello(self, argument: bytes, *, extended: bool) -> None:
        session = self._session
        name = parse_client_name(argument, tolerant=session.settings.tolerant)
        if isinstance(name, Malformed):
            session.refuse_bad(wording.BAD_CLIENT_NAME)
            return
        session.abort_transaction()  # RFC 5321 §4.1.4: as RSET
        session.state = State.READY
        session.client_name = name
        session.extended = extended
        session.say_idle(session.hello_reply(extended=extended))

    def _ehlo(self, argument: bytes) -> None:
        self._hello(argument, extended=True)

    def _helo(self, argument: bytes) -> None:
        self._hello(argument, extended=False)

    def _mail(self, argument: bytes) -> None:
        self._envelope.mail(argument)

    def _rcpt(self, argument: bytes) -> None:
        self._envelope.recipients(argument)

    def _data(self, _argument: bytes) -> None:
        self._transfer.data()

    def _starttls(self, _argument: bytes) -> None:
        session = self._session
        if session.tls:
            session.refuse_bad(wording.TLS_TWICE)
        elif Keyword.STARTTLS not in session.offered:
            session.refuse_bad(wording.NOT_IMPLEMENTED)
        elif not self._input.is_empty:
            session.close(wording.COMMANDS_BEHIND_STARTTLS)  # CVE-2011-0411: else they would run within TLS
        else:
            session.say(wording.START_TLS)
            session.tell(TlsRequested())
            self._handshaking = True

    def _auth(self, argument: bytes) -> None:
        refusal = self._login.refusal() or self._login.begin(argument)
        if refusal is not None:
            self._session.refuse_bad(refusal)

    def _rset(self, _argument: bytes) -> None:
        session = self._session
        session.abort_transaction()
        if session.state is not State.CONNECTED:
            session.state = State.READY
        session.say_idle(wording.RESET)

    def _xptt(self, argument: bytes) -> None:
        taken = parse_taken(argument)
        if isinstance(taken, Malformed):
            self._session.refuse_bad(wording.BAD_TAKEN)
        else:
            self._session.tell(TakenReported(taken))
            self._session.say(wording.NOTED)

    def _noop(self, _argument: bytes) -> None:
        self._session.say_idle(wording.NOTHING_DONE)

    def _vrfy(self, _argument: bytes) -> None:
        self._session.say_idle(wording.CANNOT_VERIFY)

    def _expn(self, _argument: bytes) -> None:
        self._session.say_idle(wording.NOT_IMPLEMENTED)

    def _help(self, _argument: bytes) -> None:
        self._session.say_idle(wording.HELP)

    def _quit(self, _argument: bytes) -> None:
        self._session.close(wording.GOODBYE)

    _RUN: ClassVar[Mapping[Verb, Callable[["ServerDialogue", bytes], None]]] = {
        Verb.EHLO: _ehlo,
        Verb.LHLO: _ehlo,
        Verb.HELO: _helo,
        Verb.STARTTLS: _starttls,
        Verb.AUTH: _auth,
        Verb.MAIL: _mail,
        Verb.RCPT: _rcpt,
        Verb.DATA: _data,
        Verb.RSET: _rset,
        Verb.NOOP: _noop,
        Verb.VRFY: _vrfy,
        Verb.EXPN: _expn,
        Verb.HELP: _help,
        Verb.QUIT: _quit,
        Verb.XPTT: _xptt,
    }
    """All but BDAT, whose octets follow even when it is refused."""


_VERBS: Mapping[Flavour, Mapping[str, Verb]] = {
    flavour: {
        verb.value: verb
        for verb in Verb
        if verb in HELLO[flavour] or verb not in HELLO[Flavour.SMTP] | HELLO[Flavour.LMTP]
    }
    for flavour in Flavour
}
