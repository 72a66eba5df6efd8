"""One line of the journal for each transaction: what came to pass, never what was written in it.

JSON, one object a line, so that ``ptt trace`` and any log program can read it. There is no field for
content and none for a password; ``detail`` is for the private cause of an outcome. Every field is bounded
when a line is written, so that a peer cannot flood the journal through us.
"""

import math
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from ptt.errors import Malformed, MisuseError

MAX_LINE_OCTETS = 131_072  # the bounds below with every character escaped as six octets
MAX_WORD_CHARACTERS = 128  # event, trace, unit, image, login
MAX_PEER_CHARACTERS = 320  # a host name (255 octets) with a port, or an address
MAX_PATH_CHARACTERS = 256  # RFC 5321 §4.5.3.1.3
MAX_PATHS = 20  # so many are listed; ``forward_path_count`` has them all
MAX_OUTCOME_CHARACTERS = 1024  # two lines of a reply (RFC 5321 §4.5.3.1.5)
MAX_DETAIL_CHARACTERS = 4096
MAX_TIMES = 16  # points on the way
MAX_COUNT = (1 << 53) - 1  # JSON numbers are exact up to here (RFC 8259 §6)
CUT = "…"

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class JournalLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line. ``at``, aware, is when the transaction ended.

    ``generation`` and ``image`` say which code it was. ``peer`` is who called: address and port, or a unit.
    ``reverse_path`` is "" for <> and None where there was none. ``outcome`` is the reply that was given.
    ``times`` are milliseconds from the start to points on the way, by name.
    """

    at: _Time
    event: str
    unit: str
    generation: int = 0
    image: str | None = None
    trace: str | None = None
    peer: str | None = None
    login: str | None = None
    reverse_path: str | None = None
    forward_paths: tuple[str, ...] = ()
    forward_path_count: int = 0
    size: int | None = None
    outcome: str | None = None
    duration_ms: float | None = None
    times: dict[str, float] = msgspec.field(default_factory=dict)
    detail: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(JournalLine)


def encode_line(line: JournalLine) -> bytes:
    """The line without its end, at most ``MAX_LINE_OCTETS``: what is too long is cut and ends in ``…``."""
    return _encoder.encode(bounded(line))


def decode_line(text: bytes) -> JournalLine | Malformed:
    """Read a line, with or without its end. Fields that we do not know are left out."""
    if len(text) > MAX_LINE_OCTETS:
        return Malformed(f"a line longer than {MAX_LINE_OCTETS} octets")
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Malformed("not JSON")


def bounded(line: JournalLine) -> JournalLine:
    """The line as it will be read back: cut to the bounds, time in UTC, no number that JSON lacks."""
    if line.at.tzinfo is None:
        raise MisuseError("a journal line with a time of no zone")
    return JournalLine(
        at=line.at.astimezone(UTC),
        event=_cut(line.event, MAX_WORD_CHARACTERS),
        unit=_cut(line.unit, MAX_WORD_CHARACTERS),
        generation=_count(line.generation),
        image=_cut_some(line.image, MAX_WORD_CHARACTERS),
        trace=_cut_some(line.trace, MAX_WORD_CHARACTERS),
        peer=_cut_some(line.peer, MAX_PEER_CHARACTERS),
        login=_cut_some(line.login, MAX_WORD_CHARACTERS),
        reverse_path=_cut_some(line.reverse_path, MAX_PATH_CHARACTERS),
        forward_paths=tuple(_cut(path, MAX_PATH_CHARACTERS) for path in line.forward_paths[:MAX_PATHS]),
        forward_path_count=_count(max(line.forward_path_count, len(line.forward_paths))),
        size=None if line.size is None else _count(line.size),
        outcome=_cut_some(line.outcome, MAX_OUTCOME_CHARACTERS),
        duration_ms=None if line.duration_ms is None else _milliseconds(line.duration_ms),
        times={
            _cut(name, MAX_WORD_CHARACTERS): _milliseconds(time)
            for name, time in list(line.times.items())[:MAX_TIMES]
        },
        detail=_cut_some(line.detail, MAX_DETAIL_CHARACTERS),
    )


def _cut(text: str, limit: int) -> str:
    # What was not UTF-8 on the wire may be here as lone surrogates, which JSON cannot carry.
    whole = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
    return whole if len(whole) <= limit else whole[: limit - len(CUT)] + CUT


def _cut_some(text: str | None, limit: int) -> str | None:
    return None if text is None else _cut(text, limit)


def _count(number: int) -> int:
    return min(max(number, 0), MAX_COUNT)


def _milliseconds(time: float) -> float:
    return min(max(round(time, 3), 0.0), float(MAX_COUNT)) if math.isfinite(time) else 0.0
