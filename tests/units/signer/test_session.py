"""A connection from submission, with the whole unit around it."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt.net.smtp_client import Lost
from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import BodyType, DataFinished, MailParameters
from ptt.protocol.smtp.reply import Reply
from ptt.units.signer.service import serve

PEM = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
KEYS = json.dumps([{"selector": "e1", "domain": "example.org", "key": PEM.decode()}])
PARAMETERS = MailParameters(
    size=50, body=BodyType.EIGHT_BIT_MIME, smtputf8=True, trace_id="t1", login="alice"
)
MAIL = Mail(mailbox("alice@example.org"), PARAMETERS)
MESSAGE = b"From: alice@example.org\r\nSubject: x\r\n\r\nhello\r\n"
RECIPIENTS = [mailbox(f"{name}@example.net") for name in ("bob", "carl", "dora")]


@pytest.fixture
def tell(play: Callable[..., Any], stage: Callable[..., Any]) -> Callable[..., Any]:
    def told(story: Any, **settings: Any) -> Any:
        stage_of = partial(stage, "signer", "submission", "relay", "hop", 2424)
        return play(stage_of, serve, story, settings, {"dkim_keys": KEYS})

    return told


async def sent(hop: Any, *message: bytes) -> list[str]:
    begun = await hop.begin(MAIL, RECIPIENTS, 60)
    assert not isinstance(begun, Lost), begun
    transaction, answers = begun
    if not any(answer.is_completed for answer in answers):
        await transaction.reset()
        return [str(answer)[:9] for answer in answers]
    assert await transaction.write(message, last=True, timeout_s=60) is None
    verdicts = await transaction.verdict(60)
    assert isinstance(verdicts, tuple), verdicts
    return [str(verdict)[:9] for verdict in verdicts]


def test_verdicts_come_back_one_for_one(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        hop = stage.hop()
        stage.next.rcpt = lambda name: Reply(550, "5.1.1", "No.") if "bob" in name else Reply(250, None, "ok")
        stage.next.verdict = lambda name: (
            Reply(450, "4.2.1", "Busy.") if "carl" in name else Reply(250, "2.6.0", "ok")
        )
        assert await sent(hop, MESSAGE) == ["450 4.2.1", "250 2.6.0"]
        hop.report_taken("t1")
        await hop.close()

    stage = tell(story)
    (message,) = stage.next.messages
    assert message.endswith(MESSAGE)
    assert message.count(b"DKIM-Signature: ") == 1
    assert message.startswith(b"Received: from submission")
    assert stage.next.taken == ["t1"]
    passed = stage.next.mails[0].parameters
    assert (passed.size, passed.body, passed.smtputf8) == (None, BodyType.EIGHT_BIT_MIME, True)
    assert (passed.trace_id, passed.login) == ("t1", "alice")


@pytest.mark.parametrize("message", [b"no header\r\n", b"From: a@elsewhere.example\r\n\r\nx\r\n"])
def test_what_cannot_be_signed_goes_nowhere(tell: Callable[..., Any], message: bytes) -> None:
    async def story(stage: Any) -> None:
        hop = stage.hop()
        assert await sent(hop, message) == ["451 4.7.5"] * 3
        assert await sent(hop, MESSAGE) == ["250 2.0.0"] * 3
        await hop.close()

    stage = tell(story)
    assert len(stage.next.messages) == 1
    assert stage.next.given_up == 1
    assert len(stage.journal.alarms) == 1
    assert len(stage.outcomes) == 2


def test_large_messages_are_held_once_and_signed_aside(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        hop = stage.hop()
        large = [MESSAGE, *[b"x" * 998 + b"\r\n"] * 2000]
        assert await sent(hop, *large) == ["250 2.0.0"] * 3
        assert (await sent(hop, *large, *large, *large))[0] == "452 4.3.1"
        assert await sent(hop, MESSAGE) == ["250 2.0.0"] * 3
        await hop.close()

    stage = tell(story, size_limit=10_000_000, memory_octets=3_000_000)
    assert [len(message) > 2_000_000 for message in stage.next.messages] == [True, False]


def test_a_relay_that_leaves_is_doubt(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        hop = stage.hop()
        stage.next.leaves_at = DataFinished
        assert await sent(hop, MESSAGE) == ["451 4.3.0"] * 3
        stage.next.leaves_at = None
        stage.next.verdict_after_s = 44.0
        begun = await hop.begin(MAIL, RECIPIENTS, 60)
        transaction, _ = begun
        await transaction.write((MESSAGE,), last=True, timeout_s=60)
        verdicts = await transaction.verdict(43.9)  # it answers in time, whatever the relay does
        assert [reply.code for reply in verdicts] == [451] * 3
        await hop.close()

    assert len(tell(story).outcomes) == 2
