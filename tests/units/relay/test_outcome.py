"""Outcomes: 250 from Delivered alone, doubt is temporary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import MisuseError
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.attempt import Broke, Lacks, NotAsked, NoTls, Said, Stage, TlsBroke, Word
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.units.relay import security
from ptt.units.relay.outcome import (
    LOST,
    NOT_REACHED,
    NOT_SENT,
    RECIPIENT_OK,
    SOME_MISSING,
    STILL_OPEN,
    Delivered,
    Failed,
    Outcome,
    Refused,
    at_end,
    at_recipient,
    outcome_at_end,
    refusal,
)

BOB = mailbox("bob@remote.example")
FULL = Reply(552, "5.2.2", "Mailbox full.")
GONE = Reply(550, "5.1.1", "No such user.")
LATER = Reply(451, "4.7.1", "Greylisted.")
STAGES = st.sampled_from(list(Stage))


def wording(said: Said, recipient: Mailbox) -> Reply:
    code = said.reply.code if said.reply.is_permanent else 451
    return Reply(code, None, f"{recipient} at {said.host}")


def said(code: int, stage: Stage = Stage.END) -> Said:
    return Said("mx.remote.example", stage, RemoteReply(code, None, ("Ok:\x00 queued",)))


words = st.one_of(
    st.builds(said, st.sampled_from([220, 250, 354, 421, 450, 550, 554, 999]), STAGES),
    st.builds(Broke, st.just("mx"), STAGES, st.just("reset")),
    st.just(NoTls("mx")),
    st.just(TlsBroke("mx", "bad record")),
    st.builds(Lacks, st.just("mx"), st.sampled_from([Keyword.SIZE, Keyword.SMTPUTF8, Keyword.EIGHTBITMIME])),
    st.sampled_from([NotAsked(GONE), NotAsked(LATER)]),
)


@given(words)
def test_delivered_comes_from_a_2yz_after_the_data_alone(word: Word) -> None:
    outcome = outcome_at_end(word, BOB, wording)
    is_taken = isinstance(word, Said) and word.stage is Stage.END and word.reply.is_completed

    assert isinstance(outcome, Delivered) is is_taken


outcomes = st.lists(
    st.one_of(
        st.just(Delivered("mx", "Ok")),
        st.sampled_from([Refused(GONE), Refused(FULL), Refused(LATER)]),
        st.builds(Failed, st.just("lost"), st.just(LOST), st.booleans()),
    ),
    min_size=1,
    max_size=5,
)


@given(outcomes, st.booleans(), st.booleans())
def test_250_arises_from_delivered_and_doubt_is_temporary(
    given_outcomes: list[Outcome], is_ours: bool, needs_all: bool
) -> None:
    judged = at_end(given_outcomes, is_ours=is_ours, needs_all=needs_all)
    delivered = [outcome for outcome in given_outcomes if isinstance(outcome, Delivered)]
    doubtful = [o for o in given_outcomes if not isinstance(o, Delivered) and o.reply.is_temporary]

    if judged.reply.is_completed:
        assert delivered
        assert not doubtful
    if doubtful:
        assert judged.reply.is_temporary
    if judged.reply.is_permanent:
        assert not doubtful
        assert needs_all or not delivered


def test_words_become_what_they_mean() -> None:
    assert outcome_at_end(said(250), BOB, wording) == Delivered("mx.remote.example", "Ok:? queued")
    assert refusal(said(550), BOB, wording) == Refused(
        Reply(550, None, "bob@remote.example at mx.remote.example")
    )
    assert refusal(said(421), BOB, wording).reply.code == 451
    assert outcome_at_end(said(250, Stage.RECIPIENT), BOB, wording).reply == NOT_SENT  # type: ignore[union-attr]
    assert refusal(said(354, Stage.END), BOB, wording).reply == LOST
    assert refusal(Broke("mx", Stage.CONNECTION, "refused"), BOB, wording).reply == NOT_REACHED
    assert refusal(Broke("mx", Stage.MAIL, "reset"), BOB, wording) == Failed("mx at MAIL: reset", LOST)
    assert refusal(Broke("mx", Stage.END, "reset"), BOB, wording) == Failed(
        "mx at end of data: reset", LOST, is_open=True
    )
    assert refusal(NoTls("mx"), BOB, wording) == Refused(security.NO_TLS)
    assert refusal(TlsBroke("mx", "x"), BOB, wording) == Failed("mx: x", security.TLS_BROKE)
    assert refusal(Lacks("mx", Keyword.SMTPUTF8), BOB, wording) == Refused(security.NO_UTF8)
    assert refusal(NotAsked(GONE), BOB, wording) == Refused(GONE)


@pytest.mark.parametrize(
    ("given_outcomes", "needs_all", "expected"),
    [
        ([None], False, RECIPIENT_OK),
        ([None, Refused(GONE)], False, RECIPIENT_OK),
        ([None, Refused(GONE)], True, GONE),
        ([Refused(FULL), Refused(GONE)], False, FULL),
        ([None, Refused(GONE), Failed("lost", LOST)], False, LOST),
        ([None, Refused(LATER)], False, LATER),
    ],
)
def test_the_answer_to_rcpt(
    given_outcomes: list[Refused | Failed | None], needs_all: bool, expected: Reply
) -> None:
    assert at_recipient(given_outcomes, needs_all=needs_all) == expected


def test_a_dead_target_is_an_alarm() -> None:
    judged = at_end([Delivered("mx", "Ok"), Refused(GONE)], is_ours=True, needs_all=False)

    assert judged.reply == Reply(250, "2.0.0", "Delivered.")
    assert judged.alarm == "a target is dead: 550 5.1.1 No such user."
    assert at_end([Delivered("mx", "Ok"), Refused(GONE)], is_ours=True, needs_all=True).reply == SOME_MISSING
    assert at_end([Delivered("mx", "Ok")], is_ours=True, needs_all=True).alarm is None


def test_the_host_of_a_foreign_recipient_is_told() -> None:
    judged = at_end([Delivered("mx", "Ok")], is_ours=False, needs_all=False)

    assert judged.reply == Reply(250, "2.0.0", "Delivered. mx: Ok")


def test_outcomes_cannot_be_made_wrongly() -> None:
    with pytest.raises(MisuseError):
        Refused(Reply(250, None, "Ok"))
    with pytest.raises(MisuseError):
        Failed("lost", GONE)
    with pytest.raises(MisuseError):
        at_end([], is_ours=False, needs_all=False)
    assert STILL_OPEN.is_temporary
