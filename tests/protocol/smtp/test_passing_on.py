"""What another unit said, in our own mouth: never more certain than it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.smtp.passing_on import DOUBT, passed_on
from ptt.protocol.smtp.reply import RemoteReply, Reply


@pytest.mark.parametrize(
    ("remote", "reply"),
    [
        (RemoteReply(250, "2.1.5", ("ok",)), Reply(250, "2.1.5", "ok")),
        (RemoteReply(550, "5.1.1", ("no", "such user")), Reply(550, "5.1.1", "no", "such user")),
        (RemoteReply(452, None, ("full",)), Reply(452, None, "full")),
        (RemoteReply(451, "5.7.1", ("torn",)), Reply(451, "4.0.0", "torn")),
        (RemoteReply(554, "4.3.0", ()), Reply(554, "5.0.0", "")),
        (RemoteReply(550, "5.1.1", ("grüße\r\n250 ok",)), Reply(550, "5.1.1", "gr??e??250 ok")),
    ],
)
def test_sound_replies_stay_as_they_are(remote: RemoteReply, reply: Reply) -> None:
    assert passed_on(remote) == reply


@pytest.mark.parametrize("code", [354, 300, 0, 199, 600, 999, 421, 500, 502, 503, 530])
def test_what_says_nothing_of_the_mail_is_doubt(code: int) -> None:
    """421 is of a connection that the peer has no part in, 503 of a talk that it did not hear."""
    assert passed_on(RemoteReply(code, None, ("what",))) == Reply(451, "4.3.0", DOUBT)


@given(
    st.integers(0, 999),
    st.none() | st.from_regex(r"[245]\.\d{1,3}\.\d{1,3}", fullmatch=True).filter(str.isascii),
    st.lists(st.text()).map(tuple),
)
def test_a_reply_is_always_one_of_ours_and_no_better(
    code: int, enhanced: str | None, text: tuple[str, ...]
) -> None:
    reply = passed_on(RemoteReply(code, enhanced, text))
    assert reply.is_completed is (code // 100 == 2)
    assert not reply.is_permanent or code // 100 == 5
    assert reply.encode().endswith(b"\r\n")
