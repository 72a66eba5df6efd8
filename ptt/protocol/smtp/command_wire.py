"""Writes the client's commands (RFC 5321 §4.1.1 and the extensions in ``Keyword``) as they go on the wire.

A parameter that the server did not offer is ``MisuseError``: whether mail may go without it is the caller's
decision, made before. Two say nothing when they are missing and are left out: SIZE (RFC 1870 §4) and
BODY=7BIT (RFC 6152 §3). No octet of an address can end the line: addresses with control characters are
refused here once more.
"""

import re

from ptt.errors import MisuseError
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.commands import (
    Chunk,
    ClientCommand,
    Data,
    Hello,
    Mail,
    Noop,
    Quit,
    Recipient,
    ReportTaken,
    Reset,
    StartTls,
)
from ptt.protocol.smtp.events import BodyType, MailParameters
from ptt.protocol.smtp.extensions import Extensions, Flavour, Keyword

_UNSAFE = re.compile(rb"[\x00-\x1f\x7f]")
_LINES: dict[type[ClientCommand], bytes] = {
    StartTls: b"STARTTLS\r\n",
    Data: b"DATA\r\n",
    Reset: b"RSET\r\n",
    Noop: b"NOOP\r\n",
    Quit: b"QUIT\r\n",
}  # Login is not among them: LoginExchange writes it
_GREETS = {Flavour.SMTP: b"EHLO", Flavour.LMTP: b"LHLO"}
_NOT_IN_XTEXT = re.compile(rb"[^!-~]|[+=]")  # RFC 3461 §4


def write_line(
    command: ClientCommand, *, offer: Extensions | None, flavour: Flavour, smtputf8: bool = False
) -> bytes:
    """Give the command line with CRLF.

    ``offer`` is what the server said after EHLO, None before; ``smtputf8`` is of the recipient's transaction.
    """
    match command:
        case Hello(client_name):
            return b"%s %s\r\n" % (_GREETS[flavour], _host(client_name))
        case Mail(reverse_path, parameters):
            path = b"<>" if reverse_path is None else _path(reverse_path, smtputf8=parameters.smtputf8)
            return b"MAIL FROM:%s%s\r\n" % (path, _parameters(parameters, offer))
        case Recipient(mailbox):
            return b"RCPT TO:%s\r\n" % _path(mailbox, smtputf8=smtputf8)
        case Chunk(data, last):
            return b"BDAT %d%s\r\n" % (sum(map(len, data)), b" LAST" if last else b"")
        case ReportTaken(trace_ids):
            if not trace_ids:
                raise MisuseError("a report about no transaction")
            return b"XPTT TAKEN %s\r\n" % b" ".join(map(xtext, trace_ids))
        case _:
            return _LINES[type(command)]


def write_helo(client_name: str) -> bytes:
    """Give the HELO line, for servers that do not know EHLO (RFC 5321 §3.2)."""
    return b"HELO %s\r\n" % _host(client_name)


def xtext(text: str) -> bytes:
    """Give ``text`` in the form that fits a parameter (RFC 3461 §4), UTF-8 where it is not ASCII."""
    return _NOT_IN_XTEXT.sub(lambda match: b"+%02X" % match[0][0], text.encode())


def _host(name: str) -> bytes:
    if not name or not name.isascii() or not name.isprintable() or " " in name:
        raise MisuseError(f"{name!r} is no name to greet with")
    return name.encode("ascii")


def _path(mailbox: Mailbox, *, smtputf8: bool) -> bytes:
    if _UNSAFE.search(mailbox.wire):
        raise MisuseError(f"a control character in {mailbox.wire!r}")
    if not (smtputf8 or mailbox.wire.isascii()):  # RFC 6531 §3.4
        raise MisuseError(f"{mailbox.wire!r} in mail without SMTPUTF8")
    return b"<%s>" % mailbox.wire


def _parameters(parameters: MailParameters, offer: Extensions | None) -> bytes:
    if offer is None:
        raise MisuseError("MAIL before the answer to EHLO")
    wire = b""
    if parameters.size is not None and offer.offers(Keyword.SIZE):
        wire += b" SIZE=%d" % parameters.size
    if parameters.body is BodyType.EIGHT_BIT_MIME:
        wire += b" BODY=8BITMIME" + _offered(Keyword.EIGHTBITMIME, offer)
    elif parameters.body is BodyType.SEVEN_BIT and offer.offers(Keyword.EIGHTBITMIME):
        wire += b" BODY=7BIT"
    if parameters.smtputf8:
        wire += b" SMTPUTF8" + _offered(Keyword.SMTPUTF8, offer)
    if parameters.requiretls:
        wire += b" REQUIRETLS" + _offered(Keyword.REQUIRETLS, offer)
    if parameters.prdr:
        wire += b" PRDR" + _offered(Keyword.PRDR, offer)
    if parameters.trace_id is not None:
        wire += b" XPTT=" + _trace(parameters.trace_id, parameters.login) + _offered(Keyword.XPTT, offer)
    elif parameters.login is not None:
        raise MisuseError("a login without a trace id")
    return wire


def _offered(keyword: Keyword, offer: Extensions) -> bytes:
    if not offer.offers(keyword):
        raise MisuseError(f"the server does not offer {keyword}")
    return b""


def _trace(trace_id: str, login: str | None) -> bytes:
    if ":" in trace_id:  # it is what ends the trace id, in xtext and out of it
        raise MisuseError(f"a colon in the trace id {trace_id!r}")
    return xtext(trace_id) + (b"" if login is None else b":" + xtext(login))
