"""Outbound connections and remote transactions, over sockets, with servers that follow a script."""

# Long because: its scripted server serves all of these tests, and test modules do not import each other.

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.errors import MisuseError
from ptt.net import outbound as outbound_module
from ptt.net.outbound import Limits, MailServer, Outbound, Way
from ptt.net.racing import connect_first, in_racing_order
from ptt.net.remote_transaction import RemoteTransaction
from ptt.net.smtp_client import ClientConnection
from ptt.net.system import SystemWorld
from ptt.net.tls import make_link_identity, opportunistic_client_context, public_server_context
from ptt.net.world import ConnectFailed, Endpoint, TlsRole
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.attempt import Broke, Lacks, NoTls, Said, Stage, TlsBroke, Word
from ptt.protocol.smtp.client import ClientSettings
from ptt.protocol.smtp.commands import Login, Mail
from ptt.protocol.smtp.events import MailParameters
from ptt.protocol.smtp.extensions import Extensions, Keyword

ALICE = mailbox("alice@mirage.example")
BOB, CAROL = mailbox("bob@remote.example"), mailbox("carol@remote.example")
MESSAGE = b"Subject: Hello\r\n\r\nHello\r\n"
LEAVE = b""  # in a script: close the connection


@dataclass
class Server:
    """Answers each verb by its script: one reply for always, or a list for one after the other."""

    greeting: bytes | list[bytes] = b"220 mx ESMTP\r\n"
    offers: tuple[str, ...] = ("PIPELINING",)
    script: dict[str, bytes | list[bytes]] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    breaks_tls: bool = False
    reads_no_more: bool = False
    implicit: bool = False
    connections: list[list[str]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    port: int = 0

    def answer(self, verb: str, default: bytes) -> bytes:
        reply = self.script.get(verb, default)
        if isinstance(reply, list):
            return reply.pop(0) if reply else default
        return reply

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        log: list[str] = []
        self.connections.append(log)
        self.writers.append(writer)
        self.callers.append(writer.get_extra_info("peername")[0])
        try:
            self.script.setdefault("greeting", self.greeting)
            await self._talk(reader, writer, log)
        except (ConnectionError, asyncio.IncompleteReadError):
            log.append("lost")
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: list[str]) -> None:
        writer.write(self.answer("greeting", b"220 mx ESMTP\r\n"))
        while line := await reader.readline():
            command = line.decode().rstrip()
            verb = command.split(" ")[0].split(":")[0].upper()
            log.append(command)
            reply = self.answer(command if command in self.script else verb, self._default(verb, log))
            writer.write(reply)
            if reply == LEAVE or verb == "QUIT":
                return
            if verb == "STARTTLS" and self.breaks_tls:
                await reader.read(1)
                writer.write(b"this is no handshake\r\n")
                await writer.drain()
                return
            if verb == "STARTTLS" and self.tls is not None:
                await writer.start_tls(self.tls)
            if verb == "DATA" and self.reads_no_more:
                await asyncio.sleep(1)
                return
            if verb == "DATA" and reply.startswith(b"354"):
                self.messages.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                log.append(".")
                verdict = self.answer(".", b"250 queued\r\n")
                writer.write(verdict)
                if verdict == LEAVE:
                    return

    def _default(self, verb: str, log: list[str]) -> bytes:
        match verb:
            case "EHLO":
                tls = ("STARTTLS",) if (self.tls or self.breaks_tls) and "STARTTLS" not in log else ()
                lines = ["mx", *self.offers, *tls]
                return "".join(
                    f"250{' ' if i == len(lines) else '-'}{x}\r\n" for i, x in enumerate(lines, 1)
                ).encode()
            case "DATA":
                return b"354 go\r\n"
            case "QUIT":
                return b"221 bye\r\n"
            case "STARTTLS":
                return b"220 go\r\n"
            case "AUTH":
                return b"235 welcome\r\n"
            case _:
                return b"250 ok\r\n"

    def verbs(self, number: int = -1) -> list[str]:
        return [command.split(" ")[0].split(":")[0] for command in self.connections[number]]


def certificate() -> ssl.SSLContext:
    identity = make_link_identity("mx", 1, datetime.now(UTC))
    pem = x509.load_der_x509_certificate(identity.certificate).public_bytes(Encoding.PEM)
    return public_server_context(pem, identity.private_key_pem, tickets=False)


@asynccontextmanager
async def running(*servers: Server) -> AsyncIterator[SystemWorld]:
    listeners = []
    for server in servers:
        listener = await asyncio.start_server(
            server.talk, "127.0.0.1", 0, ssl=server.tls if server.implicit else None
        )
        server.port = listener.sockets[0].getsockname()[1]
        listeners.append(listener)
    world = SystemWorld()
    try:
        yield world
    finally:
        for listener in listeners:
            listener.close()
        world.close()


def at(server: Server, name: str = "mx") -> MailServer:
    return MailServer(name, (Endpoint("127.0.0.1", server.port),))


def tls_role(_host: str) -> TlsRole:
    return TlsRole(server_side=False, context=opportunistic_client_context())


def way(*servers: MailServer, clear: bool = True, login: Login | None = None, implicit: bool = False) -> Way:
    return Way("remote.example", servers, tls_role, clear, implicit, login)


def mail(_extensions: Extensions, _recipients: tuple[Mailbox, ...]) -> Mail | Keyword:
    return Mail(ALICE)


def soon(world: SystemWorld, seconds: float = 5.0) -> float:
    return world.now() + seconds


async def send(
    transaction: RemoteTransaction, world: SystemWorld, *recipients: Mailbox, seconds: float = 5.0
) -> dict[Mailbox, Word]:
    """All of it: RCPT, data, end."""
    await transaction.request(recipients or (BOB,), mail, soon(world, seconds))
    await transaction.transfer([MESSAGE], soon(world, seconds))
    await transaction.finish([], soon(world, seconds))
    return transaction.words


def broke_at(word: Word) -> Stage:
    assert isinstance(word, Broke), word
    return word.stage


def code(word: Word) -> tuple[Stage, int]:
    assert isinstance(word, Said), word
    return word.stage, word.reply.code


Test = Callable[[], Coroutine[Any, Any, None]]


def test_connections_are_used_again_up_to_the_limit() -> None:
    async def run() -> None:
        server = Server()
        async with running(server) as world:
            outbound = Outbound(world, "mail.mirage.example", Limits(messages_per_connection=2))
            for _ in range(3):
                words = await send(RemoteTransaction(outbound, way(at(server))), world)
                assert code(words[BOB]) == (Stage.END, 250)
            await outbound.close()
        assert server.messages == [MESSAGE] * 3
        assert server.verbs(0) == ["EHLO", "MAIL", "RCPT", "DATA", ".", "MAIL", "RCPT", "DATA", ".", "QUIT"]
        assert server.verbs(1)[-1] == "QUIT"
        assert server.connections[0][:3] == [
            "EHLO mail.mirage.example",
            "MAIL FROM:<alice@mirage.example>",
            "RCPT TO:<bob@remote.example>",
        ]

    asyncio.run(run())


def test_another_policy_is_another_connection() -> None:
    async def run() -> None:
        server = Server(tls=certificate())
        async with running(server) as world:
            outbound = Outbound(world, "mail.mirage.example")
            await send(RemoteTransaction(outbound, way(at(server))), world)
            await send(RemoteTransaction(outbound, way(at(server), clear=False)), world)
            await outbound.close()
        assert len(server.connections) == 2
        assert server.verbs(1)[:3] == ["EHLO", "STARTTLS", "EHLO"]

    asyncio.run(run())


def test_the_next_server_takes_over_before_the_data() -> None:
    async def run() -> None:
        dead = Server()
        async with running(dead):
            pass
        busy, broken, later, good = (
            Server(greeting=b"421 busy\r\n"),
            Server(greeting=LEAVE, script={"EHLO": LEAVE}),
            Server(script={"MAIL": b"451 not now\r\n"}),
            Server(),
        )
        async with running(busy, broken, later, good) as world:
            outbound = Outbound(world, "mail.mirage.example")
            servers = [at(each, f"mx{number}") for number, each in enumerate((dead, busy, later, good))]
            words = await send(RemoteTransaction(outbound, way(*servers)), world)
            await outbound.close()
        assert code(words[BOB]) == (Stage.END, 250)
        word = words[BOB]
        assert isinstance(word, Said)
        assert word.host == "mx3"
        assert good.messages == [MESSAGE]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("script", "stage", "expected"),
    [
        ({"greeting": b"554 no service\r\n"}, Stage.GREETING, 554),
        ({"EHLO": b"550 no\r\n", "HELO": b"550 no\r\n"}, Stage.HELLO, 550),
        ({"MAIL": b"550 5.7.1 no\r\n"}, Stage.MAIL, 550),
        ({"MAIL": b"451 not now\r\n"}, Stage.MAIL, 451),
        ({"RCPT": b"550 5.1.1 nobody\r\n"}, Stage.RECIPIENT, 550),
        ({"DATA": b"451 not now\r\n"}, Stage.DATA, 451),
        ({".": b"554 spam\r\n"}, Stage.END, 554),
    ],
)
def test_a_servers_no_is_told_with_its_stage(script: dict[str, Any], stage: Stage, expected: int) -> None:
    async def run() -> None:
        server = Server(script=script)
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            words = await send(transaction, world)
            await transaction.release()
        assert code(words[BOB]) == (stage, expected)

    asyncio.run(run())


def test_each_recipient_gets_its_own_verdict_from_the_first_that_answers() -> None:
    async def run() -> None:
        first = Server(script={"RCPT TO:<carol@remote.example>": b"450 greylisted\r\n"})
        second = Server()
        async with running(first, second) as world:
            words = await send(
                RemoteTransaction(Outbound(world, "me.example"), way(at(first), at(second))),
                world,
                BOB,
                CAROL,
            )
        assert [code(words[each]) for each in (BOB, CAROL)] == [(Stage.END, 250), (Stage.RECIPIENT, 450)]
        assert second.connections == []

    asyncio.run(run())


def test_a_deep_test_is_passed_by_a_second_connection_to_the_same_server() -> None:
    async def run() -> None:
        server = Server(script={"RCPT": [b"450 4.3.2 Service currently unavailable\r\n"]})
        async with running(server) as world:
            words = await send(RemoteTransaction(Outbound(world, "me.example"), way(at(server))), world)
        assert code(words[BOB]) == (Stage.END, 250)
        assert len(server.connections) == 2

    asyncio.run(run())


def test_the_second_refusal_stands() -> None:
    async def run() -> None:
        server = Server(script={"RCPT": b"450 4.3.2 Service currently unavailable\r\n"})
        async with running(server) as world:
            words = await send(RemoteTransaction(Outbound(world, "me.example"), way(at(server))), world)
        assert code(words[BOB]) == (Stage.RECIPIENT, 450)
        assert len(server.connections) == 2

    asyncio.run(run())


def test_a_full_connection_is_answered_by_a_new_one() -> None:
    async def run() -> None:
        server = Server(script={"MAIL": [b"250 ok\r\n", b"421 4.7.0 too many messages\r\n", b"250 ok\r\n"]})
        async with running(server) as world:
            outbound = Outbound(world, "me.example")
            for _ in range(2):
                words = await send(RemoteTransaction(outbound, way(at(server))), world)
                assert code(words[BOB]) == (Stage.END, 250)
        assert len(server.connections) == 2

    asyncio.run(run())


@pytest.mark.parametrize("clear", [True, False])
def test_a_handshake_that_fails_is_tried_again_in_clear_where_that_may_be(clear: bool) -> None:
    async def run() -> None:
        server = Server(breaks_tls=True)
        async with running(server) as world:
            words = await send(
                RemoteTransaction(Outbound(world, "me.example"), way(at(server), clear=clear)), world
            )
        assert isinstance(words[BOB], Said if clear else TlsBroke)
        assert len(server.messages) == clear
        assert len(server.connections) == 1 + clear

    asyncio.run(run())


def test_each_family_leaves_by_its_published_address() -> None:
    async def run() -> None:
        server = Server(breaks_tls=True)  # so that it is called twice
        async with running(server) as world:
            outbound = Outbound(world, "me.example", source_addresses=("2001:db8::25", "127.0.0.7"))
            await send(RemoteTransaction(outbound, way(at(server))), world)
        assert server.callers == ["127.0.0.7", "127.0.0.7"]

    asyncio.run(run())


@pytest.mark.parametrize(("tls_refused", "expected"), [(False, NoTls), (True, TlsBroke)])
def test_nothing_goes_in_clear_that_may_not(tls_refused: bool, expected: type) -> None:
    async def run() -> None:
        server = Server(
            breaks_tls=tls_refused, script={"STARTTLS": b"454 not now\r\n"} if tls_refused else {}
        )
        server.breaks_tls = False
        server.offers = ("STARTTLS",) if tls_refused else ()
        async with running(server) as world:
            words = await send(
                RemoteTransaction(Outbound(world, "me.example"), way(at(server), clear=False)), world
            )
        assert isinstance(words[BOB], expected)
        assert "MAIL" not in server.verbs()

    asyncio.run(run())


def test_a_smarthost_is_spoken_to_under_tls_and_by_login() -> None:
    async def run() -> None:
        server = Server(tls=certificate(), implicit=True, offers=("AUTH PLAIN", "STARTTLS"))
        async with running(server) as world:
            words = await send(
                RemoteTransaction(
                    Outbound(world, "me.example"),
                    way(at(server), clear=False, login=Login("me", "secret"), implicit=True),
                ),
                world,
            )
        assert code(words[BOB]) == (Stage.END, 250)
        assert server.verbs()[:3] == ["EHLO", "AUTH", "MAIL"]

    asyncio.run(run())


def test_a_login_that_is_refused() -> None:
    async def run() -> None:
        server = Server(tls=certificate(), offers=("AUTH PLAIN",), script={"AUTH": b"535 no\r\n"})
        async with running(server) as world:
            words = await send(
                RemoteTransaction(
                    Outbound(world, "me.example"), way(at(server), clear=False, login=Login("me", "x"))
                ),
                world,
            )
        assert code(words[BOB]) == (Stage.LOGIN, 535)

    asyncio.run(run())


def test_a_server_that_leaves_before_its_data_is_opened_anew() -> None:
    async def run() -> None:
        server = Server(script={"DATA": [LEAVE, b"354 go\r\n"]})
        async with running(server) as world:
            words = await send(RemoteTransaction(Outbound(world, "me.example"), way(at(server))), world)
        assert code(words[BOB]) == (Stage.END, 250)
        assert len(server.connections) == 2

    asyncio.run(run())


def test_a_server_that_leaves_at_its_data_twice_is_given_up_for_the_next() -> None:
    async def run() -> None:
        first, second = Server(script={"DATA": LEAVE}), Server()
        async with running(first, second) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(first), at(second, "mx2")))
            assert code((await send(transaction, world))[BOB]) == (Stage.END, 250)
        assert len(first.connections) == 2
        assert second.messages == [MESSAGE]

    asyncio.run(run())


def test_a_server_that_leaves_between_two_groups_is_asked_anew() -> None:
    async def run() -> None:
        server = Server(script={"RCPT TO:<carol@remote.example>": [LEAVE, b"250 ok\r\n"]})
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            await transaction.request([BOB], mail, soon(world))
            words = await send(transaction, world, BOB, CAROL)
        assert [code(words[each]) for each in (BOB, CAROL)] == [(Stage.END, 250)] * 2
        assert server.verbs(0) == ["EHLO", "MAIL", "RCPT", "RCPT"]

    asyncio.run(run())


def test_a_server_that_refuses_its_data_twice_has_had_its_chance() -> None:
    async def run() -> None:
        server = Server(script={"DATA": LEAVE})
        async with running(server) as world:
            words = await send(RemoteTransaction(Outbound(world, "me.example"), way(at(server))), world)
        assert broke_at(words[BOB]) is Stage.DATA
        assert len(server.connections) == 2

    asyncio.run(run())


def test_a_server_that_refuses_in_the_middle_is_heard() -> None:
    async def run() -> None:
        server = Server(script={"DATA": b"354 go\r\n552 too much\r\n"})
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            await transaction.request([BOB], mail, soon(world))
            await transaction.transfer([MESSAGE], soon(world))
            await asyncio.sleep(0.05)
            await transaction.transfer([MESSAGE], soon(world))
            await transaction.finish([], soon(world))
        assert code(transaction.words[BOB]) in {(Stage.MESSAGE, 552), (Stage.DATA, 552)}

    asyncio.run(run())


def test_a_server_that_takes_nothing_more_has_failed() -> None:
    async def run() -> None:
        server = Server()
        server.reads_no_more = True
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            await transaction.request([BOB], mail, soon(world))
            await transaction.transfer([b"x" * 998 + b"\r\n"] * 20_000, soon(world, 0.2))
        word = transaction.words[BOB]
        assert isinstance(word, Broke)
        assert word.stage is Stage.MESSAGE

    asyncio.run(run())


def test_after_the_end_of_the_data_there_is_no_second_try() -> None:
    async def run() -> None:
        server = Server(script={".": LEAVE})
        async with running(server) as world:
            words = await send(
                RemoteTransaction(Outbound(world, "me.example"), way(at(server), at(server))), world
            )
        assert broke_at(words[BOB]) is Stage.END
        assert len(server.connections) == 1

    asyncio.run(run())


def test_a_verdict_that_is_late_can_be_learned() -> None:
    async def run() -> None:
        server = Server(script={".": b"250-late\r\n"})
        async with running(server) as world:
            outbound = Outbound(world, "me.example")
            transaction = RemoteTransaction(outbound, way(at(server)))
            words = await send(transaction, world, seconds=0.3)
            assert transaction.is_waiting
            assert code(words[BOB]) == (Stage.RECIPIENT, 250)
            await transaction.learn(soon(world, 0.05))
            assert transaction.is_waiting
            transaction.abort()

    asyncio.run(run())


def test_fewer_recipients_or_another_envelope_begin_anew_on_the_same_connection() -> None:
    async def run() -> None:
        server = Server(offers=("PIPELINING", "8BITMIME", "SMTPUTF8"))
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            await transaction.request([BOB, CAROL], mail, soon(world))
            await transaction.request(
                [BOB, CAROL], lambda _o, _r: Mail(ALICE, MailParameters(size=9)), soon(world)
            )
            await transaction.request([BOB], mail, soon(world))
            utf8 = Mail(ALICE, MailParameters(smtputf8=True))
            await transaction.request([BOB], lambda _o, _r: utf8, soon(world))
            await transaction.request([BOB], lambda _o, _r: Keyword.SIZE, soon(world))
            assert transaction.words == {BOB: Lacks("mx", Keyword.SIZE)}
            await transaction.request([], mail, soon(world))
            assert transaction.words == {}
            await asyncio.sleep(0.01)
        assert server.connections[0][1:] == [
            "MAIL FROM:<alice@mirage.example>",
            "RCPT TO:<bob@remote.example>",
            "RCPT TO:<carol@remote.example>",
            "RSET",
            "MAIL FROM:<alice@mirage.example>",
            "RCPT TO:<bob@remote.example>",
            "RSET",
            "MAIL FROM:<alice@mirage.example> SMTPUTF8",
            "RCPT TO:<bob@remote.example>",
            "RSET",
        ]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"RSET": LEAVE}, 250),
        ({"MAIL": [b"250 ok\r\n", LEAVE]}, 250),
        ({"MAIL": [b"250 ok\r\n", b"452 full\r\n"]}, 452),
        ({"MAIL": [b"250 ok\r\n", b"550 no\r\n"]}, 550),
    ],
)
def test_another_envelope_that_is_not_taken(script: dict[str, Any], expected: int) -> None:
    async def run() -> None:
        server = Server(script=script)
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            await transaction.request([BOB, CAROL], mail, soon(world))
            await transaction.request([BOB], mail, soon(world))
            assert code(transaction.words[BOB])[1] == expected
            await transaction.release()

    asyncio.run(run())


def test_what_has_ended_stays_ended() -> None:
    async def run() -> None:
        server = Server()
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            words = dict(await send(transaction, world))
            await transaction.learn(soon(world))
            await transaction.finish([], soon(world))
            await transaction.transfer([MESSAGE], soon(world))
            assert transaction.words == words
            await transaction.request([BOB], mail, soon(world))
            with pytest.raises(MisuseError):
                await transaction.finish([], soon(world))
            transaction.abort()
        assert server.messages == [MESSAGE]

    asyncio.run(run())


def test_a_refusal_that_comes_with_the_last_piece_is_heard() -> None:
    async def run() -> None:
        server = Server(script={"DATA": b"354 go\r\n"})
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            await transaction.request([BOB], mail, soon(world))
            await transaction.transfer([MESSAGE], soon(world))
            server.writers[-1].write(b"552 too much\r\n")
            await asyncio.sleep(0.05)
            await transaction.finish([], soon(world))
        assert code(transaction.words[BOB]) == (Stage.MESSAGE, 552)
        assert server.messages == []

    asyncio.run(run())


def test_a_server_that_lacks_something_from_the_start() -> None:
    async def run() -> None:
        server = Server()
        async with running(server) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(server)))
            await transaction.request([BOB], lambda _o, _r: Keyword.SMTPUTF8, soon(world))
            assert transaction.words == {BOB: Lacks("mx", Keyword.SMTPUTF8)}
            assert server.verbs() == ["EHLO"]

    asyncio.run(run())


def test_no_more_connections_than_the_limit() -> None:
    async def run() -> None:
        server = Server()
        async with running(server) as world:
            outbound = Outbound(world, "me.example", Limits(connections=1))
            first, second = (RemoteTransaction(outbound, way(at(server))) for _ in range(2))
            await first.request([BOB], mail, soon(world))
            await second.request([BOB], mail, soon(world, 0.05))
            assert isinstance(second.words[BOB], Broke)
            await first.release()
            await second.request([BOB], mail, soon(world))
            assert code(second.words[BOB]) == (Stage.RECIPIENT, 250)
            await second.release()
        assert len(server.connections) == 1

    asyncio.run(run())


def test_an_idle_connection_ends_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_module, "IDLE_S", 0.02)

    async def run() -> None:
        server = Server()
        async with running(server) as world:
            await send(RemoteTransaction(Outbound(world, "me.example"), way(at(server))), world)
            await asyncio.sleep(0.1)
            assert server.verbs()[-1] == "QUIT"

    asyncio.run(run())


def test_a_server_that_says_nothing_costs_the_time_there_is() -> None:
    async def run() -> None:
        silent = Server(greeting=b"220-wait\r\n")
        async with running(silent) as world:
            transaction = RemoteTransaction(Outbound(world, "me.example"), way(at(silent)))
            await transaction.request([BOB], mail, soon(world, 0.1))
            word = transaction.words[BOB]
            assert isinstance(word, Broke)
            assert word.stage is Stage.GREETING
            nobody = RemoteTransaction(Outbound(world, "me.example"), way())
            await nobody.request([BOB], mail, soon(world))
            assert isinstance(nobody.words[BOB], Broke)

    asyncio.run(run())


def test_who_stops_waiting_leaves_no_connection_behind() -> None:
    async def run() -> None:
        silent = Server(greeting=b"220-wait\r\n")
        async with running(silent) as world:
            outbound = Outbound(world, "me.example", Limits(connections=1))
            transaction = RemoteTransaction(outbound, way(at(silent)))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await transaction.request([BOB], mail, soon(world))
            transaction.abort()
            the_way = way(at(silent))
            assert await outbound.acquire(the_way, 0.1)
            outbound.release(the_way, None)

    asyncio.run(run())


def test_addresses_are_raced() -> None:
    sixes, fours = (
        [Endpoint("::1", port) for port in (1, 2)],
        [Endpoint("127.0.0.1", port) for port in (3, 4, 5)],
    )
    assert [each.port for each in in_racing_order([*fours, *sixes])] == [1, 3, 2, 4, 5]

    async def run() -> None:
        server = Server()
        async with running(server) as world:
            good = Endpoint("127.0.0.1", server.port)
            connection = await connect_first(world, [Endpoint("127.0.0.1", 1), good], ClientSettings(), 5)
            assert isinstance(connection, ClientConnection)
            assert connection.endpoint == good
            connection.abort()
            # Nobody answers at the first (TEST-NET-1, RFC 5737): the second has its turn after a moment.
            connection = await connect_first(world, [Endpoint("192.0.2.1", 25), good], ClientSettings(), 5)
            assert isinstance(connection, ClientConnection)
            connection.abort()
            failed = await connect_first(world, [Endpoint("127.0.0.1", 1)], ClientSettings(), 5)
            assert isinstance(failed, ConnectFailed)
            assert isinstance(await connect_first(world, [], ClientSettings(), 5), ConnectFailed)

    asyncio.run(run())
