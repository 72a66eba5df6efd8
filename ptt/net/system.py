"""The world as it is: sockets, TLS by OpenSSL, the system's clock and randomness.

Nothing that a network does is raised; it comes back as ``ConnectFailed`` or ``TlsFailed`` with a reason for
people. Connections keep themselves alive and send small writes at once. In TLS 1.3 a server that refuses a
client's certificate is heard of only at the client's first read (RFC 8446 §4.4.2.4 lets the handshake end
first): the client then sees its connection lost, not ``TlsFailed``.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar, cast

from ptt.errors import MisuseError
from ptt.net.dns_datagrams import serve_datagrams
from ptt.net.world import ConnectFailed, Endpoint, Server, TlsFacts, TlsFailed, TlsRole

P = TypeVar("P", bound=asyncio.Protocol)
T = TypeVar("T")

WORKERS = 2  # one call that takes long does not hold up the next; more would only fight for the same cores
BACKLOG = 1024  # connections that wait while a generation changes; net.core.somaxconn may allow less
WAITERS = 4  # two repositories, and a push to each
KEEPALIVE_IDLE_S = 120  # a peer that vanished is noticed after 120 + 4 * 30 s
KEEPALIVE_EVERY_S = 30
KEEPALIVE_TRIES = 4
TLS_FIRST_S = 30.0  # a handshake takes two round trips; slower ones are slow-loris
TLS_SHUTDOWN_S = 5.0  # for the peer's close_notify; nobody waits for it
IP_BIND_ADDRESS_NO_PORT = 24  # ip(7): the port is chosen at connect, so that none is wasted by a bind


class SystemWorld:
    """``World`` over the running event loop. ``close`` ends its workers."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="worker")
        self._waiters = ThreadPoolExecutor(WAITERS, thread_name_prefix="waiter")

    def now(self) -> float:
        """Monotonic seconds, of the running loop."""
        return self._loop.time()

    def wall_time(self) -> datetime:
        """The time of day, aware, UTC."""
        return datetime.now(UTC)

    def random_bytes(self, count: int) -> bytes:
        """Unpredictable bytes."""
        return os.urandom(count)

    async def connect(
        self, endpoint: Endpoint, factory: Callable[[], P], timeout_s: float, local_host: str | None = None
    ) -> P | ConnectFailed:
        """Open a TCP connection; gives the protocol after its ``connection_made``."""
        connection = await self._connected(endpoint, timeout_s, local_host)
        if isinstance(connection, ConnectFailed):
            return connection
        try:
            _, protocol = await self._loop.create_connection(factory, sock=connection)
        except OSError as error:
            connection.close()
            return ConnectFailed(f"{endpoint}: {_words(error)}", refused=True)
        except BaseException:
            connection.close()
            raise
        return protocol

    async def start_tls(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, role: TlsRole, timeout_s: float
    ) -> tuple[asyncio.Transport, TlsFacts] | TlsFailed:
        """Upgrade in place; ``connection_made`` is not called again, use the transport given."""
        context = _context_of(role)
        if role.server_side and transport.get_extra_info("ssl_object") is not None:
            return transport, tls_facts(transport)  # the listener did it: ``tls_first`` of ``serve``
        if transport.is_closing():  # uvloop would raise within its own callback and wait for the limit
            return TlsFailed("the peer closed the connection before the handshake")
        try:
            # The loop's own limit does not end a handshake whose connection is reset, ours does.
            async with asyncio.timeout(timeout_s):
                upgraded = await self._loop.start_tls(
                    transport,
                    protocol,
                    context,
                    server_side=role.server_side,
                    server_hostname=role.server_name,
                    ssl_handshake_timeout=timeout_s,
                    ssl_shutdown_timeout=TLS_SHUTDOWN_S,
                )
        except (OSError, EOFError) as error:  # ssl.SSLError and TimeoutError are OSErrors
            transport.abort()
            return TlsFailed(_handshake_failure(error, timeout_s))
        except RuntimeError:  # uvloop's word for a transport that is closed under its hands
            transport.abort()
            return TlsFailed("the peer closed the connection during the handshake")
        if upgraded is None:  # the connection was lost under the handshake
            return TlsFailed("the peer closed the connection during the handshake")
        return upgraded, tls_facts(upgraded)

    async def serve(
        self,
        handle: object,
        factory: Callable[[], asyncio.Protocol],
        tls_first: Callable[[], TlsRole] | None = None,
    ) -> Server:
        """Accept on a listening socket, which is ours from now on: ``Server.close`` closes it.

        Implicit TLS is done by the listener: both loops read from a new connection before its protocol could
        say that a handshake comes first, and a hello that waited in the backlog would be lost.
        """
        if not isinstance(handle, socket.socket):
            raise MisuseError(f"{handle!r} is no listening socket")
        if handle.type == socket.SOCK_DGRAM:
            return await serve_datagrams(handle, factory)
        keep_alive(handle)  # accepted connections take these over
        if tls_first is None:
            return await self._loop.create_server(factory, sock=handle, backlog=BACKLOG)
        return await self._loop.create_server(
            factory,
            sock=handle,
            backlog=BACKLOG,
            ssl=_always_present(tls_first),
            ssl_handshake_timeout=TLS_FIRST_S,
            ssl_shutdown_timeout=TLS_SHUTDOWN_S,
        )

    async def run_in_worker(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in one of two threads; calls beyond that wait, so the caller bounds how many."""
        return await self._loop.run_in_executor(self._workers, function, *arguments)

    async def connect_socket(self, endpoint: Endpoint, timeout_s: float) -> socket.socket | ConnectFailed:
        """Open a TCP connection for a library that blocks; each step on it may take ``timeout_s``."""
        connection = await self._connected(endpoint, timeout_s, None)
        if not isinstance(connection, ConnectFailed):
            connection.settimeout(timeout_s)
        return connection

    async def wait_in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function that waits for others, in a thread that takes no worker's place."""
        return await self._loop.run_in_executor(self._waiters, function, *arguments)

    async def _connected(
        self, endpoint: Endpoint, timeout_s: float, local_host: str | None
    ) -> socket.socket | ConnectFailed:
        """A connected socket that does not block."""
        address = ipaddress.ip_address(endpoint.host)  # names are asked through Lookup, never here
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004
        try:
            connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            return ConnectFailed(f"no socket: {_words(error)}")
        try:
            if local_host is not None:
                connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((local_host, 0))
            async with asyncio.timeout(timeout_s):
                await self._loop.sock_connect(connection, (endpoint.host, endpoint.port))
            keep_alive(connection)
        except TimeoutError:
            connection.close()
            return ConnectFailed(f"{endpoint} did not answer within {timeout_s:g} s")
        except OSError as error:
            connection.close()
            return ConnectFailed(f"{endpoint}: {_words(error)}", refused=True)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """End the threads once their calls have ended; calls that wait are dropped."""
        for threads in (self._workers, self._waiters):
            threads.shutdown(wait=False, cancel_futures=True)


def _always_present(tls_first: Callable[[], TlsRole]) -> ssl.SSLContext:
    """A context that hands each handshake to the present one: certificates turn over in service.

    One that asks callers for certificates is taken itself: OpenSSL asks as the first context says, not as the
    present one does. Its owner adds trust anchors to it in service.
    """
    if _context_of(tls_first()).verify_mode == ssl.CERT_REQUIRED:
        return _context_of(tls_first())

    def to_present(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = _context_of(tls_first())

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _context_of(tls_first()).minimum_version
    context.sni_callback = to_present
    return context


def _context_of(role: TlsRole) -> ssl.SSLContext:
    if role.context is None:
        raise MisuseError("TLS without a context")
    return role.context


def keep_alive(connection: socket.socket) -> None:
    """Send small writes at once (RFC 9293 §3.7.4) and notice a peer that vanished (§3.8.4)."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_TRIES)


def tls_facts(transport: asyncio.BaseTransport) -> TlsFacts:
    """What the handshake of this transport came to."""
    connection = cast("ssl.SSLObject", transport.get_extra_info("ssl_object"))
    cipher = connection.cipher()
    return TlsFacts(
        version=connection.version() or "",
        cipher=cipher[0] if cipher is not None else "",
        peer_certificate=connection.getpeercert(binary_form=True) or b"",
    )


def _handshake_failure(error: Exception, timeout_s: float) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate was not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
        case TimeoutError():
            return f"no handshake within {timeout_s:g} s"
        case _:
            return f"the connection was lost during the handshake: {_words(error)}"


def _words(error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    return os.strerror(code).lower() if code else str(error) or type(error).__name__
