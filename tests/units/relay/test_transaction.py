"""A transaction's bookkeeping: who is asked, who still wants the message, one reply a recipient."""

from dataclasses import replace

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.attempt import Broke, Said, Stage, Word
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.records.user_list import UserList
from ptt.records.users import Action, RelayUser
from ptt.units.relay.entry import Entry
from ptt.units.relay.fingerprint import FingerprintReader
from ptt.units.relay.ledger import Decision, Deliver, Join, Known
from ptt.units.relay.outcome import DISCARDED, STILL_OPEN, Delivered, Failed, Refused, Wording
from ptt.units.relay.routing import UNKNOWN_USER, Directory, Router, Target
from ptt.units.relay.transaction import Pair, Transaction

ALICE = mailbox("alice@mirage.example")
BOB, CAROL = mailbox("bob@remote.example"), mailbox("carol@remote.example")
GONE = Reply(550, "5.1.1", "No such user.")
BROKE = Broke("mx", Stage.MESSAGE, "reset")


def wording(_user: RelayUser | None) -> Wording:
    return lambda word, recipient: Reply(word.reply.code, None, f"{word.host} on {recipient}")


def said(code: int, stage: Stage = Stage.RECIPIENT) -> Said:
    return Said("mx", stage, RemoteReply(code, None, ("text",)))


def entry() -> Entry:
    return Entry(b"exact", None, names_itself=True, expires_at=0.0)


def transaction(*targets: str, needs_all: bool = False) -> Transaction:
    users = {"alice": RelayUser("alice", tuple(map(mailbox, targets)), needs_all=needs_all)}
    directory = Directory(
        frozenset({Name.of("mirage.example")}), UserList(users, {}), Name.of("mx.mirage.example")
    )
    router = Router(directory, sender_may_be_clear=False, to_smarthost=False)
    return Transaction(router, wording)


def test_what_is_discarded_is_accepted_and_noted() -> None:
    given = transaction("a@home.example")
    old = replace(given.router.directory.users.users["alice"], action=Action.DROP)
    given.router.directory = replace(given.router.directory, users=UserList({"alice": old}, {}))
    assert [reply.code for reply in ask(given, [ALICE], [])] == [250]
    assert [judged.reply for judged in given.judged()] == [DISCARDED]
    assert given.pairs() == []
    assert any("discarded" in note for note in given.describe())


def ask(given: Transaction, recipients: list[Mailbox], words: list[Word]) -> list[Reply]:
    """One group of RCPT: the targets that are asked about get these words, in order."""
    routes = given.route(recipients)
    unasked = [target for targets in given.unasked(routes).values() for target in targets]
    given.words.update(zip(unasked, words, strict=True))
    return [given.answer(routed) for routed in routes]


def decide(given: Transaction, *decisions: Decision) -> None:
    for pair, decision in zip(given.pairs(), decisions, strict=True):
        given.decided(pair, decision)
    given.settle_refusals()


def target(given: Transaction, of: Mailbox) -> Target:
    return next(each for each in given.words if each.mailbox == of)


def codes(given: Transaction) -> list[int]:
    return [judged.reply.code for judged in given.judged()]


def test_recipients_get_the_words_of_their_servers() -> None:
    given = transaction()
    nobody = mailbox("nobody@mirage.example")
    replies = ask(given, [BOB, nobody, CAROL], [said(250), said(452)])

    assert [reply.code for reply in replies] == [250, 550, 452]
    assert replies[1] == UNKNOWN_USER
    assert [routed.recipient for routed in given.accepted] == [BOB]
    # Asked again in the same transaction, nobody is bothered twice.
    assert [reply.code for reply in ask(given, [BOB, CAROL], [])] == [250, 452]
    assert len(given.pairs()) == 1
    assert len(given.describe()) == 2


def test_targets_behind_an_address_of_ours() -> None:
    given = transaction("a@home.example", "b@home.example", "gone@mirage.example")

    assert ask(given, [ALICE], [said(250), said(550)])[0].code == 250
    given.words[target(given, mailbox("a@home.example"))] = said(250, Stage.END)
    (judged,) = given.judged()
    assert judged.reply == Reply(250, "2.0.0", "Delivered.")
    assert judged.alarm is not None
    assert judged.alarm.count("550") == 2


def test_a_user_who_needs_all_is_refused_at_once() -> None:
    given = transaction("a@home.example", "b@home.example", needs_all=True)

    assert ask(given, [ALICE], [said(250), said(550)])[0].code == 550


def test_what_is_not_wanted_any_more() -> None:
    given = transaction()
    ask(given, [BOB, CAROL], [said(250), said(250)])
    bob, carol = target(given, BOB), target(given, CAROL)
    assert given.wanted(bob.lane) == (bob, carol)
    decide(given, Known(entry(), Delivered("ledger", "before")), Join(entry()))

    assert given.wanted(bob.lane) == ()
    given.words[bob] = BROKE
    assert given.may_end()
    assert codes(given) == [250, 451]
    assert given.outcome(Pair(given.accepted[1], carol)) == Failed(
        "another try is still running", STILL_OPEN, is_open=True
    )


def test_a_temporary_failure_holds_back_the_end_and_a_permanent_one_does_not() -> None:
    given = transaction()
    ask(given, [BOB, CAROL], [said(250), said(250)])
    assert given.may_end()
    given.words[target(given, BOB)] = said(552, Stage.MESSAGE)
    assert given.may_end()
    given.words[target(given, CAROL)] = BROKE
    assert not given.may_end()


def test_entries_are_settled_once_and_late_ones_later() -> None:
    given = transaction()
    ask(given, [BOB, CAROL], [said(250), said(250)])
    bob, carol = target(given, BOB), target(given, CAROL)
    first, second = entry(), entry()
    decide(given, Deliver(first), Deliver(second))
    given.words[bob] = said(250, Stage.END)
    given.waiting.add(carol)

    assert given.to_settle(joins_ended=True) == [(first, Delivered("mx", "text"))]
    assert given.to_settle(joins_ended=True) == []
    assert codes(given) == [250, 451]
    given.waiting.clear()
    given.words[carol] = said(554, Stage.END)
    assert given.to_settle(joins_ended=True) == [
        (second, Refused(Reply(554, None, "mx on carol@remote.example")))
    ]
    assert given.left_open() == []


def test_what_nobody_settles_is_left_open() -> None:
    given = transaction()
    ask(given, [BOB], [said(250)])
    waiting = entry()
    decide(given, Deliver(waiting))

    assert given.left_open() == [waiting]
    assert given.left_open() == []


def two_ways_to_one_target() -> Transaction:
    """alice@mirage.example and bob@remote.example are one mailbox."""
    given = transaction("bob@remote.example")
    ask(given, [BOB, ALICE], [said(250)])
    return given


def test_what_one_recipient_knows_of_a_target_counts_for_all() -> None:
    given, mine = two_ways_to_one_target(), entry()
    assert len(given.pairs()) == 2
    decide(given, Deliver(mine), Known(entry(), Delivered("ledger", "before")))

    assert given.wanted(target(given, BOB).lane) == ()
    assert given.to_settle(joins_ended=False) == [(mine, Delivered("ledger", "before"))]
    assert codes(given) == [250, 250]


def test_a_run_to_join_counts_for_all_and_is_waited_for() -> None:
    given, mine = two_ways_to_one_target(), entry()
    decide(given, Join(entry()), Deliver(mine))

    assert given.wanted(target(given, BOB).lane) == ()
    assert given.to_settle(joins_ended=False) == []
    given.known[target(given, BOB)] = Delivered("mx", "Ok")
    assert given.to_settle(joins_ended=True) == [(mine, Delivered("mx", "Ok"))]


def test_delivered_before_is_better_than_a_run_to_join() -> None:
    given = two_ways_to_one_target()
    decide(given, Join(entry()), Known(entry(), Delivered("ledger", "before")))
    assert (given.joined, codes(given)) == ({}, [250, 250])
    given = two_ways_to_one_target()
    decide(given, Known(entry(), Delivered("ledger", "before")), Join(entry()))
    assert (given.joined, codes(given)) == ({}, [250, 250])


def test_a_refusal_from_memory_holds_unless_somebody_is_to_deliver() -> None:
    given = two_ways_to_one_target()
    decide(given, Known(entry(), Refused(GONE)), Deliver(entry()))
    assert len(given.wanted(target(given, BOB).lane)) == 1
    given = two_ways_to_one_target()
    decide(given, Known(entry(), Refused(GONE)), Known(entry(), Refused(GONE)))
    assert given.wanted(target(given, BOB).lane) == ()
    assert codes(given) == [550, 550]


def test_the_ledger_is_asked_about_accepted_targets_alone() -> None:
    given = transaction("a@home.example", "b@home.example")
    ask(given, [ALICE], [said(250), said(550)])
    reader = FingerprintReader(b"secret")
    reader.feed(b"Message-ID: <1@a>\r\n\r\nx\r\n")
    seen = reader.finish()
    (pair, keys), *others = given.keys(seen, None, "alice")

    assert not others
    assert pair.target.mailbox == mailbox("a@home.example")
    assert keys.loose == seen.loose_key("alice", ALICE, pair.target.mailbox)
    assert given.keys(seen, None, None)[0][1].loose is None
