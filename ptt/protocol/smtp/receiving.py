"""Taking in a message: the end of DATA, dot transparency, chunks, bare line ends, the size limit.

DATA ends with CRLF "." CRLF and with nothing else (RFC 5321 §4.1.1.4): a dot between a bare CR or LF and
whatever follows ends nothing. A bare CR or LF anywhere spoils the message (RFC 5321 §2.3.8); so does being
larger than the limit. A spoilt message is swallowed to its true end, of which the caller tells the peer. No
loop runs over lines: each piece is looked at as a whole.
"""

import re
from enum import Enum, auto

MAX_SWALLOWED_OCTETS = 256 * 1024 * 1024  # of a spoilt message, before we hang up on an endless one

_CRLF = b"\r\n"
_END = b"\r\n.\r\n"
_DOT = b"\r\n."
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Fault(Enum):
    """What spoilt a message. The first one in the order of its octets counts."""

    BARE_LINE_END = auto()
    TOO_LARGE = auto()


class Intake:
    """Octets of one message so far: their number and whether they are spoilt."""

    __slots__ = ("_limit", "fault", "size", "swallowed")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.size = 0
        self.swallowed = 0
        self.fault: Fault | None = None

    @property
    def is_endless(self) -> bool:
        """So much came behind the fault that we should hang up."""
        return self.swallowed > MAX_SWALLOWED_OCTETS

    def admit(self, content: bytes, *, stuffed: bool) -> bytes:
        """Give what is to be handed out of ``content``: without stuffed dots, or nothing once spoilt.

        ``content`` never begins or ends within CRLF, nor (if ``stuffed``) between CRLF and a dot.
        """
        if self.fault is not None:
            self.swallowed += len(content)
            return b""
        without_line_ends = content.replace(_CRLF, b"")  # faster by far than a regex or counting
        if b"\n" in without_line_ends or b"\r" in without_line_ends:
            bare = next(_BARE.finditer(content))
            room = self._limit - self.size
            before = len(_unstuffed(content[: bare.start()], stuffed=stuffed))
            self.fault = Fault.TOO_LARGE if before > room else Fault.BARE_LINE_END
            return b""
        text = _unstuffed(content, stuffed=stuffed)
        self.size += len(text)
        if self.size > self._limit:
            self.fault = Fault.TOO_LARGE
            return b""
        return text


def _unstuffed(content: bytes, *, stuffed: bool) -> bytes:
    """RFC 5321 §4.5.2: a dot at the start of a line goes, if anything but the line's end follows."""
    return content.replace(_DOT, _CRLF) if stuffed else content


class DotStream:
    """The octets behind 354, up to the final dot.

    The start of the data counts as the start of a line, hence the CRLF that is thought in front of it.
    """

    __slots__ = ("_held", "_imagined", "finished", "intake", "rest")

    def __init__(self, limit: int) -> None:
        self.intake = Intake(limit + len(_CRLF))
        self._held = _CRLF
        self._imagined = True
        self.finished = False
        self.rest = b""

    @property
    def size(self) -> int:
        """Octets of the message."""
        return self.intake.size - len(_CRLF)

    def take(self, piece: bytes) -> bytes:
        """Take a piece and give the part of the message in it; what stands behind the end is in ``rest``."""
        octets = self._held + piece
        has_dot = _DOT in octets
        end = octets.find(_END) if has_dot else -1
        if end >= 0:
            content = octets[: end + len(_CRLF)]
            self.rest = octets[end + len(_END) :]
            self.finished = True
        else:
            held = _held_back(octets)
            content = octets[: len(octets) - held] if held else octets
            self._held = octets[len(octets) - held :] if held else b""
        text = self.intake.admit(content, stuffed=has_dot)
        if self._imagined and content:
            self._imagined = False
            return text[len(_CRLF) :]
        return text


def _held_back(octets: bytes) -> int:
    """How many octets at the end may belong to the end of the data: they wait for the next piece."""
    if octets.endswith(_CRLF):
        return 2
    if octets.endswith(b"\r"):
        return 4 if octets.endswith(_END[:4]) else 1
    return 3 if octets.endswith(_DOT) else 0


class ChunkStream:
    """The octets of the chunks of one message (RFC 3030 §2): no dots, but the same rule for line ends.

    Deviation: RFC 3030 lets a message end without CRLF and keeps it so. Here it gets one, since every way to
    send it on asks for that (RFC 5321 §4.1.1.4) and no signature sees the difference (RFC 6376 §3.4.3 and
    §3.4.4).
    """

    __slots__ = ("_held", "_last", "intake")

    def __init__(self, limit: int) -> None:
        self.intake = Intake(limit)
        self._held = b""
        self._last = _CRLF

    @property
    def size(self) -> int:
        """Octets of the message."""
        return self.intake.size

    def take(self, piece: bytes) -> bytes:
        """Take a piece of a chunk and give what is sure of it: a CR at its end waits."""
        octets = self._held + piece
        self._held = octets[-1:] if octets.endswith(b"\r") else b""
        return self._admit(octets[:-1] if self._held else octets)

    def finish(self) -> bytes:
        """The last chunk has ended: give what was held back, or the CRLF that is missing."""
        if self._held:
            return self._admit(self._held)  # a bare CR
        return b"" if self._last == _CRLF else self._admit(_CRLF)

    def _admit(self, content: bytes) -> bytes:
        text = self.intake.admit(content, stuffed=False)
        self._last = (self._last + text[-2:])[-2:]
        return text
