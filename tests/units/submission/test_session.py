"""A mail program's connection, with the whole unit around it."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ptt.protocol.smtp.reply import Reply
from ptt.records.passwords import make_blake2b
from ptt.rehearsal.certificates import ServerCertificate
from ptt.units.submission.service import serve

LOGIN = "AUTH PLAIN AGFsaWNlAHNlY3JldA=="  # alice, secret
MESSAGE = b"From: alice@example.org\r\nSubject: x\r\n\r\nhello\r\n"
LINE = b"0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmnopqrstuvwxy\r\n"
LARGE = MESSAGE + LINE * 30_000  # 2.3 MB: passed on while it comes in
FULL, GONE = Reply(452, "4.2.2", "Full."), Reply(550, "5.1.1", "Gone.")


@pytest.fixture
def tell(play: Callable[..., Any], stage: Callable[..., Any], tls: ServerCertificate) -> Callable[..., Any]:
    def told(story: Any, **settings: Any) -> Any:
        settings = {"domains": ["example.org"], "certificate_pem": tls.chain_pem, **settings}
        verifiers = json.dumps({"alice": {"verifier": make_blake2b("secret").text}})
        secrets = {"tls_key": tls.key_pem, "verifiers": verifiers}
        return play(
            partial(stage, "submission", "internet", "signer", "submissions", 465),
            serve,
            story,
            settings,
            secrets,
        )

    return told


async def opened(stage: Any, *recipients: str, hello: str = "EHLO [192.168.1.2]", mail: str = "") -> Any:
    talk = await stage.peer(secure=True, hello=hello)
    assert (await talk.says(LOGIN))[0] == "235 2.7.0"
    assert (await talk.says(f"MAIL FROM:<alice@example.org>{mail}"))[0][:3] == "250"
    for each in recipients:
        await talk.says(f"RCPT TO:<{each}@example.net>")
    return talk


def test_250_is_the_signers_250(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        stage.next.verdict_after_s = 5.0
        talk = await opened(stage, "bob", mail=" BODY=8BITMIME SMTPUTF8 SIZE=100")
        sending = asyncio.ensure_future(talk.sends(MESSAGE))
        await asyncio.sleep(4)
        assert not sending.done()
        assert (await sending)[:9] == "250 2.0.0"
        await talk.says("QUIT")
        await asyncio.sleep(1)

    stage = tell(story)
    (mail,) = stage.next.mails
    assert (mail.parameters.body, mail.parameters.smtputf8) == ("8BITMIME", True)
    assert (mail.parameters.size, mail.parameters.login) == (None, "alice")
    assert stage.next.taken == [mail.parameters.trace_id]
    (message,) = stage.next.messages
    assert message.endswith(MESSAGE)
    assert message.startswith(b"Received: by mail.example.org")
    assert b"192.168" not in message


def test_a_client_of_any_name_cannot_break_the_header(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        for hello in ("EHLO Mein Rechner größer", "EHLO a(b;c", "HELO x"):
            talk = await opened(stage, "bob", hello=hello)
            assert (await talk.sends(MESSAGE))[:3] == "250"

    stage = tell(story, hide_client=False)
    for message in stage.next.messages:
        header = message.partition(b"\r\n\r\n")[0]
        assert header.isascii()
        assert header.startswith((b"Received: from unknown ([198.51.100.7])", b"Received: from x "))
        assert header.count(b"\r\nMessage-ID: ") == header.count(b"\r\nDate: ") == 1


@pytest.mark.parametrize("message", [MESSAGE, LARGE], ids=["held", "streamed"])
def test_a_foreign_author_leaves_no_half_message(tell: Callable[..., Any], message: bytes) -> None:
    async def story(stage: Any) -> None:
        talk = await opened(stage, "bob")
        assert (await talk.sends(message.replace(b"alice@", b"boss@", 1)))[:9] == "553 5.7.1"
        await talk.says("MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.net>")
        assert (await talk.sends(message))[:3] == "250"

    stage = tell(story)
    assert [len(each) > len(message) for each in stage.next.messages] == [True]
    assert stage.next.given_up == 1
    assert stage.next.connections == 1
    assert [outcome[:3] for outcome in stage.outcomes] == ["553", "250"]


def test_memory_that_runs_out_in_the_middle(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        talk = await opened(stage, "bob")
        assert (await talk.says("DATA"))[0][:3] == "354"
        talk.lines.write(LARGE)
        await asyncio.sleep(5)
        others = [await opened(stage, name) for name in ("carl", "dora")]
        for other in others:
            assert (await other.says("DATA"))[0][:3] == "354"
            other.lines.write(MESSAGE + LINE * 9900)  # held: below a megabyte
        await asyncio.sleep(5)
        talk.lines.write(LINE * 30_000 + b".\r\n")
        assert (await talk.hears())[:9] == "452 4.3.1"
        for other in others:
            other.lines.write(b".\r\n")
            assert (await other.hears())[:3] == "250"
        talk = await opened(stage, "bob")
        assert (await talk.sends(MESSAGE))[:3] == "250"

    stage = tell(story, size_limit=8_000_000, memory_octets=1_510_000)
    assert len(stage.next.messages) == 3
    assert stage.next.given_up == 1


def test_who_may(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        talk = await stage.peer(secure=True)
        assert (await talk.says("MAIL FROM:<alice@example.org>"))[0] == "530 5.7.0"
        assert (await talk.says("AUTH PLAIN AGFsaWNlAHdyb25n"))[0] == "535 5.7.8"
        assert (await talk.says(LOGIN))[0] == "235 2.7.0"
        assert (await talk.says("MAIL FROM:<boss@example.org>"))[0] == "553 5.7.1"
        assert (await talk.says("MAIL FROM:<>"))[0][:3] == "250"

    assert tell(story).next.mails == []


def test_a_login_sends_no_more_than_its_day_allows(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        talk = await opened(stage, "bob", "carl")
        assert (await talk.says("RCPT TO:<dora@example.net>"))[0] == "451 4.7.1"
        assert (await talk.sends(MESSAGE))[:3] == "250"
        talk = await opened(stage, "bob")
        assert (await talk.sends(MESSAGE))[:3] == "250"
        assert (await talk.says("MAIL FROM:<alice@example.org>"))[0] == "451 4.7.1"

    stage = tell(story, messages_a_day=2, new_recipients_a_day=2)
    assert stage.journal.alarms == ["the login alice sends more new recipients a day than it may"]


def test_mixed_verdicts_name_who_got_it(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        stage.next.verdict = lambda name: (
            FULL if "carl" in name else GONE if "dora" in name else Reply(250, None, "ok")
        )
        for names, code in (("bob carl", "451"), ("bob dora", "554"), ("carl dora", "451"), ("dora", "550")):
            talk = await opened(stage, *names.split())
            assert (await talk.sends(MESSAGE))[:3] == code
        stage.next.rcpt = lambda name: GONE if "dora" in name else Reply(250, None, "ok")
        talk = await opened(stage, "bob")
        assert (await talk.says("RCPT TO:<dora@example.net>"))[0] == "550 5.1.1"
        assert (await talk.sends(MESSAGE))[:3] == "250"

    tell(story)


def test_a_signer_that_leaves_or_drains_costs_no_client_its_connection(tell: Callable[..., Any]) -> None:
    async def story(stage: Any) -> None:
        talk = await opened(stage, "bob")
        stage.next.verdict = lambda _name: Reply(421, "4.3.2", "Leaving.")
        assert (await talk.sends(MESSAGE))[:9] == "451 4.3.0"
        stage.next.verdict = lambda _name: Reply(250, None, "ok")
        assert (await talk.says("MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.net>"))[1][:3] == "250"
        assert (await talk.sends(MESSAGE))[:3] == "250"

    tell(story)
