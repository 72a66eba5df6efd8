"""Words of servers: which are temporary, which one is passed on, which are worth a second connection."""

import pytest

from ptt.errors import MisuseError
from ptt.protocol.smtp.attempt import (
    Broke,
    Lacks,
    NotAsked,
    NoTls,
    Said,
    Stage,
    TlsBroke,
    Word,
    describe,
    is_accepted,
    is_temporary,
    is_worth_a_second_connection,
    most_telling,
)
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import RemoteReply, Reply


def reply(code: int, enhanced: str | None = None, text: str = "x") -> RemoteReply:
    return RemoteReply(code, enhanced, (text,))


def said(code: int, host: str = "mx") -> Said:
    return Said(host, Stage.MAIL, reply(code))


BROKE, NO_TLS, TLS_BROKE = Broke("mx", Stage.CONNECTION, "refused"), NoTls("mx"), TlsBroke("mx", "bad")


@pytest.mark.parametrize(
    ("word", "temporary", "text"),
    [
        (said(450), True, "mx at MAIL: 450 x"),
        (said(550), False, "mx at MAIL: 550 x"),
        (said(250), False, "mx at MAIL: 250 x"),
        (BROKE, True, "mx at connection: refused"),
        (NO_TLS, False, "mx offers no TLS"),
        (TLS_BROKE, True, "mx: bad"),
        (Lacks("mx", Keyword.SIZE), False, "mx does not offer enough SIZE"),
        (NotAsked(Reply(451, None, "Later.")), True, "451 Later."),
        (NotAsked(Reply(550, None, "No.")), False, "550 No."),
    ],
)
def test_each_word_is_temporary_or_not_and_can_be_told(word: Word, temporary: bool, text: str) -> None:
    assert is_temporary(word) is temporary
    assert describe(word) == text
    assert is_accepted(word) is (word == said(250))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([said(554, "a"), BROKE], BROKE),
        ([said(554, "a"), BROKE, said(450, "b")], said(450, "b")),
        ([BROKE, said(421, "a"), said(450, "b")], said(421, "a")),
        ([NO_TLS, said(554, "a")], said(554, "a")),
        ([NO_TLS, NO_TLS], NO_TLS),
        ([NO_TLS, TLS_BROKE], TLS_BROKE),
    ],
)
def test_a_failure_is_permanent_only_if_every_server_says_so(words: list[Word], expected: Word) -> None:
    assert most_telling(words) == expected


def test_somebody_must_have_been_tried() -> None:
    with pytest.raises(MisuseError):
        most_telling([])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (reply(450, "4.3.2", "Service currently unavailable"), True),
        (
            reply(450, "4.1.1", "Recipient address rejected: unverified: Address verification in progress"),
            True,
        ),
        (reply(421, "4.7.0", "Too many messages for this session"), True),
        (reply(450, "4.2.0", "Greylisted"), False),
        (reply(451, "4.3.2", "Please try again later"), False),
        (reply(421, "4.3.2", "Going down"), False),
        (reply(550, "5.3.2", "Service currently unavailable"), False),
    ],
)
def test_few_replies_are_worth_a_second_connection(given: RemoteReply, expected: bool) -> None:
    assert is_worth_a_second_connection(given) is expected
