r"""What DATA does to a message on its way out: dots doubled, and a message with bad line ends stopped.

RFC 5321 §4.5.2 gives the transparency procedure, §2.3.8 forbids a CR or LF that stands alone: one server's
text is the next one's end of data (message smuggling), so such a message is never finished. Nothing is
repaired: a changed line end would break the author's signatures.

A buffer without a dot at the start of a line passes as the object that it is; others are copied once. No loop
runs over octets or lines: 400 MB/s and more.
"""

from collections.abc import Iterable

from ptt.errors import Malformed

END_OF_DATA = b".\r\n"  # RFC 5321 §4.1.1.4: the CRLF before it is the last one of the message

_LINE_END_OCTETS = frozenset(b"\r\n")
_ALL_BUT_LINE_ENDS = bytes(octet for octet in range(256) if octet not in _LINE_END_OCTETS)

_BARE = Malformed("a CR or LF that stands alone")
_UNFINISHED = Malformed("the last line does not end in CRLF")


class LineEndCheck:
    """Watches a message that comes in pieces for line ends other than CRLF. Pieces may be cut anywhere."""

    def __init__(self) -> None:
        self._ends_in_cr = False
        self._ends_in_crlf = True  # the empty message has no unfinished line
        self.malformed: Malformed | None = None

    @property
    def is_at_line_start(self) -> bool:
        """Whether the next octet is the first of a line."""
        return self._ends_in_crlf

    @property
    def is_within_line_end(self) -> bool:
        """Whether the pieces end between the CR and the LF."""
        return self._ends_in_cr

    def feed(self, piece: bytes) -> None:
        """Look at the next piece; ``malformed`` says whether anything was wrong so far."""
        if not piece or self.malformed:
            return
        if self._ends_in_cr and not piece.startswith(b"\n"):
            self.malformed = _BARE
            return
        # All CR and LF that there are, less those in pairs, less the halves of pairs cut by the ends of the
        # piece.
        ends_in_cr = piece.endswith(b"\r")
        alone = len(piece.translate(None, _ALL_BUT_LINE_ENDS)) - 2 * piece.count(b"\r\n")
        if alone != self._ends_in_cr + ends_in_cr:
            self.malformed = _BARE
            return
        self._ends_in_crlf = piece.endswith(b"\r\n") or (self._ends_in_cr and piece == b"\n")
        self._ends_in_cr = ends_in_cr

    def finish(self) -> Malformed | None:
        """Say what is wrong with the whole message, now that it is complete."""
        if self.malformed is None and self._ends_in_cr:
            self.malformed = _BARE
        elif self.malformed is None and not self._ends_in_crlf:
            self.malformed = _UNFINISHED
        return self.malformed


def find_bad_line_end(message: Iterable[bytes]) -> Malformed | None:
    """Say why this message may not be sent, or None: a bare CR or LF, or a last line without CRLF."""
    check = LineEndCheck()
    for piece in message:
        check.feed(piece)
    return check.finish()


class DotStuffer:
    """Turns the pieces of a message into what goes on the wire after 354 (RFC 5321 §4.5.2).

    ``feed`` gives the buffers to send; ``finish`` gives the end of data, or ``Malformed`` when the message
    broke RFC 5321 §2.3.8: then the end may not be sent, and closing the connection is all that is left. After
    the first fault ``feed`` gives nothing more.
    """

    def __init__(self) -> None:
        self._check = LineEndCheck()

    @property
    def malformed(self) -> Malformed | None:
        """What was wrong so far."""
        return self._check.malformed

    def feed(self, piece: bytes) -> list[bytes]:
        """Give the wire form of the next piece as buffers: the piece itself where no dot is doubled."""
        at_line_start = self._check.is_at_line_start
        within_line_end = self._check.is_within_line_end
        self._check.feed(piece)
        if self._check.malformed or not piece:
            return []
        stuffed = piece.replace(b"\r\n.", b"\r\n..")  # the same object when nothing is found
        if at_line_start and piece.startswith(b"."):
            return [b".", stuffed]
        if within_line_end and piece.startswith(b"\n."):
            return [b"\n.", stuffed[1:]]
        return [stuffed]

    def finish(self) -> bytes | Malformed:
        """Give what follows the message: the lone dot."""
        return self._check.finish() or END_OF_DATA


class OutgoingMessage:
    """A message on its way to the wire. ``is_whole``: its end was given; ``is_away``: it was taken, too."""

    def __init__(self) -> None:
        self._stuffer = DotStuffer()
        self._buffers: list[bytes] = []
        self.is_whole = False
        self.is_away = False

    def add(self, pieces: Iterable[bytes], *, last: bool) -> Malformed | None:
        """Take the next pieces, and with ``last`` the end."""
        for piece in pieces:
            self._buffers += self._stuffer.feed(piece)
        if last and not self._stuffer.malformed:
            end = self._stuffer.finish()
            if isinstance(end, bytes):
                self._buffers.append(end)
                self.is_whole = True
        return self._stuffer.malformed

    def take(self) -> list[bytes]:
        """Give the buffers that have not been taken yet."""
        buffers, self._buffers = self._buffers, []
        self.is_away = self.is_whole
        return buffers
