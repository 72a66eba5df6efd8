"""What scripted senders have in common: a connection of plain lines, patience, and how they take leave.

``clients`` and ``senders`` decide what is said and what they make of an answer; here it is said and heard.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from ptt.net.world import ConnectFailed, Endpoint, TlsFailed, TlsRole
from ptt.rehearsal.simulation.chronicle import Chronicle
from ptt.rehearsal.simulation.raw_lines import END_OF_DATA, RawLines
from ptt.rehearsal.simulation.world import SimulatedWorld

T = TypeVar("T")

PIECE_OCTETS = 65_536  # written at a time


class GoneError(Exception):
    """The connection is gone, or the sender's patience."""


class Talker(ABC):
    """One sender; ``name`` is what the chronicle calls it, ``patience_s`` is for each answer but the last."""

    def __init__(
        self,
        world: SimulatedWorld,
        chronicle: Chronicle,
        name: str,
        *,
        connect_timeout_s: float,
        patience_s: float,
    ) -> None:
        self._world = world
        self._chronicle = chronicle
        self._name = name
        self._connect_timeout_s = connect_timeout_s
        self._patience_s = patience_s
        self._lines: RawLines | None = None

    @property
    @abstractmethod
    def _quits(self) -> bool:
        """Whether it says QUIT after the last mail, instead of just closing."""

    @property
    @abstractmethod
    def _leaves_in_order(self) -> bool:
        """Whether it ends by an orderly end when its patience does, not by a reset."""

    async def leave(self) -> None:
        """End the connection as this sender does."""
        lines, self._lines = self._lines, None
        if lines is None:
            return
        if self._quits and not lines.is_ended:
            lines.say("QUIT")
            with suppress(GoneError):
                await self._patiently(lines.reply(), self._patience_s)
        lines.transport.close()

    async def _open(self, endpoint: Endpoint) -> RawLines:
        """A new connection in the place of the old one."""
        await self.leave()
        lines = await self._world.connect(endpoint, RawLines, self._connect_timeout_s)
        if isinstance(lines, ConnectFailed):
            raise GoneError(lines.reason)
        self._lines = lines
        return lines

    async def _secure(self, lines: RawLines) -> None:
        role = TlsRole(server_side=False, server_name="mail.example.org")
        secured = await self._world.start_tls(lines.transport, lines, role, self._connect_timeout_s)
        if isinstance(secured, TlsFailed):
            raise GoneError(secured.reason)

    async def _ask(self, lines: RawLines, command: str, wanted: str) -> str:
        lines.say(command)
        return await self._expect(lines, wanted)

    async def _expect(self, lines: RawLines, wanted: str) -> str:
        reply = await self._reply(lines)
        if reply[0] != wanted:
            raise GoneError(f"not served: {reply}")
        return reply

    async def _reply(self, lines: RawLines, patience_s: float | None = None) -> str:
        reply = await self._patiently(lines.reply(), self._patience_s if patience_s is None else patience_s)
        if reply is None:
            raise GoneError("the connection is gone")
        if reply.startswith("421"):
            raise GoneError(reply)
        return reply

    @staticmethod
    def _write(lines: RawLines, message: bytes) -> None:
        """Write a message and its end (RFC 5321 §4.5.2)."""
        whole = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + END_OF_DATA[2:]
        for start in range(0, len(whole), PIECE_OCTETS):
            lines.write(whole[start : start + PIECE_OCTETS])

    def _drop(self, why: str) -> None:
        self._tell(f"gives up: {why}")
        lines, self._lines = self._lines, None
        if lines is not None and self._leaves_in_order:
            lines.transport.close()
        elif lines is not None:
            lines.transport.abort()

    def _tell(self, what: str) -> None:
        self._chronicle.tell(self._name, what)

    @staticmethod
    async def _patiently(work: Awaitable[T], patience_s: float) -> T:
        try:
            async with asyncio.timeout(patience_s):
                return await work
        except TimeoutError:
            raise GoneError(f"no answer in {patience_s:g} s") from None
