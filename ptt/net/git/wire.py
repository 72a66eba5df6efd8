"""A blocking stream to a Git server, counted: what dulwich reads from and writes to."""

import socket
from collections.abc import Callable
from typing import Protocol

from ptt.net.git.failures import GitTroubleError

STEP_S = 15.0  # for each read or write: a server that packs a small repository needs well below one
MAX_RECEIVED_OCTETS = 16 * 1024 * 1024  # of one fetch, compressed: what a unit of 64 MB can hold besides mail
PIECE_OCTETS = 64 * 1024

Connect = Callable[[], socket.socket]
"""Opens another connection to the same place, from within a thread. Raises ``GitTroubleError``."""


class Stream(Protocol):
    """A socket, or a channel of SSH."""

    def recv(self, nbytes: int, /) -> bytes:
        """Some octets; none at the end."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send everything."""
        ...


class Wire:
    """Reads exactly as much as is asked, until the end, and not more in all than the bound."""

    def __init__(self, stream: Stream, close: Callable[[], None]) -> None:
        self._stream = stream
        self.close = close
        self._buffer = b""
        self._at = 0
        self._received = 0

    def read(self, size: int) -> bytes:
        """``size`` octets; fewer only at the end."""
        pieces: list[bytes] = []
        left = size
        while left > 0 and (piece := self.read_some(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def read_some(self, limit: int) -> bytes:
        """What is there, at most ``limit``; nothing at the end."""
        if self._at >= len(self._buffer):
            self._buffer, self._at = self._stream.recv(PIECE_OCTETS), 0
            self._received += len(self._buffer)
            if self._received > MAX_RECEIVED_OCTETS:
                megabytes = MAX_RECEIVED_OCTETS // 1024 // 1024
                raise GitTroubleError(
                    f"the repository's head is too large: more than {megabytes} MB packed",
                    needs_operator=True,
                )
        piece = self._buffer[self._at : self._at + limit]
        self._at += len(piece)
        return piece

    def write(self, data: bytes) -> int:
        """Send everything."""
        self._stream.sendall(data)
        return len(data)
