"""Bytes that have come and are not used yet; command lines, and where they end.

A command line ends with CR LF (RFC 5321 §2.3.8). One that is ended by a bare LF, or holds a bare CR or
another control character, is skipped as a whole and never run. A line over its limit is dropped as it
comes, so memory stays bounded, and the next one is found behind its end.
"""

import re
from collections import deque
from enum import Enum, auto

MAX_COMMAND_OCTETS = 2048  # RFC 5321 §4.5.3.1.4 (512) and what all our extensions add; with CRLF
MAX_AUTH_OCTETS = 12288  # RFC 4954 §4: AUTH and the responses to its challenges
MAX_SKIPPED_OCTETS = 128 * 1024  # of one line: far past what a mistaken client sends; then we hang up

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_AUTH = b"AUTH "


class LineFault(Enum):
    """Why a line is not run."""

    BARE_LINE_END = auto()
    CONTROL_CHARACTER = auto()
    NOT_UTF8 = auto()
    TOO_LONG = auto()
    ENDLESS = auto()
    """Longer than what we skip; its end may not have come."""


class Input:
    """What the peer has sent: a queue of the buffers as given, read by the line or by the piece.

    ``received`` and ``consumed`` count octets from the start; they tell what came before a reply went out.
    """

    __slots__ = ("_buffer", "_pieces", "_searched", "_skipped", "_start", "consumed", "ended", "received")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._buffer = b""
        self._start = 0
        self._searched = 0
        self._skipped = 0
        self.received = 0
        self.consumed = 0
        self.ended = False

    def receive(self, data: bytes) -> None:
        """Keep ``data`` as it is."""
        if data:
            self._pieces.append(data)
            self.received += len(data)

    @property
    def is_empty(self) -> bool:
        """Nothing has come that was not taken."""
        return not self._pieces and not self._buffer

    def clear(self) -> None:
        """Forget what was not taken."""
        self._pieces.clear()
        self._buffer = b""
        self._start = self._searched = self._skipped = 0

    def starts_with(self, prefix: bytes) -> bool:
        """Whether the next octets are ``prefix``, which is in upper case, in any case."""
        self._gather()
        return self._buffer[self._start : self._start + len(prefix)].upper() == prefix

    def take_line(self, limit: int | None = None) -> bytes | LineFault | None:
        """Take a line off, without its end; None when its end has not come.

        ``limit`` in octets with CRLF; without it that of a command.
        """
        self._gather()
        start = self._start
        if limit is None:
            is_auth = self._buffer[start : start + len(_AUTH)].upper() == _AUTH
            limit = MAX_AUTH_OCTETS if is_auth else MAX_COMMAND_OCTETS
        end = self._buffer.find(b"\n", max(start, self._searched)) + 1
        length = (end or len(self._buffer)) - start
        if self._skipped or length > limit:
            return self._skip(length, ended=end > 0)
        if not end:
            self._searched = len(self._buffer)
            return None
        line = self._buffer[start:end]
        self._advance(length)
        return _checked(line)

    def take(self, at_most: int | None = None) -> bytes:
        """Take the next piece as it was given, or a part of it; empty when nothing is there."""
        if not self._buffer and self._pieces:
            self._buffer = self._pieces.popleft()
        piece = self._buffer[self._start :] if self._start else self._buffer
        if at_most is not None and len(piece) > at_most:
            piece = piece[:at_most]
        self._advance(len(piece))
        return piece

    def give_back(self, rest: bytes) -> None:
        """Put the end of the piece that was just taken back in front."""
        self._buffer = rest + self._buffer[self._start :]
        self._start = self._searched = 0
        self.consumed -= len(rest)

    def _gather(self) -> None:
        if self._pieces:
            rest = self._buffer[self._start :]
            self._searched = max(self._searched - self._start, 0)
            self._buffer = (
                b"".join((rest, *self._pieces)) if rest or len(self._pieces) > 1 else self._pieces[0]
            )
            self._pieces.clear()
            self._start = 0

    def _advance(self, octets: int) -> None:
        self._start += octets
        self.consumed += octets
        if self._start >= len(self._buffer):
            self._buffer = b""  # an idle connection keeps nothing
            self._start = self._searched = 0

    def _skip(self, octets: int, *, ended: bool) -> LineFault | None:
        self._skipped += octets
        self._advance(octets)
        skipped = self._skipped
        if ended or skipped > MAX_SKIPPED_OCTETS:
            self._skipped = 0
            return LineFault.ENDLESS if skipped > MAX_SKIPPED_OCTETS else LineFault.TOO_LONG
        return None


def _checked(line: bytes) -> bytes | LineFault:
    if not line.endswith(b"\r\n"):
        return LineFault.BARE_LINE_END
    line = line[:-2].rstrip(b" \t")  # RFC 5321 §4.1.1: trailing white space is tolerated
    if control := _CONTROL.search(line):
        return LineFault.BARE_LINE_END if control[0] == b"\r" else LineFault.CONTROL_CHARACTER
    if not line.isascii():
        try:
            line.decode()
        except UnicodeDecodeError:
            return LineFault.NOT_UTF8
    return line
