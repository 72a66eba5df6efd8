"""A stranger's message through the relay, with servers and ledger played by values: no loop, no socket."""

# Long because: short cases, one after the other, on the same pretend servers.

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from ptt.boot import KeepState
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.mail.srs import Original, SrsKeys, restore
from ptt.protocol.smtp.attempt import NotAsked, Said, Stage, Word, is_accepted
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import MailParameters, MailReceived
from ptt.protocol.smtp.extensions import Extensions, Keyword
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.records.user_list import UserList
from ptt.records.users import Action, RelayUser
from ptt.units.relay.bounces import NOT_LED_BACK, Bounces, SrsDomains
from ptt.units.relay.brakes import FIRST_BRAKE_S, Brakes
from ptt.units.relay.delivery import LOOP, MAX_HOPS, Deadlines, Delivery
from ptt.units.relay.entry import Entry, outcome_of
from ptt.units.relay.inbound import LOOPED, InboundDelivery, Memory
from ptt.units.relay.ledger import Decision, Keys, Ledger
from ptt.units.relay.opening import NO_KEYS, NO_KEYS_ALARM, NO_LIST_ALARM, Opening
from ptt.units.relay.outcome import DISCARDED, STILL_OPEN, Outcome
from ptt.units.relay.refusals import LATER_BEHIND, NOT_FROM_US, REFUSED_BEHIND
from ptt.units.relay.rights import NOT_ALLOWED, NOT_OURS
from ptt.units.relay.routing import Directory, Lane
from ptt.units.relay.splitting import IN_ANOTHER

T = TypeVar("T")

NOW = 1_800_000_000.0
KEYS = SrsKeys((b"key",))
BOB = mailbox("bob@remote.example")
ALICE, BEA, TEAM, BOTH = (mailbox(f"{name}@mirage.example") for name in ("alice", "bea", "team", "both"))
MESSAGE = b"From: bob@remote.example\r\nMessage-ID: <1@remote.example>\r\n\r\nHello\r\n"
USERS = {
    "alice": ["a@one.example"],
    "bea": ["b@two.example"],
    "team": ["t@one.example", "t@two.example"],
    "both": ["a@one.example", "b@two.example"],
    "open": ["o@two.example"],
}


def said(code: int, stage: Stage = Stage.END, enhanced: str | None = None, text: str = "text") -> Said:
    return Said("mx.provider.example", stage, RemoteReply(code, enhanced, (text,)))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something")


class Server:
    """One remote transaction; what its server says is the test's."""

    def __init__(self, lane: Lane, world: "World") -> None:
        self.lane = lane
        self.words: dict[Mailbox, Word] = {}
        self.is_waiting = False
        self.log: list[str] = []
        self.message = b""
        self.mail: Mail | Keyword | None = None
        self._world = world

    def _say(self, stage: Stage) -> None:
        for each, word in self.words.items():
            answer = self._world.answers.get((each, stage))
            if is_accepted(word) and answer is not None:
                self.words[each] = answer

    async def request(
        self,
        recipients: Sequence[Mailbox],
        mail_for: Callable[[Extensions, tuple[Mailbox, ...]], Mail | Keyword],
        _deadline: float,
    ) -> None:
        self.log.append("request")
        self.mail = mail_for(Extensions("mx", {}), tuple(recipients))
        self.words = {each: said(250, Stage.RECIPIENT) for each in recipients}
        self._say(Stage.RECIPIENT)

    async def transfer(self, buffers: Sequence[bytes], _deadline: float) -> None:
        self.log.append("transfer")
        self.message += b"".join(buffers)
        self._say(Stage.MESSAGE)

    async def finish(self, buffers: Sequence[bytes], _deadline: float) -> None:
        self.log.append("finish")
        self.message += b"".join(buffers)
        if self._world.is_slow:
            self.is_waiting = True
        else:
            await self.learn(0)

    async def learn(self, _deadline: float) -> None:
        self.is_waiting = False
        accepted = [each for each, word in self.words.items() if is_accepted(word)]
        self.words.update({each: self._world.answers.get((each, Stage.END), said(250)) for each in accepted})

    async def release(self) -> None:
        self.log.append("release")

    def abort(self) -> None:
        self.log.append("abort")


class World:
    """``Means`` and everything that outlives a transaction."""

    def __init__(self, *, keys: SrsKeys | None = KEYS, users: dict[str, list[str]] | None = None) -> None:
        self.ledger = Ledger()
        self.ledger_key = b"secret"
        self.deadlines = Deadlines(55, 25, 42, 600, stream_above_octets=1000)
        self.opened: list[Server] = []
        self.answers: dict[tuple[Mailbox, Stage], Word] = {}
        self.is_slow = False
        self.braked: Reply | None = None
        self.alarms: list[str] = []
        self.time = NOW
        self.reveals = False
        self.discarding: set[str] = set()
        self.brakes = Brakes()
        self._keys = keys
        self._users = USERS if users is None else users
        self._memory: Memory | None = None

    def opening(self) -> Opening:
        users = {
            name: RelayUser(
                name,
                tuple(map(mailbox, targets)),
                insecure=True,
                reveals=self.reveals,
                action=Action.DROP if name in self.discarding else Action.FORWARD,
            )
            for name, targets in self._users.items()
        }
        mirage, srs = Name.of("mirage.example"), Name.of("srs.mirage.example")
        directory = Directory(frozenset({mirage}), UserList(users, {}), Name.of("mail.mirage.example"))
        if self._keys is not None and self._memory is None:
            self._memory = Memory(Bounces(self._keys, SrsDomains({mirage: srs}, srs)), brakes=self.brakes)
        return Opening(self, directory, self._memory, self.alarms.append)

    def send(
        self,
        *recipients: Mailbox,
        sender: Mailbox | None = BOB,
        message: Sequence[bytes] = (MESSAGE,),
        trace: str = "t1",
    ) -> tuple[list[Reply], list[Reply]]:
        """The answers to RCPT, and those after the data."""
        given = self.begin(sender, trace)
        answers = list(run(given.recipients(recipients)))
        if not any(each.is_completed for each in answers):
            return answers, []
        assert self.opened == [] or trace != "t1", "no server is asked before the message is here"
        for piece in message:
            run(given.data(piece))
        judged = [each.reply for each in run(given.finish(self.now()))]
        given.ended(with_250=all(each.is_completed for each in judged))
        self.delivery = given
        return answers, judged

    def begin(self, sender: Mailbox | None = BOB, trace: str = "t1") -> Delivery:
        event = MailReceived(sender, MailParameters(trace_id=trace, login="alice"))
        given = self.opening().open("spam_filter", event, received)
        assert isinstance(given, Delivery)
        return given

    def now(self) -> float:
        return 1000.0

    def unix_time(self) -> float:
        return self.time

    def new_trace_id(self) -> str:
        return "made-here"

    async def find_way(self, lane: Lane) -> Server | NotAsked:
        if self.braked is not None:
            return NotAsked(self.braked)
        self.opened.append(Server(lane, self))
        return self.opened[-1]

    def keep(self, _frames: Sequence[KeepState]) -> None:
        pass

    def settled(self, _entry: Entry, _outcome: Outcome) -> None:
        pass

    async def consult(self, trace_id: str, keys: Sequence[Keys]) -> Sequence[Decision]:
        return self.ledger.begin(trace_id, keys, self.unix_time()).decisions

    def taken(self, trace_ids: Sequence[str]) -> None:
        self.ledger.taken(trace_ids)

    async def wait_settled(self, entry: Entry, _deadline: float) -> Outcome | None:
        return outcome_of(entry)

    async def together(self, *work: Coroutine[Any, Any, None]) -> None:
        for each in work:
            await each


def received(trace_id: str, *, tokens: tuple[str, ...] = ()) -> bytes:
    comments = "".join(f" (loop {token})" for token in tokens)
    return f"Received: by us id {trace_id}{comments}; now\r\n".encode()


def codes(replies: Sequence[Reply]) -> list[int]:
    return [each.code for each in replies]


def test_a_message_goes_to_the_target_under_our_envelope_with_our_trace() -> None:
    world = World()
    answers, judged = world.send(ALICE)

    assert (codes(answers), [str(each) for each in judged]) == ([250], ["250 2.0.0 Delivered."])
    (server,) = world.opened
    assert server.log == ["request", "transfer", "finish"]
    trace, _, rest = server.message.partition(b"From: ")
    assert b"From: " + rest == MESSAGE
    assert trace.startswith(b"Received: by us id t1 (loop ")
    assert trace.endswith(b"X-Forwarded-To: alice@mirage.example\r\n")
    assert isinstance(server.mail, Mail)
    sender = server.mail.reverse_path
    assert sender is not None
    assert sender.domain == Name.of("srs.mirage.example")
    assert restore(sender, KEYS, NOW) == Original(BOB)
    assert server.mail.parameters.size == len(server.message)
    assert world.delivery.is_inbound
    assert world.delivery.login is None


def test_rcpt_is_answered_from_the_list() -> None:
    answers, judged = World().send(ALICE, mailbox("nobody@mirage.example"), mailbox("x@elsewhere.example"))

    assert answers[1:] == [Reply(550, "5.1.1", "There is no such user here."), NOT_OURS]
    assert codes(judged) == [250]


def test_each_alias_has_a_transaction_and_each_target_one_copy() -> None:
    world = World()
    _, judged = world.send(TEAM, ALICE, BOTH, ALICE)

    assert codes(judged) == [250] * 4
    lanes = [(str(each.lane.destination), str(each.lane.alias)) for each in world.opened]
    assert lanes == [
        ("one.example", "team@mirage.example"),
        ("two.example", "team@mirage.example"),
        ("one.example", "alice@mirage.example"),
        ("two.example", "both@mirage.example"),
    ]
    assert len({each.message.partition(b"From: ")[0] for each in world.opened}) == 3


def test_a_bounce_goes_back_as_one() -> None:
    world = World()
    world.send(ALICE)
    forwarded = world.opened.pop().mail
    assert isinstance(forwarded, Mail)
    assert forwarded.reverse_path is not None
    _, judged = world.send(forwarded.reverse_path, sender=None)

    (server,) = world.opened
    assert codes(judged) == [250]
    assert list(server.words) == [BOB]
    assert isinstance(server.mail, Mail)
    assert server.mail.reverse_path is None
    assert server.message == received("t1") + MESSAGE
    assert codes(world.send(forwarded.reverse_path)[0]) == [550]  # only from <>


def test_mail_from_nobody_keeps_its_envelope() -> None:
    world = World()
    world.send(ALICE, sender=None)

    mail = world.opened[0].mail
    assert isinstance(mail, Mail)
    assert mail.reverse_path is None
    assert b"(loop " in world.opened[0].message


def test_a_sender_that_is_too_long_is_told_in_the_journal_and_has_no_bounces() -> None:
    world = World()
    world.send(TEAM, sender=mailbox(f"{'x' * 60}@remote.example"))
    (note,) = world.delivery.transaction.notes
    assert "too long" in note
    mail = world.opened[0].mail
    assert isinstance(mail, Mail)
    assert mail.reverse_path is not None

    given = world.begin(None)
    assert run(given.recipients([mail.reverse_path])) == (NOT_LED_BACK,)
    assert "too long to be led back" in given.transaction.describe()[0]


def test_an_alias_outside_ascii_is_not_named_in_a_field() -> None:
    world = World(users={"jörg": ["j@one.example"]})
    assert codes(world.send(mailbox("jörg@mirage.example"))[1]) == [250]

    assert b"X-Forwarded-To" not in world.opened[0].message


def test_no_loop_goes_twice() -> None:
    world = World()
    world.send(ALICE)
    returned = world.opened.pop().message
    _, judged = world.send(ALICE, BEA, message=[returned], trace="t2", sender=None)

    assert [judged[0], codes(judged)[1]] == [LOOPED, 250]
    assert [str(each.lane.alias) for each in world.opened] == ["bea@mirage.example"]
    hops = b"Received: by x; now\r\n" * (MAX_HOPS + 1)
    assert world.send(ALICE, message=[hops, MESSAGE], trace="t3")[1] == [LOOP]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (said(552, enhanced="5.2.2"), Reply(552, "5.2.2", REFUSED_BEHIND)),
        (
            said(554, text="delivery error: dd This user doesn't have an account"),
            Reply(554, "5.0.0", REFUSED_BEHIND),
        ),
        (said(450, enhanced="4.2.1"), Reply(450, "4.2.1", LATER_BEHIND)),
        (said(554, enhanced="5.7.1", text="[192.0.2.1] blocked using zen"), Reply(451, "4.7.1", NOT_FROM_US)),
        (said(421, enhanced="4.7.28", text="unusual rate"), Reply(451, "4.7.1", NOT_FROM_US)),
        (
            said(550, Stage.RECIPIENT, "5.1.1", "a@one.example is unknown"),
            Reply(550, "5.1.1", REFUSED_BEHIND),
        ),
    ],
)
def test_a_target_refuses_in_our_words(word: Said, expected: Reply) -> None:
    world = World()
    world.answers[mailbox("a@one.example"), word.stage] = word

    assert world.send(ALICE)[1] == [expected]


def test_greylisting_tells_the_time_to_wait() -> None:
    world = World()
    world.answers[mailbox("a@one.example"), Stage.RECIPIENT] = said(
        450, Stage.RECIPIENT, "4.2.0", "Greylisted, try again in 120 seconds"
    )
    (reply,) = world.send(ALICE)[1]

    assert (reply.code, reply.enhanced) == (451, "4.7.1")
    assert reply.text[0].endswith("in about 2 minutes.")


def test_the_targets_words_are_told_where_the_user_says_so() -> None:
    world = World()
    world.reveals = True
    world.answers[mailbox("a@one.example"), Stage.END] = said(
        552, enhanced="5.2.2", text="a@one.example is full"
    )
    (reply,) = world.send(ALICE)[1]

    assert "a@one.example is full" in reply.text


def test_a_provider_that_refuses_us_is_left_alone_until_it_takes_mail() -> None:
    world = World()
    host = "mx.provider.example"
    world.answers[mailbox("a@one.example"), Stage.END] = said(421, enhanced="4.7.28")
    world.send(ALICE)
    assert world.brakes.left_s(host, NOW) == FIRST_BRAKE_S

    world.send(BEA, trace="t2")
    assert world.brakes.left_s(host, NOW) == 0
    world.braked = Reply(451, "4.7.1", "held back")
    assert world.send(ALICE, trace="t3")[1] == [world.braked]


def test_each_target_goes_at_its_own_pace() -> None:
    world = World()
    world.answers[mailbox("a@one.example"), Stage.MESSAGE] = said(451, Stage.MESSAGE)
    _, judged = world.send(ALICE, BEA)

    assert codes(judged) == [451, 250]
    assert [each.log[-1] for each in world.opened] == ["release", "finish"]


def test_who_has_it_does_not_get_it_again_and_the_retry_is_split() -> None:
    world = World()
    refused, open_ = mailbox("b@two.example"), mailbox("o@two.example")
    world.answers = {(refused, Stage.END): said(550, enhanced="5.2.1"), (open_, Stage.END): said(452)}
    everybody = (mailbox("open@mirage.example"), ALICE, BEA)
    assert codes(world.send(*everybody)[1]) == [452, 250, 550]
    assert len(world.opened) == 3

    answers, judged = world.send(*everybody, trace="t2")
    assert ([str(each) for each in answers][::2], codes(judged)) == ([str(IN_ANOTHER)] * 2, [250])
    answers, judged = world.send(everybody[0], BEA, trace="t3")
    assert (codes(answers), codes(judged)) == ([451, 250], [550])
    assert len(world.opened) == 3
    world.answers.clear()
    assert codes(world.send(everybody[0], trace="t4")[1]) == [250]
    assert len(world.opened) == 4


def test_one_target_of_several_that_has_it_does_not_get_it_again() -> None:
    world = World()
    world.answers[mailbox("t@two.example"), Stage.END] = said(452)
    assert codes(world.send(TEAM)[1]) == [452]
    world.answers.clear()
    world.opened.clear()
    assert codes(world.send(TEAM, trace="t2")[1]) == [250]

    assert [str(each.lane.destination) for each in world.opened] == ["two.example"]


def test_a_dead_target_is_named_to_the_operator() -> None:
    world = World(users={**USERS, "team": ["t@one.example", "t@two.example", "gone@mirage.example"]})
    world.answers[mailbox("t@two.example"), Stage.END] = said(550, enhanced="5.1.1")
    given = world.begin()
    run(given.recipients([TEAM, ALICE]))
    run(given.data(MESSAGE))
    team, alice = run(given.finish(1000))

    assert team.reply.code == 250
    assert str(team.alarm).startswith(
        "team@mirage.example: gone@mirage.example, t@two.example: a target is dead"
    )
    assert alice.alarm is None


def test_what_comes_late_is_learned() -> None:
    world = World()
    world.is_slow = True
    assert world.send(ALICE)[1] == [STILL_OPEN]
    assert world.delivery.is_late
    run(world.delivery.learn_late())
    world.opened.clear()

    assert codes(world.send(ALICE, trace="t2")[1]) == [250]
    assert world.opened == []


def test_a_large_message_goes_on_while_it_comes() -> None:
    world = World()
    world.answers[mailbox("t@one.example"), Stage.MESSAGE] = said(552, Stage.MESSAGE)
    pieces = [MESSAGE, *[b"x" * 998 + b"\r\n"] * 300]
    given = world.begin()
    run(given.recipients([TEAM, BEA]))
    for piece in pieces:
        run(given.data(piece))
        assert given.held_octets < 200_000
    judged = [each.reply for each in run(given.finish(1000))]

    assert codes(judged) == [250, 250]
    for server in world.opened[1:]:
        assert server.message.partition(b"From: ")[2] == b"".join(pieces)[len(b"From: ") :]
        assert server.message.count(b"Received: ") == 1
    assert world.opened[0].log[-1] == "release"


def test_nobody_gets_what_its_sender_has_given_up() -> None:
    world = World()
    given = world.begin()
    run(given.recipients([ALICE]))
    run(given.data(MESSAGE))
    given.is_abandoned = True

    assert codes([each.reply for each in run(given.finish(1000))]) == [451]
    assert world.opened[0].log == ["request", "transfer", "release"]


def test_who_calls_decides_how_it_begins() -> None:
    world = World()
    event = MailReceived(BOB, MailParameters())
    opening = world.opening()

    assert opening.open("receiver", event, received) == NOT_ALLOWED
    assert opening.open(None, event, received) == NOT_ALLOWED
    assert type(opening.open("signer", event, received)) is Delivery
    assert type(opening.open("spam_filter", event, received)) is InboundDelivery


def test_what_is_missing_is_temporary_and_one_alarm() -> None:
    world = World(keys=None, users={})
    opening, event = world.opening(), MailReceived(BOB, MailParameters())

    assert [opening.open("spam_filter", event, received) for _ in range(2)] == [NO_KEYS] * 2
    assert world.alarms == [NO_LIST_ALARM, NO_KEYS_ALARM]
    user_mail = opening.open("signer", event, received)
    assert isinstance(user_mail, Delivery)
    assert codes(run(user_mail.recipients([ALICE, mailbox("x@one.example")]))) == [451, 250]
    assert codes(World(users={}).send(ALICE)[0]) == [451]


@pytest.mark.parametrize("message", [(MESSAGE,), (MESSAGE, b"x" * 2000, b"x" * 2000)])
def test_what_an_alias_discards_nobody_gets(message: Sequence[bytes]) -> None:
    world = World()
    world.discarding = {"alice"}
    answers, judged = world.send(ALICE, message=message)
    assert codes(answers) == [250]
    assert judged == [DISCARDED]
    assert world.opened == []
    assert any("discarded" in note for note in world.delivery.transaction.describe())


def test_what_one_alias_discards_another_gets() -> None:
    world = World()
    world.discarding = {"alice"}
    _, judged = world.send(ALICE, BEA)
    assert judged[0] == DISCARDED
    assert codes(judged) == [250, 250]
    assert len(world.opened) == 1
