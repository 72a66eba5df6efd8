"""One reply out of many verdicts."""

from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.units.submission.verdict import merge

BOB, CAROL, DAVE = (mailbox(f"{name}@remote.com") for name in ("bob", "carol", "dave"))
OK = Reply(250, "2.0.0", "Delivered. mx1: ok")
FULL = Reply(552, "5.2.2", "mailbox full")
LATER = Reply(451, "4.3.0", "try later")


def test_one_delivered_says_so_with_the_trace() -> None:
    assert merge([BOB], [OK], "abc") == Reply(250, "2.0.0", "Delivered. mx1: ok [abc]")


def test_all_delivered() -> None:
    assert merge([BOB, CAROL], [OK, OK], "abc") == Reply(250, "2.0.0", "Delivered to all 2 recipients [abc]")


def test_one_refused_is_that_refusal() -> None:
    assert merge([BOB], [FULL], "abc") == FULL


def test_mixed_with_anything_temporary_is_temporary_and_names_everybody_first_and_last() -> None:
    reply = merge([BOB, CAROL, DAVE], [OK, FULL, LATER], "abc")
    assert reply.code == 451
    assert reply.text[0] == reply.text[-1]
    assert reply.text[0].startswith(
        "Delivered to <bob@remote.com>; not delivered to <carol@remote.com>, <dave"
    )
    assert any("<carol@remote.com>: 552 mailbox full" in line for line in reply.text)


def test_mixed_without_hope_is_permanent() -> None:
    reply = merge([BOB, CAROL], [OK, FULL], "abc")
    assert reply.code == 554
    assert reply.text[0] == reply.text[-1]


def test_none_delivered_for_good() -> None:
    reply = merge([BOB, CAROL], [FULL, FULL], "abc")
    assert reply.code == 554
    assert reply.text[0].startswith("Not delivered to <bob@remote.com>, <carol@remote.com>")


def test_a_hundred_recipients_fit_in_lines() -> None:
    many = [mailbox(f"user{number}@remote.com") for number in range(100)]
    reply = merge(many, [LATER] * 100, "abc")
    assert all(len(line) <= 512 for line in reply.encode().split(b"\r\n"))
    assert "and 95 more" in reply.text[-1]


def test_completed_only_if_all_are() -> None:
    for first in (OK, FULL, LATER):
        for second in (OK, FULL, LATER):
            reply = merge([BOB, CAROL], [first, second], "abc")
            assert reply.is_completed == (first == second == OK)
