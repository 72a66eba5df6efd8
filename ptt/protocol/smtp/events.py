"""What the server's dialogue hands out, and what each event wants back.

The dialogue answers by itself whatever needs no decision (EHLO, NOOP, VRFY, HELP, RSET, grammar, order).
An event marked *reply* must be answered by ``ServerDialogue.reply`` before the next one comes out, so that
pipelined commands wait and answers never change order (RFC 2920 §3.2).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.reply import Reply

MAX_RECIPIENTS = 100  # RFC 5321 §4.5.3.1.8: at least 100; the original's number [S10]
MAX_BAD_COMMANDS = 25  # the original's number [S12]
MAX_IDLE_COMMANDS = 200  # RSET, NOOP and the like in a row; a transaction of 100 pipelined RCPT draws 102
MAX_AUTH_ATTEMPTS = 3  # the original's number [S4]
DEFAULT_SIZE_LIMIT = 35 * 1024 * 1024  # DESIGN section 5: what Gmail's 25 MB of attachments need


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How one listener speaks. Keywords are offered in the order of ``Keyword``.

    STARTTLS and AUTH are offered only where they make sense (before, or after TLS) whatever ``offers`` says.
    ``tolerant`` is for 465 and 587 alone: a blank behind ``FROM:``, a bare address or odd literal in EHLO.
    """

    host_name: str
    flavour: Flavour = Flavour.SMTP
    offers: frozenset[Keyword] = frozenset()
    auth_mechanisms: tuple[str, ...] = ()
    size_limit: int = DEFAULT_SIZE_LIMIT
    max_recipients: int = MAX_RECIPIENTS
    max_bad_commands: int = MAX_BAD_COMMANDS
    max_idle_commands: int = MAX_IDLE_COMMANDS
    max_auth_attempts: int = MAX_AUTH_ATTEMPTS
    tls_required: bool = False
    """Before TLS nothing but EHLO, NOOP, STARTTLS and QUIT is served: 530 5.7.0 (RFC 3207 §4)."""
    auth_required: bool = False
    """MAIL before AUTH is 530 5.7.0 (RFC 4954 §6)."""
    tolerant: bool = False


class BodyType(StrEnum):
    """The BODY parameter of MAIL (RFC 6152 §3)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"


@dataclass(frozen=True, slots=True)
class MailParameters:
    """The parameters of MAIL that we know, of our client side and of our server side alike.

    ``trace_id`` and ``login`` travel in XPTT between units (``XPTT=trace-id[:login]`` in xtext, RFC 3461 §4).
    """

    size: int | None = None
    body: BodyType | None = None
    smtputf8: bool = False
    requiretls: bool = False
    prdr: bool = False
    trace_id: str | None = None
    login: str | None = None


@dataclass(frozen=True, slots=True)
class TlsRequested:
    """STARTTLS: 220 is in the output. Send it, do the handshake, call ``tls_established``."""


@dataclass(frozen=True, slots=True)
class LoginAttempted:
    """*Reply* with 235, 535 or 454. PLAIN and LOGIN give the password (RFC 4616).

    ``authorization`` is what PLAIN names beside the login, if not empty: only the login itself is allowed.
    """

    mechanism: str
    login: str
    password: str = field(repr=False)
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class ScramStarted:
    """SCRAM-SHA-256 (RFC 5802, 7677) needs the user's verifier: call ``provide_scram``, or *reply* 454.

    An unknown login gets an invented verifier, always with the same salt.
    """

    login: str


@dataclass(frozen=True, slots=True)
class ScramFinished:
    """The proof was right: *reply* with 235 (or 454). A wrong one was answered 535 by the dialogue."""

    login: str


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """A login ended in the dialogue itself (wrong proof, bad coding): count it. No reply."""

    login: str | None


@dataclass(frozen=True, slots=True)
class MailReceived:
    """MAIL: *reply*. ``reverse_path`` None is ``<>``. On 2yz a transaction is open."""

    reverse_path: Mailbox | None
    parameters: MailParameters


@dataclass(frozen=True, slots=True)
class RecipientsReceived:
    """A group of pipelined RCPT as one event: *reply* with exactly one reply for each, in order.

    Those past ``max_recipients`` are not in it: the dialogue answers them 452 4.5.3 itself, in place.
    """

    recipients: tuple[Mailbox, ...]


@dataclass(frozen=True, slots=True)
class DataRequested:
    """DATA or the first BDAT: *reply* 354 to take the message (never sent for BDAT) or a refusal.

    After a refused DATA the transaction is still open. A refused BDAT's octets are swallowed and answered
    with that refusal (RFC 3030 §4.1); it ends the transaction, as ``TransactionAborted`` says.
    """

    chunked: bool


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A piece of the message: dots removed, line ends CRLF, neither bare CR nor bare LF. No reply."""

    data: bytes


@dataclass(frozen=True, slots=True)
class DataFinished:
    """The whole message is here: *reply*, once for SMTP, once for each accepted recipient for LMTP.

    ``size`` in octets of the message. With PRDR (``MailParameters.prdr``) and more than one accepted
    recipient: one for each and one more for the whole. ``ServerDialogue.replies_wanted`` gives the number.
    """

    size: int


@dataclass(frozen=True, slots=True)
class TransactionAborted:
    """The transaction is over without a verdict of ours. No reply.

    By RSET, EHLO, QUIT, the end of the input, a dialogue that closes, a refused BDAT, or a message that
    broke the rules. ``reply`` is what the dialogue answers by itself at the true end of the message (552 too
    large, 550 5.6.11 bare line end), the refusal of a BDAT, or None.
    """

    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class FinalReplyTaken:
    """The peer sent a command after a final 2yz reply, so it has read it. Comes before that command's event.

    A command that had come before our reply was given (Postfix pipelines QUIT behind the final dot) shows
    nothing. Speaks for all final replies since the last such event.
    """


@dataclass(frozen=True, slots=True)
class TakenReported:
    """``XPTT TAKEN trace-id…`` between units: the edge's peer took the 250 of these.

    The dialogue answers 250 itself.
    """

    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuitReceived:
    """QUIT (221 is in the output) or a dialogue that had to end (421, 5yz): send what is there and close."""

    reply: Reply


ServerEvent = (
    TlsRequested
    | LoginAttempted
    | ScramStarted
    | ScramFinished
    | LoginRefused
    | MailReceived
    | RecipientsReceived
    | DataRequested
    | DataReceived
    | DataFinished
    | TransactionAborted
    | FinalReplyTaken
    | TakenReported
    | QuitReceived
)
