"""The real world on the loopback: connections, TLS and what goes wrong with them."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import uvloop

from ptt.errors import MisuseError
from ptt.net.system import SystemWorld
from ptt.net.tls import link_client_context, link_server_context, make_link_identity
from ptt.net.world import ConnectFailed, Endpoint, TlsFacts, TlsFailed, TlsRole

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]

pytestmark = pytest.mark.parametrize("loop_factory", LOOPS, ids=["uvloop", "asyncio"])
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run(loop_factory: LoopFactory, scene: Callable[[SystemWorld], Coroutine[Any, Any, None]]) -> None:
    async def with_world() -> None:
        world = SystemWorld()
        try:
            async with asyncio.timeout(10):
                await scene(world)
        finally:
            world.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(with_world())


class Line(asyncio.Protocol):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.data = b""
        self.lost = False
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._changed.set()

    async def until(self, condition: Callable[["Line"], bool]) -> None:
        while not condition(self):
            self._changed.clear()
            await self._changed.wait()


class Accepted:
    """A listener served by the world, and the connections that came."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self.handle = socket.create_server((host, 0), family=family)
        self.endpoint = Endpoint(*self.handle.getsockname()[:2])
        self._came: asyncio.Queue[Line] = asyncio.Queue()

    def factory(self) -> Line:
        line = Line()
        self._came.put_nowait(line)
        return line

    async def next(self) -> Line:
        line = await self._came.get()
        while not hasattr(line, "transport"):  # noqa: ASYNC110 - the loop's own next step
            await asyncio.sleep(0)
        return line


@contextmanager
def unanswered() -> Iterator[Endpoint]:
    """A listener whose backlog is full: a connection is neither taken nor refused."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = socket.create_connection(full.getsockname())
    yield Endpoint(*full.getsockname())
    waiting.close()
    full.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_connects_and_serves(loop_factory: LoopFactory, family: socket.AddressFamily) -> None:
    async def scene(world: SystemWorld) -> None:
        accepted = Accepted(family)
        server = await world.serve(accepted.handle, accepted.factory)
        caller = await world.connect(accepted.endpoint, Line, 5.0)
        assert isinstance(caller, Line)
        callee = await accepted.next()
        caller.transport.write(b"hello")
        await callee.until(lambda line: line.data == b"hello")
        for line in (caller, callee):
            its = line.transport.get_extra_info("socket")
            assert its.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert its.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert its.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 120
        server.close()
        caller.transport.write(b" still")  # what is open stays open
        await callee.until(lambda line: line.data == b"hello still")
        refused = await world.connect(accepted.endpoint, Line, 5.0)
        assert refused == ConnectFailed(f"{accepted.endpoint}: connection refused", refused=True)
        caller.transport.close()
        await callee.until(lambda line: line.lost)

    run(loop_factory, scene)


def test_leaves_by_the_address_asked_for(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        accepted = Accepted()
        server = await world.serve(accepted.handle, accepted.factory)
        caller = await world.connect(accepted.endpoint, Line, 5.0, local_host="127.0.0.7")
        assert isinstance(caller, Line)
        callee = await accepted.next()
        assert callee.transport.get_extra_info("peername")[0] == "127.0.0.7"
        caller.transport.close()
        await callee.until(lambda line: line.lost)
        failed = await world.connect(accepted.endpoint, Line, 5.0, local_host="192.0.2.1")
        assert isinstance(failed, ConnectFailed)
        assert "cannot assign requested address" in failed.reason
        server.close()

    run(loop_factory, scene)


def test_nobody_answers(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        with unanswered() as endpoint:
            failed = await world.connect(endpoint, Line, 0.05)
            assert failed == ConnectFailed(f"{endpoint} did not answer within 0.05 s", refused=False)

    run(loop_factory, scene)


def test_a_connect_that_is_cancelled_leaves_nothing(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        with unanswered() as endpoint:
            task = asyncio.create_task(world.connect(endpoint, Line, 5.0))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(loop_factory, scene)


def test_no_descriptors_left(loop_factory: LoopFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(24, "any words")

    async def scene(world: SystemWorld) -> None:
        monkeypatch.setattr("ptt.net.system.socket.socket", none_left)
        failed = await world.connect(Endpoint("127.0.0.1", 1), Line, 5.0)
        monkeypatch.undo()
        assert failed == ConnectFailed("no socket: too many open files")

    run(loop_factory, scene)


def test_a_name_is_no_address(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        with pytest.raises(ValueError, match="localhost"):
            await world.connect(Endpoint("localhost", 25), Line, 5.0)
        with pytest.raises(MisuseError):
            await world.serve("a handle of the simulation", Line)

    run(loop_factory, scene)


def test_time_randomness_workers(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        assert abs((world.wall_time() - datetime.now(UTC)).total_seconds()) < 5
        assert world.wall_time().tzinfo is UTC
        assert len({world.random_bytes(16) for _ in range(10)}) == 10
        started = world.now()
        name = await world.run_in_worker(lambda prefix: prefix + threading.current_thread().name, "in ")
        assert name.startswith("in worker")
        assert 0 <= world.now() - started < 5

    run(loop_factory, scene)


# TLS ------------------------------------------------------------------------------------------------

CALLER = make_link_identity("caller", 1, NOW)
CALLEE = make_link_identity("callee", 1, NOW)
STRANGER = make_link_identity("stranger", 1, NOW)


async def pair(world: SystemWorld) -> tuple[Line, Line]:
    accepted = Accepted()
    server = await world.serve(accepted.handle, accepted.factory)
    caller = await world.connect(accepted.endpoint, Line, 5.0)
    assert isinstance(caller, Line)
    callee = await accepted.next()
    server.close()
    return caller, callee


Upgraded = tuple[asyncio.Transport, TlsFacts] | TlsFailed


async def shake_hands(
    world: SystemWorld, caller: Line, callee: Line, ours: ssl.SSLContext, theirs: ssl.SSLContext
) -> tuple[Upgraded, Upgraded]:
    client, server = await asyncio.gather(
        world.start_tls(caller.transport, caller, TlsRole(server_side=False, context=ours), 5.0),
        world.start_tls(callee.transport, callee, TlsRole(server_side=True, context=theirs), 5.0),
    )
    return client, server


def test_both_ends_show_their_certificates(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        client, server = await shake_hands(
            world,
            caller,
            callee,
            link_client_context(CALLER, CALLEE.certificate),
            link_server_context(CALLEE, [STRANGER.certificate, CALLER.certificate]),
        )
        assert not isinstance(client, TlsFailed)
        assert not isinstance(server, TlsFailed)
        assert client[1] == TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", CALLEE.certificate)
        assert server[1] == TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", CALLER.certificate)
        client[0].write(b"secret")
        await callee.until(lambda line: line.data == b"secret")
        client[0].close()
        await callee.until(lambda line: line.lost)
        await caller.until(lambda line: line.lost)

    run(loop_factory, scene)


class Implicit(Line):
    """Wants nothing before TLS."""

    def __init__(self, world: SystemWorld) -> None:
        super().__init__()
        self.world = world
        self.upgraded: asyncio.Task[Upgraded]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.upgraded = asyncio.ensure_future(self.world.start_tls(self.transport, self, tls_first(), 5.0))


def tls_first() -> TlsRole:
    return TlsRole(server_side=True, context=link_server_context(CALLEE, [CALLER.certificate]))


@pytest.mark.parametrize("early", [True, False])
def test_implicit_tls_also_when_the_client_was_early(loop_factory: LoopFactory, early: bool) -> None:
    def client(address: tuple[str, int], sent: threading.Event) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = link_client_context(CALLER, CALLEE.certificate)
        talk = context.wrap_bio(incoming, outgoing)
        with socket.create_connection(address, timeout=10) as connection:
            while True:
                try:
                    talk.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    sent.set()
                    incoming.write(connection.recv(65536))
            talk.write(b"hello")
            connection.sendall(outgoing.read())
            while True:
                try:
                    return talk.read()
                except ssl.SSLWantReadError:
                    incoming.write(connection.recv(65536))

    async def scene(world: SystemWorld) -> None:
        lines: list[Implicit] = []
        handle = socket.create_server(("127.0.0.1", 0))
        sent = threading.Event()
        talking = asyncio.ensure_future(world.run_in_worker(client, handle.getsockname(), sent))
        if early:
            await world.run_in_worker(sent.wait)  # the client hello waits in the backlog

        def factory() -> Implicit:
            lines.append(Implicit(world))
            return lines[0]

        server = await world.serve(handle, factory, tls_first)
        while not lines:  # noqa: ASYNC110 - the other thread's doing
            await asyncio.sleep(0.001)
        await lines[0].until(lambda line: line.data == b"hello")
        upgraded = await lines[0].upgraded
        assert not isinstance(upgraded, TlsFailed)
        upgraded[0].write(b"good day")
        assert await talking == b"good day"
        await lines[0].until(lambda line: line.lost)
        server.close()

    run(loop_factory, scene)


def test_a_client_that_says_no_hello_makes_no_protocol(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        handle = socket.create_server(("127.0.0.1", 0))
        lines: list[Implicit] = []

        def factory() -> Implicit:
            lines.append(Implicit(world))
            return lines[-1]

        server = await world.serve(handle, factory, tls_first)
        with socket.create_connection(handle.getsockname()) as client:
            client.sendall(b"no hello")
            client.settimeout(5)
            while await world.run_in_worker(client.recv, 100):
                pass
        server.close()
        assert not [line for line in lines if line.data]

    run(loop_factory, scene)


def test_a_callee_with_another_certificate(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        client, server = await shake_hands(
            world,
            caller,
            callee,
            link_client_context(CALLER, STRANGER.certificate),
            link_server_context(CALLEE, [CALLER.certificate]),
        )
        assert client == TlsFailed("the certificate was not accepted: self-signed certificate")
        assert isinstance(server, TlsFailed)
        assert server.reason.startswith(("TLS: ", "the connection was lost during the handshake: "))
        assert caller.transport.is_closing()
        assert callee.transport.is_closing()

    run(loop_factory, scene)


def test_a_caller_with_another_certificate_is_heard_of_at_the_first_read(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        client, server = await shake_hands(
            world,
            caller,
            callee,
            link_client_context(STRANGER, CALLEE.certificate),
            link_server_context(CALLEE, [CALLER.certificate]),
        )
        assert server == TlsFailed("the certificate was not accepted: self-signed certificate")
        assert not isinstance(client, TlsFailed)  # TLS 1.3 lets the client's handshake end first
        await caller.until(lambda line: line.lost)
        assert caller.data == b""

    run(loop_factory, scene)


def test_a_peer_that_speaks_no_tls(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        callee.transport.write(b"220 mail.example ESMTP\r\n")
        role = TlsRole(server_side=False, context=link_client_context(CALLER, CALLEE.certificate))
        failed = await world.start_tls(caller.transport, caller, role, 5.0)
        assert failed == TlsFailed("TLS: wrong version number")
        await callee.until(lambda line: line.lost)

    run(loop_factory, scene)


@pytest.mark.parametrize("reset", [False, True])
def test_a_peer_that_leaves_during_the_handshake(loop_factory: LoopFactory, reset: bool) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        role = TlsRole(server_side=False, context=link_client_context(CALLER, CALLEE.certificate))
        shaking = asyncio.create_task(world.start_tls(caller.transport, caller, role, 0.5))
        await callee.until(lambda line: line.data != b"")
        if reset:
            linger = struct.pack("ii", 1, 0)
            callee.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        callee.transport.abort()
        failed = await shaking
        assert isinstance(failed, TlsFailed)
        print(failed.reason)

    run(loop_factory, scene)


def test_a_peer_that_left_before_the_handshake(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        callee.transport.abort()
        await caller.until(lambda line: line.lost)
        role = TlsRole(server_side=False, context=link_client_context(CALLER, CALLEE.certificate))
        failed = await world.start_tls(caller.transport, caller, role, 5.0)
        assert failed == TlsFailed("the peer closed the connection before the handshake")

    run(loop_factory, scene)


def test_a_peer_that_is_silent(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        role = TlsRole(server_side=False, context=link_client_context(CALLER, CALLEE.certificate))
        failed = await world.start_tls(caller.transport, caller, role, 0.05)
        assert failed == TlsFailed("no handshake within 0.05 s")
        await callee.until(lambda line: line.lost)

    run(loop_factory, scene)


def test_tls_without_a_context_is_our_mistake(loop_factory: LoopFactory) -> None:
    async def scene(world: SystemWorld) -> None:
        caller, callee = await pair(world)
        with pytest.raises(MisuseError):
            await world.start_tls(caller.transport, caller, TlsRole(server_side=False), 5.0)
        caller.transport.abort()
        await callee.until(lambda line: line.lost)

    run(loop_factory, scene)
