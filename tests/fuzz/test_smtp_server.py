"""The server's dialogue under any order of commands, rubbish, cuts and answers.

Two dialogues get the same, one in whole pieces and one octet by octet. What they say and tell must be the
same, up to how many RCPT make a group and how a message is cut. A turn of the client ends where it must wait
(DATA, STARTTLS), since whether it did is just what the cut would hide.
"""

import re

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ptt.protocol.smtp.events import (
    DataFinished,
    DataReceived,
    DataRequested,
    FinalReplyTaken,
    LoginAttempted,
    MailReceived,
    QuitReceived,
    RecipientsReceived,
    ScramFinished,
    ScramStarted,
    ServerEvent,
    ServerSettings,
    TlsRequested,
    TransactionAborted,
)
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.lines import MAX_COMMAND_OCTETS
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.sasl import ScramVerifier
from ptt.protocol.smtp.server import ServerDialogue

OK = Reply(250, "2.0.0", "Fine.")
LATER = Reply(451, "4.3.0", "Later.")
NEVER = Reply(550, "5.7.1", "Never.")
LEAVING = Reply(421, "4.3.2", "Leaving.")
GO_AHEAD = Reply(354, None, "Go ahead.")
WELCOME = Reply(235, "2.7.0", "Welcome.")
REPLY_LINE = re.compile(r"[2-5]\d\d[ -][ -~]*")
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")

SETTINGS = st.builds(
    ServerSettings,
    host_name=st.just("mx.example"),
    flavour=st.sampled_from(Flavour),
    offers=st.sampled_from([frozenset(Keyword), frozenset(Keyword) - {Keyword.CHUNKING, Keyword.XPTT}]),
    auth_mechanisms=st.just(("PLAIN", "LOGIN", "SCRAM-SHA-256")),
    size_limit=st.sampled_from([20, 1000]),
    max_recipients=st.sampled_from([2, 100]),
    max_bad_commands=st.sampled_from([4, 25]),
    max_idle_commands=st.sampled_from([6, 200]),
    tls_required=st.booleans(),
    auth_required=st.sampled_from([False, False, True]),
    tolerant=st.booleans(),
)
LINES = st.sampled_from(
    [
        *[b"EHLO c.example\r\n", b"LHLO c.example\r\n"] * 2,
        b"HELO c\r\n",
        *[b"MAIL FROM:<a@b.example>\r\n"] * 3,
        b"MAIL FROM:<> SIZE=21 PRDR\r\n",
        b"MAIL FROM:<> PRDR\r\n",
        b"MAIL FROM: <>\r\n",
        *[b"RCPT TO:<a@b.example>\r\n", b"rcpt to:<c@b.example>\r\n"] * 3,
        b"RCPT TO:<bad>\r\n",
        b"RCPT TO:<a@b.example>\n",
        b"RCPT TO:<Postmaster>\r\n",
        *[b"BDAT 3\r\na\r\n", b"BDAT 0 LAST\r\n", b"BDAT 4 LAST\r\n.\r\nb"] * 2,
        b"BDAT 2\r\na\r",
        b"BDAT 8\r\nRSET\r\n\r\n",
        b"BDAT 4 LAST\r\n\n.\r\n",
        b"BDAT\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"VRFY a\r\n",
        b"HELP\r\n",
        b"QUIT\r\n",
        b"XPTT TAKEN a\r\n",
        b"FOO\r\n",
        b"\r\n",
        b"\n",
        b"NOOP\r",
        b"NO" * MAX_COMMAND_OCTETS + b"\r\n",
        b"AUTH PLAIN AGFubmUAc2VjcmV0\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH SCRAM-SHA-256 biwsbj1hLHI9YQ==\r\n",
        b"YW5uZQ==\r\n",
        b"*\r\n",
        b"GET / HTTP/1.1\r\n",
    ]
)
PARTS = [b"a\r\n", b"..\r\n", b".a\r\n", b"\r\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"x" * 15, b".\r\n"]
MESSAGES = st.lists(st.sampled_from(PARTS), max_size=6).map(b"".join)
FACTS = (
    *("client_name", "extended", "login", "tls", "in_transaction", "closing", "replies_wanted"),
    *("waits_for_reply", "accepted_recipients"),
)
ANSWERS = st.sampled_from([OK, OK, OK, LATER, NEVER, LEAVING])


class Side:
    """One dialogue, and what it said and told in a form that does not depend on the cut."""

    def __init__(self, settings: ServerSettings, *, tls: bool) -> None:
        self.dialogue = ServerDialogue(settings, tls=tls)
        self.dialogue.greeting()
        self.said = b""
        self.told: list[object] = []
        self.message = b""
        self.answers: list[Reply] = []

    def give(self, octets: bytes, step: int) -> None:
        for start in range(0, max(len(octets), 1), step):
            self.dialogue.receive_data(octets[start : start + step])
            self.run()

    def run(self) -> None:
        while (event := self.dialogue.next_event()) is not None:
            self._note(event)
            if self.dialogue.waits_for_reply:
                self._answer(event)
        self.said += b"".join(self.dialogue.data_to_send())

    def _note(self, event: ServerEvent) -> None:
        match event:
            case DataReceived(data):
                assert data
                self.message += data
            case DataFinished(size):
                assert size == len(self.message)
                assert not BARE.search(self.message)
                assert not self.message or self.message.endswith(b"\r\n")
                self.told += [self.message, event]
                self.message = b""
            case RecipientsReceived(recipients):
                self.told += recipients
            case FinalReplyTaken():
                pass  # tells of the moment, hence of the cut
            case TransactionAborted():
                self.message = b""
                self.told.append(event)
            case _:
                self.told.append(event)

    def _answer(self, event: ServerEvent) -> None:
        wanted = self.dialogue.replies_wanted
        match event:
            case MailReceived():
                self.dialogue.reply(self._next(OK))
            case RecipientsReceived(recipients):
                assert wanted == len(recipients)
                answers = [self._next(OK) for _ in recipients]
                # A 421 amid a group would show how large the group was.
                self.dialogue.reply(*(NEVER if answer is LEAVING else answer for answer in answers))
            case DataRequested():
                self.dialogue.reply(self._next(GO_AHEAD))
            case DataFinished():
                self.dialogue.reply(*(self._next(OK) for _ in range(wanted)))
            case LoginAttempted() | ScramFinished():
                self.dialogue.reply(self._next(WELCOME))
            case _:
                assert isinstance(event, ScramStarted)
                self.dialogue.provide_scram(ScramVerifier(b"salt", 4096, b"s" * 32, b"k" * 32), "n" * 16)

    def _next(self, yes: Reply) -> Reply:
        answer = self.answers.pop(0) if self.answers else OK
        return yes if answer is OK else answer


class TwoServers(RuleBasedStateMachine):
    """Both sides in step."""

    @initialize(settings=SETTINGS, tls=st.booleans())
    def connect(self, settings: ServerSettings, tls: bool) -> None:
        self.settings = settings
        self.sides = [Side(settings, tls=tls), Side(settings, tls=tls)]
        self._turn(b"")

    def _turn(self, octets: bytes) -> None:
        self.sides[0].give(octets, max(len(octets), 1))
        self.sides[1].give(octets, 1)

    @rule(lines=st.lists(LINES, min_size=1, max_size=8), answers=st.lists(ANSWERS, max_size=6))
    def command(self, lines: list[bytes], answers: list[Reply]) -> None:
        for side in self.sides:
            side.answers = list(answers)
        self._turn(b"".join(lines))

    @rule(octets=st.binary(max_size=40))
    def rubbish(self, octets: bytes) -> None:
        self._turn(octets)

    @rule(line=st.sampled_from([b"DATA\r\n", b"STARTTLS\r\n"]))
    def waiting_command(self, line: bytes) -> None:
        self._turn(line)

    @rule(message=MESSAGES)
    def message(self, message: bytes) -> None:
        self._turn(message)

    @rule(message=MESSAGES)
    def whole_transaction(self, message: bytes) -> None:
        self._turn(b"EHLO c\r\nLHLO c\r\nRSET\r\n")
        self._turn(b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
        self._turn(b"DATA\r\n")
        self._turn(message + b"\r\n.\r\n")

    @precondition(lambda self: self.sides[0].told[-1:] == [TlsRequested()])
    @rule()
    def handshake(self) -> None:
        for side in self.sides:
            side.told.append("TLS")
            side.dialogue.tls_established()
            side.run()

    @rule()
    def drain(self) -> None:
        for side in self.sides:
            side.dialogue.shut_down(LEAVING)

    def teardown(self) -> None:
        for side in getattr(self, "sides", []):
            side.dialogue.receive_eof()
            side.run()
            assert side.dialogue.closing or side.told[-1] == TlsRequested()
            side.give(b"EHLO c\r\nNOOP\r\n", 1)
            assert side.dialogue.next_event() is None

    @invariant()
    def cuts_do_not_matter(self) -> None:
        whole, single = getattr(self, "sides", (None, None))
        if whole is None or single is None:
            return
        assert whole.said == single.said
        assert whole.told == single.told
        for name in FACTS:
            assert getattr(whole.dialogue, name) == getattr(single.dialogue, name), name

    @invariant()
    def what_is_said_is_well_formed(self) -> None:
        if not hasattr(self, "sides"):
            return
        side = self.sides[0]
        assert all(REPLY_LINE.fullmatch(line) for line in side.said.decode("ascii").split("\r\n")[:-1])
        assert side.said.endswith(b"\r\n")
        assert side.dialogue.closing == any(isinstance(event, QuitReceived) for event in side.told)

    @invariant()
    def transactions_are_whole(self) -> None:
        """MAIL accepted, then either a verdict or TransactionAborted, never both, nothing outside of it."""
        if not hasattr(self, "sides"):
            return
        is_open = False
        for event in self.sides[0].told:
            match event:
                case MailReceived():
                    is_open = True
                case TransactionAborted() | DataFinished():
                    assert is_open
                    is_open = False
                case DataRequested():
                    assert is_open
                case _:
                    pass


TestTwoServers = TwoServers.TestCase


@given(SETTINGS, st.booleans(), st.lists(LINES | st.binary(max_size=30) | st.just(b"DATA\r\n"), max_size=12))
def test_whatever_comes_the_server_answers(settings: ServerSettings, tls: bool, lines: list[bytes]) -> None:
    """No turns are kept here, so DATA and STARTTLS stand amid the rest: nothing raises, all is answered."""
    side = Side(settings, tls=tls)
    octets = b"".join(lines)
    side.give(octets, max(len(octets), 1))
    side.dialogue.receive_eof()
    side.run()
    assert side.dialogue.closing or side.told[-1] == TlsRequested()
    assert side.dialogue.next_event() is None
    assert all(REPLY_LINE.fullmatch(line) for line in side.said.decode("ascii").split("\r\n")[:-1])
