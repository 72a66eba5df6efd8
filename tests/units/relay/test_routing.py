"""Routing: where a recipient goes, who may go in clear, one copy a target."""

import pytest

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser
from ptt.units.relay.routing import (
    CIRCLE,
    MAX_TARGETS,
    NO_TARGET,
    TOO_MANY_TARGETS,
    UNKNOWN_USER,
    Directory,
    Lane,
    Routed,
    Router,
    Target,
)

REMOTE = Name.of("remote.example")


def user(local_part: str, *targets: str, **rights: object) -> RelayUser:
    return RelayUser(local_part, tuple(map(mailbox, targets)), **rights)  # type: ignore[arg-type]


def directory(*users: RelayUser) -> Directory:
    return Directory(
        frozenset({Name.of("mirage.example"), Name.of("other.example")}),
        UserList({each.local_part: each for each in users}, {}),
        Name.of("mail.mirage.example"),
    )


def router(*users: RelayUser, clear: bool = True, smarthost: bool = False) -> Router:
    return Router(directory(*users), sender_may_be_clear=clear, to_smarthost=smarthost)


def routed(given: Routed | Reply) -> Routed:
    assert isinstance(given, Routed)
    return given


def targets(given: Routed | Reply) -> list[str]:
    return [str(target.mailbox) for target in routed(given).targets]


def test_a_foreign_recipient_is_its_own_target() -> None:
    bob = mailbox("bob@remote.example")

    assert router().route(bob) == Routed(bob, (Target(bob, Lane(REMOTE, may_be_clear=True)),))


def test_a_literal_is_a_destination_of_its_own() -> None:
    bob = mailbox("bob@[192.0.2.1]")

    assert routed(router().route(bob)).targets[0].lane == Lane(bob.domain, may_be_clear=True)
    assert str(routed(router(clear=False).route(bob)).targets[0].lane) == "[192.0.2.1] (TLS)"


def test_everything_goes_to_a_smarthost_and_never_in_clear() -> None:
    way = router(user("alice", "alice@home.example"), smarthost=True)
    lanes = {
        target.lane
        for text in ("bob@remote.example", "carol@[192.0.2.1]", "alice@mirage.example")
        for target in routed(way.route(mailbox(text))).targets
    }

    assert lanes == {Lane(None, may_be_clear=False)}
    assert str(lanes.pop()) == "smarthost (TLS)"


def test_a_user_of_ours_is_mapped_to_each_target_once() -> None:
    alice = user("alice", "a@home.example", "b@remote.example", "A@home.example", "a@HOME.example")
    found = routed(router(alice).route(mailbox("Alice+news@mirage.example")))

    assert targets(found) == ["a@home.example", "b@remote.example", "A@home.example"]
    assert found.user == alice


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("nobody@mirage.example", UNKNOWN_USER),
        ("sender@mirage.example", NO_TARGET),
        ("round@mirage.example", CIRCLE),
        ("ghost@mirage.example", UNKNOWN_USER),
        ("only@other.example", UNKNOWN_USER),
        ("list@mirage.example", TOO_MANY_TARGETS),
    ],
)
def test_what_is_ours_and_goes_nowhere_is_refused(address: str, expected: Reply) -> None:
    way = router(
        user("sender"),
        user("round", "trip@other.example"),
        user("trip", "round@mirage.example"),
        user("ghost", "nobody@other.example"),
        user("only", "o@home.example", domains=(Name.of("mirage.example"),)),
        user("list", *(f"u{number}@home.example" for number in range(MAX_TARGETS + 1))),
    )

    assert way.route(mailbox(address)) == expected


def test_aliases_of_ours_are_followed_each_once() -> None:
    way = router(
        user("team", "alice@mirage.example", "bob@other.example", "x@home.example", "gone@mirage.example"),
        user("alice", "alice@home.example", "bob@mirage.example"),
        user("bob", "bob@home.example", "team@mirage.example"),
    )
    found = routed(way.route(mailbox("team@mirage.example")))

    assert targets(found) == ["alice@home.example", "bob@home.example", "x@home.example"]
    assert found.dead == (mailbox("gone@mirage.example"),)


def test_the_postmaster_of_our_host_is_ours_and_nobody_else_there() -> None:
    way = router(user("postmaster", "p@home.example", domains=(Name.of("other.example"),)))

    assert targets(way.route(mailbox("Postmaster@mail.mirage.example"))) == ["p@home.example"]
    assert targets(way.route(mailbox("p@mail.mirage.example"))) == ["p@mail.mirage.example"]


@pytest.mark.parametrize(
    ("sender", "recipient", "expected"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_mail_goes_in_clear_only_where_everybody_may(sender: bool, recipient: bool, expected: bool) -> None:
    way = router(user("alice", "a@home.example", insecure=recipient), clear=sender)

    assert [t.lane.may_be_clear for t in routed(way.route(mailbox("alice@mirage.example"))).targets] == [
        expected
    ]


def test_a_right_counts_along_the_whole_chain() -> None:
    way = router(
        user("strict", "lax@mirage.example"),
        user("lax", "l@home.example", insecure=True),
    )

    assert not routed(way.route(mailbox("strict@mirage.example"))).targets[0].lane.may_be_clear
    # The copy that goes already is as strict as this one needs, so there is no second.
    assert not routed(way.route(mailbox("lax@mirage.example"))).targets[0].lane.may_be_clear


def test_a_target_that_went_in_clear_gets_a_strict_copy_for_whom_it_may_not() -> None:
    way = router(user("alice", "bob@remote.example"))
    first = routed(way.route(mailbox("bob@remote.example"))).targets
    second = routed(way.route(mailbox("alice@mirage.example"))).targets

    assert [first[0].lane.may_be_clear, second[0].lane.may_be_clear] == [True, False]


def test_one_target_behind_two_recipients_is_one_target() -> None:
    way = router(user("a", "x@home.example"), user("b", "x@home.example"), clear=False)
    first, second = (routed(way.route(mailbox(f"{name}@mirage.example"))) for name in "ab")

    assert first.targets == second.targets


@pytest.mark.parametrize(
    ("login", "expected"), [(None, False), ("lax", True), ("LAX@mirage.example", True), ("x", False)]
)
def test_the_right_of_the_sender_is_that_of_the_login(login: str | None, expected: bool) -> None:
    users = directory(user("lax", insecure=True), user("x"))

    assert users.may_send_in_clear(login) is expected
