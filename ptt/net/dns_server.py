"""DNS over UDP, the server's side: one protocol for a bound socket; each datagram is answered at once."""

import asyncio
from collections.abc import Callable

AnswerDatagram = Callable[[bytes], bytes | None]
"""Gives the answer to a datagram, None for none."""


class DnsDatagrams(asyncio.DatagramProtocol, asyncio.Protocol):
    """Answers datagrams. It is a ``Protocol`` too, as everything that a listener makes."""

    def __init__(self, answer: AnswerDatagram) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = transport  # type: ignore[assignment] # uvloop's are none by inheritance

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer to where it came from."""
        answer = self._answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)
