"""Which command may come when (RFC 5321 §4.1.4 and the RFCs of the extensions), as a table.

``ORDER`` holds what is refused in each state and with which reply; what is not in it is served.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum, auto

from ptt.protocol.smtp import wording
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.reply import Reply


class Verb(StrEnum):
    """The commands."""

    HELO = "HELO"
    EHLO = "EHLO"
    LHLO = "LHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    RSET = "RSET"
    NOOP = "NOOP"
    VRFY = "VRFY"
    EXPN = "EXPN"
    HELP = "HELP"
    QUIT = "QUIT"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    XPTT = "XPTT"


class State(IntEnum):
    """Where a dialogue stands between two commands."""

    REFUSED = auto()
    """The greeting was a 554 (RFC 5321 §3.1)."""
    CONNECTED = auto()
    """Nobody has said EHLO yet."""
    READY = auto()
    MAIL_REFUSED = auto()
    """As ``READY``, but commands that were pipelined behind the refused MAIL may follow."""
    MAIL = auto()
    """A transaction without an accepted recipient."""
    RECIPIENTS = auto()
    CHUNKS = auto()
    """At least one BDAT was taken (RFC 3030 §2)."""
    SPOILT = auto()
    """A BDAT was refused and it was not the last: RSET must come (RFC 3030 §2)."""


IN_TRANSACTION = frozenset({State.MAIL, State.RECIPIENTS, State.CHUNKS})

BEFORE_TLS = frozenset({Verb.EHLO, Verb.LHLO, Verb.NOOP, Verb.STARTTLS, Verb.QUIT})  # RFC 3207 §4
WITHOUT_ARGUMENT = frozenset({Verb.DATA, Verb.RSET, Verb.QUIT, Verb.STARTTLS})
HELLO = {
    Flavour.SMTP: frozenset({Verb.EHLO, Verb.HELO}),
    Flavour.LMTP: frozenset({Verb.LHLO}),  # RFC 2033 §4.1: HELO and EHLO are not accepted
}


def _refusing(reply: Reply, *verbs: Verb) -> dict[Verb, Reply]:
    return dict.fromkeys(verbs, reply)


_NO_MAIL_YET = _refusing(wording.MAIL_FIRST, Verb.RCPT, Verb.DATA, Verb.BDAT)
_MAIL_OPEN = _refusing(wording.MAIL_TWICE, Verb.MAIL) | _refusing(
    wording.NOT_IN_TRANSACTION,
    Verb.AUTH,  # RFC 4954 §4
    Verb.STARTTLS,  # what it would make us forget (RFC 3207 §4.2) is then not half used
)

ORDER: Mapping[State, Mapping[Verb, Reply]] = {
    State.REFUSED: _refusing(wording.ONLY_QUIT, *(verb for verb in Verb if verb is not Verb.QUIT)),
    State.CONNECTED: _refusing(
        wording.HELLO_FIRST,
        *(Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.BDAT, Verb.STARTTLS, Verb.AUTH, Verb.XPTT),
    ),
    State.READY: _NO_MAIL_YET,
    State.MAIL_REFUSED: _NO_MAIL_YET,
    State.MAIL: _MAIL_OPEN | _refusing(wording.NO_RECIPIENTS, Verb.DATA, Verb.BDAT),
    State.RECIPIENTS: _MAIL_OPEN,
    State.CHUNKS: _MAIL_OPEN | _refusing(wording.CHUNKS_BEGUN, Verb.MAIL, Verb.RCPT, Verb.DATA),
    State.SPOILT: _refusing(wording.RESET_FIRST, Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.AUTH, Verb.STARTTLS),
}

INNOCENT = frozenset(
    {(State.MAIL_REFUSED, Verb.RCPT), (State.MAIL_REFUSED, Verb.DATA), (State.MAIL_REFUSED, Verb.BDAT)}
    | {(State.MAIL, Verb.DATA), (State.MAIL, Verb.BDAT)}
)
"""Refusals that a well-behaved peer draws by pipelining (RFC 2920 §3.1): they count as idle, not as bad."""
