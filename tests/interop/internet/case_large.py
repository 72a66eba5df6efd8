"""The large receivers' odd ways, by their models: what our client or the sender hears of each, and when."""

from collections.abc import Callable
from typing import Any

import pytest

from ptt.rehearsal.site import Site

NewMark = Callable[[], str]
Draft = Callable[..., bytes]
Post = Callable[..., tuple[int, bytes]]
Wait = Callable[..., Any]

OURS = "192.0.2.10"
WRITER = "bob@sender.net"


def taken(large: Any, domain: str, mark: str) -> list[Any]:
    """What a model has taken with this mark."""
    return [each for each in large.servers[domain].accepted if mark.encode() in each.message]


@pytest.mark.parametrize(
    "recipient", ["grace@gmail-like.com", "oscar@outlook-like.com", "yolanda@yahoo-like.net"]
)
def test_our_mail_passes_everywhere(
    large: Any, post: Post, draft: Draft, new_mark: NewMark, recipient: str
) -> None:
    """Both signatures, SPF, DMARC, a name that leads back, TLS [Z1]."""
    mark = new_mark()
    code, text = post(recipient, draft(mark, to=recipient))

    assert code == 250, text
    [got] = taken(large, recipient.partition("@")[2], mark)
    assert got.results == "spf=pass dkim=pass dkim=pass dmarc=pass"


def test_unknown_only_after_the_data(
    large: Any, post: Post, bring_in: Post, draft: Draft, new_mark: NewMark
) -> None:
    """As good as at RCPT: refused in the client's session, and in a stranger's, in our words."""
    code, text = post("nobody@yahoo-like.net", draft(new_mark()))
    assert (code, b"nobody@yahoo-like.net" in text, b"doesn't have" in text) == (554, True, True), text

    code, text = bring_in(WRITER, "yonder@mirage.org", draft(new_mark(), WRITER, "yonder@mirage.org"))
    assert code == 554, text
    assert b"yahoo" not in text


@pytest.mark.parametrize(
    ("recipient", "code", "enhanced"),
    [
        ("nobody@gmail-like.com", 550, b"5.1.1"),
        ("full@gmail-like.com", 452, b"4.2.2"),
        ("busy@gmail-like.com", 450, b"4.2.1"),
        ("nobody@outlook-like.com", 550, b"5.5.0"),
    ],
)
def test_refusals_at_rcpt(
    large: Any, post: Post, draft: Draft, new_mark: NewMark, recipient: str, code: int, enhanced: bytes
) -> None:
    said, text = post(recipient, draft(new_mark()))

    assert (said, text[:5]) == (code, enhanced), text


def test_a_new_address_is_asked_to_be_quiet(large: Any, post: Post, draft: Draft, new_mark: NewMark) -> None:
    """S775 is 451, and S3140 is 550 about us: to the client both are temporary, and say whose fault it is."""
    reputation = large.outlook.reputation
    reputation.new[OURS] = 0
    first = post("oscar@outlook-like.com", draft(new_mark()))
    reputation.new.clear()
    reputation.blocked.add(OURS)
    second = post("oscar@outlook-like.com", draft(new_mark()))
    reputation.blocked.clear()

    for code, text in (first, second):
        assert (code, text[:5]) == (451, b"4.7.1"), text
        assert b"does not trust this service at present" in text
    mark = new_mark()
    assert post("oscar@outlook-like.com", draft(mark))[0] == 250
    assert len(taken(large, "outlook-like.com", mark)) == 1


def test_a_connection_takes_only_so_many(large: Any, post: Post, draft: Draft, new_mark: NewMark) -> None:
    """421 at MAIL after two messages: a new connection, and nobody notices."""
    marks = [new_mark() for _ in range(5)]

    assert [post("oscar@outlook-like.com", draft(mark))[0] for mark in marks] == [250] * 5
    assert [len(taken(large, "outlook-like.com", mark)) for mark in marks] == [1] * 5


def test_yahoo_defers_us(large: Any, post: Post, draft: Draft, new_mark: NewMark) -> None:
    """TSS04 by 421 and TSS09 by 553: both temporary to the client."""
    large.yahoo.deferred[OURS] = 0
    said = [post("yolanda@yahoo-like.net", draft(new_mark())) for _ in range(4)]
    large.yahoo.deferred.clear()

    assert [code for code, _ in said] == [451] * 4, said
    assert b"TSS09" in said[-1][1]


def test_forwarded_mail_that_nobody_signed(
    large: Any, bring_in: Post, draft: Draft, new_mark: NewMark, wait: Wait
) -> None:
    """By our SPF alone it is taken, as its author's domain asks for nothing."""
    mark = new_mark()
    code, text = bring_in(WRITER, "grace@mirage.org", draft(mark, WRITER, "grace@mirage.org"))
    assert code == 250, text
    [got] = taken(large, "gmail-like.com", mark)
    assert "spf=pass" in got.results
    assert str(got.reverse_path).endswith("@srs.mirage.org")


def test_the_sender_s_server_hears_of_our_block(
    site: Site, large: Any, bring_in: Post, draft: Draft, new_mark: NewMark, wait: Wait
) -> None:
    """Last, since the brake stays on: 451 4.7.1, an alarm, and S3150 never comes as we ask no more [R20]."""
    reputation = large.outlook.reputation
    reputation.new[OURS] = 0
    said = [
        bring_in(WRITER, "oscar@mirage.org", draft(new_mark(), WRITER, "oscar@mirage.org")) for _ in range(5)
    ]

    assert [(code, text[:5]) for code, text in said] == [(451, b"4.7.1")] * 5, said
    assert reputation.new[OURS] <= 2, "the first mail may ask by an old connection and by a new one"
    wait(lambda: any("refused for what we are" in line and "outlook-like" in line for line in site.journal))
    reputation.new.clear()
