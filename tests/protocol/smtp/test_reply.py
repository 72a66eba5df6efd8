"""Replies of ours that cannot contradict themselves, and a peer's that may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import MisuseError
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.lines import LineFault
from ptt.protocol.smtp.reply import MAX_REPLY_LINE_OCTETS, RemoteReply, Reply, ReplyClass


def test_wire() -> None:
    assert Reply(250, "2.0.0", "Fine.").encode() == b"250 2.0.0 Fine.\r\n"
    assert Reply(250, None, "mx.example", "SIZE 1", "HELP").encode() == (
        b"250-mx.example\r\n250-SIZE 1\r\n250 HELP\r\n"
    )
    assert Reply(334, None, "").encode() == b"334 \r\n"
    assert str(Reply(451, "4.3.0", "One.", "Two.")) == "451 4.3.0 One. / 451 4.3.0 Two."


@pytest.mark.parametrize("code", [100, 199, 600, 0, 99])
def test_no_code(code: int) -> None:
    with pytest.raises(MisuseError):
        Reply(code, None, "x")


@pytest.mark.parametrize("enhanced", ["5.1.1", "4.1", "4.1.1.1", "4.1000.1", "", "3.0.0"])
def test_no_enhanced_code_for_451(enhanced: str) -> None:
    with pytest.raises(MisuseError):
        Reply(451, enhanced, "x")


@pytest.mark.parametrize("text", [(), ("a\r\nb",), ("ä",), ("a", "\t")])
def test_no_text(text: tuple[str, ...]) -> None:
    with pytest.raises(MisuseError):
        Reply(250, None, *text)


def test_classes() -> None:
    assert Reply(250, None, "x").is_completed
    assert Reply(450, None, "x").is_temporary
    assert Reply(550, None, "x").is_permanent
    assert Reply(354, None, "x").reply_class is ReplyClass.INTERMEDIATE
    assert not Reply(354, None, "x").is_completed


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=2000))
def test_lines_are_never_too_long(text: str) -> None:
    for line in Reply(550, "5.7.1", text, "end").encode().splitlines(keepends=True):
        assert len(line) <= MAX_REPLY_LINE_OCTETS


def test_a_peers_reply() -> None:
    reply = RemoteReply(421, "5.7.32", ("nö", "two"))
    assert reply.is_temporary
    assert reply.printable == ("n?", "two")
    assert str(reply) == "421 5.7.32 n? / two"
    assert str(RemoteReply(250, None, ("ok",))) == "250 ok"
    assert RemoteReply(250, None, ()).is_completed
    assert RemoteReply(354, None, ()).is_intermediate
    assert RemoteReply(550, None, ()).is_permanent
    assert RemoteReply(199, None, ()).is_temporary


def test_what_the_server_says() -> None:
    replies = {name: value for name, value in vars(wording).items() if isinstance(value, Reply)}
    assert len(replies) > 40
    for name, reply in replies.items():
        is_bare = reply.reply_class is ReplyClass.INTERMEDIATE
        assert (reply.enhanced is None) == is_bare, name
        assert all(line.endswith((".", ":<address>.")) for line in reply.text), name
    assert set(wording.LINE_FAULT) == set(LineFault)
    assert wording.greeting("mx.example", "LMTP").encode() == b"220 mx.example LMTP PTT\r\n"
    assert wording.chunk_taken(86).encode() == b"250 2.0.0 86 octets received.\r\n"
