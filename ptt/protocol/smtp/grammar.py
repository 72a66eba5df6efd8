"""The grammar of command lines (RFC 5321 §4.1.1, §4.1.2) up to, and without, mailboxes and parameters.

Also xtext (RFC 3461 §4), the size of a chunk (RFC 3030 §2) and our own XPTT. Lines come here without their
end, free of control characters, and as UTF-8.
"""

import re
from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox

MAX_CLIENT_NAME_OCTETS = 255  # RFC 5321 §4.5.3.1.2
MAX_TRACE_IDS = 100  # in one XPTT TAKEN; a command line holds no more of useful length

_HTTP = re.compile(rb"(?:CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PRI|PUT|TRACE) \S+ HTTP/\d")
_COMMAND = re.compile(rb"([A-Za-z]+)(?: +(.*))?")
# Deviation: RFC 5321 §4.1.2 has no underscore in a domain; many machines that send mail have one in theirs.
_CLIENT_NAME = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[!-Z^-~]+\]")
_SOURCE_ROUTE = rb"(?:@[^\s:<>@,]+(?:,@[^\s:<>@,]+)*:)?+"
_PATH = re.compile(rb"<" + _SOURCE_ROUTE + rb'((?:"(?:[^"\\]|\\.)*+"|[^"<>\s])*+)>(?: +(.*))?')
_BARE_PATH = re.compile(rb"([^\s<>]+)(?: +(.*))?")
_CHUNK = re.compile(rb"([0-9]{1,20})( +[Ll][Aa][Ss][Tt])?")
_TRACE_ID = re.compile(r"[!-9;-~]{1,128}")
_XCHARS = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")
_POSTMASTER = b"postmaster"


@dataclass(frozen=True, slots=True)
class Path:
    """What stood in angle brackets (empty for ``<>``), without its source route, and what came behind."""

    mailbox: bytes
    parameters: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """The argument of BDAT."""

    octets: int
    last: bool


def is_http(line: bytes) -> bool:
    """Whether a web browser was made to talk to us: what follows is chosen by a third party."""
    return _HTTP.match(line) is not None


def split_command(line: bytes) -> tuple[str, bytes]:
    """Verb in upper case and argument; an empty verb where the line has none."""
    match = _COMMAND.fullmatch(line)
    return (match[1].decode("ascii").upper(), match[2] or b"") if match else ("", b"")


def parse_client_name(argument: bytes, *, tolerant: bool) -> str | Malformed:
    """The argument of EHLO, HELO and LHLO (RFC 5321 §4.1.1.1): a domain or an address literal.

    ``tolerant`` takes any printable text. The name is a claim of the peer; nothing may rest on it.
    """
    if not 0 < len(argument) <= MAX_CLIENT_NAME_OCTETS:
        return Malformed("no name, or one that is too long")
    name = argument.decode()
    if _CLIENT_NAME.fullmatch(argument) or (tolerant and name.isprintable()):
        return name
    return Malformed("neither a domain nor an address literal")


def parse_path(argument: bytes, introduction: bytes, *, tolerant: bool) -> Path | Malformed:
    """Read ``FROM:<…> parameters`` or ``TO:<…> parameters``; ``introduction`` is in upper case.

    A source route is read and dropped (RFC 5321 appendix C). ``tolerant`` allows a blank behind the colon and
    an address without brackets.
    """
    if argument[: len(introduction)].upper() != introduction:
        return Malformed(f"no {introduction.decode('ascii')}")
    rest = argument[len(introduction) :]
    if tolerant:
        rest = rest.lstrip(b" ")
    match = _PATH.fullmatch(rest) or (_BARE_PATH.fullmatch(rest) if tolerant else None)
    return Path(match[1], match[2] or b"") if match else Malformed("no path")


def parse_chunk(argument: bytes) -> Chunk | Malformed:
    """Read ``size [LAST]`` of BDAT."""
    match = _CHUNK.fullmatch(argument)
    return Chunk(int(match[1]), last=match[2] is not None) if match else Malformed("no chunk size")


def parse_taken(argument: bytes) -> tuple[str, ...] | Malformed:
    """Read ``TAKEN trace-id…`` of XPTT."""
    action, *words = argument.split(b" ")
    if action.upper() != b"TAKEN" or not 0 < len(words) <= MAX_TRACE_IDS:
        return Malformed("no TAKEN with trace ids")
    trace_ids = [trace_id for trace_id in map(parse_trace_id, words) if isinstance(trace_id, str)]
    return tuple(trace_ids) if len(trace_ids) == len(words) else Malformed("a malformed trace id")


def parse_trace_id(value: bytes) -> str | Malformed:
    """Read a trace id, 1 to 128 printable characters without colon, from its xtext."""
    text = decode_xtext(value)
    if isinstance(text, str) and not _TRACE_ID.fullmatch(text):
        return Malformed("no trace id")
    return text


def parse_trace(value: bytes) -> tuple[str, str | None] | Malformed:
    """Read the value of XPTT at MAIL, ``trace-id[:login]``, each in xtext."""
    first, colon, second = value.partition(b":")
    trace_id = parse_trace_id(first)
    if isinstance(trace_id, Malformed) or not colon:
        return trace_id if isinstance(trace_id, Malformed) else (trace_id, None)
    login = decode_xtext(second)
    return login if isinstance(login, Malformed) else (trace_id, login)


def decode_xtext(value: bytes) -> str | Malformed:
    """Read xtext that holds UTF-8."""
    if not _XCHARS.fullmatch(value):
        return Malformed("no xtext")
    try:
        return _HEXCHAR.sub(lambda match: bytes((int(match[1], 16),)), value).decode()
    except UnicodeDecodeError:
        return Malformed("xtext that is not UTF-8")


def bare_postmaster(text: bytes, host_name: str) -> Mailbox | None:
    """The mailbox, at our own name, of ``<Postmaster>`` without a domain (RFC 5321 §4.1.1.3), or None."""
    return Mailbox("postmaster", Name.of(host_name), text) if text.lower() == _POSTMASTER else None


def is_bare_postmaster(mailbox: Mailbox) -> bool:
    """Whether a recipient was named ``<Postmaster>`` without a domain; ``wire`` tells the next hop too."""
    return mailbox.wire.lower() == _POSTMASTER
