"""Our client talks to our server: what one sends the other reads, however the octets are cut."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.client import ClientDialogue, ClientSettings
from ptt.protocol.smtp.commands import (
    Answered,
    Chunk,
    ClientCommand,
    ClientEvent,
    Data,
    FinalAnswered,
    Hello,
    Login,
    Mail,
    Quit,
    Recipient,
    ReportTaken,
    Reset,
    StartTls,
)
from ptt.protocol.smtp.events import (
    BodyType,
    DataFinished,
    DataReceived,
    DataRequested,
    LoginAttempted,
    MailParameters,
    MailReceived,
    RecipientsReceived,
    ServerSettings,
    TakenReported,
    TlsRequested,
)
from ptt.protocol.smtp.extensions import Flavour, Keyword
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.protocol.smtp.server import ServerDialogue

OK = Reply(250, "2.0.0", "Done.")
ACCEPTED_LOGIN = Reply(235, "2.7.0", "Welcome.")
GO_AHEAD = Reply(354, None, "Go ahead.")
VERDICTS = {
    "taken": OK,
    "later": Reply(451, "4.3.0", "Later.", "Please."),
    "never": Reply(550, "5.7.1", "Never."),
}


def box(local_part: str) -> Mailbox:
    return Mailbox(local_part, Name.of("example.org"), f"{local_part}@example.org".encode())


@dataclass
class Pair:
    """Both dialogues and a wire between them that cuts what it carries into pieces of ``cut`` octets."""

    flavour: Flavour
    cut: int = 10_000
    offers: frozenset[Keyword] = frozenset(Keyword)
    verdicts: dict[str, Reply] = field(default_factory=dict)  # local part -> the answer to its message
    refused: frozenset[str] = frozenset()  # local parts that RCPT refuses
    size_limit: int = 10_000
    tls: bool = True

    def __post_init__(self) -> None:
        settings = ServerSettings(
            "unit.example", self.flavour, self.offers, ("PLAIN", "LOGIN"), size_limit=self.size_limit
        )
        self.server = ServerDialogue(settings, tls=self.tls)
        self.client = ClientDialogue(ClientSettings(self.flavour, private=True), tls=self.tls)
        self.told: list[ClientEvent] = []
        self.seen: list[object] = []
        self.message = b""
        self.transaction = MailReceived(None, MailParameters())
        self.server.greeting()
        self.run()
        self.say(Hello("peer.example"))

    def say(self, *commands: ClientCommand) -> list[ClientEvent]:
        self.client.send(*commands)
        return self.run()

    def body(self, *pieces: bytes) -> list[ClientEvent]:
        assert self.client.send_body(pieces, last=True) is None
        return self.run()

    def run(self) -> list[ClientEvent]:
        before = len(self.told)
        while self._carry():
            pass
        return self.told[before:]

    def _carry(self) -> bool:
        upwards = b"".join(self.client.data_to_send())
        for start in range(0, len(upwards), self.cut):
            self.server.receive_data(upwards[start : start + self.cut])
            self._serve()
        self._serve()
        downwards = b"".join(self.server.data_to_send())
        for start in range(0, len(downwards), self.cut):
            self.client.receive_data(downwards[start : start + self.cut])
        while (event := self.client.next_event()) is not None:
            self.told.append(event)
        return bool(upwards or downwards)

    def _serve(self) -> None:
        while (event := self.server.next_event()) is not None:
            self.seen.append(event)
            self._react(event)

    def _react(self, event: object) -> None:
        match event:
            case MailReceived():
                self.transaction, self.message = event, b""
                self.server.reply(OK)
            case RecipientsReceived(recipients):
                never = VERDICTS["never"]
                self.server.reply(*(never if one.local_part in self.refused else OK for one in recipients))
            case DataRequested():
                self.server.reply(GO_AHEAD)
            case DataReceived(data):
                self.message += data
            case DataFinished():
                self.server.reply(*self._judge())
            case LoginAttempted():
                self.server.reply(ACCEPTED_LOGIN)
            case _:
                pass

    def _judge(self) -> list[Reply]:
        each = [self.verdicts.get(one.local_part, OK) for one in self.server.accepted_recipients]
        if self.flavour is Flavour.LMTP:
            return each
        overall = next((reply for reply in each if reply.is_completed), each[0])
        return [overall] if self.server.replies_wanted == 1 else [*each, overall]


def as_remote(reply: Reply) -> RemoteReply:
    return RemoteReply(reply.code, reply.enhanced, reply.text)


def final(pair: Pair) -> tuple[RemoteReply, ...]:
    [replies] = [event.replies for event in pair.told if isinstance(event, FinalAnswered)]
    return replies


cuts = st.sampled_from([1, 2, 3, 7, 10_000])
lines = st.binary(max_size=20).map(lambda octets: octets.replace(b"\r", b".").replace(b"\n", b".") + b"\r\n")
messages = st.lists(lines | st.sampled_from([b".\r\n", b"..\r\n", b"\r\n"]), max_size=8).map(b"".join)
edges = st.lists(st.integers(0, 200), max_size=4)


def pieces_of(message: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(min(place, len(message)) for place in places), len(message)]
    return [message[a:b] for a, b in itertools.pairwise(marks)]


@given(messages, edges, cuts, st.sampled_from(Flavour))
def test_a_message_arrives_as_it_was_by_data(
    message: bytes, places: list[int], cut: int, flavour: Flavour
) -> None:
    pair = Pair(flavour, cut)
    pair.say(Mail(box("me")), Recipient(box("anne")))
    pair.say(Data())
    pair.body(*pieces_of(message, places))

    assert pair.message == message
    assert final(pair) == (as_remote(OK),)


@given(messages, edges, cuts, st.sampled_from(Flavour), st.booleans())
def test_a_message_arrives_as_it_was_by_chunks(
    message: bytes, places: list[int], cut: int, flavour: Flavour, pipelining: bool
) -> None:
    offers = frozenset(Keyword) if pipelining else frozenset(Keyword) - {Keyword.PIPELINING}
    pair = Pair(flavour, cut, offers)
    *first, last = pieces_of(message, places)
    pair.say(
        Mail(box("me")),
        Recipient(box("anne")),
        *(Chunk((piece,)) for piece in first),
        Chunk((last,), last=True),
    )

    assert pair.message == message
    assert final(pair) == (as_remote(OK),)


people = st.lists(st.sampled_from(["anne", "bob", "carl", "dora"]), min_size=1, max_size=4, unique=True)
choices = st.dictionaries(st.sampled_from(["anne", "bob", "carl", "dora"]), st.sampled_from(sorted(VERDICTS)))


@given(people, choices, st.frozensets(st.sampled_from(["anne", "bob"])), cuts, st.booleans())
def test_verdicts_of_lmtp(
    to: list[str], verdicts: dict[str, str], refused: frozenset[str], cut: int, chunked: bool
) -> None:
    replies = {name: VERDICTS[verdict] for name, verdict in verdicts.items()}
    pair = Pair(Flavour.LMTP, cut, verdicts=replies, refused=refused)
    accepted = [name for name in to if name not in refused]
    pair.say(Mail(box("me")), *(Recipient(box(name)) for name in to))
    assert pair.client.accepted_recipients == len(accepted)
    if not accepted:
        answered = pair.say(Data())
        assert isinstance(answered[0], Answered)
        assert answered[0].reply.is_permanent
        return
    if chunked:
        pair.say(Chunk((b"a\r\n",)), Chunk((b"b\r\n",), last=True))
    else:
        pair.say(Data())
        pair.body(b"a\r\nb\r\n")

    assert final(pair) == tuple(as_remote(replies.get(name, OK)) for name in accepted)
    assert pair.client.is_idle
    assert isinstance(pair.say(Mail(None), Quit())[-1], Answered)


@given(people, choices, cuts)
def test_verdicts_of_prdr(to: list[str], verdicts: dict[str, str], cut: int) -> None:
    replies = {name: VERDICTS[verdict] for name, verdict in verdicts.items()}
    pair = Pair(Flavour.SMTP, cut, verdicts=replies)
    pair.say(Mail(None, MailParameters(prdr=True)), *(Recipient(box(name)) for name in to))
    pair.say(Data())
    pair.body(b"a\r\n")

    assert final(pair) == tuple(as_remote(replies.get(name, OK)) for name in to)
    assert pair.client.is_idle


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("what", [b"x" * 60 + b"\r\n", b"a\nb\r\n"])
def test_a_message_that_the_server_stops(flavour: Flavour, at: int, what: bytes) -> None:
    pair = Pair(flavour, size_limit=50)
    parts = [what if number == at else b"a\r\n" for number in range(3)]
    pair.say(
        Mail(box("me")),
        Recipient(box("anne")),
        Recipient(box("bob")),
        Chunk((parts[0],)),
        Chunk((parts[1],)),
        Chunk((parts[2],), last=True),
    )

    replies = final(pair)
    assert len(replies) == (2 if flavour is Flavour.LMTP else 1)
    assert all(reply.is_permanent for reply in replies)
    assert pair.client.is_idle
    answers = pair.say(Reset(), Mail(box("me")), Recipient(box("anne")), Chunk((b"a\r\n",), last=True))
    assert answers[-1] == FinalAnswered((as_remote(OK),))
    assert pair.message == b"a\r\n"


@pytest.mark.parametrize("cut", [1, 10_000])
def test_what_mail_carries(cut: int) -> None:
    pair = Pair(Flavour.LMTP, cut)
    parameters = MailParameters(
        size=3,
        body=BodyType.EIGHT_BIT_MIME,
        smtputf8=True,
        requiretls=True,
        trace_id="4f.1",
        login="zoë+b=c d",
    )
    wire = Mailbox("zoë", Name.of("example.org"), "zoë@example.org".encode())
    pair.say(Mail(wire, parameters), Recipient(wire))

    assert pair.transaction == MailReceived(wire, parameters)
    assert pair.seen[-1] == RecipientsReceived((wire,))


def test_a_report() -> None:
    pair = Pair(Flavour.LMTP)
    [event] = pair.say(ReportTaken(("4f.1", "4f.2")))

    assert isinstance(event, Answered)
    assert event.reply.is_completed
    assert TakenReported(("4f.1", "4f.2")) in pair.seen


@pytest.mark.parametrize("cut", [1, 10_000])
@pytest.mark.parametrize("password", ["pass wörd", "x" * 500])
def test_a_login(cut: int, password: str) -> None:
    pair = Pair(Flavour.SMTP, cut)
    [event] = pair.say(Login("anne", password))

    assert isinstance(event, Answered)
    assert event.reply == as_remote(ACCEPTED_LOGIN)
    [attempt] = [event for event in pair.seen if isinstance(event, LoginAttempted)]
    assert (attempt.login, attempt.password) == ("anne", password)


def test_tls_first_of_all() -> None:
    pair = Pair(Flavour.LMTP, tls=False)
    pair.say(StartTls())
    assert TlsRequested() in pair.seen
    pair.server.tls_established()
    pair.client.tls_established()
    pair.say(Hello("peer.example"))

    assert pair.client.extensions is not None
    assert not pair.client.extensions.offers(Keyword.STARTTLS)
    assert pair.client.is_idle


def test_the_sender_refuses_what_the_receiver_would() -> None:
    pair = Pair(Flavour.SMTP)
    pair.say(Mail(box("me")), Recipient(box("anne")))
    pair.say(Data())

    assert isinstance(pair.client.send_body([b"a\nb\r\n"], last=True), Malformed)
