"""The forms in which header fields and bodies are hashed (RFC 6376 §3.4).

``simple`` tolerates almost no change on the way, ``relaxed`` tolerates other white space. Fields are
canonicalised one by one; a body is hashed as it comes, in buffers of any size: where it is cut does
not change the result. Lines end in CRLF; bare CR and LF are octets like any other.

What is held back between buffers is bounded: a blank and a CR, and the number of empty lines.
"""

import hashlib
from enum import Enum

Buffer = bytes | bytearray | memoryview

PIECE_OCTETS = 64 * 1024  # a piece stays in the cache of the processor while it is worked over


class Canonicalization(Enum):
    """Which of the two forms; the value is the word of the c= tag."""

    SIMPLE = b"simple"
    RELAXED = b"relaxed"


class HashAlgorithm(Enum):
    """The hash of a signature; the value is its name in ``hashlib`` and in the a= tag.

    SHA-1 is known so that old mail can be judged on request; RFC 8301 §3.1 forbids it for everything else.
    """

    SHA256 = "sha256"
    SHA1 = "sha1"


def canonical_field(canonicalization: Canonicalization, name: bytes, value: bytes) -> bytes:
    """One header field in its form for hashing, CRLF at the end.

    ``name`` is all before the colon, ``value`` all behind it, folded as received, without the final CRLF.
    """
    if canonicalization is Canonicalization.SIMPLE:
        return b"%b:%b\r\n" % (name, value)
    return b"%b:%b\r\n" % (
        name.rstrip(b" \t").lower(),
        _single_blanks(value.replace(b"\r\n", b"")).strip(b" "),
    )


def _single_blanks(text: bytes) -> bytes:
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


class BodyHash:
    """The hash of a body, fed buffer by buffer (RFC 6376 §3.4.3, §3.4.4, §3.7).

    ``limit_octets`` is the l= tag: so much of the canonical body is hashed and the rest only counted.
    """

    def __init__(
        self,
        canonicalization: Canonicalization = Canonicalization.RELAXED,
        algorithm: HashAlgorithm = HashAlgorithm.SHA256,
        limit_octets: int | None = None,
    ) -> None:
        self._is_relaxed = canonicalization is Canonicalization.RELAXED
        self._hash = hashlib.new(algorithm.value, usedforsecurity=algorithm is HashAlgorithm.SHA256)
        self._limit = limit_octets
        self._length = 0  # canonical octets so far, hashed or beyond the limit
        self._held_lines = 0  # CRLFs that count only if something follows them
        self._held = b""  # the end of the last buffer: it may begin " CRLF" or a run of blanks

    def update(self, buffer: Buffer) -> None:
        """Take the next part of the body."""
        view = memoryview(buffer)
        for start in range(0, len(view), PIECE_OCTETS):
            self._take(view[start : start + PIECE_OCTETS])

    def digest(self) -> bytes:
        """The hash if the body ends here. More may follow: the state does not change."""
        return self._finished()[0]

    def length_octets(self) -> int:
        """The length of the canonical body if it ends here, beyond the limit too (RFC 6376 §3.5, l=)."""
        return self._finished()[1]

    def _take(self, piece: memoryview) -> None:
        data = self._held + piece
        if self._is_relaxed:
            data = _single_blanks(data)
            if b" \r\n" in data:
                data = data.replace(b" \r\n", b"\r\n")
        end = len(data) - len(_held_back(data, is_relaxed=self._is_relaxed))
        self._held = data[end:]
        lines = _trailing_lines(data, end)
        if end == 2 * lines:
            self._held_lines += lines
            return
        if self._held_lines:
            self._feed(b"\r\n" * self._held_lines)
        self._feed(memoryview(data)[: end - 2 * lines])
        self._held_lines = lines

    def _feed(self, octets: bytes | memoryview) -> None:
        room = len(octets) if self._limit is None else max(0, self._limit - self._length)
        self._hash.update(octets[:room] if room < len(octets) else octets)
        self._length += len(octets)

    def _finished(self) -> tuple[bytes, int]:
        rest = self._held
        if self._is_relaxed:
            # A last line without CRLF ends here all the same, so its blank is at the end of a line: when
            # the mail is sent on as lines (DATA), it gets its CRLF, and every verifier drops the blank.
            rest = rest.removesuffix(b" ")
        if rest:
            ending = b"\r\n" * self._held_lines + rest + b"\r\n"
        elif self._length or not self._is_relaxed:
            ending = b"\r\n"  # §3.4.3: an empty body is one CRLF; §3.4.4: in relaxed form it stays empty
        else:
            ending = b""
        room = len(ending) if self._limit is None else max(0, self._limit - self._length)
        final = self._hash.copy()
        final.update(ending[:room])
        return final.digest(), self._length + len(ending)


def _held_back(data: bytes, *, is_relaxed: bool) -> bytes:
    """The last octets of ``data`` that mean something else if certain others follow."""
    if data.endswith(b"\r"):
        return b" \r" if is_relaxed and data.endswith(b" \r") else b"\r"
    return b" " if is_relaxed and data.endswith(b" ") else b""


def _trailing_lines(data: bytes, end: int) -> int:
    """How many CRLFs in a row stand before ``end``."""
    if not data.endswith(b"\r\n", 0, end):
        return 0
    if not data.endswith(b"\r\n\r\n", 0, end):
        return 1
    line_ends = data[len(data[:end].rstrip(b"\r\n")) : end]
    marked = line_ends.replace(b"\r\n", b".")  # only CR, LF and the marks are left
    return len(marked) - len(marked.rstrip(b"."))
