"""The whole relay on loopback: called as by the signer, delivering to mail servers of others."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt.boot import (
    BootRecord,
    Drain,
    Drained,
    GiveState,
    KeepState,
    Listener,
    Peer,
    Peers,
    Publish,
    UnitFrame,
)
from ptt.errors import ConfigError
from ptt.net.fixed_lookup import FixedLookup
from ptt.net.hop import Hop
from ptt.net.smtp_client import Lost
from ptt.net.system import SystemWorld
from ptt.net.tls import make_link_identity, public_server_context
from ptt.net.unit import Unit
from ptt.net.world import HostSaid, Published
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import MailParameters
from ptt.protocol.smtp.reply import RemoteReply
from ptt.records.journal import JournalLine
from ptt.units.relay.ledger import Keys
from ptt.units.relay.outcome import Delivered
from ptt.units.relay.service import RelayMeans, serve
from ptt.units.relay.settings import RelaySettings

ALICE = mailbox("alice@mirage.example")
BOB, CAROL, NOBODY = (mailbox(f"{who}.example") for who in ("bob@one", "carol@two", "nobody@one"))
MESSAGE = b"From: alice@mirage.example\r\nMessage-ID: <1@mirage.example>\r\n\r\n.Hello\r\n"
ZONE = """
one.example     MX 10 mx.one.example
mx.one.example  A  127.0.0.2
two.example     A  127.0.0.3
null.example    MX 0 .
"""
NOW = datetime.now(UTC)
SECRETS = {"ledger_key": "secret", "smarthost_password": "password"}


@dataclass
class Target:
    """A mail server's handler; ``at_data`` gives its verdict."""

    messages: list[bytes] = field(default_factory=list)
    at_data: Callable[[], Awaitable[str]] | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 who is that"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.original_content, bytes)
        self.messages.append(envelope.original_content)
        return "250 queued" if self.at_data is None else await self.at_data()


class Host:
    """The host's end of the control stream, and the journal."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[HostSaid | None] = asyncio.Queue()
        self.heard: list[UnitFrame] = []
        self.lines: list[JournalLine] = []
        self.alarms: list[str] = []
        self.failures: list[BaseException] = []

    def send(self, frame: UnitFrame) -> None:
        self.heard.append(frame)

    async def receive(self) -> HostSaid | None:
        return await self.said.get()

    def write(self, line: JournalLine) -> None:
        self.lines.append(line)

    def alarm(self, what: str) -> None:
        self.alarms.append(what)

    def failure(self, _where: str, error: BaseException) -> None:
        self.failures.append(error)

    def kept(self) -> dict[str, bytes]:
        kept: dict[str, bytes] = {}
        for frame in self.heard:
            if isinstance(frame, KeepState):
                kept[frame.key] = frame.value
        return {key: value for key, value in kept.items() if value}


VERDICT_S = 30.0  # an answer comes in milliseconds; a busy machine may take its time


@dataclass
class Relay:
    """A running relay, its host, the hop to it and two targets."""

    host: Host
    hop: Hop
    one: Target
    two: Target

    async def send(
        self, *recipients: Mailbox, trace: str = "t1", message: Sequence[bytes] = (MESSAGE,)
    ) -> tuple[list[int], list[int]]:
        """RCPT codes and final codes."""
        parameters = MailParameters(trace_id=trace, login="alice")
        begun = await self.hop.begin(Mail(ALICE, parameters), recipients, 5)
        assert not isinstance(begun, Lost), begun
        transaction, replies = begun
        if not any(reply.is_completed for reply in replies):
            await transaction.reset()
            return codes(replies), []
        await transaction.write(message, last=True, timeout_s=VERDICT_S)
        verdict = await transaction.verdict(VERDICT_S)
        assert not isinstance(verdict, Lost), verdict
        return codes(replies), codes(verdict)


def codes(replies: Sequence[RemoteReply]) -> list[int]:
    return [reply.code for reply in replies]


def unit(name: str, world: SystemWorld, host: Host, settings: dict[str, Any]) -> Unit:
    boot = BootRecord(name, 1, "mail.mirage.example", "digest", settings, SECRETS)
    return Unit(boot, world, host, host, make_link_identity(name, 1, NOW))


@asynccontextmanager
async def relay(**settings: Any) -> AsyncIterator[Relay]:
    world, loop, host = SystemWorld(), asyncio.get_running_loop(), Host()
    one, two, port = Target(), Target(), free_port()
    servers = [
        await loop.create_server(
            lambda target=target: SMTP(target, enable_SMTPUTF8=True, loop=loop),  # type: ignore[misc]
            address,
            port,
        )
        for target, address, port in [(one, "127.0.0.2", port), (two, "127.0.0.3", port)]
    ]
    users = {
        "alice": {"targets": ["a@one.example"], "insecure": True},
        "strict": {"targets": ["s@one.example"]},
    }
    all_settings = {"domains": ["mirage.example"], "users": users, "zone": ZONE, "port": port, **settings}
    running = unit("relay", world, host, all_settings)
    listening = socket.create_server(("127.0.0.1", 0))
    listener = Listener("hop", *listening.getsockname())
    signer = unit("signer", world, Host(), {})
    caller = Peer("signer", 1, "127.0.0.1", 0, signer.identity.certificate)
    callee = Peer("relay", 1, listener.host, listener.port, running.identity.certificate)
    host.said.put_nowait(HostSaid(Peers((caller,), ())))
    host.said.put_nowait(HostSaid(Publish((listener,)), (Published(listener, listening),)))
    hop = Hop(signer, "relay")
    hop.peers_changed(Peers((), (callee,)))
    life = asyncio.ensure_future(serve(running))
    try:
        await asyncio.sleep(0)
        yield Relay(host, hop, one, two)
    finally:
        await hop.close()
        host.said.put_nowait(HostSaid(Drain(5)))
        await life
        for server in servers:
            server.close()
        world.close()
    assert host.failures == []
    assert isinstance(host.heard[-1], Drained)


def free_port() -> int:
    with socket.create_server(("127.0.0.2", 0)) as probe:
        return int(probe.getsockname()[1])


def test_each_recipient_gets_the_answer_of_its_own_server() -> None:
    async def run() -> None:
        async with relay() as given:
            foreign = mailbox("x@null.example")
            unknown = mailbox("unknown@mirage.example")
            answers = await given.send(BOB, NOBODY, CAROL, foreign, unknown)
        assert answers == ([250, 550, 250, 556, 550], [250, 250])
        (message,), (other,) = given.one.messages, given.two.messages
        trace, _, rest = message.partition(b"From:")
        assert b"From:" + rest == MESSAGE
        assert other.endswith(MESSAGE)
        assert trace.startswith(b"Received: from signer by mail.mirage.example (PTT digest) with LMTPS\r\n")
        (line,) = given.host.lines
        assert (line.trace, line.peer, line.login, line.forward_path_count) == ("t1", "signer", "alice", 2)
        assert line.outcome is not None
        assert line.outcome.startswith("250 2.0.0 Delivered. mx.one.example: queued / 250 ")

    asyncio.run(run())


def test_a_retry_is_no_second_copy_and_mail_meant_twice_goes_twice() -> None:
    async def run() -> None:
        async with relay() as given:
            assert await given.send(BOB) == ([250], [250])
            assert await given.send(BOB, trace="t2") == ([250], [250])
            assert len(given.one.messages) == 1
            assert len(given.host.kept()) == 1
            given.hop.report_taken("t2")
            assert await given.send(BOB, trace="t3") == ([250], [250])
            assert len(given.one.messages) == 2

    asyncio.run(run())


def test_mail_to_a_user_of_ours_goes_to_the_target() -> None:
    async def run() -> None:
        async with relay() as given:
            assert await given.send(ALICE) == ([250], [250])
        assert len(given.one.messages) == 1
        assert given.host.lines[0].outcome == "250 2.0.0 Delivered."

    asyncio.run(run())


@pytest.mark.parametrize("user", ["strict", "nobody of ours"])
def test_nothing_goes_in_clear_for_whom_it_may_not(user: str) -> None:
    async def run() -> None:
        async with relay() as given:
            parameters = MailParameters(trace_id="t", login="alice" if user == "strict" else "strict")
            recipient = mailbox("strict@mirage.example") if user == "strict" else BOB
            begun = await given.hop.begin(Mail(ALICE, parameters), [recipient], 5)
            assert not isinstance(begun, Lost)
            assert [(reply.code, reply.enhanced) for reply in begun[1]] == [(550, "5.7.10")]
            await begun[0].reset()
        assert given.one.messages == []

    asyncio.run(run())


def test_a_large_message_streams_to_all() -> None:
    async def run() -> None:
        large = [MESSAGE, *[b"x" * 62 + b"\r\n"] * 40_000]
        async with relay() as given:
            assert await given.send(BOB, CAROL, message=large) == ([250, 250], [250, 250])
        assert given.one.messages[0].endswith(b"".join(large))
        assert given.one.messages == given.two.messages

    asyncio.run(run())


def test_an_outcome_that_comes_too_late_is_learned_and_joined() -> None:
    async def run() -> None:
        release = asyncio.Event()

        async def later() -> str:
            await release.wait()
            return "250 queued at last"

        async with relay(deadlines={"answer_s": 0.2}) as given:
            given.one.at_data = later
            assert await given.send(BOB) == ([250], [451])
            retry = asyncio.ensure_future(given.send(BOB, trace="t2"))
            await asyncio.sleep(0.05)
            release.set()
            assert await retry == ([250], [250])
        assert len(given.one.messages) == 1

    asyncio.run(run())


def test_a_peer_that_leaves_after_the_end_does_not_end_the_delivery() -> None:
    async def run() -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def later() -> str:
            started.set()
            await release.wait()
            return "250 queued"

        async with relay() as given:
            given.one.at_data = later
            parameters = MailParameters(trace_id="t1", login="alice")
            begun = await given.hop.begin(Mail(ALICE, parameters), [BOB], 5)
            assert not isinstance(begun, Lost)
            await begun[0].write([MESSAGE], last=True, timeout_s=VERDICT_S)
            await started.wait()
            begun[0].abort()
            await asyncio.sleep(0.05)
            release.set()
            await asyncio.sleep(0.05)
            # Another Message-ID: a mail program that tries again by itself within half an hour.
            renewed = MESSAGE.replace(b"<1@", b"<2@")
            assert await given.send(BOB, trace="t2", message=[renewed]) == ([250], [250])
        assert len(given.one.messages) == 1
        assert str(given.host.lines[0].outcome).startswith("the peer left; 250")

    asyncio.run(run())


def test_a_peer_that_leaves_before_the_end_leaves_nothing() -> None:
    async def run() -> None:
        async with relay() as given:
            begun = await given.hop.begin(Mail(ALICE, MailParameters(trace_id="t1", login="alice")), [BOB], 5)
            assert not isinstance(begun, Lost)
            await begun[0].write([MESSAGE], last=False, timeout_s=5)
            begun[0].abort()
            await asyncio.sleep(0.05)
            begun = await given.hop.begin(Mail(ALICE, MailParameters(trace_id="t2", login="alice")), [BOB], 5)
            assert not isinstance(begun, Lost)
            await begun[0].reset()
        assert given.one.messages == []
        assert given.host.kept() == {}
        assert len(given.host.lines) == 2

    asyncio.run(run())


def test_who_joins_another_try_waits_for_its_outcome() -> None:
    async def run() -> None:
        world = SystemWorld()
        means = RelayMeans(unit("relay", world, Host(), {}), RelaySettings(), FixedLookup({}, {}))
        entry = means.ledger.begin("t1", [Keys(b"key", None, names_itself=True)], 0).decisions[0].entry
        assert await means.wait_settled(entry, means.now() + 0.01) is None
        waiting = asyncio.ensure_future(means.wait_settled(entry, means.now() + 5))
        await asyncio.sleep(0)
        outcome = Delivered("mx", "Ok")
        means.ledger.settle(entry, outcome)
        means.settled(entry, outcome)
        assert await waiting == outcome
        assert isinstance(await means.wait_settled(entry, 0), Delivered)
        world.close()

    asyncio.run(run())


def test_a_successor_knows_what_was_delivered() -> None:
    async def run() -> None:
        async with relay() as given:
            assert await given.send(BOB) == ([250], [250])
            kept = tuple(given.host.kept().items())
        async with relay() as successor:
            successor.host.said.put_nowait(HostSaid(GiveState(kept)))
            assert await successor.send(BOB, trace="t2") == ([250], [250])
            assert successor.one.messages == []

    asyncio.run(run())


def test_mail_without_a_trace_id_has_a_journal_line_with_one() -> None:
    async def run() -> None:
        async with relay() as given:
            begun = await given.hop.begin(Mail(None), [BOB], 5)
            assert not isinstance(begun, Lost)
            await begun[0].reset()
        assert len(given.host.lines[0].trace or "") == 20

    asyncio.run(run())


def test_everything_goes_to_a_smarthost_under_verified_tls_and_login() -> None:
    async def run(names: str) -> tuple[list[int], list[int]]:
        chain, key = certificate_for(names)
        context = public_server_context(chain, key, tickets=False)
        loop, target, logins = asyncio.get_running_loop(), Target(), []

        def login(_server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
            logins.append((mechanism, data.login, data.password))
            return AuthResult(success=True)

        server = await loop.create_server(
            lambda: SMTP(target, loop=loop, authenticator=login, auth_require_tls=False),
            "127.0.0.2",
            0,
            ssl=context,
        )
        port = server.sockets[0].getsockname()[1]
        smarthost = {
            "host": "smtp.isp.example",
            "login": "me",
            "port": port,
            "implicit_tls": True,
            "trust_anchors_pem": chain.decode(),
        }
        zone = "smtp.isp.example A 127.0.0.2"
        async with relay(smarthost=smarthost, zone=zone) as given:
            answers = await given.send(BOB, CAROL)
        server.close()
        if answers[1]:
            assert logins == [("PLAIN", b"me", b"password")]
            assert len(target.messages) == 1
        return answers

    assert asyncio.run(run("smtp.isp.example")) == ([250, 250], [250, 250])
    assert asyncio.run(run("other.example")) == ([451, 451], [])


def certificate_for(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


@pytest.mark.parametrize(
    ("settings", "secrets", "part"),
    [
        ({"domains": ["a..b"]}, {"ledger_key": "x"}, "domains"),
        ({"zone": "x"}, {"ledger_key": "x"}, "line 1 of the zone"),
        ({}, {}, "there is no ledger_key"),
        ({}, {"ledger_key": "x", "srs_keys": "{}"}, "srs_keys"),
        ({"smarthost": {"host": "h.example", "login": "l"}}, {"ledger_key": "x"}, "smarthost_password"),
    ],
)
def test_a_bad_boot_record_is_the_operators(
    settings: dict[str, Any], secrets: dict[str, str], part: str
) -> None:
    async def run() -> None:
        world, host = SystemWorld(), Host()
        boot = BootRecord("relay", 1, "mail.mirage.example", "digest", settings, secrets)
        try:
            await serve(Unit(boot, world, host, host, make_link_identity("relay", 1, NOW)))
        finally:
            world.close()

    with pytest.raises(ConfigError, match=part):
        asyncio.run(run())
