"""The whole relay on loopback, called as by the spam filter: rights, targets, SRS, split retries."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from ptt.boot import BootRecord, Drain, Listener, Peer, Peers, Publish, UnitFrame
from ptt.net.hop import Hop
from ptt.net.smtp_client import Lost
from ptt.net.system import SystemWorld
from ptt.net.tls import make_link_identity
from ptt.net.unit import Unit
from ptt.net.world import HostSaid, Published
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.mail.srs import SrsKeys, rewrite
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import MailParameters
from ptt.protocol.smtp.passing_on import passed_on
from ptt.protocol.smtp.reply import Reply
from ptt.records.journal import JournalLine
from ptt.units.receiver.verdict import merge
from ptt.units.relay.service import serve

BOB = mailbox("bob@remote.example")
MESSAGE = b"From: bob@remote.example\r\nMessage-ID: <1@remote.example>\r\n\r\n.Hello\r\n"
ZONE = "home.example A 127.0.0.2\nremote.example A 127.0.0.2"
KEY = "0123456789abcdef" * 2
SECRETS = {"ledger_key": "secret", "srs_keys": json.dumps({"keys": [KEY]})}
KEYS = SrsKeys((bytes.fromhex(KEY),))
NOW = datetime.now(UTC)
USERS = {
    name: {"targets": [f"{name}@home.example"], "insecure": True}
    for name in ("alice", "bea", "full", "slow", "grey", "blocked")
}


@dataclass
class Target:
    """The mail server of all targets. ``verdicts``: what it says after the data, by local part."""

    verdicts: dict[str, str] = field(default_factory=dict)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.original_content, bytes)
        (recipient,) = envelope.rcpt_tos
        local_part = recipient.partition("@")[0]
        verdict = self.verdicts.get(local_part, "250 queued")
        if verdict.startswith("250"):
            self.envelopes.append((envelope.mail_from or "", recipient))
            self.messages.append(envelope.original_content)
        return verdict


class Host:
    """The host's end of the control stream, and the journal."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[HostSaid | None] = asyncio.Queue()
        self.lines: list[JournalLine] = []
        self.alarms: list[str] = []
        self.failures: list[BaseException] = []

    def send(self, _frame: UnitFrame) -> None:
        pass

    async def receive(self) -> HostSaid | None:
        return await self.said.get()

    def write(self, line: JournalLine) -> None:
        self.lines.append(line)

    def alarm(self, what: str) -> None:
        self.alarms.append(what)

    def failure(self, _where: str, error: BaseException) -> None:
        self.failures.append(error)


@dataclass
class Relay:
    """A running relay; ``send`` and ``ask`` are what the receiver does by way of the spam filter."""

    host: Host
    hop: Hop
    target: Target
    trace: int = 0

    async def ask(self, *recipients: Mailbox, sender: Mailbox | None = BOB) -> list[Reply]:
        """A short question."""
        begun = await self.hop.begin(self._mail(sender), recipients, 5)
        if isinstance(begun, Lost):
            assert begun.reply is not None
            return [passed_on(begun.reply)] * len(recipients)
        await begun[0].reset()
        return [passed_on(reply) for reply in begun[1]]

    async def send(
        self, *recipients: Mailbox, sender: Mailbox | None = BOB, message: bytes = MESSAGE
    ) -> list[Reply]:
        """Verdicts of recipients; one refused at RCPT has that as its verdict."""
        begun = await self.hop.begin(self._mail(sender), recipients, 5)
        assert not isinstance(begun, Lost), begun
        transaction, answers = begun
        if not any(answer.is_completed for answer in answers):
            await transaction.reset()
            return [passed_on(answer) for answer in answers]
        await transaction.write([message], last=True, timeout_s=5)
        verdict = await transaction.verdict(5)
        assert not isinstance(verdict, Lost), verdict
        verdicts = iter(verdict)
        return [passed_on(next(verdicts) if answer.is_completed else answer) for answer in answers]

    def _mail(self, sender: Mailbox | None) -> Mail:
        self.trace += 1
        return Mail(sender, MailParameters(trace_id=f"t{self.trace}", login="alice"))


@asynccontextmanager
async def relay(
    secrets: dict[str, str] = SECRETS, caller: str = "spam_filter", **settings: Any
) -> AsyncIterator[Relay]:
    world, loop, host, target = SystemWorld(), asyncio.get_running_loop(), Host(), Target()
    server = await loop.create_server(lambda: SMTP(target, loop=loop), "127.0.0.2", 0)
    port = server.sockets[0].getsockname()[1]
    told = {"domains": ["mirage.example"], "users": USERS, "zone": ZONE, "port": port, **settings}
    running = unit("relay", world, host, told, secrets)
    listening = socket.create_server(("127.0.0.1", 0))
    listener = Listener("hop", *listening.getsockname())
    calling = unit(caller, world, Host(), {}, {})
    peer = Peer(caller, 1, "127.0.0.1", 0, calling.identity.certificate)
    host.said.put_nowait(HostSaid(Peers((peer,), ())))
    host.said.put_nowait(HostSaid(Publish((listener,)), (Published(listener, listening),)))
    hop = Hop(calling, "relay")
    callee = Peer("relay", 1, listener.host, listener.port, running.identity.certificate)
    hop.peers_changed(Peers((), (callee,)))
    life = asyncio.ensure_future(serve(running))
    try:
        await asyncio.sleep(0)
        yield Relay(host, hop, target)
    finally:
        await hop.close()
        host.said.put_nowait(HostSaid(Drain(5)))
        await life
        server.close()
        world.close()
    assert host.failures == []


def unit(
    name: str, world: SystemWorld, host: Host, settings: dict[str, Any], secrets: dict[str, str]
) -> Unit:
    boot = BootRecord(name, 1, "mail.mirage.example", "digest", settings, secrets)
    return Unit(boot, world, host, host, make_link_identity(name, 1, NOW))


def users(*names: str) -> list[Mailbox]:
    return [mailbox(f"{name}@mirage.example") for name in names]


def codes(replies: Iterable[Reply]) -> list[str]:
    return [f"{reply.code} {reply.enhanced}" for reply in replies]


def test_the_relay_alone_is_no_open_relay() -> None:
    async def run() -> None:
        foreign, srs = mailbox("x@home.example"), mailbox("SRS0=AAAAAA=AA=home.example=x@srs.mirage.example")
        async with relay() as given:
            asked = await given.ask(*users("alice", "nobody"), foreign, mailbox("x@[127.0.0.2]"), srs)
            assert codes(asked) == ["250 2.1.5", "550 5.1.1", "550 5.7.1", "550 5.7.1", "550 5.7.1"]
            assert codes(await given.ask(srs, sender=None)) == ["550 5.1.1"]
            assert codes(await given.ask(mailbox("alice@srs.mirage.example"), sender=None)) == ["550 5.1.1"]
        assert given.host.lines == []  # questions, nothing else
        async with relay(caller="receiver") as given:
            assert codes(await given.ask(*users("alice"))) == ["550 5.7.1"]
        async with relay(caller="signer") as given:
            assert codes(await given.ask(foreign)) == ["250 2.1.5"]

    asyncio.run(run())


def test_a_message_and_its_bounce() -> None:
    async def run() -> None:
        async with relay() as given:
            (verdict,) = await given.send(*users("alice+tag"))
            assert str(verdict) == "250 2.0.0 Delivered."
            ((sender, recipient),) = given.target.envelopes
            assert recipient == "alice@home.example"
            assert sender.startswith("SRS0=")
            assert sender.endswith("=remote.example=bob@srs.mirage.example")
            (message,) = given.target.messages
            assert message.endswith(MESSAGE)
            assert message.startswith(b"Received: from spam_filter by mail.mirage.example")
            assert b"\r\nX-Forwarded-To: alice@mirage.example\r\n" in message
            folded = mailbox(sender.lower())
            assert codes(await given.send(folded, sender=None)) == ["250 2.0.0"]
            assert given.target.envelopes[1] == ("<>", "bob@remote.example")
            assert codes(await given.send(*users("alice"), message=message)) == ["554 5.4.6"]
        line = given.host.lines[0]
        assert (line.peer, line.login, line.reverse_path) == ("spam_filter", None, "bob@remote.example")

    asyncio.run(run())


def test_a_sender_too_long_for_srs_is_in_the_journal() -> None:
    async def run() -> None:
        sender = mailbox(f"{'x' * 60}@remote.example")
        async with relay() as given:
            assert codes(await given.send(*users("alice"), sender=sender)) == ["250 2.0.0"]
            short = rewrite(sender, Name.of("srs.mirage.example"), KEYS, NOW.timestamp())
            assert given.target.envelopes[0][0] == str(short.mailbox)
            assert codes(await given.ask(short.mailbox, sender=None)) == ["550 5.1.1"]
        first, second = (line.detail or "" for line in given.host.lines)
        assert "too long" in first
        assert "too long to be led back" in second

    asyncio.run(run())


def test_roles_and_what_is_nobodys() -> None:
    async def run() -> None:
        async with relay(postmaster="alice", catch_all="rest@home.example") as given:
            bare = Mailbox("postmaster", Name.of("relay"), b"Postmaster")
            assert codes(await given.send(bare, *users("abuse", "whoever"))) == [
                "250 2.0.0",
                "250 2.0.0",
                "550 5.7.10",  # a catch-all that is a mailbox only has no right to have mail sent in clear
            ]
        assert [recipient for _, recipient in given.target.envelopes] == ["alice@home.example"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("verdict", "expected", "alarm"),
    [
        ("552 5.2.2 full@home.example is full", "552 5.2.2", None),
        ("450 4.2.0 Greylisted, try again in 60 seconds", "451 4.7.1", None),
        ("554 5.7.1 [127.0.0.1] is on a block list", "451 4.7.1", "refused for what we are"),
        ("450 4.7.0 too many messages", "451 4.7.1", "refused for our pace"),
    ],
)
def test_a_target_refuses_by_what_it_is_about(verdict: str, expected: str, alarm: str | None) -> None:
    async def run() -> None:
        async with relay() as given:
            given.target.verdicts["alice"] = verdict
            (reply,) = await given.send(*users("alice"))
            assert codes([reply]) == [expected]
            assert "home.example" not in str(reply)
            held_back = codes(await given.send(*users("bea")))
            assert held_back == (["250 2.0.0"] if alarm is None else ["451 4.7.1"])
        assert [each.partition(":")[0] for each in given.host.alarms] == ([alarm] if alarm else [])

    asyncio.run(run())


async def transaction(
    given: Relay, recipients: Sequence[Mailbox], *, at_once: bool
) -> tuple[list[Mailbox], Reply]:
    """As the receiver does it: questions at RCPT, the transaction behind them, one merged answer."""
    accepted: list[Mailbox] = []
    for group in [list(recipients)] if at_once else [[each] for each in recipients]:
        first = accepted[:1]
        answers = (await given.ask(*first, *group))[len(first) :]
        accepted += [each for each, answer in zip(group, answers, strict=True) if answer.is_completed]
        assert {answer.code for answer in answers} <= {250, 451}
    verdicts = await given.send(*accepted) if accepted else [Reply(451, "4.5.3", "nobody")]
    return accepted, merge(verdicts, "trace")


@pytest.mark.parametrize("at_once", [True, False], ids=["like Postfix", "like Exim"])
def test_mixed_outcomes_end_in_one_true_answer_each(at_once: bool) -> None:
    async def run() -> None:
        left, told = users("slow", "alice", "full", "bea"), dict[str, int]()
        async with relay() as given:
            given.target.verdicts = {"full": "552 5.2.2 full", "slow": "452 4.2.1 busy"}
            for queue_run in range(8):
                now = left
                while now:
                    accepted, answer = await transaction(given, now, at_once=at_once)
                    if not answer.is_temporary:
                        told.update({each.local_part: answer.code for each in accepted})
                    left = [each for each in left if each.local_part not in told]
                    now = [] if at_once or not accepted else [each for each in now if each not in accepted]
                if queue_run == 3:
                    assert told == {"alice": 250, "bea": 250, "full": 552}
                    given.target.verdicts = {}
        assert told == {"alice": 250, "bea": 250, "full": 552, "slow": 250}
        assert sorted(recipient.partition("@")[0] for _, recipient in given.target.envelopes) == [
            "alice",
            "bea",
            "slow",
        ]

    asyncio.run(run())


def test_without_keys_mail_from_the_internet_waits_and_users_send() -> None:
    async def run() -> None:
        secrets = {"ledger_key": "secret"}
        async with relay(secrets) as given:
            assert codes(await given.ask(*users("alice"))) == ["451 4.3.0"]
        assert given.host.alarms == ["there are no srs_keys: mail from the Internet is answered 451"]
        async with relay(secrets, caller="signer") as given:
            assert codes(await given.send(*users("alice"), sender=mailbox("bea@mirage.example"))) == [
                "250 2.0.0"
            ]
        assert given.target.envelopes[0][0] == "bea@mirage.example"

    asyncio.run(run())


def test_without_a_list_nobody_is_refused() -> None:
    async def run() -> None:
        async with relay(users={}) as given:
            assert codes(await given.ask(*users("alice"))) == ["451 4.3.0"]
        assert given.host.alarms == ["there is no user list: mail to our domains is answered 451"]

    asyncio.run(run())
