"""A connection as plain lines and octets, for scripted peers that do what no dialogue of ours would do.

Nothing is decided here. Who waits is told by ``None`` that the other end has finished or is gone.
"""

import asyncio

END_OF_DATA = b"\r\n.\r\n"


class RawLines(asyncio.Protocol):
    """One end of a connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._buffer = bytearray()
        self._is_ended = False
        self._wake: asyncio.Future[None] | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment] # asyncio's type is wider than what it gives

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self._buffer += data
        self._awake()

    def eof_received(self) -> bool:
        """Note the end; this end stays open for what is still to be said."""
        self._is_ended = True
        self._awake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        """Note the end."""
        self._is_ended = True
        self._awake()

    # What scripts call

    @property
    def is_ended(self) -> bool:
        """Whether nothing more comes."""
        return self._is_ended

    async def line(self) -> str | None:
        """The next line without its end."""
        line = await self._up_to(b"\r\n")
        return None if line is None else line[:-2].decode("utf-8", "replace")

    async def reply(self) -> str | None:
        """The next reply, its lines joined by `` / ``; the code stands in front once."""
        lines: list[str] = []
        while (line := await self.line()) is not None:
            lines.append(line if not lines else line[4:])
            if line[3:4] != "-":
                return " / ".join(lines)
        return None

    async def octets(self, count: int) -> bytes | None:
        """So many octets, left in place."""
        while len(self._buffer) < count:
            if not await self._more():
                return None
        return bytes(self._buffer[:count])

    async def body(self) -> bytes | None:
        """The message up to the end of data, dots removed (RFC 5321 §4.5.2)."""
        if (first := await self.octets(3)) is None:
            return None
        if first == END_OF_DATA[2:]:
            del self._buffer[:3]
            return b""
        stuffed = await self._up_to(END_OF_DATA)
        return None if stuffed is None else (b"\r\n" + stuffed[:-3]).replace(b"\r\n.", b"\r\n")[2:]

    async def wait_end(self) -> None:
        """Read and drop everything until the other end has finished."""
        while await self._more():
            self._buffer.clear()

    def say(self, *lines: str) -> None:
        """Write lines in one piece."""
        self.write("".join(f"{line}\r\n" for line in lines).encode())

    def write(self, data: bytes) -> None:
        """Write octets."""
        if not self.transport.is_closing():
            self.transport.write(data)

    # Within

    async def _up_to(self, mark: bytes) -> bytes | None:
        seen = 0
        while (found := self._buffer.find(mark, seen)) < 0:
            seen = max(0, len(self._buffer) - len(mark) + 1)
            if not await self._more():
                return None
        end = found + len(mark)
        taken = bytes(self._buffer[:end])
        del self._buffer[:end]
        return taken

    async def _more(self) -> bool:
        """Wait for more; False: there is no more."""
        if self._is_ended:
            return False
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake
        return True

    def _awake(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
