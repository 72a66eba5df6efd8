"""A connection from the Internet, with the whole unit around it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ptt.protocol.smtp.events import DataFinished, RecipientsReceived
from ptt.protocol.smtp.reply import Reply
from ptt.rehearsal.certificates import ServerCertificate
from ptt.units.receiver.service import serve

ZONE = (
    'remote.com. 60 IN TXT "v=spf1 ip4:198.51.100.7 -all"\n'
    '_dmarc.remote.com. 60 IN TXT "v=DMARC1; p=reject"\n'
)
MESSAGE = b"From: bob@remote.com\r\nSubject: x\r\n\r\nhello\r\n"
OK, BUSY, GONE = Reply(250, "2.0.0", "ok"), Reply(450, "4.2.1", "Busy."), Reply(550, "5.1.1", "Gone.")


@pytest.fixture
def tell(play: Callable[..., Any], stage: Callable[..., Any], tls: ServerCertificate) -> Callable[..., Any]:
    def told(story: Any, **settings: Any) -> Any:
        settings = {"domains": ["example.org"], "certificate_pem": tls.chain_pem, "zone": ZONE, **settings}
        stage_of = partial(stage, "receiver", "internet", "spam_filter", "smtp", 25)
        return play(stage_of, serve, story, settings, {"tls_key": tls.key_pem})

    return told


async def opened(stage: Any, *recipients: str, mail: str = "") -> tuple[Any, list[str]]:
    talk = await stage.peer()
    commands = [f"RCPT TO:<{each}@example.org>" for each in recipients]
    return talk, await talk.says(f"MAIL FROM:<bob@remote.com>{mail}", *commands)


def test_recipients_are_a_question_and_the_message_goes_in_one_piece(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        stage.next.rcpt = lambda name: GONE if "nobody" in name else OK
        talk, replies = await opened(stage, "alice", "nobody", mail=" SIZE=100 BODY=8BITMIME")
        assert [reply[:3] for reply in replies] == ["250", "250", "550"]
        assert (stage.next.given_up, stage.next.connections) == (1, 1)
        await talk.says("RCPT TO:<carl@example.org>")
        assert stage.next.recipients[-2:] == ["alice@example.org", "carl@example.org"]
        assert (await talk.sends(MESSAGE))[:9] == "250 2.0.0"
        await talk.says("NOOP")
        await asyncio.sleep(1)

    stage = tell(story)
    passed = stage.next.mails[-1].parameters
    assert (passed.body, passed.prdr) == ("8BITMIME", False)
    assert [mail.parameters.size for mail in stage.next.mails] == [100] * len(
        stage.next.mails
    )  # questions too
    assert stage.next.taken == [passed.trace_id]
    (message,) = stage.next.messages
    assert message.startswith(b"Received: from client.example.com ([198.51.100.7])")
    assert b"\r\nReceived-SPF: pass" in message
    assert message.endswith(b"\r\n" + MESSAGE)
    assert len(stage.outcomes) == 1


def test_refused_mail_goes_nowhere(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        talk, _ = await opened(stage, "alice")
        asked = len(stage.next.mails)
        assert (await talk.sends(MESSAGE.replace(b"remote.com", b"example.org")))[:9] == "550 5.7.1"
        assert len(stage.next.mails) == asked

    assert tell(story).next.messages == []


def test_one_true_answer_for_all(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        stage.next.verdict = lambda name: BUSY if "carl" in name else GONE if "dora" in name else OK
        for names, code in (("alice carl", "451"), ("alice dora", "451"), ("dora", "550"), ("carl", "450")):
            talk, _ = await opened(stage, *names.split())
            assert (await talk.sends(MESSAGE))[:3] == code
        talk, _ = await opened(stage, "alice", "dora", mail=" PRDR")
        assert (await talk.sends(MESSAGE))[:3] == "353"
        assert [(await talk.hears())[:3] for _ in range(3)] == ["250", "550", "451"]

    stage = tell(story)
    assert len(stage.outcomes) == 5
    assert stage.next.taken == []


@pytest.mark.parametrize("event", [RecipientsReceived, DataFinished])
def test_what_breaks_behind_is_451(tell: Callable[..., Any], event: type) -> None:
    async def story(stage: Any) -> None:
        talk, _ = await opened(stage, "alice")
        stage.next.leaves_at = event
        assert (await talk.sends(MESSAGE))[:9] == "451 4.3.0"
        stage.next.leaves_at = None
        await talk.says("MAIL FROM:<bob@remote.com>", "RCPT TO:<alice@example.org>")
        assert (await talk.sends(MESSAGE))[:3] == "250"

    tell(story)


def test_all_refused_when_the_message_is_here(tell: Callable[..., Any]) -> None:
    """The list of users changed between the question and the mail: nothing stays open behind us."""

    async def story(stage: Any) -> None:
        talk, _ = await opened(stage, "alice", "carl")
        stage.next.rcpt = lambda _name: GONE
        assert (await talk.sends(MESSAGE))[:9] == "550 5.1.1"
        await asyncio.sleep(1)
        assert stage.next.given_up == 2
        stage.next.rcpt = lambda _name: OK
        await talk.says("MAIL FROM:<bob@remote.com>", "RCPT TO:<alice@example.org>")
        assert (await talk.sends(MESSAGE))[:3] == "250"

    assert tell(story).next.connections == 1


def test_an_answer_never_comes_later_than_the_edge_allows(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        talk, _ = await opened(stage, "alice")
        stage.next.rcpt_after_s = 20.0
        stage.next.verdict_after_s = 50.0
        started = asyncio.get_running_loop().time()
        assert (await talk.sends(MESSAGE))[:3] == "451"
        assert asyncio.get_running_loop().time() - started < 46

    tell(story)


@pytest.mark.parametrize("moment_s", [0.05, 0.5, 2.5, 5.0])
def test_a_server_that_leaves(tell: Callable[..., Any], moment_s: float) -> None:
    async def story(stage: Any) -> None:
        stage.next.rcpt_after_s = stage.next.verdict_after_s = 1.0
        talk = await stage.peer()
        talk.lines.say("MAIL FROM:<bob@remote.com>", "RCPT TO:<alice@example.org>", "BDAT 46 LAST")
        talk.lines.write(MESSAGE)
        await asyncio.sleep(moment_s)
        talk.lines.transport.abort()
        await asyncio.sleep(10)
        talk, replies = await opened(stage, "alice")
        assert replies[-1][:3] == "250"

    stage = tell(story)
    assert stage.next.taken == []
