"""Datagrams: what DNS needs of the world beside ``World``, with the system's sockets.

Each query has a socket of its own, connected to its server: the system draws the port (RFC 5452 §9.2), drops
what others send and tells of a port that nobody serves. A world that has ``open_datagram`` itself, as a
simulated one may, is asked instead.
"""

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from ptt.errors import MisuseError
from ptt.net.world import ConnectFailed, Endpoint, Server, World

D = TypeVar("D", bound=asyncio.DatagramProtocol)


@runtime_checkable
class DatagramWorld(Protocol):
    """A world with datagrams."""

    async def open_datagram(self, endpoint: Endpoint, factory: Callable[[], D]) -> D | ConnectFailed:
        """A socket that sends to and hears from ``endpoint`` alone; never raises for the network."""
        ...


class SystemDatagrams:
    """``DatagramWorld`` over the running event loop."""

    async def open_datagram(self, endpoint: Endpoint, factory: Callable[[], D]) -> D | ConnectFailed:
        """A connected socket on a port that the system draws."""
        is_v6 = ipaddress.ip_address(endpoint.host).version == 6  # noqa: PLR2004
        loop = asyncio.get_running_loop()
        try:
            connected = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
        except OSError as error:
            return ConnectFailed(_words(error))
        try:
            connected.setblocking(False)
            connected.connect((endpoint.host, endpoint.port))
            _, protocol = await loop.create_datagram_endpoint(factory, sock=connected)
        except OSError as error:
            connected.close()
            return ConnectFailed(f"{endpoint}: {_words(error)}", refused=True)
        except BaseException:
            connected.close()
            raise
        return protocol


async def serve_datagrams(handle: socket.socket, factory: Callable[[], asyncio.Protocol]) -> Server:
    """Read from a bound socket until the server is closed; the factory's protocol is one for datagrams."""

    def make() -> asyncio.DatagramProtocol:
        protocol = factory()
        if not isinstance(protocol, asyncio.DatagramProtocol):
            raise MisuseError(f"{protocol!r} takes no datagrams")
        return protocol

    handle.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(make, sock=handle)
    return transport


def datagrams_of(world: World) -> DatagramWorld:
    """The world's own datagrams, or the system's."""
    return world if isinstance(world, DatagramWorld) else SystemDatagrams()


def _words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
