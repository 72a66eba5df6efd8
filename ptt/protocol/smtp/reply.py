"""Replies: ours, which cannot contradict themselves, and a peer's, which are read leniently.

RFC 5321 §4.2 gives the form, RFC 2034 and RFC 3463 the enhanced status code. The first digit alone decides
what a peer's reply means (RFC 5321 §4.2.1): big receivers do send ``421 5.7.32``.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from ptt.errors import MisuseError

MAX_REPLY_LINE_OCTETS = 512  # RFC 5321 §4.5.3.1.5, with code and CRLF; ours are kept below it
MAX_FOREIGN_LINE_OCTETS = 4096  # peers write longer ones; past this it is no reply any more
MAX_KEPT_ENCODED = 256  # most of our replies are one of a few dozen
MAX_FOREIGN_LINES = 128  # an EHLO answer has about 15; bounds what a hostile peer can make us keep


class ReplyClass(IntEnum):
    """The first digit of a reply code (RFC 5321 §4.2.1)."""

    COMPLETED = 2
    INTERMEDIATE = 3
    TEMPORARY = 4
    PERMANENT = 5


_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that we send: code, enhanced status code (or none), and lines of printable ASCII.

    The constructor refuses a code and an enhanced code of different classes (451 with 5.x.x cannot be built).
    """

    code: int
    enhanced: str | None
    text: tuple[str, ...]

    def __init__(self, code: int, enhanced: str | None, *text: str) -> None:
        if not 200 <= code <= 599 or code // 100 == 1:  # noqa: PLR2004 - the codes of RFC 5321 §4.2
            raise MisuseError(f"{code} is no reply code")
        if enhanced is not None:
            if not _ENHANCED.fullmatch(enhanced):
                raise MisuseError(f"{enhanced!r} is no enhanced status code")
            if code // 100 != int(enhanced[0]):
                raise MisuseError(f"{code} and {enhanced} are of different classes")
        if not text:
            raise MisuseError("a reply without text")
        for line in text:
            if not (line.isascii() and line.isprintable()):
                raise MisuseError(f"{line!r} is not printable ASCII")
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "enhanced", enhanced)
        object.__setattr__(self, "text", text)

    @property
    def reply_class(self) -> ReplyClass:
        """What the first digit says."""
        return ReplyClass(self.code // 100)

    @property
    def is_completed(self) -> bool:
        """2yz."""
        return self.code // 100 == ReplyClass.COMPLETED

    @property
    def is_temporary(self) -> bool:
        """4yz."""
        return self.code // 100 == ReplyClass.TEMPORARY

    @property
    def is_permanent(self) -> bool:
        """5yz."""
        return self.code // 100 == ReplyClass.PERMANENT

    def lines(self) -> list[str]:
        """The text lines with the enhanced code in front of each (RFC 2034 §4), as they go on the wire."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        room = MAX_REPLY_LINE_OCTETS - len("250-") - len("\r\n") - len(prefix)
        return [f"{prefix}{line[:room]}" for line in self.text]

    def encode(self) -> bytes:
        """Wire form: ``250-first``, ``250 last`` with CRLF (RFC 5321 §4.2.1)."""
        return _encode(self)

    def __str__(self) -> str:
        return " / ".join(f"{self.code} {line}" for line in self.lines())


@lru_cache(maxsize=MAX_KEPT_ENCODED)
def _encode(reply: Reply) -> bytes:
    lines = reply.lines()
    wire = [f"{reply.code}-{line}\r\n" for line in lines[:-1]]
    wire.append(f"{reply.code} {lines[-1]}\r\n")
    return "".join(wire).encode("ascii")


@dataclass(frozen=True, slots=True)
class RemoteReply:
    """A reply as a peer wrote it; nothing of it is trusted but its first digit.

    ``text`` holds the lines without code and enhanced code, as bytes of any kind turned to text by
    replacing what is not UTF-8.
    """

    code: int
    enhanced: str | None
    text: tuple[str, ...]

    @property
    def is_completed(self) -> bool:
        """2yz."""
        return self.code // 100 == ReplyClass.COMPLETED

    @property
    def is_intermediate(self) -> bool:
        """3yz."""
        return self.code // 100 == ReplyClass.INTERMEDIATE

    @property
    def is_temporary(self) -> bool:
        """4yz, and anything that is not 2, 3 or 5: doubt is temporary."""
        return self.code // 100 not in (
            ReplyClass.COMPLETED,
            ReplyClass.INTERMEDIATE,
            ReplyClass.PERMANENT,
        )

    @property
    def is_permanent(self) -> bool:
        """5yz."""
        return self.code // 100 == ReplyClass.PERMANENT

    @property
    def printable(self) -> tuple[str, ...]:
        """The lines with everything but printable ASCII replaced by ``?``, fit for a ``Reply``."""
        return tuple(
            line if line.isascii() and line.isprintable() else "".join(map(_printable, line))
            for line in self.text
        )

    def __str__(self) -> str:
        enhanced = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {enhanced}{' / '.join(self.printable)}"


def _printable(char: str) -> str:
    return char if char.isascii() and char.isprintable() else "?"
