"""Mixed outcomes: mail servers as they are come again and again, and each recipient gets one true answer."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.units.relay.ledger import LIFE_S
from ptt.units.relay.splitting import IN_ANOTHER, MAX_WAITS, Hint, Splits, Standing, standing_of

SENDER = mailbox("sender@remote.example")
HINT = Hint(SENDER, 1234)
A, B, C, D = (mailbox(f"{name}@mirage.example") for name in "abcd")
DELIVERED, REFUSED, OPEN = Standing
MIXED = {A: DELIVERED, B: REFUSED, C: OPEN}


class Service:
    """Receiver and relay as far as they matter here: RCPT by ``Splits``, 451 for what is mixed.

    ``fate``: what comes of each recipient at the n-th transaction that carries it.
    """

    def __init__(self, **fates: str) -> None:
        self.splits = Splits()
        self.fates = {mailbox(f"{name}@mirage.example"): iter(fate) for name, fate in fates.items()}
        self.closed: dict[Mailbox, Standing] = {}
        """What the ledger knows."""
        self.transactions = 0

    def transaction(
        self, recipients: list[Mailbox], *, asks_at_once: bool
    ) -> tuple[list[Mailbox], Standing | None]:
        """Who was accepted, and the one answer."""
        accepted: list[Mailbox] = []
        for group in [recipients] if asks_at_once else [[each] for each in recipients]:
            accepted += self._ask(accepted[:1], group)
        # The receiver opens the real transaction for all of them when the message is here.
        accepted = self._ask([], accepted)
        if not accepted:
            return [], None
        self.transactions += 1
        ended = {each: self._end(each) for each in accepted}
        self.splits.at_end(HINT, ended, 0)
        standings = set(ended.values())
        return accepted, standings.pop() if len(standings) == 1 else OPEN

    def _ask(self, before: list[Mailbox], group: list[Mailbox]) -> list[Mailbox]:
        """One question: a transaction of its own at the relay, the first accepted recipient repeated."""
        accepted: list[Mailbox] = []
        for each in [*before, *group]:
            first = accepted[0] if accepted else None
            if self.splits.at_recipient(HINT, first, each, 0) is None:
                accepted.append(each)
        return accepted[len(before) :]

    def _end(self, recipient: Mailbox) -> Standing:
        if recipient not in self.closed:
            standing = {"d": DELIVERED, "r": REFUSED, "o": OPEN}[next(self.fates[recipient])]
            if standing is OPEN:
                return OPEN
            self.closed[recipient] = standing
        return self.closed[recipient]


def postfix(service: Service, recipients: list[Mailbox]) -> Iterator[dict[Mailbox, Standing]]:
    """All that are left in one transaction, in the same order, whenever the queue runs; RCPTs at once."""
    yield from _queue_runs(service, recipients, asks_at_once=True, goes_on=False)


def eager(service: Service, recipients: list[Mailbox]) -> Iterator[dict[Mailbox, Standing]]:
    """RCPT by RCPT; those told to wait come in further transactions of the same connection."""
    yield from _queue_runs(service, recipients, asks_at_once=False, goes_on=True)


def _queue_runs(
    service: Service, recipients: list[Mailbox], *, asks_at_once: bool, goes_on: bool
) -> Iterator[dict[Mailbox, Standing]]:
    told: dict[Mailbox, Standing] = {}
    while left := [each for each in recipients if each not in told]:
        while left:
            accepted, answer = service.transaction(left, asks_at_once=asks_at_once)
            if answer is not None and answer is not OPEN:
                told.update(dict.fromkeys(accepted, answer))
            left = [each for each in left if each not in accepted] if goes_on and accepted else []
        yield told


@pytest.mark.parametrize("sender", [postfix, eager])
@pytest.mark.parametrize("order", list(permutations([A, B, C])))
def test_every_recipient_gets_one_true_answer(sender: object, order: tuple[Mailbox, ...]) -> None:
    assert callable(sender)
    service = Service(a="d", b="r", c="ooooooood")
    runs = list(sender(service, list(order)))

    assert runs[-1] == {A: DELIVERED, B: REFUSED, C: DELIVERED}
    assert len(runs) <= 11  # C alone needs nine


@pytest.mark.parametrize("sender", [postfix, eager])
def test_who_is_done_hears_so_long_before_the_open_one_is(sender: object) -> None:
    assert callable(sender)
    service = Service(c="o" * 100, a="d", b="r", d="d")
    runs = sender(service, [C, A, B, D])
    for _ in range(4):
        told = next(runs)

    assert told == {A: DELIVERED, D: DELIVERED, B: REFUSED}


def test_the_same_outcome_needs_no_second_transaction() -> None:
    service = Service(a="d", b="d")

    assert list(postfix(service, [A, B])) == [{A: DELIVERED, B: DELIVERED}]
    assert service.transactions == 1
    assert len(service.splits) == 0


def test_the_reply_is_none_that_exim_keeps() -> None:
    """After 452 Exim lets the recipient share the fate of the transaction under way, even a refusal."""
    assert (IN_ANOTHER.code, IN_ANOTHER.enhanced) == (451, "4.5.3")


def splits() -> Splits:
    made = Splits()
    made.at_end(HINT, MIXED, 0)
    return made


def test_the_first_recipient_decides_the_class() -> None:
    given = splits()

    assert given.at_recipient(HINT, None, A, 0) is None
    assert [given.at_recipient(HINT, A, each, 0) for each in (A, B, C, D)] == [None, *[IN_ANOTHER] * 3]
    assert given.at_recipient(HINT, B, B, 0) is None
    assert given.at_recipient(HINT, C, D, 0) is None


def test_who_is_open_lets_others_pass_some_times_only() -> None:
    given = splits()

    answers = [given.at_recipient(HINT, None, C, 0) for _ in range(MAX_WAITS + 1)]
    assert answers == [*[IN_ANOTHER] * MAX_WAITS, None]


def test_who_is_open_waits_for_nobody_once_the_others_have_their_answer() -> None:
    given = splits()
    given.at_end(HINT, {A: DELIVERED}, 0)
    given.at_end(HINT, {B: REFUSED}, 0)

    assert given.at_recipient(HINT, None, C, 0) is None
    given.at_end(HINT, {C: DELIVERED}, 0)
    assert len(given) == 0


@pytest.mark.parametrize("hint", [Hint(None, 1234), Hint(SENDER, None), Hint(SENDER, 4321)])
def test_another_message_is_not_split(hint: Hint) -> None:
    assert splits().at_recipient(hint, A, B, 0) is None


def test_memory_is_bounded_in_time_and_number() -> None:
    given = splits()
    assert given.at_recipient(HINT, A, B, LIFE_S - 1) is IN_ANOTHER
    assert given.at_recipient(HINT, A, B, LIFE_S) is None
    assert len(given) == 0

    small = Splits(max_splits=1)
    small.at_end(HINT, MIXED, 0)
    other = Hint(None, None)
    small.at_end(other, MIXED, 0)
    assert len(small) == 1
    assert small.at_recipient(HINT, A, B, 0) is None
    assert small.at_recipient(other, A, B, 0) is IN_ANOTHER


def test_replies_have_standings() -> None:
    replies = [Reply(250, "2.0.0", "x"), Reply(550, "5.1.1", "x"), Reply(451, "4.3.0", "x")]

    assert [standing_of(each) for each in replies] == [DELIVERED, REFUSED, OPEN]
