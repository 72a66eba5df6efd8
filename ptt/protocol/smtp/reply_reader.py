r"""Reads a server's replies out of a stream, leniently: RFC 5321 §4.2 asks for less than what servers do.

Three digits (2yz to 5yz) and the mark behind them are all that must be right. Tolerated, because large
receivers send it: no text (``250``), bare LF, 8-bit text, an enhanced code of another class (``421 5.7.32``),
several enhanced codes (the first counts), and lines of one reply with different codes (RFC 5321 §4.2.1 wants
them equal; the last line decides, as it is the one by which the reply is known to be complete). Limits: a
line of ``MAX_FOREIGN_LINE_OCTETS``, a reply of ``MAX_FOREIGN_LINES``; past them it is no reply.
"""

import re

from ptt.errors import Malformed
from ptt.protocol.smtp.reply import (
    MAX_FOREIGN_LINE_OCTETS,
    MAX_FOREIGN_LINES,
    MAX_REPLY_LINE_OCTETS,
    RemoteReply,
)

_LINE = re.compile(rb"([2-5]\d{2})(?:([ \t-])(.*))?", re.DOTALL)
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?:[:;,]?[ \t]|$)")  # RFC 2034 §4
_MAX_KEPT_OCTETS = MAX_REPLY_LINE_OCTETS  # of the text of a line: bounds what a hostile peer makes us keep


class ReplyReader:
    """Collects octets and gives whole replies. The result does not depend on how the octets were cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[str] = []
        self._enhanced: str | None = None

    @property
    def has_rest(self) -> bool:
        """Whether octets are here that belong to no reply given so far."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Take octets as they come."""
        self._buffer += data

    def next_reply(self) -> RemoteReply | Malformed | None:
        """Give the next whole reply, None while there is none, or ``Malformed``; then nothing can follow."""
        while True:
            end = self._buffer.find(b"\n", 0, MAX_FOREIGN_LINE_OCTETS)
            if end < 0:
                too_long = len(self._buffer) >= MAX_FOREIGN_LINE_OCTETS
                return Malformed("a reply line without an end") if too_long else None
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            match = _LINE.fullmatch(line)
            if match is None:
                return Malformed("a line that is no reply")
            if len(self._lines) >= MAX_FOREIGN_LINES:
                return Malformed("a reply of too many lines")
            self._keep(match[3] or b"")
            if match[2] != b"-":
                return self._whole(int(match[1]))

    def _keep(self, text: bytes) -> None:
        enhanced = _ENHANCED.match(text)
        if enhanced:
            text = text[enhanced.end() :]
            self._enhanced = self._enhanced or enhanced[1].decode("ascii")
        self._lines.append(text[:_MAX_KEPT_OCTETS].decode("utf-8", "replace"))

    def _whole(self, code: int) -> RemoteReply:
        reply = RemoteReply(code, self._enhanced, tuple(self._lines))
        self._lines, self._enhanced = [], None
        return reply
