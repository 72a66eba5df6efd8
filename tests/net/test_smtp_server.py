"""A connection of a peer: what it may cost, when it ends, and what is known of its last answer."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
import uvloop

from ptt.boot import BootRecord
from ptt.net.crowd import DENSE_AT, MAX_CONNECTIONS, SHARE_OF_THE_FREE
from ptt.net.smtp_server import (
    CLOSING_S,
    COMMAND_TIMEOUT_S,
    CROWDED_TIMEOUT_S,
    DATA_PIECE_OCTETS,
    DATA_TIMEOUT_S,
    MAX_UNREAD_OCTETS,
    Closed,
    ServerConnection,
)
from ptt.net.smtp_service import SmtpService
from ptt.net.system import SystemWorld
from ptt.net.tls import make_link_identity, public_server_context
from ptt.net.unit import Unit
from ptt.net.world import Endpoint, TlsRole
from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    FinalReplyTaken,
    MailReceived,
    RecipientsReceived,
    ServerSettings,
)
from ptt.protocol.smtp.extensions import Keyword
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.control import SimulatedControl, SimulatedJournal
from ptt.rehearsal.simulation.neighbour import GO_AHEAD, OK, unit_on
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.raw_lines import RawLines

PLACE = Endpoint("192.0.2.1", 25)
SETTINGS = ServerSettings("mail.example.org", offers=frozenset({Keyword.PIPELINING, Keyword.STARTTLS}))
LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]
CERTIFICATE = Authority().issue("mail.example.org")
MAIL = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"


class Scene:
    """A service whose sessions accept everything, and what came of each."""

    def __init__(self, unit: Unit, *, implicit_tls: bool = False) -> None:
        context = public_server_context(
            CERTIFICATE.chain_pem.encode(), CERTIFICATE.key_pem.encode(), tickets=False
        )
        self.role = TlsRole(server_side=True, context=context)
        self.connections: list[ServerConnection] = []
        self.ends: list[Closed] = []
        self.taken = 0
        self.data_ended_at: list[float] = []
        self.piece_after_s = self.verdict_after_s = 0.0
        self.service = SmtpService(
            unit,
            SETTINGS,
            self.accept,
            lambda: self.role,
            implicit_tls=implicit_tls,
        )

    async def accept(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        while not isinstance(event := await connection.next_event(), Closed):
            match event:
                case MailReceived():
                    connection.reply(OK)
                case RecipientsReceived(recipients):
                    connection.reply(*[OK] * len(recipients))
                case DataRequested():
                    connection.reply(GO_AHEAD)
                case DataReceived():
                    await asyncio.sleep(self.piece_after_s)
                case DataFinished():
                    self.data_ended_at.append(connection.data_ended_at)
                    if isinstance(await connection.watch(asyncio.sleep(self.verdict_after_s)), Closed):
                        continue
                    connection.reply(OK)
                case FinalReplyTaken():
                    self.taken += 1
                case _:
                    pass
        self.ends.append(event)


async def connected(network: Network, source: str = "198.51.100.7") -> RawLines:
    _, lines = await network.connect(source, PLACE, RawLines)
    return lines


def play(story: Callable[[Scene, Network], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        network = Network(1)
        unit, _, journal = unit_on(network, "edge", PLACE.host)
        scene = Scene(unit)
        await unit.world.serve(network.bind(PLACE), scene.service.factory)
        await story(scene, network)
        await scene.service.close()
        assert journal.failures == []

    simulate(main)


def test_who_reads_no_replies_is_read_no_further_and_ends() -> None:
    async def story(scene: Scene, network: Network) -> None:
        lines = await connected(network)
        lines.transport.pause_reading()
        lines.write(b"EHLO c.example\r\n" + b"MAIL FROM:<>\r\nRSET\r\n" * 80_000)
        await asyncio.sleep(60)
        (connection,) = scene.connections
        assert MAX_UNREAD_OCTETS < connection.dialogue.unread_octets < 2 * MAX_UNREAD_OCTETS
        assert connection._received_octets < 2_000_000
        await asyncio.sleep(COMMAND_TIMEOUT_S)
        assert scene.ends == [Closed(orderly=False)]
        assert network.connections == ["client's end of 198.51.100.7 to 192.0.2.1:25"]

    play(story)


def test_single_octets_keep_nobody() -> None:
    async def story(scene: Scene, network: Network) -> None:
        lines = await connected(network)
        await lines.reply()
        for octet in b"NOO":
            lines.write(bytes((octet,)))
            await asyncio.sleep(120)
        assert await lines.reply() == "421 4.4.2 Nothing came for too long, closing the connection."
        assert scene.ends == [Closed(orderly=False)]

    play(story)


def test_whole_commands_keep_a_connection() -> None:
    async def story(scene: Scene, network: Network) -> None:
        lines = await connected(network)
        await lines.reply()
        for _ in range(5):
            await asyncio.sleep(200)
            lines.say("NOOP")
            assert (await lines.reply() or "")[:3] == "250"
        lines.say("QUIT")
        await lines.wait_end()
        assert scene.ends == [Closed(orderly=True)]

    play(story)


def test_a_farewell_that_nobody_reads_ends_too() -> None:
    async def story(scene: Scene, network: Network) -> None:
        lines = await connected(network)
        lines.transport.pause_reading()
        lines.write(b"EHLO c.example\r\n" + b"MAIL FROM:<>\r\nRSET\r\n" * 8000 + b"QUIT\r\n")
        await asyncio.sleep(10)
        scene.connections[0].close()
        await asyncio.sleep(CLOSING_S + 1)
        assert network.connections == ["client's end of 198.51.100.7 to 192.0.2.1:25"]

    play(story)


def test_clocks_run_from_our_read_of_the_end() -> None:
    async def story(scene: Scene, network: Network) -> None:
        scene.piece_after_s = 20.0
        lines = await connected(network)
        lines.write(MAIL)
        await asyncio.sleep(1)
        lines.write(b"x\r\n")
        await asyncio.sleep(1)
        lines.write(b"y\r\n.\r\n")
        await asyncio.sleep(5)
        lines.write(b"NOOP\r\n")
        await asyncio.sleep(60)
        assert 2 < scene.data_ended_at[0] < 2.5

    play(story)


async def crowded(network: Network, count: int) -> list[RawLines]:
    """So many connections, each of somebody else, all at once."""
    sources = [f"203.0.{place // 250}.{place % 250}" for place in range(count)]
    return await asyncio.gather(*(connected(network, source) for source in sources))


def test_the_1001st_connection_is_turned_away() -> None:
    async def story(scene: Scene, network: Network) -> None:
        opened = await crowded(network, MAX_CONNECTIONS)
        late = await connected(network)
        assert (await late.reply() or "")[:9] == "421 4.7.0"
        assert await late.reply() is None
        opened[0].transport.close()
        await asyncio.sleep(1)
        assert (await (await connected(network)).reply() or "")[:3] == "220"

    play(story)


def test_one_address_alone_takes_a_share() -> None:
    async def story(scene: Scene, network: Network) -> None:
        many = [await connected(network) for _ in range(MAX_CONNECTIONS // SHARE_OF_THE_FREE)]
        greetings = [(await lines.reply() or "")[:3] for lines in many]
        admitted = greetings.count("220")
        assert MAX_CONNECTIONS // (SHARE_OF_THE_FREE + 1) <= admitted < len(many)
        assert greetings == ["220"] * admitted + ["421"] * (len(many) - admitted)
        assert (await (await connected(network, "198.51.100.8")).reply() or "")[:3] == "220"
        for lines in many:
            lines.transport.close()
        await asyncio.sleep(1)
        assert (await (await connected(network)).reply() or "")[:3] == "220"

    play(story)


def test_in_a_crowd_nobody_is_waited_for_long() -> None:
    async def story(scene: Scene, network: Network) -> None:
        await crowded(network, DENSE_AT)
        lines = await connected(network)
        await lines.reply()
        assert (await lines.reply() or "")[:9] == "421 4.4.2"
        assert asyncio.get_running_loop().time() < 3 * CROWDED_TIMEOUT_S

    play(story)


def test_a_message_that_trickles_ends() -> None:
    async def story(scene: Scene, network: Network) -> None:
        lines = await connected(network)
        lines.write(MAIL)
        for _ in range(5):
            await lines.reply()
        while lines.transport.is_closing() is False and not scene.ends:
            lines.write(b"x\r\n")
            await asyncio.sleep(20)
        assert (await lines.reply() or "")[:9] == "421 4.4.2"
        assert asyncio.get_running_loop().time() < 2 * DATA_TIMEOUT_S

    play(story)


def test_a_slow_line_has_its_time() -> None:
    async def story(scene: Scene, network: Network) -> None:
        lines = await connected(network)
        lines.write(MAIL)
        for _ in range(20):
            lines.write(b"x" * 70 + b"\r\n" + b"y\r\n" * (DATA_PIECE_OCTETS // 9))
            await asyncio.sleep(DATA_TIMEOUT_S / 4)
        lines.write(b".\r\n")
        await asyncio.sleep(5)
        assert len(scene.data_ended_at) == 1

    play(story)


def test_drain_serves_on_then_answers_421_then_ends() -> None:
    async def story(scene: Scene, network: Network) -> None:
        idle, busy, silent = [await connected(network) for _ in range(3)]
        for lines in (idle, busy, silent):
            await lines.reply()
        drained = asyncio.ensure_future(scene.service.drain(900))
        await asyncio.sleep(100)
        idle.say("EHLO idle.example")
        assert (await idle.reply() or "")[:3] == "250"
        busy.write(MAIL)
        for _ in range(4):
            reply = await busy.reply()
        assert (reply or "")[:3] == "354"
        await asyncio.sleep(30)
        idle.say("MAIL FROM:<>")
        assert (await idle.reply() or "")[:9] == "421 4.3.2"
        assert await idle.reply() is None
        busy.write(b"x\r\n.\r\n")
        assert (await busy.reply() or "")[:3] == "250"
        busy.say("NOOP")
        assert (await busy.reply() or "")[:9] == "421 4.3.2"
        assert scene.taken == 1
        late = await connected(network)
        assert (await late.reply() or "")[:9] == "421 4.3.2"
        await drained
        assert asyncio.get_running_loop().time() < 310

    play(story)


def test_a_drain_has_an_end() -> None:
    async def story(scene: Scene, network: Network) -> None:
        lines = await connected(network)
        lines.write(MAIL)
        await asyncio.sleep(1)
        scene.verdict_after_s = 1000.0
        lines.write(b"x\r\n.\r\n")
        await scene.service.drain(20)
        assert 20 < asyncio.get_running_loop().time() < 23
        for _ in range(5):
            await lines.reply()
        assert (await lines.reply() or "")[:9] == "421 4.3.2"

    play(story)


# On the loopback, with both loops


def real(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], story: Any, *, implicit_tls: bool = False
) -> Scene:
    async def main() -> Scene:
        world = SystemWorld()
        journal = SimulatedJournal()
        now = datetime.now(UTC)
        boot = BootRecord("edge", 1, "mail.example.org", "d", {}, {})
        unit = Unit(boot, world, SimulatedControl(), journal, make_link_identity("edge", 1, now))
        scene = Scene(unit, implicit_tls=implicit_tls)
        handle = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        acceptor = scene.service.acceptor
        server = await world.serve(handle, acceptor.factory, acceptor.tls_first)
        try:
            async with asyncio.timeout(10):
                await asyncio.to_thread(story, handle.getsockname()[1])
                while not scene.ends:  # noqa: ASYNC110 - the session's own end
                    await asyncio.sleep(0.005)
        finally:
            server.close()
            await scene.service.close()
            world.close()
        assert journal.failures == []
        return scene

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main())


def until(connection: socket.socket, code: bytes) -> None:
    heard = b""
    while not any(line.startswith(code) for line in heard.splitlines()):
        piece = connection.recv(4096)
        assert piece, heard
        heard += piece


def delivered(connection: socket.socket) -> None:
    connection.sendall(MAIL)
    until(connection, b"354")
    connection.sendall(b"x\r\n.\r\n")


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("implicit_tls", [False, True])
@pytest.mark.parametrize(
    ("leave", "orderly"), [("closes", True), ("reads not", False), ("resets", False), ("early", False)]
)
def test_what_is_known_of_the_last_answer(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], leave: str, *, implicit_tls: bool, orderly: bool
) -> None:
    def peer(port: int) -> None:
        connection = socket.create_connection(("127.0.0.1", port))
        if implicit_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        until(connection, b"220")
        delivered(connection)
        if leave == "early":
            connection.close()
            return
        if leave == "closes":
            until(connection, b"250 2.0.0 Fine")
            if isinstance(connection, ssl.SSLSocket):
                connection.unwrap()
        elif leave == "reads not":
            while len(connection.recv(1, 0 if implicit_tls else socket.MSG_PEEK)) < 1:
                pass
        if leave == "resets":
            until(connection, b"250 2.0.0 Fine")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    scene = real(loop_factory, peer, implicit_tls=implicit_tls)
    if leave != "early" and not (leave == "reads not" and implicit_tls):
        assert scene.ends == [Closed(orderly=orderly)]
    assert scene.taken == 0
    assert scene.connections[0].peer_address == ip_address("127.0.0.1")


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["uvloop", "asyncio"])
def test_starttls_in_the_middle(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    def peer(port: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port))
        until(plain, b"220")
        plain.sendall(b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nSTARTTLS\r\n")
        until(plain, b"503")
        plain.sendall(b"RSET\r\n")
        until(plain, b"250 2.0.0")
        plain.sendall(b"STARTTLS\r\n")
        until(plain, b"220")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as secure:
            secure.sendall(b"MAIL FROM:<a@b.example>\r\n")
            until(secure, b"503")
            delivered(secure)
            until(secure, b"250 2.0.0 Fine")
            secure.sendall(b"QUIT\r\n")
            until(secure, b"221")

    scene = real(loop_factory, peer)
    assert scene.ends == [Closed(orderly=True)]
    assert scene.taken == 1
    assert scene.connections[0].tls is not None


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("says", [b"", b"not a handshake at all\r\n", b"\x16\x03\x01\x00\x05hello"])
def test_a_handshake_that_fails_ends_the_session(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], says: bytes
) -> None:
    def peer(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            until(plain, b"220")
            plain.sendall(b"EHLO c.example\r\nSTARTTLS\r\n")
            until(plain, b"220")
            if says:
                plain.sendall(says)
                try:
                    while plain.recv(4096):
                        pass
                except ConnectionResetError:
                    pass

    assert real(loop_factory, peer).ends == [Closed(orderly=False)]
