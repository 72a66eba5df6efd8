"""A unit of the tests that only the front may call: it answers a ping behind pinned TLS."""

import asyncio
from typing import Any

from ptt.boot import Peers
from ptt.net.lifecycle import Life, Orders
from ptt.net.tls import link_server_context
from ptt.net.unit import Unit
from ptt.net.world import TlsFailed, TlsRole


class Pong(asyncio.Protocol):
    """One caller: it asks for TLS, is told to go on, and pings."""

    def __init__(self, unit: Unit, role: TlsRole) -> None:
        self.unit = unit
        self.role = role
        self.transport: asyncio.Transport
        self.task: asyncio.Task[None]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    async def upgrade(self) -> None:
        upgraded = await self.unit.world.start_tls(self.transport, self, self.role, 5.0)
        if isinstance(upgraded, TlsFailed):
            self.unit.journal.alarm(upgraded.reason)
        else:
            self.transport = upgraded[0]

    def data_received(self, data: bytes) -> None:
        if data == b"tls":
            self.transport.pause_reading()  # until the handshake takes over
            self.transport.write(b"go")
            self.task = asyncio.ensure_future(self.upgrade())
        else:
            assert data == b"ping"
            self.transport.write(f"pong from {self.unit.boot.generation}".encode())


async def serve(unit: Unit) -> None:
    """Live."""
    role = TlsRole(server_side=True)

    def take_peers(peers: Peers) -> None:
        nonlocal role
        context = link_server_context(unit.identity, [peer.certificate for peer in peers.callers])
        role = TlsRole(server_side=True, context=context)

    await Life(unit, {"hop": lambda: Pong(unit, role)}, Orders(on_peers=take_peers)).run()
