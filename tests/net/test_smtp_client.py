"""The client's waits: each has an end, and nothing that a server said before it left is overlooked."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ptt.net.smtp_client import ClientConnection, Lost, StillWaiting, open_connection
from ptt.net.world import ConnectFailed, Endpoint, TlsFacts, TlsFailed, TlsRole
from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import Chunk, Data, Greeted, Mail, Noop, Recipient, Reset
from ptt.protocol.smtp.events import MailParameters
from ptt.protocol.smtp.extensions import Flavour
from ptt.protocol.smtp.reply import RemoteReply
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.network import Network
from ptt.rehearsal.simulation.raw_lines import RawLines
from ptt.rehearsal.simulation.world import SimulatedWorld

PLACE = Endpoint("192.0.2.5", 24)
LMTP = ClientSettings(flavour=Flavour.LMTP, private=True)
BOB, CARL = mailbox("bob@example.net"), mailbox("carl@example.net")
MAIL = Mail(None, MailParameters())
LARGE = b"x" * 998 + b"\r\n"

Story = Callable[[ClientConnection, RawLines], Coroutine[Any, Any, None]]


def play(story: Story, *, greets: bool = True) -> None:
    """Tell a story of both ends of a connection, greeted already."""

    async def main() -> None:
        network = Network(1)
        world = SimulatedWorld(network, "192.0.2.1")
        servers: list[RawLines] = []

        def accept() -> RawLines:
            servers.append(RawLines())
            return servers[-1]

        network.bind(PLACE).serve(accept)
        connection = await open_connection(world, PLACE, LMTP, 5)
        assert isinstance(connection, ClientConnection)
        if greets:
            servers[0].say("220-one moment", "220 here")
            assert isinstance(await connection.greeting(5), RemoteReply)
            servers[0].say("250-here", "250-PIPELINING", "250 CHUNKING")
            assert isinstance(await connection.hello("edge", 5), Greeted)
            await servers[0].line()
        await story(connection, servers[0])
        connection.abort()
        servers[0].transport.abort()
        await asyncio.sleep(1)
        assert network.connections == []

    simulate(main)


def now() -> float:
    return asyncio.get_running_loop().time()


async def opened(connection: ClientConnection, server: RawLines, recipients: int = 1) -> None:
    server.say(*["250 ok"] * (1 + recipients))
    await connection.ask(MAIL, *(BOB_OR_CARL[:recipients]), timeout_s=5)


BOB_OR_CARL = (Recipient(BOB), Recipient(CARL))


def test_a_verdict_in_dribs_has_one_limit() -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        await opened(connection, server, 2)
        connection.send(Chunk((LARGE,), last=False), Chunk((LARGE,), last=True))
        started = now()
        waiting = asyncio.ensure_future(connection.verdict(10))
        for reply in ("250 chunk", "250 for bob"):
            await asyncio.sleep(6)
            server.say(reply)
        assert await waiting == StillWaiting()
        assert now() - started < 12.1
        server.say("452 for carl")
        verdict = await connection.verdict(10)
        assert isinstance(verdict, tuple)
        assert [reply.code for reply in verdict] == [250, 452]

    play(story)


@pytest.mark.parametrize("reply", ["452 4.3.1 full", "421 4.3.2 leaving"])
def test_a_refusal_ends_the_writing_at_once(reply: str) -> None:
    """The server takes nothing more, so waiting for room would be in vain."""

    async def story(connection: ClientConnection, server: RawLines) -> None:
        await opened(connection, server)
        connection.send(Chunk((LARGE,), last=False))
        server.say("250 chunk")
        await asyncio.sleep(1)
        server.transport.pause_reading()
        connection.send(Chunk((LARGE * 600,), last=False))
        started = now()
        waiting = asyncio.ensure_future(connection.written(60))
        await asyncio.sleep(1)
        server.say(reply)
        written = await waiting
        assert now() - started < 2
        if written is not None:
            assert isinstance(written, RemoteReply)
            assert written.code == int(reply[:3])
        else:
            assert isinstance(await connection.verdict(5), tuple | Lost)

    play(story)


def test_a_server_that_takes_nothing_is_given_up() -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        await opened(connection, server)
        server.transport.pause_reading()
        connection.send(Chunk((LARGE * 600,), last=False))
        started = now()
        assert isinstance(await connection.written(7), Lost)
        assert now() - started == pytest.approx(7)
        assert not connection.is_open

    play(story)


def test_a_verdict_counts_though_the_server_leaves_with_it() -> None:
    """All was read and answered while the transport still tells us to wait."""

    async def story(connection: ClientConnection, server: RawLines) -> None:
        await opened(connection, server)
        connection.send(Chunk((LARGE,), last=True))
        connection.pause_writing()
        waiting = asyncio.ensure_future(connection.written(5))
        server.say("250 2.0.0 delivered")
        server.transport.write_eof()
        assert await waiting is None
        verdict = await connection.verdict(5)
        assert isinstance(verdict, tuple)
        assert [reply.code for reply in verdict] == [250]

    play(story)


def test_a_lost_server_ends_the_writing() -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        await opened(connection, server)
        connection.send(Chunk((LARGE,), last=False))
        connection.pause_writing()
        waiting = asyncio.ensure_future(connection.written(5))
        server.say("250 chunk")
        await asyncio.sleep(0.1)
        server.transport.abort()
        assert isinstance(await waiting, Lost)

    play(story)


def test_reset_clears_a_refused_chunk_away() -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        await opened(connection, server)
        connection.send(Chunk((LARGE,), last=False), Chunk((LARGE,), last=False))
        waiting = asyncio.ensure_future(connection.ask(Reset(), timeout_s=5))
        await asyncio.sleep(1)
        server.say("452 full", "503 reset first", "250 reset")
        replies = await waiting
        assert isinstance(replies, tuple)
        assert [reply.code for reply in replies] == [250]
        assert connection.is_open
        await opened(connection, server)

    play(story)


@pytest.mark.parametrize("says", ["421 4.3.2 leaving", "250 what was that"])
def test_words_on_an_idle_connection_are_its_end(says: str) -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        assert [connection.is_open for _ in range(2)] == [True, True]
        server.say(says)
        await asyncio.sleep(1)
        assert [connection.is_open for _ in range(2)] == [False, False]
        assert isinstance(await connection.ask(Noop(), timeout_s=5), Lost)

    play(story)


@pytest.mark.parametrize("end", ["silence", "421", "eof", "reset", "noise", "too many"])
def test_every_question_has_an_end(end: str) -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        waiting = asyncio.ensure_future(connection.ask(MAIL, timeout_s=5))
        await asyncio.sleep(1)
        match end:
            case "421":
                server.say("421 leaving")
            case "eof":
                server.transport.write_eof()
            case "reset":
                server.transport.abort()
            case "noise":
                server.write(b"\xff\xfe what\r\n")
            case "too many":
                server.say("250 ok", "250 ok")
        answer = await waiting
        if isinstance(answer, tuple):
            assert answer[0].code in (250, 421)
            answer = await connection.ask(Reset(), timeout_s=5)
        assert isinstance(answer, Lost)
        assert isinstance(await connection.verdict(1), Lost)
        await connection.quit()

    play(story)


def test_a_refused_body_is_a_refusal() -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        await opened(connection, server)
        server.say("354 go")
        await connection.ask(Data(), timeout_s=5)
        assert await connection.write_body((LARGE,), last=False, timeout_s=5) is None
        server.say("552 5.3.4 too large")
        await asyncio.sleep(1)
        written = await connection.write_body((LARGE,), last=True, timeout_s=5)
        assert isinstance(written, RemoteReply)
        assert written.code == 552

    play(story)


def test_the_opening_in_the_wrong_order() -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        server.say("354 what")
        assert isinstance(await connection.greeting(5), Lost)

    play(story, greets=False)

    async def silent(connection: ClientConnection, server: RawLines) -> None:
        started = now()
        assert isinstance(await connection.greeting(5), Lost)
        assert now() - started == pytest.approx(5)
        assert isinstance(await connection.hello("edge", 5), Lost)

    play(silent, greets=False)


@pytest.mark.parametrize("answer", ["220 go", "454 4.7.0 not now", "421 no", "noise"])
def test_starttls(answer: str) -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        role = TlsRole(server_side=False)
        waiting = asyncio.ensure_future(connection.start_tls(role, 5))
        await server.line()
        server.say(answer)
        if answer[:3] == "220":
            world = SimulatedWorld(Network(2), "192.0.2.5")
            await world.start_tls(server.transport, server, TlsRole(server_side=True), 5)
        found = await waiting
        kind = {"220": TlsFacts, "454": RemoteReply, "421": RemoteReply}.get(answer[:3], Lost)
        assert isinstance(found, kind), found

    play(story)


def test_a_handshake_that_fails() -> None:
    async def story(connection: ClientConnection, server: RawLines) -> None:
        waiting = asyncio.ensure_future(connection.start_tls(TlsRole(server_side=False), 5))
        await server.line()
        server.say("220 go")
        await asyncio.sleep(1)
        server.transport.abort()
        assert isinstance(await waiting, TlsFailed)
        assert not connection.is_open

    play(story)


def test_nobody_there() -> None:
    async def main() -> None:
        world = SimulatedWorld(Network(1), "192.0.2.1")
        assert isinstance(await open_connection(world, PLACE, LMTP, 5), ConnectFailed)

    simulate(main)
