"""A day's worth of mail, and what is beyond it."""

from ptt.protocol.mail.address import mailbox
from ptt.units.submission.allowance import DAY_S, MAX_REMEMBERED, Allowance

BOB = mailbox("bob@example.net")


def test_messages_of_a_day_are_bounded_and_each_login_has_its_own() -> None:
    allowance = Allowance(messages_a_day=3)
    for now in (0.0, 10.0, 20.0):
        assert allowance.may_send("alice", now)
        allowance.has_sent("alice", now)
    assert not allowance.may_send("alice", DAY_S - 1)
    assert allowance.may_send("bob", 30.0)
    assert allowance.may_send("alice", DAY_S)
    allowance.has_sent("alice", DAY_S)
    assert not allowance.may_send("alice", DAY_S + 9)


def test_strangers_are_bounded_and_who_is_known_is_not() -> None:
    allowance = Allowance(new_recipients_a_day=2)
    assert allowance.may_write_to("alice", BOB, 0)
    assert allowance.may_write_to("alice", mailbox("carl@example.net"), 1)
    assert not allowance.may_write_to("alice", mailbox("dora@example.net"), 2)
    assert allowance.may_write_to("alice", BOB, 3)
    assert allowance.may_write_to("erin", mailbox("dora@example.net"), 4)
    assert allowance.may_write_to("alice", mailbox("dora@example.net"), DAY_S)


def test_who_is_not_written_to_for_longest_is_forgotten_first() -> None:
    allowance = Allowance(new_recipients_a_day=2 * MAX_REMEMBERED)
    assert allowance.may_write_to("alice", BOB, 0)
    for number in range(MAX_REMEMBERED - 1):
        allowance.may_write_to("alice", mailbox(f"u{number}@example.net"), 1)
    allowance.may_write_to("alice", BOB, 2)
    allowance.may_write_to("alice", mailbox("last@example.net"), 3)
    sent = allowance._of("alice")
    assert len(sent.recipients) == MAX_REMEMBERED
    assert BOB in sent.recipients
    assert mailbox("u0@example.net") not in sent.recipients


def test_the_operator_is_told_once_a_day() -> None:
    allowance = Allowance()
    assert [allowance.is_to_be_told("alice", now) for now in (0, 5, DAY_S, DAY_S + 1)] == [
        True,
        False,
        True,
        False,
    ]
