"""What a mail file tells of its way and its make: Received and Authentication-Results fields, MIME structure.

For a mail that somebody has and wonders about. Everything in it was written by others: what is shown is
what they claim, and each claim says whose it is (RFC 8601 §7.1).
"""

import re
from dataclasses import dataclass
from datetime import datetime

from ptt.errors import Malformed
from ptt.protocol.mail.date import parse_date
from ptt.protocol.mail.encoded_words import decode_words
from ptt.protocol.mail.header import Field
from ptt.protocol.mail.mime import Part, parse_mime
from ptt.protocol.mailauth.authentication_results import MethodResult, parse_authentication_results

MAX_SHOWN = 200  # characters of a value that others wrote
_COMMENT = re.compile(r"\([^()]*\)")
_CLAUSE = {
    word: re.compile(rf"(?:^|\s){word}\s+(\S+)", re.IGNORECASE) for word in ("from", "by", "with", "id")
}


@dataclass(frozen=True, slots=True)
class Hop:
    """One Received field, as far as it can be read. ``after_s``: since the hop before it."""

    sender: str
    by: str
    protocol: str
    id: str
    at: datetime | None
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """One Authentication-Results field: who claims it, and what."""

    authserv_id: str
    results: tuple[MethodResult, ...]


@dataclass(frozen=True, slots=True)
class PartShape:
    """One part of the message. ``depth`` 0 is the message itself."""

    depth: int
    media_type: str
    octets: int
    charset: str
    filename: str


@dataclass(frozen=True, slots=True)
class MailStory:
    """See the module. ``hops`` in the order of time."""

    sentence: str
    sender: str
    recipient: str
    subject: str
    hops: tuple[Hop, ...]
    results: tuple[Results, ...]
    parts: tuple[PartShape, ...]


def tell_story(message: bytes) -> MailStory:
    """Read a message; nothing in it can make this fail."""
    whole = parse_mime(message)
    hops = _hops(whole)
    results = tuple(_results(whole))
    sender, recipient = _value(whole, b"from"), _value(whole, b"to")
    return MailStory(
        sentence=_sentence(sender, hops, results),
        sender=sender,
        recipient=recipient,
        subject=_value(whole, b"subject"),
        hops=hops,
        results=results,
        parts=tuple(_shapes(whole, 0)),
    )


def _hops(whole: Part) -> tuple[Hop, ...]:
    hops: list[Hop] = []
    for field in reversed([each for each in whole.fields if each.lower == b"received"]):
        hop = _hop(field)
        before = hops[-1].at if hops else None
        after_s = (hop.at - before).total_seconds() if hop.at is not None and before is not None else None
        hops.append(Hop(hop.sender, hop.by, hop.protocol, hop.id, hop.at, after_s))
    return tuple(hops)


def _hop(field: Field) -> Hop:
    text, _, date = _shown(field.value).rpartition(";")
    at = parse_date(date.strip().encode("ascii", "replace"))
    bare = text
    while (shorter := _COMMENT.sub(" ", bare)) != bare:
        bare = shorter
    found = {word: pattern.search(bare) for word, pattern in _CLAUSE.items()}
    said = {word: match[1] if match else "" for word, match in found.items()}
    when = None if isinstance(at, Malformed) else at
    return Hop(said["from"], said["by"], said["with"], said["id"], when)


def _results(whole: Part) -> list[Results]:
    found = []
    for field in whole.fields:
        if field.lower == b"authentication-results":
            read = parse_authentication_results(field.value)
            if not isinstance(read, Malformed):
                found.append(Results(read.authserv_id, read.results))
    return found


def _shapes(part: Part, depth: int) -> list[PartShape]:
    kind = part.content_type
    shape = PartShape(
        depth,
        kind.full_type,
        len(part.body),
        kind.parameter("charset") or "",
        (part.filename or "")[:MAX_SHOWN],
    )
    return [shape, *(each for child in part.children for each in _shapes(child, depth + 1))]


def _sentence(sender: str, hops: tuple[Hop, ...], results: tuple[Results, ...]) -> str:
    way = f"came by {len(hops)} servers" if len(hops) != 1 else "came by 1 server"
    times = [hop.at for hop in hops if hop.at is not None]
    took = f" in {(times[-1] - times[0]).total_seconds():.0f} s" if len(times) > 1 else ""
    claim = ""
    if results:
        newest = results[0]  # fields are put in front: the last server's is the first
        claim = f"; {newest.authserv_id} says {' '.join(f'{r.method}={r.result}' for r in newest.results)}"
    return f"Mail from {sender or 'nobody'}: {way}{took}{claim or '; nobody says whether it is genuine'}."


def _value(whole: Part, lower: bytes) -> str:
    field = next((each for each in whole.fields if each.lower == lower), None)
    return "" if field is None else _printable(decode_words(field.value))[:MAX_SHOWN]


def _shown(value: bytes) -> str:
    return _printable(value.decode("utf-8", "replace"))


def _printable(text: str) -> str:
    """Nothing that moves a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)
