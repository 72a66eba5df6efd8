"""Listeners that are served later: who calls before waits, nothing is lost, nothing is left open."""

import asyncio
import socket

import pytest

from ptt.net.late_server import LateServer
from ptt.net.system import SystemWorld


class Greeter(asyncio.Protocol):
    """Says what it hears."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"heard " + data)
        self.transport.close()


def listening() -> socket.socket:
    opened = socket.create_server(("127.0.0.1", 0))
    opened.setblocking(False)
    return opened


def test_who_calls_before_waits_and_is_served() -> None:
    async def scene() -> None:
        world, handle, may = SystemWorld(), listening(), asyncio.Event()

        async def wait() -> None:
            await may.wait()

        async with asyncio.TaskGroup() as group:
            late = LateServer(group, wait, lambda: world.serve(handle, Greeter), handle)
            reader, writer = await asyncio.open_connection(*handle.getsockname())
            writer.write(b"hello")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)
            may.set()
            assert await reader.read() == b"heard hello"
            writer.close()
            late.close()
        world.close()

    asyncio.run(scene())


def test_closed_before_it_began() -> None:
    async def scene() -> None:
        world, handle = SystemWorld(), listening()
        place = handle.getsockname()

        async def wait() -> None:
            await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            late = LateServer(group, wait, lambda: world.serve(handle, Greeter), handle)
            await asyncio.sleep(0)
            late.close()
        assert handle.fileno() == -1
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*place)
        world.close()

    asyncio.run(scene())


def test_closed_while_it_began() -> None:
    async def scene() -> None:
        world, handle, begun = SystemWorld(), listening(), asyncio.Event()

        async def wait() -> None:
            pass

        async def serve() -> asyncio.Server:
            begun.set()
            await asyncio.sleep(0.01)
            return await world.serve(handle, Greeter)  # type: ignore[return-value]

        async with asyncio.TaskGroup() as group:
            late = LateServer(group, wait, serve, handle)
            await begun.wait()
            late.close()
        assert handle.fileno() == -1
        world.close()

    asyncio.run(scene())
