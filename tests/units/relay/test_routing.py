"""Routing: where a recipient goes, who may go in clear, one copy a target."""

from dataclasses import replace

import msgspec
import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.records.alias_book import MAX_PATTERNS
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser, parse_relay_user
from ptt.units.relay.rights import NOT_ALLOWED, NOT_OURS, Rights, rights_of
from ptt.units.relay.routing import (
    CIRCLE,
    MAX_CHAIN,
    MAX_TARGETS,
    NO_LIST,
    NO_TARGET,
    TOO_MANY_TARGETS,
    UNKNOWN_USER,
    Directory,
    Lane,
    Routed,
    Router,
    Target,
    alarms_of,
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
        user("bob", "bob@home.example"),
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


def inbound(given: Directory, **options: object) -> Router:
    return Router(
        given,
        sender_may_be_clear=True,
        to_smarthost=False,
        rights=Rights.OURS,
        **options,  # type: ignore[arg-type]
    )


def test_rights_come_by_the_unit_that_calls() -> None:
    assert [rights_of(name) for name in ("signer", "spam_filter", "receiver", None)] == [
        Rights.ANYBODY,
        Rights.OURS,
        None,
        None,
    ]
    assert NOT_ALLOWED.code == NOT_OURS.code == 550


def test_a_strangers_mail_is_for_our_domains_only() -> None:
    way = inbound(directory(user("alice", "a@home.example", insecure=True)))

    assert way.route(mailbox("bob@remote.example")) == NOT_OURS
    assert way.route(mailbox("bob@[192.0.2.1]")) == NOT_OURS
    assert way.route(mailbox("nobody@mirage.example")) == UNKNOWN_USER
    (target,) = routed(way.route(mailbox("Alice+tag@other.example"))).targets
    assert target.lane == Lane(
        Name.of("home.example"), may_be_clear=True, alias=mailbox("alice@other.example")
    )


def test_each_alias_has_a_lane_and_a_target_behind_two_one_copy() -> None:
    way = inbound(
        directory(user("alice", "a@home.example"), user("team", "alice@mirage.example", "b@home.example"))
    )
    team = routed(way.route(mailbox("team@mirage.example")))
    alice = routed(way.route(mailbox("alice@mirage.example")))

    assert [(str(each.mailbox), str(each.lane.alias)) for each in team.targets] == [
        ("a@home.example", "alice@mirage.example"),
        ("b@home.example", "team@mirage.example"),
    ]
    assert alice.targets == team.targets[:1]


def test_a_bounce_goes_back_to_whom_its_address_names() -> None:
    sender, ours = mailbox("bob@remote.example"), mailbox("alice@mirage.example")
    ways: dict[str, Mailbox | Reply] = {"back": sender, "ours": ours, "bad": UNKNOWN_USER}

    def way_back(recipient: Mailbox) -> Mailbox | Reply | None:
        return ways.get(recipient.local_part) if recipient.domain == Name.of("srs.example") else None

    way = inbound(directory(user("alice", "a@home.example")), way_back=way_back)
    back = mailbox("back@srs.example")
    assert way.route(back) == Routed(back, (Target(sender, Lane(REMOTE, may_be_clear=True)),))
    assert way.route(mailbox("bad@srs.example")) == UNKNOWN_USER
    (target,) = routed(way.route(mailbox("ours@srs.example"))).targets
    assert (target.mailbox, target.lane.alias) == (mailbox("a@home.example"), ours)


ROOT = user("root", "root@home.example")


@pytest.mark.parametrize(
    "address", ["postmaster@mirage.example", "ABUSE@other.example", "abuse@mail.mirage.example"]
)
def test_mail_for_who_runs_the_service_reaches_them(address: str) -> None:
    given = replace(directory(user("alice", "a@home.example")), postmaster=ROOT)

    assert targets(inbound(given).route(mailbox(address))) == ["root@home.example"]


def test_the_postmaster_without_a_domain_is_ours() -> None:
    bare = Mailbox("Postmaster", Name.of("relay"), b"Postmaster")
    given = replace(directory(user("alice", "a@home.example")), postmaster=ROOT)
    (target,) = routed(inbound(given).route(bare)).targets

    assert target.lane.alias == mailbox("root@mail.mirage.example")
    assert inbound(directory(user("alice"))).route(bare) == UNKNOWN_USER
    of_the_list = directory(user("postmaster", "p@home.example", domains=(Name.of("mirage.example"),)))
    assert targets(inbound(of_the_list).route(bare)) == ["p@home.example"]


def test_a_catch_all_has_what_is_nobodys() -> None:
    alice = user("alice", "a@home.example", domains=(Name.of("mirage.example"),))
    way = inbound(replace(directory(alice), catch_all=user("*", "c@home.example")))

    assert targets(way.route(mailbox("alice@mirage.example"))) == ["a@home.example"]
    for address in ("alice@other.example", "nobody@mirage.example", "postmaster@mirage.example"):
        assert targets(way.route(mailbox(address))) == ["c@home.example"]


def test_nobody_is_unknown_without_a_sound_list() -> None:
    alice = mailbox("alice+tag@mirage.example")
    assert router().route(alice) == NO_LIST
    assert inbound(replace(directory(), catch_all=ROOT)).route(alice) == NO_LIST
    assert targets(inbound(replace(directory(), postmaster=ROOT)).route(mailbox("abuse@mirage.example")))

    faulty = UserList({"team": user("team", "alice@mirage.example")}, {"Alice": Malformed("bad")})
    way = inbound(replace(directory(), users=faulty))
    assert way.route(alice) == NO_LIST
    assert way.route(mailbox("team@mirage.example")) == NO_LIST
    assert way.route(mailbox("bob@mirage.example")) == UNKNOWN_USER


def test_an_alias_that_cannot_be_written_is_as_it_was_addressed() -> None:
    address = mailbox("x@mirage.example")

    assert directory().alias_of(user("a" * 65), address) == address


def alias(local_part: str, **fields: object) -> RelayUser:
    file = msgspec.json.encode({"targets": [], **fields})
    read = parse_relay_user(local_part, file)
    assert isinstance(read, RelayUser), read
    return read


def from_boss(*users: RelayUser) -> Router:
    return replace(router(*users), reverse_path=mailbox("boss@work.example"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"action": "refuse"}, "550 5.2.1 This address takes no mail any more."),
        ({"action": "refuse", "text": "Write to us."}, "550 5.2.1 Write to us."),
        ({"action": "defer"}, "450 4.2.1 This address takes no mail at this moment. Please try again later."),
        ({"action": "defer", "text": "We move."}, "450 4.2.1 We move."),
        ({"senders": ["@home.example"]}, "550 5.7.1 This address takes mail from certain senders only."),
    ],
)
def test_what_an_alias_answers(fields: dict[str, object], expected: str) -> None:
    way = from_boss(alias("old", targets=["a@home.example"], **fields))
    assert str(way.route(mailbox("old@mirage.example"))) == expected


def test_mail_that_is_discarded_has_no_targets() -> None:
    old = alias("old", targets=["a@home.example"], action="drop")
    recipient = mailbox("old@mirage.example")
    assert from_boss(old).route(recipient) == Routed(recipient, (), old, is_discarded=True)


def test_an_alias_says_of_its_part_of_a_team_what_becomes_of_it() -> None:
    team = alias("team", targets=["old@mirage.example", "x@home.example"])
    recipient = mailbox("team@mirage.example")
    for fields, dead in (
        ({"action": "drop"}, ()),
        ({"action": "refuse"}, (mailbox("old@mirage.example"),)),
        ({"senders": ["@home.example"]}, (mailbox("old@mirage.example"),)),
    ):
        found = routed(from_boss(team, alias("old", targets=["a@home.example"], **fields)).route(recipient))
        assert targets(found) == ["x@home.example"]
        assert found.dead == dead
    put_off = from_boss(team, alias("old", action="defer")).route(recipient)
    assert isinstance(put_off, Reply)
    assert put_off.is_temporary


def test_a_team_of_the_discarded_and_the_refused_is_refused() -> None:
    way = from_boss(
        alias("team", targets=["old@mirage.example", "gone@mirage.example"]),
        alias("old", action="drop"),
        alias("gone", action="refuse", text="Gone."),
    )
    assert str(way.route(mailbox("team@mirage.example"))) == "550 5.2.1 Gone."


def test_senders_who_may_write() -> None:
    way = from_boss(alias("team", targets=["a@home.example"], senders=["boss@work.example"]))
    assert targets(way.route(mailbox("team@mirage.example"))) == ["a@home.example"]
    bounce = replace(way, reverse_path=None).route(mailbox("team@mirage.example"))
    assert isinstance(bounce, Reply)
    assert bounce.is_permanent


def test_an_expression_and_its_targets() -> None:
    way = Router(
        directory(
            alias("desk", targets=["d+$1@home.example"], pattern="t-([0-9]+)"),
            alias("both", targets=["t-1@mirage.example", "t-2@mirage.example"]),
            alias("rest", targets=["r@home.example"], catch_all=True, domains=["other.example"]),
        ),
        sender_may_be_clear=True,
        to_smarthost=False,
        rights=Rights.OURS,
    )
    (target,) = routed(way.route(mailbox("T-7@mirage.example"))).targets
    assert str(target.mailbox) == "d+7@home.example"
    assert target.lane.alias == mailbox("t-7@mirage.example")
    assert targets(way.route(mailbox("both@mirage.example"))) == ["d+1@home.example", "d+2@home.example"]
    assert targets(way.route(mailbox("nobody@other.example"))) == ["r@home.example"]
    assert way.route(mailbox("nobody@mirage.example")) == UNKNOWN_USER


def test_an_expression_that_makes_its_own_address_is_a_circle() -> None:
    way = router(alias("desk", targets=["x-$1@mirage.example"], pattern="x-(.*)"))
    assert way.route(mailbox("x-a@mirage.example")) == CIRCLE


def test_a_broken_file_that_may_be_for_anybody_leaves_doubt() -> None:
    list_ = UserList({"a": alias("a", catch_all=True, targets=["r@home.example"])}, {}, frozenset({"b"}))
    way = Router(replace(directory(), users=list_), sender_may_be_clear=True, to_smarthost=False)
    assert way.route(mailbox("nobody@mirage.example")) == NO_LIST
    assert targets(way.route(mailbox("a@mirage.example"))) == ["r@home.example"]


def test_a_circle_is_temporary_even_where_there_are_other_targets() -> None:
    way = router(
        user("a", "b@mirage.example", "a@home.example"),
        user("b", "a@other.example"),
        user("before", "a@mirage.example"),
    )
    for name in ("a", "b", "before"):
        assert way.route(mailbox(f"{name}@mirage.example")) == CIRCLE
    assert [line.partition(":")[0] for line in alarms_of(way.directory)] == ["a", "b"]
    assert "a -> b -> a" in alarms_of(way.directory)[0]


def test_a_chain_is_followed_only_so_far() -> None:
    chain = [user(f"u{number}", f"u{number + 1}@mirage.example") for number in range(MAX_CHAIN)]
    way = router(*chain, user(f"u{MAX_CHAIN}", "a@home.example"))
    assert way.route(mailbox("u0@mirage.example")) == TOO_MANY_TARGETS
    assert targets(way.route(mailbox("u1@mirage.example"))) == ["a@home.example"]


def test_files_that_are_not_looked_at_are_an_alarm() -> None:
    given = directory(*(alias(f"p{number:03}", pattern=f"x{number}") for number in range(MAX_PATTERNS + 1)))
    assert [line.partition(":")[0] for line in alarms_of(given)] == [f"p{MAX_PATTERNS:03}"]


def test_who_is_reached_in_two_ways_has_the_stricter() -> None:
    way = router(
        user("team", "a@mirage.example", "b@mirage.example", insecure=True),
        user("a", "c@mirage.example", insecure=True),
        user("b", "c@mirage.example"),
        user("c", "c@home.example", insecure=True),
    )
    (target,) = routed(way.route(mailbox("team@mirage.example"))).targets
    assert not target.lane.may_be_clear
