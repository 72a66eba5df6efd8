"""What a message is recognised by when it comes again: keyed hashes, taken while it passes by.

The exact key is over (reverse-path, forward-path, target, Message-ID, Date, From, Subject, To, body): the
same octets sent again. Subject and To tell two messages of one second apart that name themselves by nothing
else. The looser one is for mail programs that renew Date, Message-ID and boundaries with each try
(Thunderbird, FairEmail; specs/clients.md section 7): (login, From, forward-path, target, Subject, body
without ``--`` lines and boundary parameters, undecoded). Hashes are BLAKE2b under the ledger's key, so that
what the host keeps tells nobody who wrote to whom. Trace fields and signatures are in neither. Pieces may be
cut anywhere.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b

from ptt.errors import Malformed
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.mail.header import MAX_HEADER_OCTETS, Header, parse_header
from ptt.protocol.mail.received import loop_tokens

KEY_OCTETS = 16  # two messages of a ledger's 10^6 collide with a chance of 10^-26
MAX_CARRIED_LINE = (
    1024 * 1024
)  # an unfinished line kept for the next piece; longer ones are hashed as they come

_HEADER_END = re.compile(rb"\r\n\r\n")
_HEADER_END_OCTETS = 3  # so much of it may have come before
_DASHED_LINE = re.compile(rb"^--.*\n?", re.MULTILINE)
_BOUNDARY = re.compile(rb"boundary[ \t]*=[ \t]*(?:\"[^\"\r\n]*\"|[^\s;\"]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A whole message, as far as it is looked at.

    ``names_itself``: it has the one Message-ID of its author.
    """

    names_itself: bool
    is_ascii_header: bool
    is_ascii_body: bool
    size: int
    _exact: bytes
    _loose: bytes
    _key: bytes

    def exact_key(self, reverse_path: Mailbox | None, forward_path: Mailbox, target: Mailbox) -> bytes:
        """The key of one recipient and target of this message."""
        sender = b"" if reverse_path is None else reverse_path.canonical()
        return _hash(self._key, b"exact", sender, forward_path.canonical(), target.canonical(), self._exact)

    def loose_key(self, login: str, forward_path: Mailbox, target: Mailbox) -> bytes:
        """The looser key, for mail that a user of ours submits."""
        return _hash(
            self._key, b"loose", login.encode(), forward_path.canonical(), target.canonical(), self._loose
        )


class FingerprintReader:
    """Takes a message piece by piece: ``feed`` until its end, then ``finish``."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32).digest()
        self._exact = blake2b(key=self._key, digest_size=KEY_OCTETS, person=b"body")
        self._loose = blake2b(key=self._key, digest_size=KEY_OCTETS, person=b"looser body")
        self._head = bytearray()
        self._header: Header | None = None
        self._in_header = True
        self._carry = b""
        self._size = 0
        self.is_ascii_header = True
        self.is_ascii_body = True

    @property
    def hops(self) -> int:
        """How many Received fields the header has, once it has ended."""
        return 0 if self._header is None else self._header.count(b"received")

    @property
    def loop_tokens(self) -> frozenset[str]:
        """The loop tokens in its Received fields, once the header has ended."""
        return frozenset() if self._header is None else loop_tokens(self._header)

    @property
    def in_header(self) -> bool:
        """Whether the header has not ended yet."""
        return self._in_header

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self._size += len(piece)
        if not self._in_header:
            self._feed_body(piece)
            return
        seen = max(0, len(self._head) - _HEADER_END_OCTETS)
        self._head += piece
        end = _HEADER_END.search(self._head, seen)
        if self._head.startswith(b"\r\n"):
            self._end_header(2)
        elif end is not None:
            self._end_header(end.end())
        elif len(self._head) > MAX_HEADER_OCTETS:
            self._end_header(len(self._head))

    def finish(self) -> Fingerprint:
        """Take the end of the message."""
        if self._in_header:
            self._end_header(len(self._head))
        self._feed_loose(self._carry)
        header = self._header
        identifiers = [] if header is None else [field.value for field in header.all(b"message-id")]
        author, date, subject, addressees = (
            b"\n".join([] if header is None else [field.value for field in header.all(name)])
            for name in (b"from", b"date", b"subject", b"to")
        )
        body = self._exact.digest()
        return Fingerprint(
            names_itself=len(identifiers) == 1 and bool(identifiers[0]),
            is_ascii_header=self.is_ascii_header,
            is_ascii_body=self.is_ascii_body,
            size=self._size,
            _exact=_hash(
                self._key, b"message", b"\n".join(identifiers), date, author, subject, addressees, body
            ),
            _loose=_hash(self._key, b"looser message", author, subject, self._loose.digest()),
            _key=self._key,
        )

    def _end_header(self, length: int) -> None:
        block, rest = bytes(self._head[:length]), bytes(self._head[length:])
        self._head.clear()
        self._in_header = False
        self.is_ascii_header = block.isascii()
        header = parse_header(block)
        if isinstance(header, Malformed):
            # Nothing of it is trusted to name the message, all of it counts.
            self._exact.update(block)
            self._feed_loose(block)
        else:
            self._header = header
        self._feed_body(rest)

    def _feed_body(self, piece: bytes) -> None:
        if not piece:
            return
        self._exact.update(piece)
        self.is_ascii_body = self.is_ascii_body and piece.isascii()
        end = piece.rfind(b"\n") + 1
        if end:
            self._feed_loose(self._carry + piece[:end])
            self._carry = piece[end:]
        else:
            self._carry += piece
            if len(self._carry) > MAX_CARRIED_LINE:
                self._feed_loose(self._carry)
                self._carry = b""

    def _feed_loose(self, lines: bytes) -> None:
        if b"--" in lines:
            lines = _DASHED_LINE.sub(b"", lines)
        if b"boundary" in lines.lower():  # five times as fast as the search for nothing
            lines = _BOUNDARY.sub(b"", lines)
        self._loose.update(lines)


def _hash(key: bytes, purpose: bytes, *parts: bytes) -> bytes:
    """A keyed hash of parts that cannot run into each other."""
    state = blake2b(key=key, digest_size=KEY_OCTETS, person=purpose)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()
