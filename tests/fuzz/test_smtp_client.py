"""The client's dialogue under any order of commands, replies, rubbish and cuts.

Two dialogues get the same, one in whole pieces and one octet by octet; they must tell and send the same. What
they tell is compared with a small model: answers in the order of the commands, and no delivery without an end
of data.
"""

from collections import deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ptt.errors import MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientDialogue, ClientSettings
from ptt.protocol.smtp.client_steps import Step
from ptt.protocol.smtp.commands import (
    Answered,
    Chunk,
    ClientCommand,
    ClientEvent,
    Data,
    FinalAnswered,
    Greeted,
    Hello,
    Login,
    Mail,
    Noop,
    ProtocolBroken,
    Quit,
    Recipient,
    ReportTaken,
    Reset,
    ServerClosing,
    StartTls,
)
from ptt.protocol.smtp.events import MailParameters
from ptt.protocol.smtp.extensions import Flavour

BOX = Mailbox("a", Name.of("example.org"), b"a@example.org")
FULL_OFFER = (
    b"250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-PRDR\r\n250-XPTT\r\n"
    b"250-STARTTLS\r\n250 AUTH LOGIN\r\n"
)
SETTINGS = st.builds(ClientSettings, st.sampled_from(Flavour), st.booleans())
COMMANDS: st.SearchStrategy[ClientCommand] = st.sampled_from(
    [
        Hello("me.example"),
        StartTls(),
        Login("a", "b"),
        Mail(BOX),
        Mail(None, MailParameters(prdr=True)),
        *[Recipient(BOX)] * 3,
        *[Data()] * 2,
        Chunk((b"a\r\n",)),
        Chunk((b"b", b"\r\n"), last=True),
        Reset(),
        Noop(),
        Quit(),
        ReportTaken(("x",)),
    ]
)
CODES = st.sampled_from([b"250", b"250", b"354", b"353", b"334", b"451", b"550", b"421"])
REPLIES = st.builds(
    lambda code, text, lines: (code + b"-" + text + b"\r\n") * lines + code + b" " + text + b"\r\n",
    CODES,
    st.sampled_from([b"", b"ok", b"5.7.1 no", b"\xff", b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"]),
    st.integers(0, 2),
)
POSITIVE = {
    Step.DATA: b"354 go\r\n",
    Step.LOGIN: b"334 VXNlcm5hbWU6\r\n",
    Step.EHLO: FULL_OFFER,
    Step.STARTTLS: b"220\r\n",
}
TROUBLE_AFTER = 12  # steps: before, the server keeps to the rules, so that a talk goes somewhere
RUBBISH = st.sampled_from([b"what\r\n", b"250+\r\n", b"2", b"250", b"250-", b"\r\n", b"\n", b"x" * 5000])
BODIES = st.sampled_from([b"text\r\n", b".\r\n", b"\r\n.", b"\r\n", b"a", b"\r", b"\n"])


def events_of(client: ClientDialogue) -> list[ClientEvent]:
    events: list[ClientEvent] = []
    while (event := client.next_event()) is not None:
        events.append(event)
    return events


def settled(events: list[ClientEvent]) -> list[ClientEvent]:
    """Without the acceptance of STARTTLS that is told only if the octets behind it came later."""
    match events:
        case [*before, Answered(StartTls(), reply), ProtocolBroken() as broken] if reply.is_completed:
            return [*before, broken]
        case _:
            return events


class TwoClients(RuleBasedStateMachine):
    """The same talk twice."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: deque[ClientCommand] = deque()
        self.ends = 0  # messages whose end is on the wire
        self.delivered = 0
        self.was_closed = False
        self.steps = 0

    @initialize(settings=SETTINGS, tls=st.booleans(), opened=st.booleans())
    def start(self, settings: ClientSettings, *, tls: bool, opened: bool) -> None:
        self.clients = [ClientDialogue(settings, tls=tls) for _ in range(2)]
        self.whole, self.single = self.clients
        if opened:
            self.from_server(b"220 ready\r\n")
            self.send([Hello("me.example")])
            self.from_server(FULL_OFFER)

    @rule(commands=st.lists(COMMANDS, min_size=1, max_size=4))
    def send(self, commands: list[ClientCommand]) -> None:
        for command in commands:
            drops = self.whole.closed or (isinstance(command, Chunk) and self.whole.body_refused)
            outcomes: list[str | None] = []
            for client in self.clients:
                try:
                    client.send(command)
                    outcomes.append(None)
                except MisuseError as error:
                    outcomes.append(str(error))
            assert outcomes[0] == outcomes[1]
            if outcomes[0] is None and not drops:
                self.asked.append(command)
        self.take()

    def from_server(self, wire: bytes) -> None:
        self.whole.receive_data(wire)
        for octet in wire:
            self.single.receive_data(bytes([octet]))
        self.compare()

    @precondition(lambda self: self.whole.outstanding and not self.whole.closed)
    @rule(refusals=st.lists(st.sampled_from([b"", b"", b"", b"451\r\n", b"550 no\r\n"]), max_size=8))
    def answer(self, refusals: list[bytes]) -> None:
        """What a server says that keeps to the rules: a reply to each command, refusals here and there."""
        for _ in range(20):
            if self.whole.closed or self.whole._is_owed(Step.HANDSHAKE) or not self.whole.outstanding:
                return
            if self.whole._is_owed(Step.MESSAGE) and not self.whole._body.is_away:
                return
            refusal = refusals.pop() if refusals else b""
            self.from_server(refusal or POSITIVE.get(self.whole._owed[0].step, b"250 ok\r\n"))

    @precondition(lambda self: self.whole.is_idle and self.whole.extensions)
    @rule(prdr=st.booleans(), recipients=st.integers(0, 3), chunks=st.none() | st.integers(0, 2))
    def transaction(self, *, prdr: bool, recipients: int, chunks: int | None) -> None:
        mail = Mail(None, MailParameters(prdr=prdr and self.whole.extensions is not None))
        self.send([Reset(), mail, *[Recipient(BOX)] * recipients])
        if chunks is None:
            self.send([Data()])
        else:
            self.send([*[Chunk((b"a\r\n",))] * chunks, Chunk((b"b", b"\r\n"), last=True)])

    @precondition(lambda self: self.steps > TROUBLE_AFTER)
    @rule(wire=st.lists(REPLIES, min_size=1, max_size=4).map(b"".join) | RUBBISH, eof=st.booleans())
    def trouble(self, wire: bytes, *, eof: bool) -> None:
        self.from_server(wire)
        if eof:
            for client in self.clients:
                client.receive_eof()
            self.compare()

    @precondition(lambda self: self.whole._is_owed(Step.MESSAGE) and not self.whole._body.is_whole)
    @rule(pieces=st.lists(BODIES, max_size=4), last=st.booleans())
    def body(self, pieces: list[bytes], *, last: bool) -> None:
        malformed = [client.send_body(pieces, last=last) for client in self.clients]
        assert malformed[0] == malformed[1]
        if last and malformed[0] is None:
            self.ends += 1
        self.take()
        self.compare()

    @precondition(lambda self: self.whole._is_owed(Step.HANDSHAKE))
    @rule()
    def tls(self) -> None:
        for client in self.clients:
            client.tls_established()

    def take(self) -> None:
        sent = [client.data_to_send() for client in self.clients]
        assert sent[0] == sent[1]
        self.ends += sum(b"LAST\r\n" in buffer for buffer in sent[0])

    def compare(self) -> None:
        told = settled(events_of(self.whole))
        assert told == settled(events_of(self.single))
        self.take()
        for event in told:
            self.judge(event)
        if self.whole.closed and not self.was_closed:
            self.was_closed = True
            self.asked.clear()

    def judge(self, event: ClientEvent) -> None:
        match event:
            case Answered(command, _):
                assert command == self.next_asked()
            case Greeted():
                assert isinstance(self.next_asked(), Hello)
            case FinalAnswered(replies):
                asked = self.next_asked() if self.asked and isinstance(self.asked[0], Chunk) else None
                if isinstance(asked, Chunk) and not asked.last:
                    assert not any(reply.is_completed for reply in replies)
                    while self.asked and isinstance(self.asked[0], Chunk):
                        self.asked.popleft()
                if any(reply.is_completed for reply in replies):
                    self.delivered += 1
            case ProtocolBroken() | ServerClosing():
                assert self.whole.closed
            case _:
                pass

    def next_asked(self) -> ClientCommand:
        return self.asked.popleft()

    @invariant()
    def holds(self) -> None:
        self.steps += 1
        assert [self.whole.outstanding, self.whole.closed, self.whole.is_idle, self.whole.tls] == [
            self.single.outstanding,
            self.single.closed,
            self.single.is_idle,
            self.single.tls,
        ]
        assert self.whole.extensions == self.single.extensions
        assert self.whole.accepted_recipients == self.single.accepted_recipients >= 0
        assert self.delivered <= self.ends
        if self.whole.closed:
            assert self.whole.outstanding == 0
            assert self.whole.data_to_send() == []


TestTwoClients: Any = TwoClients.TestCase


@given(st.lists(st.binary(max_size=40) | REPLIES, max_size=8), SETTINGS)
def test_no_octets_break_it(pieces: list[bytes], settings: ClientSettings) -> None:
    client = ClientDialogue(settings)
    for piece in pieces:
        client.receive_data(piece)
        events_of(client)
        client.data_to_send()
    client.receive_eof()
    assert client.closed
