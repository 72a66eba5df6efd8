"""Whose words a refusal is told in, and what the operator is told."""

import pytest

from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.attempt import Broke, Said, Stage, Word
from ptt.protocol.smtp.reply import RemoteReply
from ptt.records.users import RelayUser
from ptt.units.relay.refusal_rules import RefusalClass
from ptt.units.relay.refusals import LATER_BEHIND, REFUSED_BEHIND
from ptt.units.relay.wording import about_us, alarm_of, wording_for, wording_for_stranger

ALICE = mailbox("alice@mirage.example")
FULL = Said("mx.home.example", Stage.RECIPIENT, RemoteReply(552, "5.2.2", ("a1@home.example is full",)))
BUSY = Said("mx.home.example", Stage.RECIPIENT, RemoteReply(450, "4.2.1", ("a1@home.example is busy",)))
BLOCKED = Said(
    "mx.home.example",
    Stage.GREETING,
    RemoteReply(554, "5.7.1", ("Client host [192.0.2.1] blocked using zen.example",)),
)


def test_a_foreign_recipient_gets_the_servers_words() -> None:
    reply = wording_for(None)(FULL, ALICE)

    assert (reply.code, reply.enhanced) == (552, "5.2.2")
    assert "a1@home.example is full" in reply.text
    assert wording_for(RelayUser("alice", (), reveals=True))(FULL, ALICE) == reply


@pytest.mark.parametrize(("said", "text"), [(FULL, REFUSED_BEHIND), (BUSY, LATER_BEHIND)])
def test_the_mailbox_behind_an_address_of_ours_is_hidden(said: Said, text: str) -> None:
    reply = wording_for(RelayUser("alice", ()))(said, ALICE)

    assert (reply.code, reply.enhanced) == (said.reply.code, said.reply.enhanced)
    assert reply.text == (text,)


@pytest.mark.parametrize(
    ("word", "alarms"),
    [
        (BLOCKED, True),
        (FULL, False),
        (Said("mx", Stage.END, RemoteReply(250, None, ("blocked using",))), False),
        (Broke("mx", Stage.MAIL, "reset"), False),
    ],
)
def test_what_is_about_us_is_an_alarm(word: Word, alarms: bool) -> None:
    assert (alarm_of(word) is not None) is alarms


def test_a_stranger_hears_our_words_unless_the_user_says_otherwise() -> None:
    assert wording_for_stranger(None)(FULL, ALICE).text == (REFUSED_BEHIND,)
    assert wording_for_stranger(RelayUser("alice", ()))(FULL, ALICE).text == (REFUSED_BEHIND,)
    revealed = wording_for_stranger(RelayUser("alice", (), reveals=True))(FULL, ALICE)
    assert "a1@home.example is full" in revealed.text


UNAUTHENTICATED = Said(
    "gmail-smtp-in.l.google.com", Stage.END, RemoteReply(550, "5.7.26", ("DMARC policy of the domain",))
)
FLOOD = Said("gmail-smtp-in.l.google.com", Stage.END, RemoteReply(421, "4.7.28", ("unusual rate",)))


def test_what_a_strangers_mail_lacks_is_his_and_the_pace_ours() -> None:
    assert alarm_of(UNAUTHENTICATED) is not None
    assert alarm_of(UNAUTHENTICATED, is_forwarded=True) is None
    assert wording_for_stranger(None)(UNAUTHENTICATED, ALICE).code == 550
    assert wording_for(RelayUser("alice", ()))(UNAUTHENTICATED, ALICE).code == 451
    assert (alarm_of(FLOOD), about_us(FLOOD, is_forwarded=False)) == (None, RefusalClass.RATE)
    assert str(alarm_of(FLOOD, is_forwarded=True)).startswith("refused for our pace")
