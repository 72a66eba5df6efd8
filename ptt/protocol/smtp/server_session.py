"""What the server's side knows of its peer at a moment, what it offers it, and what it owes.

It owes the peer replies (``say``), the caller events (``tell``), and some events want an answer of the
caller first (``ask``): until it is given nothing further is read, so that answers never change order (RFC
2920 §3.2).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ptt.errors import MisuseError
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import (
    MailParameters,
    QuitReceived,
    ServerEvent,
    ServerSettings,
    TransactionAborted,
)
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.order import IN_TRANSACTION, State
from ptt.protocol.smtp.reply import Reply, ReplyClass

CLOSING_CODE = 421  # RFC 5321 §3.8: the server leaves after it
GO_AHEAD_CODE = 354
LOGGED_IN_CODE = 235

Replies = tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """An event that waits: how many replies it wants, which are possible, and what they lead to."""

    count: int
    is_possible: Callable[[Reply], bool]
    answered: Callable[[Replies], None]


def is_verdict(reply: Reply) -> bool:
    """Yes or no."""
    return reply.reply_class is not ReplyClass.INTERMEDIATE


def is_go_ahead(reply: Reply) -> bool:
    """354, or no."""
    return reply.code == GO_AHEAD_CODE or reply.is_temporary or reply.is_permanent


def is_login_verdict(reply: Reply) -> bool:
    """235, or no."""
    return reply.code == LOGGED_IN_CODE or reply.is_temporary or reply.is_permanent


def is_failure(reply: Reply) -> bool:
    """No."""
    return reply.is_temporary or reply.is_permanent


class ServerSession:
    """See the module; the parts of the server's dialogue share one."""

    def __init__(self, settings: ServerSettings, *, tls: bool) -> None:
        self.settings = settings
        self.tls = tls
        self.state = State.CONNECTED
        self.client_name: str | None = None
        self.extended = False
        self.login: str | None = None
        self.parameters = MailParameters()
        self.recipients: list[Mailbox] = []
        self.closing = False
        self.question: Question | None = None
        self.final_reply_at: int | None = None
        """How much had come when we gave a final 2yz, until a later command shows that it was read."""
        self._bad_commands = 0
        self._failed_logins = 0
        self._idle_commands = 0
        self._events: deque[ServerEvent] = deque()
        self._output: list[bytes] = []
        self.offered: frozenset[Keyword] = frozenset()
        self.renew_offer()

    # What is known and offered

    @property
    def in_transaction(self) -> bool:
        """MAIL was accepted and no verdict was given yet."""
        return self.state in IN_TRANSACTION

    def renew_offer(self) -> None:
        """Work out what EHLO lists at this moment: to call when TLS or login have changed."""
        self.offered = frozenset(filter(self._makes_sense, self.settings.offers))

    def _makes_sense(self, keyword: Keyword) -> bool:
        match keyword:
            case Keyword.STARTTLS:
                return not self.tls  # RFC 3207 §4.2
            case Keyword.AUTH:
                return self.tls and self.login is None and bool(self.settings.auth_mechanisms)
            case Keyword.REQUIRETLS:
                return self.tls  # RFC 8689 §2
            case Keyword.XPTT:
                return self.tls or not self.settings.tls_required
            case Keyword.PRDR:
                return self.settings.flavour is Flavour.SMTP  # LMTP answers per recipient by itself
            case _:
                return True

    def hello_reply(self, *, extended: bool) -> Reply:
        """The answer to EHLO, LHLO or HELO."""
        offers = [self._offer(keyword) for keyword in Keyword if extended and keyword in self.offered]
        return wording.hello(self.settings.host_name, *offers)

    def _offer(self, keyword: Keyword) -> str:
        match keyword:
            case Keyword.SIZE:
                return f"SIZE {self.settings.size_limit}"
            case Keyword.AUTH:
                return " ".join(("AUTH", *self.settings.auth_mechanisms))
            case Keyword.LIMITS:
                return f"LIMITS RCPTMAX={self.settings.max_recipients}"  # RFC 9422 §4.2
            case _:
                return keyword.value

    def forget(self) -> None:
        """Be as at the start: after TLS nothing counts that was said before it (RFC 3207 §4.2)."""
        self.state = State.CONNECTED
        self.client_name = self.login = None
        self.extended = False
        self.renew_offer()

    # What is owed

    def say(self, reply: Reply) -> None:
        """Queue a reply to the peer."""
        self._output.append(reply.encode())

    def tell(self, event: ServerEvent) -> None:
        """Queue an event for the caller."""
        self._events.append(event)

    def ask(
        self,
        event: ServerEvent,
        answered: Callable[[Replies], None],
        is_possible: Callable[[Reply], bool],
        count: int = 1,
    ) -> None:
        """Queue an event that wants ``count`` replies."""
        self._events.append(event)
        self.question = Question(count, is_possible, answered)

    def answer(self, replies: Replies) -> None:
        """Take the caller's replies to the event that waits."""
        question = self.waiting
        if question is None:
            raise MisuseError("no event waits for a reply")
        if len(replies) != question.count:
            raise MisuseError(f"{len(replies)} replies where {question.count} are wanted")
        for reply in replies:
            if not question.is_possible(reply):
                raise MisuseError(f"{reply} is no answer to the event that waits")
        self.question = None
        question.answered(replies)

    @property
    def waiting(self) -> Question | None:
        """The question whose event was handed out."""
        return None if self._events else self.question

    def next_event(self) -> ServerEvent | None:
        """Take the next event."""
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> list[bytes]:
        """Take the queued output."""
        output, self._output = self._output, []
        return output

    # Ends

    def abort_transaction(self, reply: Reply | None = None, then: State = State.READY) -> None:
        """End the transaction, if one is open, without a verdict."""
        if self.in_transaction:
            self.tell(TransactionAborted(reply))
            self.end_transaction(then)

    def end_transaction(self, then: State = State.READY) -> None:
        """Forget the envelope."""
        self.state = then
        self.parameters = MailParameters()
        self.recipients = []

    def close(self, reply: Reply) -> None:
        """Say this and leave."""
        self.say(reply)
        self.leave(reply)

    def leave(self, reply: Reply) -> None:
        """End the dialogue with what was said."""
        self.abort_transaction()
        self.tell(QuitReceived(reply))
        self.closing = True

    def say_verdict(self, reply: Reply) -> None:
        """Say a reply of the caller; 421 of his ends the dialogue (RFC 5321 §3.8)."""
        self.say(reply)
        if reply.code == CLOSING_CODE:
            self.leave(reply)

    # Patience

    def count_bad(self, reply: Reply) -> Reply:
        """Count a bad command [S12]; gives its answer, which is 421 when there were too many."""
        self._bad_commands += 1
        return reply if self._bad_commands < self.settings.max_bad_commands else wording.TOO_MANY_BAD_COMMANDS

    def count_idle(self, reply: Reply) -> Reply:
        """Count a command that brings no mail nearer; as ``count_bad``."""
        self._idle_commands += 1
        return (
            reply if self._idle_commands < self.settings.max_idle_commands else wording.TOO_MANY_IDLE_COMMANDS
        )

    def count_failed_login(self, reply: Reply) -> Reply:
        """Count a login that failed [S4]; as ``count_bad``."""
        self._failed_logins += 1
        return reply if self._failed_logins < self.settings.max_auth_attempts else wording.TOO_MANY_LOGINS

    def refuse_bad(self, reply: Reply) -> None:
        """Count a bad command and answer it."""
        self.say_verdict(self.count_bad(reply))

    def say_idle(self, reply: Reply) -> None:
        """Count an idle command and answer it."""
        self.say_verdict(self.count_idle(reply))

    def restore_patience(self, *, fully: bool) -> None:
        """Forgive idle commands after an accepted MAIL, bad ones too after an accepted message."""
        self._idle_commands = 0
        if fully:
            self._bad_commands = 0
