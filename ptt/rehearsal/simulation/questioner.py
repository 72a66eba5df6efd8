"""Somebody who asks a name server by himself: a datagram at a time, or one message on a connection.

Questions are the codec's. Nothing is cached and nobody else is asked: a flow wants to know of one server.
"""

import asyncio

import dns.message

from ptt.net.world import ConnectFailed, Endpoint
from ptt.protocol.dns.framing import MessageCutter, framed
from ptt.rehearsal.simulation.world import SimulatedWorld

TIMEOUT_S = 2.0  # until a question is sent again


class Questioner:
    """Asks ``server``. ``sent`` has how many datagrams each question took, in the order of their answers."""

    def __init__(self, world: SimulatedWorld, server: Endpoint) -> None:
        self.sent: list[int] = []
        self._world = world
        self._server = server
        self._number = 0

    async def ask(self, name: str, kind: str, tries: int = 5) -> dns.message.Message | None:
        """Ask until it is answered; None: never."""
        self._number += 1
        question = dns.message.make_query(name, kind, id=self._number)
        opened = await self._world.open_datagram(self._server, _Socket)
        if isinstance(opened, ConnectFailed):
            return None
        try:
            for count in range(1, tries + 1):
                opened.transport.sendto(question.to_wire())
                await asyncio.wait((opened.answer,), timeout=TIMEOUT_S)
                if opened.answer.done():
                    self.sent.append(count)
                    return dns.message.from_wire(opened.answer.result())
        finally:
            opened.transport.close()
        return None

    async def say(self, wire: bytes) -> dns.message.Message | None:
        """Send one message on a connection of its own and wait for what comes back; None: nothing."""
        opened = await self._world.connect(self._server, _Stream, TIMEOUT_S)
        if isinstance(opened, ConnectFailed):
            return None
        opened.transport.write(framed(wire))
        await asyncio.wait((opened.answer,), timeout=TIMEOUT_S)
        opened.transport.close()
        if not opened.answer.done():
            return None
        return dns.message.from_wire(opened.answer.result(), keyring=False)  # signatures are not looked at


class _Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # asyncio's type is wider than what it gives

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the name is asyncio's
        if not self.answer.done():
            self.answer.set_result(data)


class _Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self._cutter = MessageCutter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # asyncio's type is wider than what it gives

    def data_received(self, data: bytes) -> None:
        for message in self._cutter.feed(data):
            if not self.answer.done():
                self.answer.set_result(message)
