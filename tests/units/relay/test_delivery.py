"""A message's way through the relay, with servers and ledger played by values: no loop, no socket."""

# Long because: short cases, one after the other, on the same pretend servers.

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from ptt.boot import KeepState
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.attempt import Broke, Lacks, NotAsked, Said, Stage, Word, is_accepted
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import BodyType, MailParameters, MailReceived
from ptt.protocol.smtp.extensions import Extensions, Keyword
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser
from ptt.units.relay.delivery import LOOP, NO_LEDGER, STREAM_PIECE_OCTETS, Deadlines, Delivery
from ptt.units.relay.entry import Entry, outcome_of
from ptt.units.relay.ledger import Decision, Keys, Ledger
from ptt.units.relay.outcome import NOT_SENT, STILL_OPEN, Outcome, Wording
from ptt.units.relay.routing import Directory, Lane, Router
from ptt.units.relay.transaction import Transaction

T = TypeVar("T")

ALICE = mailbox("alice@mirage.example")
BOB, CAROL, DAVE = (mailbox(f"{name}.example") for name in ("bob@one", "carol@two", "dave@one"))
HEADER = b"From: alice@mirage.example\r\nMessage-ID: <1@mirage.example>\r\n\r\n"
MESSAGE = HEADER + b"Hello\r\n"
PLACE = b"Received: here\r\n"


def said(code: int, stage: Stage) -> Said:
    return Said("mx", stage, RemoteReply(code, None, ("text",)))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something")


class Server:
    """A remote transaction whose server does what the test says."""

    def __init__(self, extensions: Extensions) -> None:
        self.words: dict[Mailbox, Word] = {}
        self.is_waiting = False
        self.log: list[str] = []
        self.message = b""
        self.mail: Mail | Keyword | None = None
        self.at_transfer: Word | None = None
        self.at_end: Word | Exception | None = said(250, Stage.END)
        self.at_rcpt: dict[Mailbox, int] = {}
        self._extensions = extensions

    def accepted(self) -> list[Mailbox]:
        return [each for each, word in self.words.items() if is_accepted(word)]

    async def request(
        self,
        recipients: Sequence[Mailbox],
        mail_for: Callable[[Extensions, tuple[Mailbox, ...]], Mail | Keyword],
        _deadline: float,
    ) -> None:
        self.log.append("request " + " ".join(each.local_part for each in recipients))
        self.mail = mail_for(self._extensions, tuple(recipients))
        self.words = {
            each: Lacks("mx", self.mail)
            if isinstance(self.mail, Keyword)
            else self.words.get(each) or said(self.at_rcpt.get(each, 250), Stage.RECIPIENT)
            for each in recipients
        }

    async def transfer(self, buffers: Sequence[bytes], _deadline: float) -> None:
        self.log.append("transfer")
        self.message += b"".join(buffers)
        if self.at_transfer is not None:
            self.words.update(dict.fromkeys(self.accepted(), self.at_transfer))

    async def finish(self, buffers: Sequence[bytes], _deadline: float) -> None:
        self.log.append("finish")
        self.message += b"".join(buffers)
        if isinstance(self.at_end, Exception):
            raise self.at_end
        self.is_waiting = self.at_end is None
        if self.at_end is not None:
            self.words.update(dict.fromkeys(self.accepted(), self.at_end))

    async def learn(self, _deadline: float) -> None:
        self.log.append("learn")
        if self.at_end is not None:
            assert not isinstance(self.at_end, Exception)
            self.is_waiting = False
            self.words.update(dict.fromkeys(self.accepted(), self.at_end))

    async def release(self) -> None:
        self.log.append("release")

    def abort(self) -> None:
        self.log.append("abort")


class World:
    """``Means`` whose servers are made at first use, one a lane."""

    def __init__(self, *offers: Keyword) -> None:
        self.ledger = Ledger()
        self.ledger_key = b"secret"
        self.deadlines = Deadlines(55, 25, 42, 600, stream_above_octets=1000)
        self.servers: dict[str, Server] = {}
        self.refused_lanes: dict[str, Reply] = {}
        self.kept: list[KeepState] = []
        self.told: list[Outcome] = []
        self.to_join: Outcome | None = None
        self.owner_is_away = False
        self._extensions = Extensions("mx", dict.fromkeys(offers, ()))

    def now(self) -> float:
        return 1000.0

    def unix_time(self) -> float:
        return 1_800_000_000.0

    def new_trace_id(self) -> str:
        return "made-here"

    def server(self, domain: str) -> Server:
        return self.servers.setdefault(domain, Server(self._extensions))

    async def find_way(self, lane: Lane) -> Server | NotAsked:
        domain = str(lane.destination)
        if domain in self.refused_lanes:
            return NotAsked(self.refused_lanes[domain])
        return self.server(domain)

    def keep(self, frames: Sequence[KeepState]) -> None:
        self.kept += frames

    def settled(self, _entry: Entry, outcome: Outcome) -> None:
        self.told.append(outcome)

    async def consult(self, trace_id: str, keys: Sequence[Keys]) -> Sequence[Decision] | None:
        if self.owner_is_away:
            return None
        begun = self.ledger.begin(trace_id, keys, self.unix_time())
        self.keep(begun.frames)
        return begun.decisions

    def taken(self, trace_ids: Sequence[str]) -> None:
        self.keep(self.ledger.taken(trace_ids))

    async def wait_settled(self, entry: Entry, _deadline: float) -> Outcome | None:
        return self.to_join or outcome_of(entry)

    async def together(self, *work: Coroutine[Any, Any, None]) -> None:
        for each in work:
            await each


def wording(_user: RelayUser | None) -> Wording:
    return lambda word, _recipient: Reply(word.reply.code, None, "remote's")


def delivery(
    world: World,
    *recipients: Mailbox,
    trace: str | None = "t1",
    parameters: MailParameters | None = None,
    targets: tuple[str, ...] = (),
) -> Delivery:
    users = UserList({"alice": RelayUser("alice", tuple(map(mailbox, targets)))}, {})
    directory = Directory(frozenset({Name.of("mirage.example")}), users, Name.of("mx.mirage.example"))
    router = Router(directory, sender_may_be_clear=True, to_smarthost=False)
    mail = MailReceived(ALICE, parameters or MailParameters(trace_id=trace, login="alice"))
    given = Delivery(world, mail, Transaction(router, wording), lambda _trace: PLACE)
    if recipients:
        run(given.recipients(recipients))
    return given


def finish(given: Delivery, *pieces: bytes) -> list[Reply]:
    for piece in pieces or (MESSAGE,):
        run(given.data(piece))
    return [judged.reply for judged in run(given.finish(1000.0))]


def codes(given: Delivery, *pieces: bytes) -> list[int]:
    return [reply.code for reply in finish(given, *pieces)]


def test_a_message_is_delivered_and_remembered() -> None:
    world = World()
    given = delivery(world, BOB, CAROL)
    one, two = world.server("one.example"), world.server("two.example")
    replies = finish(given)

    assert [str(reply) for reply in replies] == ["250 2.0.0 Delivered. mx: text"] * 2
    assert one.message == two.message == PLACE + MESSAGE
    assert one.log == ["request bob", "request bob", "transfer", "finish"]
    assert (given.size, given.held_octets, given.reverse_path) == (len(MESSAGE), 0, ALICE)
    assert len(world.kept) == 4  # running and delivered, for each of two
    assert len(world.told) == 2
    given.ended(with_250=True)
    assert len(world.kept) == 6
    assert not given.is_late


def test_mail_without_a_trace_id_gets_one() -> None:
    assert delivery(World(), trace=None, parameters=MailParameters()).trace_id == "made-here"


def test_a_retry_is_answered_from_memory() -> None:
    world = World()
    given = delivery(world, BOB)
    finish(given)
    given.ended(with_250=False)
    server = world.servers.pop("one.example")
    retry = delivery(world, BOB, trace="t2")

    assert codes(retry) == [250]
    assert server.log.count("finish") == 1
    assert world.server("one.example").log == ["request bob", "request ", "release"]


def test_what_one_server_has_already_is_not_sent_again_to_it() -> None:
    world = World()
    finish(delivery(world, BOB))
    both = delivery(world, BOB, DAVE, trace="t2")
    server = world.server("one.example")
    server.message = b""

    assert codes(both) == [250, 250]
    assert server.log[-3:] == ["request dave", "transfer", "finish"]


def test_nobody_gets_the_end_when_one_has_failed_for_now() -> None:
    world = World()
    given = delivery(world, BOB, CAROL)
    world.server("two.example").at_transfer = Broke("mx", Stage.MESSAGE, "reset")

    assert finish(given)[0] == NOT_SENT
    assert [server.log[-1] for server in world.servers.values()] == ["release", "release"]
    assert not any("finish" in server.log for server in world.servers.values())
    assert len(world.ledger) == 0


def test_a_refusal_for_good_holds_nobody_up() -> None:
    world = World()
    given = delivery(world, BOB, CAROL)
    world.server("two.example").at_transfer = said(552, Stage.MESSAGE)

    assert codes(given) == [250, 552]


def test_a_recipient_with_nowhere_to_go_is_refused_at_rcpt() -> None:
    world = World()
    world.refused_lanes["two.example"] = Reply(550, "5.1.2", "No such domain.")
    given = delivery(world)

    assert [reply.code for reply in run(given.recipients([BOB, CAROL]))] == [250, 550]
    assert codes(given) == [250]


def test_later_recipients_join_the_open_transaction() -> None:
    world = World()
    given = delivery(world, BOB)
    world.server("one.example").at_rcpt[DAVE] = 450

    assert [reply.code for reply in run(given.recipients([DAVE]))] == [450]
    assert world.server("one.example").log == ["request bob", "request bob dave"]
    assert codes(given) == [250]
    assert world.server("one.example").log[2:] == ["request bob", "transfer", "finish"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (MESSAGE, MailParameters(size=len(PLACE + MESSAGE))),
        (
            HEADER + "grün\r\n".encode(),
            MailParameters(size=len(PLACE + HEADER) + 7, body=BodyType.EIGHT_BIT_MIME),
        ),
        (
            "Subject: grün\r\n".encode() + MESSAGE,
            MailParameters(size=len(PLACE + MESSAGE) + 16, body=BodyType.EIGHT_BIT_MIME, smtputf8=True),
        ),
    ],
)
def test_the_bytes_decide_what_mail_asks_for(message: bytes, expected: MailParameters) -> None:
    world = World(Keyword.EIGHTBITMIME, Keyword.SMTPUTF8, Keyword.SIZE)
    finish(delivery(world, BOB), message)
    mail = world.server("one.example").mail

    assert isinstance(mail, Mail)
    assert mail.parameters == expected


def test_a_server_that_lacks_what_the_bytes_need_refuses() -> None:
    assert finish(delivery(World(), BOB), "Subject: grün\r\n".encode() + MESSAGE)[0].enhanced == "5.6.7"
    assert finish(delivery(World(), BOB), HEADER + "grün\r\n".encode())[0].enhanced == "5.6.3"


def test_a_declared_size_and_body_are_passed_on_at_rcpt() -> None:
    world = World(Keyword.EIGHTBITMIME, Keyword.SIZE)
    declared = MailParameters(size=100, body=BodyType.EIGHT_BIT_MIME, trace_id="t")
    delivery(world, BOB, parameters=declared)
    mail = world.server("one.example").mail

    assert isinstance(mail, Mail)
    assert mail.parameters == MailParameters(size=1124, body=BodyType.EIGHT_BIT_MIME)


@pytest.mark.parametrize("pieces", [(MESSAGE,), (MESSAGE, b"x" * 2000 + b"\r\n", b"y\r\n")])
def test_a_message_that_goes_round_is_stopped(pieces: tuple[bytes, ...]) -> None:
    world = World()
    given = delivery(world, BOB, CAROL)

    assert finish(given, b"Received: x\r\n" * 101 + pieces[0], *pieces[1:]) == [LOOP] * 2
    assert [server.message for server in world.servers.values()] == [b"", b""]
    assert codes(delivery(world, BOB), b"Received: x\r\n" * 100 + pieces[0], *pieces[1:]) == [250]


BIG = [b"x" * 998 + b"\r\n"] * 400


def test_a_large_message_is_passed_on_while_it_comes() -> None:
    world = World()
    given = delivery(world, BOB)
    server = world.server("one.example")
    most = 0
    for piece in (HEADER, *BIG):
        run(given.data(piece))
        most = max(most, given.held_octets)
    before = server.message

    assert len(before) > 2 * STREAM_PIECE_OCTETS
    assert most <= STREAM_PIECE_OCTETS + 1000
    assert [reply.code for reply in (j.reply for j in run(given.finish(1000.0)))] == [250]
    assert server.message == PLACE + HEADER + b"".join(BIG)
    assert len(server.message) > len(before)  # the last piece was kept back
    assert given.held_octets == 0


def test_a_large_message_that_is_known_never_gets_its_end() -> None:
    world = World()
    finish(delivery(world, BOB), HEADER, *BIG)
    retry = delivery(world, BOB, trace="t2")

    assert codes(retry, HEADER, *BIG) == [250]
    assert world.server("one.example").log.count("finish") == 1
    assert world.server("one.example").log[-1] == "release"


def test_a_stream_ends_for_all_when_one_breaks() -> None:
    world = World()
    given = delivery(world, BOB, CAROL)
    world.server("two.example").at_transfer = Broke("mx", Stage.MESSAGE, "reset")

    assert codes(given, HEADER, *BIG) == [451, 451]
    assert not any("finish" in server.log for server in world.servers.values())
    assert world.server("one.example").log.count("transfer") == 1


def test_short_memory_begins_the_stream_at_once_but_not_within_the_header() -> None:
    world = World()
    given = delivery(world, BOB)
    run(given.data(HEADER[:10], memory_is_short=True))
    assert "transfer" not in world.server("one.example").log
    run(given.data(HEADER[10:], memory_is_short=True))

    assert "transfer" in world.server("one.example").log
    assert codes(given, b"Hello\r\n") == [250]
    assert world.server("one.example").message == PLACE + MESSAGE


def test_the_limit_is_451_and_the_answer_is_learned_later() -> None:
    world = World()
    given = delivery(world, BOB)
    server = world.server("one.example")
    server.at_end = None
    assert finish(given) == [STILL_OPEN]
    was_late = given.is_late
    given.ended(with_250=False)
    server.at_end = said(250, Stage.END)
    run(given.learn_late())

    assert (was_late, given.is_late) == (True, False)
    assert codes(delivery(world, BOB, trace="t2")) == [250]
    assert server.log.count("finish") == 1


def test_an_answer_that_never_comes_is_unknown_and_delivered_again() -> None:
    world = World()
    given = delivery(world, BOB)
    server = world.server("one.example")
    server.at_end = None
    finish(given)
    run(given.learn_late())
    assert server.log[-2:] == ["learn", "abort"]
    assert not given.is_late
    server.at_end = said(250, Stage.END)

    assert codes(delivery(world, BOB, trace="t2")) == [250]
    assert server.log.count("finish") == 2


def test_a_second_try_waits_for_the_first() -> None:
    world = World()
    first = delivery(world, BOB)
    server = world.server("one.example")
    server.at_end = None
    finish(first)
    second = delivery(world, BOB, trace="t2")
    server.at_end = said(250, Stage.END)
    run(first.learn_late())
    assert codes(second) == [250]
    third = delivery(world, BOB, trace="t3")
    assert codes(third) == [250]
    assert server.log.count("finish") == 1


def test_a_try_that_is_still_running_at_the_limit_is_451() -> None:
    world = World()
    server = world.server("one.example")
    server.at_end = None
    finish(delivery(world, BOB))

    assert finish(delivery(world, BOB, trace="t2")) == [STILL_OPEN]
    world.to_join = world.told[0] if world.told else None
    assert server.log.count("finish") == 1


def test_the_outcome_of_a_run_that_was_joined_counts() -> None:
    world = World()
    server = world.server("one.example")
    server.at_end = None
    finish(delivery(world, BOB))
    finish(delivery(world, CAROL, trace="t2"))
    world.to_join = world.told[0]

    assert codes(delivery(world, BOB, trace="t3")) == [250]


def test_a_peer_that_left_gets_nothing_delivered() -> None:
    world = World()
    given = delivery(world, BOB)
    given.is_abandoned = True

    assert finish(given) == [NOT_SENT]
    assert "finish" not in world.server("one.example").log


def test_a_transaction_that_is_given_up_or_dropped() -> None:
    world = World()
    given = delivery(world, BOB)
    run(given.data(MESSAGE))
    run(given.abandon())
    run(given.data(MESSAGE))
    assert world.server("one.example").log == ["request bob", "release"]
    assert given.held_octets == 0
    dropped = delivery(world, CAROL)
    dropped.drop()
    assert world.server("two.example").log == ["request carol", "abort"]


def test_a_bug_leaves_no_entry_running() -> None:
    world = World()
    given = delivery(world, BOB)
    server = world.server("one.example")
    server.at_end = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        finish(given)
    server.at_end = said(250, Stage.END)

    assert codes(delivery(world, BOB, trace="t2")) == [250]


def test_the_looser_key_is_for_those_with_a_login() -> None:
    world = World()
    first = delivery(world, BOB)
    finish(first)
    first.ended(with_250=False)
    renewed = MESSAGE.replace(b"<1@", b"<2@")

    assert codes(delivery(world, BOB, parameters=MailParameters(trace_id="t2")), renewed) == [250]
    assert world.server("one.example").log.count("finish") == 2
    assert codes(delivery(world, BOB, trace="t3"), renewed.replace(b"<2@", b"<3@")) == [250]
    assert world.server("one.example").log.count("finish") == 2


@pytest.mark.parametrize("pieces", [(MESSAGE,), (HEADER, b"x" * (STREAM_PIECE_OCTETS + 2000), b"end\r\n")])
def test_without_the_ledgers_owner_nobody_gets_the_end_of_the_data(pieces: tuple[bytes, ...]) -> None:
    world = World()
    world.owner_is_away = True
    given = delivery(world, BOB, CAROL)
    assert finish(given, *pieces) == [NO_LEDGER] * 2
    for server in world.servers.values():
        assert "finish" not in server.log
        assert server.log[-1] == "release"
    assert (world.told, world.kept) == ([], [])
