"""One reply for all recipients of a server, or one each with PRDR."""

from itertools import product

from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.units.receiver.verdict import merge, replies

OK = Reply(250, "2.0.0", "Delivered.")
UNKNOWN = Reply(550, "5.1.1", "No such user.")
FULL = Reply(552, "5.2.2", "Mailbox full.")
LATER = Reply(451, "4.3.0", "Later.")


def test_every_pair() -> None:
    for first, second in product((OK, UNKNOWN, FULL, LATER), repeat=2):
        merged = merge([first, second], "abc")
        assert merged.is_completed == (first == second == OK)
        assert merged.is_permanent == (first.is_permanent and second.is_permanent)


def test_a_single_verdict_goes_through() -> None:
    assert merge([FULL], "abc") == FULL
    assert merge([OK], "abc") == Reply(250, "2.0.0", "Delivered [abc]")
    assert merge([LATER, LATER], "abc") == LATER


def test_with_prdr_each_has_its_own() -> None:
    recipients = [mailbox("a@mirage.org"), mailbox("b@mirage.org")]
    assert replies(recipients, [OK, FULL], "abc", wanted=1) == (merge([OK, FULL], "abc"),)
    assert replies(recipients, [OK, FULL], "abc", wanted=3) == (OK, FULL, merge([OK, FULL], "abc"))
