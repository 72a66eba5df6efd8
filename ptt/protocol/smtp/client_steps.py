"""What the client's commands are to the dialogue: what each may stand beside, and which reply answers it.

RFC 2920 §3.1 says what may be sent as a group, RFC 5321 §4.3.2 which replies may come. BDAT is in a group
wherever RCPT is (RFC 3030 §4.2); DATA stands alone, stricter than RFC 2920, so that all verdicts on
recipients are there before it.
"""

from dataclasses import dataclass, field
from enum import IntEnum, auto

from ptt.errors import MisuseError
from ptt.protocol.smtp.command_wire import write_line
from ptt.protocol.smtp.commands import (
    Chunk,
    ClientCommand,
    Data,
    Hello,
    Login,
    Mail,
    Noop,
    Quit,
    Recipient,
    ReportTaken,
    Reset,
    StartTls,
)
from ptt.protocol.smtp.extensions import Extensions, Flavour, Keyword
from ptt.protocol.smtp.login_exchange import LoginExchange
from ptt.protocol.smtp.reply import ReplyClass


class Place(IntEnum):
    """Where a command may stand in a group that is sent without waiting (RFC 2920 §3.1)."""

    ANYWHERE = auto()
    LAST = auto()
    ALONE = auto()


class Step(IntEnum):
    """What the server owes a reply to."""

    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    HANDSHAKE = auto()  # no reply at all: nothing may come in clear
    LOGIN = auto()
    MAIL = auto()
    RECIPIENT = auto()
    DATA = auto()
    MESSAGE = auto()  # from 354 to the verdict
    LONE_DOT = auto()  # a 354 without an accepted recipient
    CHUNK = auto()
    LAST_CHUNK = auto()
    LATE_CHUNK = auto()  # was under way when an earlier one was refused
    RESET = auto()
    QUIT = auto()
    NOOP = auto()
    REPORT = auto()


_COMPLETED = frozenset({ReplyClass.COMPLETED})
_INTERMEDIATE = frozenset({ReplyClass.INTERMEDIATE})

# Step -> its place in a group, and what its positive reply is; 4yz and 5yz may answer all of them.
RULES: dict[Step, tuple[Place, frozenset[ReplyClass]]] = {
    Step.GREETING: (Place.ALONE, _COMPLETED),
    Step.EHLO: (Place.ALONE, _COMPLETED),
    Step.HELO: (Place.ALONE, _COMPLETED),
    Step.STARTTLS: (Place.ALONE, _COMPLETED),
    Step.HANDSHAKE: (Place.ALONE, frozenset()),
    Step.LOGIN: (Place.ALONE, _COMPLETED | _INTERMEDIATE),
    Step.MAIL: (Place.ANYWHERE, _COMPLETED),
    Step.RECIPIENT: (Place.ANYWHERE, _COMPLETED),
    Step.DATA: (Place.ALONE, _INTERMEDIATE),
    Step.MESSAGE: (Place.ALONE, _COMPLETED),
    Step.LONE_DOT: (Place.ALONE, _COMPLETED),
    Step.CHUNK: (Place.ANYWHERE, _COMPLETED),
    Step.LAST_CHUNK: (Place.LAST, _COMPLETED),
    Step.LATE_CHUNK: (Place.ANYWHERE, _COMPLETED),
    Step.RESET: (Place.ANYWHERE, _COMPLETED),
    Step.QUIT: (Place.LAST, _COMPLETED),
    Step.NOOP: (Place.LAST, _COMPLETED),
    Step.REPORT: (Place.ANYWHERE, _COMPLETED),
}

STEPS: dict[type[ClientCommand], Step] = {
    Hello: Step.EHLO,
    StartTls: Step.STARTTLS,
    Login: Step.LOGIN,
    Mail: Step.MAIL,
    Recipient: Step.RECIPIENT,
    Data: Step.DATA,
    Reset: Step.RESET,
    Quit: Step.QUIT,
    Noop: Step.NOOP,
    ReportTaken: Step.REPORT,
}

# Their answer decides what may be said next, so nothing is queued behind them.
DECISIVE = frozenset(
    {
        Step.EHLO,
        Step.HELO,
        Step.STARTTLS,
        Step.HANDSHAKE,
        Step.LOGIN,
        Step.DATA,
        Step.MESSAGE,
        Step.LONE_DOT,
        Step.QUIT,
    }
)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How we speak. ``private``: the peer is our own unit; XPTT may be used, STARTTLS needs no offer."""

    flavour: Flavour = Flavour.SMTP
    private: bool = False


@dataclass(slots=True)
class Sent:
    """A command that waits to leave, or for its reply."""

    step: Step
    command: ClientCommand
    line: bytes = b""
    data: tuple[bytes, ...] = ()
    login: LoginExchange | None = field(default=None, repr=False)
    replies: int = 1  # of a late chunk: how many are still due


def prepare(
    command: ClientCommand,
    *,
    offer: Extensions | None,
    tls: bool,
    settings: ClientSettings,
    smtputf8: bool,
) -> Sent:
    """Write the command; ``MisuseError`` where the server's offer or the lack of TLS forbids it.

    ``smtputf8`` is that of the transaction that a recipient is of.
    """
    wrong = _say_what_forbids(command, offer, settings, tls=tls)
    if wrong:
        raise MisuseError(wrong)
    if isinstance(command, Login):
        exchange = LoginExchange(command.login, command.password, offer.auth_mechanisms if offer else ())
        return Sent(Step.LOGIN, command, exchange.opening, login=exchange)
    line = write_line(command, offer=offer, flavour=settings.flavour, smtputf8=smtputf8)
    if isinstance(command, Chunk):
        return Sent(Step.LAST_CHUNK if command.last else Step.CHUNK, command, line, command.data)
    return Sent(STEPS[type(command)], command, line)


def _say_what_forbids(
    command: ClientCommand,
    offer: Extensions | None,
    settings: ClientSettings,
    *,
    tls: bool,
) -> str | None:
    match command:
        case Login() if not tls:
            return "a password in clear"
        case StartTls() if tls:
            return "STARTTLS under TLS"
        case StartTls() if not (settings.private or (offer and offer.offers(Keyword.STARTTLS))):
            return "STARTTLS to a server that does not offer it"
        case Chunk() if not (offer and offer.offers(Keyword.CHUNKING)):
            return "BDAT to a server that does not offer CHUNKING"
        case Mail(_, parameters) if parameters.trace_id is not None and not settings.private:
            return "XPTT to a foreign host"
        case ReportTaken() if not settings.private:
            return "XPTT to a foreign host"
        case _:
            return None
