"""What came of trying to hand mail to a server: its own word, or why there was none.

Values only, so that whoever connects and whoever decides speak of the same. A server's word is kept with
the stage at which it was said: the first digit decides (RFC 5321 §4.2.1), and the stage tells whether it is
about the mail or about the connection. Everything but a 5yz and what the mail's own needs forbid is
temporary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ptt.errors import MisuseError
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import RemoteReply, Reply

SERVER_LEAVES = 421  # RFC 5321 §3.8
MAILBOX_BUSY = 450  # RFC 5321 §4.2.3


class Stage(StrEnum):
    """Where in the dialogue."""

    CONNECTION = "connection"
    GREETING = "greeting"
    HELLO = "EHLO"
    TLS = "STARTTLS"
    LOGIN = "AUTH"
    MAIL = "MAIL"
    RECIPIENT = "RCPT"
    DATA = "DATA"
    MESSAGE = "message"
    END = "end of data"


@dataclass(frozen=True, slots=True)
class Said:
    """The server's own word."""

    host: str
    stage: Stage
    reply: RemoteReply


@dataclass(frozen=True, slots=True)
class Broke:
    """No word: nobody there, connection lost, or too slow. At ``Stage.END`` the outcome is not known."""

    host: str
    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class NoTls:
    """The server offers no TLS, and this mail may not go in clear."""

    host: str


@dataclass(frozen=True, slots=True)
class TlsBroke:
    """The handshake failed, and this mail may not go in clear."""

    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lacks:
    """The server does not offer what the bytes of this mail need (SIZE: it takes less)."""

    host: str
    keyword: Keyword


@dataclass(frozen=True, slots=True)
class NotAsked:
    """No server was asked; ``reply`` is ours."""

    reply: Reply


Word = Said | Broke | NoTls | TlsBroke | Lacks | NotAsked


def is_accepted(word: Word) -> bool:
    """Whether the server said yes, at whatever stage."""
    return isinstance(word, Said) and word.reply.is_completed


def is_temporary(word: Word) -> bool:
    """Whether the same mail may succeed later."""
    match word:
        case Said(reply=reply):
            return reply.is_temporary
        case Broke() | TlsBroke():
            return True
        case NoTls() | Lacks():
            return False
        case NotAsked(reply):
            return reply.is_temporary
        case _:  # pragma: no cover - the checker knows that there is no other
            assert_never(word)


def describe(word: Word) -> str:
    """The word for the journal."""
    match word:
        case Said(host, stage, reply):
            return f"{host} at {stage}: {reply}"
        case Broke(host, stage, reason):
            return f"{host} at {stage}: {reason}"
        case NoTls(host):
            return f"{host} offers no TLS"
        case TlsBroke(host, reason):
            return f"{host}: {reason}"
        case Lacks(host, keyword):
            return f"{host} does not offer enough {keyword}"
        case NotAsked(reply):
            return str(reply)
        case _:  # pragma: no cover - the checker knows that there is no other
            assert_never(word)


def most_telling(words: Sequence[Word]) -> Word:
    """Of the words of several servers that all failed, the one to pass on.

    Permanent only if every server was: as long as one may take the mail later, it may. Among equals a
    server's own word tells more than its silence, and the better server (the earlier) more than the next.
    """
    if not words:
        raise MisuseError("no server was tried")
    temporary = [word for word in words if is_temporary(word)]
    candidates = temporary or list(words)
    return next((word for word in candidates if isinstance(word, Said)), candidates[0])


def is_worth_a_second_connection(reply: RemoteReply) -> bool:
    """Whether a new connection at once, from the same address, is likely to be taken.

    So with postscreen's deep tests (``450 4.3.2`` once, then the client passes), with Postfix that verifies
    an address for the first time, and with servers that end a connection after so many messages. With
    nothing else.
    """
    if reply.code == MAILBOX_BUSY and (
        reply.enhanced == "4.3.2" or any("verification in progress" in line for line in reply.text)
    ):
        return True
    return reply.code == SERVER_LEAVES and any("messages" in line.lower() for line in reply.text)
