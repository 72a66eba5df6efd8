"""What the client's dialogue can be told to send, and what it hands out.

Commands are queued by ``ClientDialogue.send``; the dialogue pipelines what RFC 2920 §3.1 allows when the
server offers PIPELINING and holds the rest back until the replies that it stands behind have come.
"""

from dataclasses import dataclass, field

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.events import MailParameters
from ptt.protocol.smtp.extensions import Extensions
from ptt.protocol.smtp.reply import RemoteReply

_NO_PARAMETERS = MailParameters()


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, or LHLO for LMTP; answered by ``Greeted``. ``fall_back``: HELO after a 5yz (RFC 5321 §3.2)."""

    client_name: str
    fall_back: bool = True


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS: after a 220 the caller does the handshake, calls ``tls_established`` and says Hello again."""


@dataclass(frozen=True, slots=True)
class Login:
    """AUTH by PLAIN (initial response) or else LOGIN, as the server offers; only under TLS."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM; parameters that the server does not offer make ``send`` raise ``MisuseError``."""

    reverse_path: Mailbox | None
    parameters: MailParameters = _NO_PARAMETERS


@dataclass(frozen=True, slots=True)
class Recipient:
    """RCPT TO."""

    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class Data:
    """DATA: after 354 the body is sent with ``send_body``. Leaves only when every RCPT before it is answered.

    A 354 without an accepted recipient is not handed out: the dialogue ends the empty message, and what the
    server says to that is the answer (RFC 2920 §3.1).
    """


@dataclass(frozen=True, slots=True)
class Chunk:
    """BDAT (RFC 3030 §2): ``data`` as a list of buffers, never joined.

    ``Answered`` for each chunk that was taken, but ``FinalAnswered`` for the last one and for one that was
    refused: then chunks behind it are dropped, and RSET must come before the next MAIL.
    """

    data: tuple[bytes, ...]
    last: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT."""


@dataclass(frozen=True, slots=True)
class ReportTaken:
    """``XPTT TAKEN trace-id…``, to our own units alone."""

    trace_ids: tuple[str, ...]


ClientCommand = Hello | StartTls | Login | Mail | Recipient | Data | Chunk | Reset | Noop | Quit | ReportTaken


@dataclass(frozen=True, slots=True)
class GreetingReceived:
    """The server's opening (its last line has come; RFC 5321 §4.3.1)."""

    reply: RemoteReply


@dataclass(frozen=True, slots=True)
class Greeted:
    """The answer to ``Hello``; ``extensions`` is None when it was refused."""

    reply: RemoteReply
    extensions: Extensions | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply to any other command, in the order sent."""

    command: ClientCommand
    reply: RemoteReply


@dataclass(frozen=True, slots=True)
class FinalAnswered:
    """The verdict on the message: one reply, or one for each accepted recipient (LMTP, PRDR), in order.

    It may come while the message is still being sent (``ClientDialogue.body_refused``): stop sending.
    """

    replies: tuple[RemoteReply, ...]


@dataclass(frozen=True, slots=True)
class ProtocolBroken:
    """The server sent what is no reply, or a reply that nothing asked for: close; the outcome is open."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServerClosing:
    """A 421: the server leaves (RFC 5321 §3.8). Every outstanding command was answered with it before."""

    reply: RemoteReply


ClientEvent = GreetingReceived | Greeted | Answered | FinalAnswered | ProtocolBroken | ServerClosing
