"""The arguments of MAIL and RCPT: address and parameters (RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.1.11).

A parameter is taken only where its extension is offered (RFC 5321 §2.2.1): 555 otherwise. AUTH is read and
ignored everywhere (RFC 4954 §5). DSN and BINARYMIME are not offered, so NOTIFY, ORCPT, RET, ENVID and
BODY=BINARYMIME are refused.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from ptt.errors import Malformed
from ptt.protocol.mail.address import Mailbox, parse_mailbox
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import BodyType, MailParameters
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.grammar import bare_postmaster, decode_xtext, parse_path, parse_trace
from ptt.protocol.smtp.reply import Reply

_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\xff]+))?")
_SIZE = re.compile(rb"[0-9]{1,20}")  # RFC 1870 §5

_EXTENSION_OF = {
    b"SIZE": Keyword.SIZE,
    b"BODY": Keyword.EIGHTBITMIME,
    b"SMTPUTF8": Keyword.SMTPUTF8,
    b"REQUIRETLS": Keyword.REQUIRETLS,
    b"PRDR": Keyword.PRDR,
    b"XPTT": Keyword.XPTT,
}


@dataclass(frozen=True, slots=True)
class MailArguments:
    """What MAIL said; ``reverse_path`` None is ``<>``."""

    reverse_path: Mailbox | None
    parameters: MailParameters


def parse_mail(argument: bytes, offered: AbstractSet[Keyword], *, tolerant: bool) -> MailArguments | Reply:
    """Read the argument of MAIL, or say why not."""
    path = parse_path(argument, b"FROM:", tolerant=tolerant)
    if isinstance(path, Malformed):
        return wording.BAD_MAIL
    parameters = parse_mail_parameters(path.parameters, offered)
    if isinstance(parameters, Reply):
        return parameters
    if not path.mailbox:
        return MailArguments(None, parameters)
    if not path.mailbox.isascii() and not parameters.smtputf8:
        return wording.REVERSE_PATH_NEEDS_SMTPUTF8  # RFC 6531 §3.5
    mailbox = parse_mailbox(path.mailbox, allow_utf8=parameters.smtputf8)
    if isinstance(mailbox, Malformed):
        return wording.BAD_REVERSE_PATH
    return MailArguments(mailbox, parameters)


def parse_recipient(argument: bytes, host_name: str, *, smtputf8: bool, tolerant: bool) -> Mailbox | Reply:
    """Read the argument of RCPT, or say why not. ``smtputf8``: MAIL had it."""
    path = parse_path(argument, b"TO:", tolerant=tolerant)
    if isinstance(path, Malformed):
        return wording.BAD_RCPT
    if path.parameters:
        return wording.UNKNOWN_PARAMETER if _split(path.parameters) else wording.BAD_PARAMETER
    if not path.mailbox.isascii() and not smtputf8:
        return wording.FORWARD_PATH_NEEDS_SMTPUTF8
    mailbox = parse_mailbox(path.mailbox, allow_utf8=smtputf8)
    if isinstance(mailbox, Malformed):
        return bare_postmaster(path.mailbox, host_name) or wording.BAD_FORWARD_PATH
    return mailbox


def parse_mail_parameters(text: bytes, offered: AbstractSet[Keyword]) -> MailParameters | Reply:
    """Read the parameters of MAIL, or say why not."""
    given = _split(text)
    if given is None:
        return wording.BAD_PARAMETER
    fields: dict[str, Any] = {}
    for keyword, value in given.items():
        if keyword != b"AUTH" and _EXTENSION_OF.get(keyword) not in offered:
            return wording.UNKNOWN_PARAMETER
        if keyword == b"BODY" and value is not None and value.upper() == b"BINARYMIME":
            return wording.UNKNOWN_PARAMETER
        read = _read(keyword, value)
        if read is None:
            return wording.BAD_PARAMETER
        fields |= read
    return MailParameters(**fields)


def _split(text: bytes) -> dict[bytes, bytes | None] | None:
    """Keyword in upper case -> value; None where one is malformed or comes twice (RFC 5321 §4.1.1.11)."""
    given: dict[bytes, bytes | None] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None or (keyword := match[1].upper()) in given:
            return None
        given[keyword] = match[2]
    return given


def _read(keyword: bytes, value: bytes | None) -> dict[str, Any] | None:
    """The fields of ``MailParameters`` that a parameter sets; None where its value is malformed."""
    match keyword, value:
        case b"SIZE", bytes() if _SIZE.fullmatch(value):
            return {"size": int(value)}
        case b"BODY", bytes() if value.upper() in (b"7BIT", b"8BITMIME"):
            return {"body": BodyType(value.decode("ascii").upper())}
        case b"SMTPUTF8" | b"REQUIRETLS" | b"PRDR", None:
            return {keyword.decode("ascii").lower(): True}
        case b"AUTH", bytes() if value == b"<>" or isinstance(decode_xtext(value), str):
            return {}
        case b"XPTT", bytes() if not isinstance(trace := parse_trace(value), Malformed):
            return {"trace_id": trace[0], "login": trace[1]}
        case _:
            return None
