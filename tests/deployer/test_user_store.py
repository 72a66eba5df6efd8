"""What a change of users comes to, or why not; and how passwords move."""

import json
from collections.abc import Mapping

import pytest

from ptt.deployer.operator_git import Edit
from ptt.deployer.user_inspection import findings, rows_of
from ptt.deployer.user_store import (
    PASSWORDS,
    Wanted,
    added,
    changed,
    file_of,
    removed,
    with_fields,
    with_verifier,
)
from ptt.deployer.user_upgrade import move_in, move_out
from ptt.errors import ConfigError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.records.logins import Login, parse_login
from ptt.records.passwords import make_argon2id, make_blake2b, make_scram, verify

OURS = frozenset({Name.of("example.org")})
VERIFIER = make_argon2id("secret", bytes(16))
HASH = make_blake2b("old secret").text


def file(*targets: str, **fields: object) -> bytes:
    return json.dumps({"targets": targets, **fields}).encode()


def login(**fields: object) -> bytes:
    return json.dumps({"verifier": VERIFIER.text, **fields}).encode()


ALICE = {"alice": file("a@home.example")}


def after(files: Mapping[str, bytes], edit: Edit | None) -> dict[str, bytes]:
    changes = {} if edit is None else edit.changes
    kept = {name: content for name, content in files.items() if changes.get(name, b"") is not None}
    return {**kept, **{name: content for name, content in changes.items() if content is not None}}


def test_a_new_user() -> None:
    edit = added({}, Wanted("john doe", {"targets": ["j@home.example"]}), overwrites=False)
    assert edit == Edit({'"john doe"': b'{"targets":["j@home.example"]}'}, 'New user "john doe" added')


def test_nothing_is_overwritten_unless_it_is_meant() -> None:
    wanted = Wanted("Alice", {"targets": ["new@home.example"]})
    with pytest.raises(ConfigError, match=r"relay.git/alice: there is such a user already\n  .*--overwrite"):
        added({"alice": file("a@home.example", reveal=True)}, wanted, overwrites=False)
    edit = added({"alice": file("a@home.example", reveal=True)}, wanted, overwrites=True)
    assert edit.changes == {"alice": b'{"targets":["new@home.example"]}'}


def test_a_change_leaves_the_rest() -> None:
    edit = changed({"alice": file("a@b.example", x=1, reveal=True)}, Wanted("alice", {"reveal": None}))
    assert json.loads(edit.changes["alice"] or b"") == {"targets": ["a@b.example"], "x": 1}


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("alice", {"targets": ["b"]}, "relay.git/alice: targets\\[0\\]: not a mailbox\n  each target"),
        ("alice", {"action": "later"}, 'action: .*\n  write "forward"'),
        ("alice", {"targets": ["alice@example.org"]}, "lead back to itself: alice -> alice"),
        ("alice", {"targets": ["team@example.org"]}, "alice -> team -> alice"),
        ("alise", {}, "no such user\n  did you mean alice"),
        ("zoe", {}, "no such user\n  ptt user list"),
        ("alice@example.org", {}, "without their domain\n  alice, .*--domains example.org"),
        ("a\0b", {}, "no name of a user"),
    ],
)
def test_what_is_refused(name: str, fields: dict[str, object], says: str) -> None:
    files = {**ALICE, "team": file("alice@example.org")}
    with pytest.raises(ConfigError, match=says):
        changed(files, Wanted(name, fields, OURS))


def test_a_broken_file_is_not_changed() -> None:
    with pytest.raises(ConfigError, match=r"relay.git/alice: not JSON\n  mend the file"):
        changed({"alice": b"{"}, Wanted("alice", {"insecure": True}))
    assert added({"alice": b"{"}, Wanted("alice", {"targets": []}), overwrites=True).changes["alice"]
    with pytest.raises(ConfigError, match=r"passwords.git/alice: not JSON\n  ptt user remove alice"):
        with_verifier({"alice": b"{"}, "alice", VERIFIER)
    with pytest.raises(ConfigError, match=r"passwords.git/alice: not JSON\n  ptt user passwd alice"):
        with_fields({"alice": b"{"}, "alice", {"send_as": None})


def test_removing() -> None:
    files = {name: file() for name in ("a", "b", "c", "d", "e", "README")}
    assert removed(files, ["A"], is_meant=False) == Edit({"a": None}, "User a removed")
    assert removed(files, ["a", "b"], is_meant=True).message == "Users a, b removed"
    most = ["a", "b", "c", "d"]
    with pytest.raises(ConfigError, match=r"4 of 6 users would go, more than half\n  .*--yes"):
        removed(files, most, is_meant=False)
    assert removed(files, most, is_meant=True).message == "Users a, b, c, d removed\n\nUsers-Removed: yes"
    with pytest.raises(ConfigError, match="nobody would be left"):
        removed(files, list(files), is_meant=True)
    assert removed({"a": b"{"}, ["a"], is_meant=False).changes == {"a": None}
    assert removed({"a": login(), "b": login()}, ["a"], is_meant=False, repository=PASSWORDS).changes


def test_a_verifier_takes_the_place_of_another_and_leaves_the_rights() -> None:
    files = {"alice": login(send_as=["info@example.org"], domains=["example.org"])}
    edit = with_verifier(files, "Alice", make_scram("x", bytes(16)))
    assert edit.message == "Password of alice changed"
    read = parse_login("alice", edit.changes["alice"] or b"")
    assert isinstance(read, Login)
    assert read.send_as == (mailbox("info@example.org"),)
    fresh = with_verifier(files, "alice", VERIFIER, is_new=True, domains=[]).changes["alice"]
    assert json.loads(fresh or b"") == {"verifier": VERIFIER.text}
    bob = with_verifier(files, "bob", VERIFIER, send_as=[mailbox("b@example.org")], domains=["example.org"])
    assert bob.message == "New user bob added"
    assert json.loads(bob.changes["bob"] or b"")["domains"] == ["example.org"]


def test_rights_change_and_a_mistake_in_them_is_named() -> None:
    edit = with_fields({"alice": login()}, "alice", {"send_as": ["@example.org"]})
    assert json.loads(edit.changes["alice"] or b"")["send_as"] == ["@example.org"]
    with pytest.raises(ConfigError, match=r"passwords.git/alice: send_as\[0\]"):
        with_fields({"alice": login()}, "alice", {"send_as": ["@"]})


def test_file_names() -> None:
    assert file_of("ALICE", {"README.md": b"", "Alice": b""}) == "Alice"
    assert file_of('"a b"', {'"a b"': b""}) == '"a b"'
    assert file_of("bob", {"a@b": b"", "alice": b""}) is None


# Moving


RELAY = {
    "alice": file("a@home.example", password=HASH, insecure=True),
    "bob": file(password=VERIFIER.text, domains=["example.org"]),
    "carol": file("c@home.example", password=HASH),
    "dora": file("d@home.example"),
    "erik": file("e@home.example", password="hunter2"),
    ".hidden": b"",
}
THERE = {"Carol": login(), "alice": b"broken"}


def test_verifiers_move_and_the_old_password_still_logs_in() -> None:
    moving = move_in(RELAY, THERE, lambda: bytes(16))
    assert (moving.moved, moving.kept) == (("alice", "bob"), ("carol",))
    assert list(moving.mistakes) == ["erik"]
    assert "hunter2" not in str(moving)
    passwords = after(THERE, moving.edit)
    alice, bob = parse_login("alice", passwords["alice"]), parse_login("bob", passwords["bob"])
    assert isinstance(alice, Login)
    assert verify(alice.verifier, "old secret")
    assert isinstance(bob, Login)
    assert (bob.verifier, bob.domains) == (VERIFIER, (Name.of("example.org"),))
    relay = after(RELAY, move_out(RELAY, passwords, moving.sources))
    assert [name for name, content in relay.items() if b"password" in content] == ["erik"]
    assert json.loads(relay["alice"]) == {"targets": ["a@home.example"], "insecure": True}
    assert move_in(relay, passwords, lambda: bytes(16)).edit is None
    assert move_out(relay, passwords, {}) is None


def test_a_verifier_that_changed_or_has_not_arrived_stays() -> None:
    moving = move_in(RELAY, {}, lambda: bytes(16))
    passwords = after({}, moving.edit)
    newer = {**RELAY, "alice": file(password=make_blake2b("newer").text)}
    edit = move_out(
        newer, {name: content for name, content in passwords.items() if name != "bob"}, moving.sources
    )
    assert edit is not None
    assert list(edit.changes) == ["carol"]


# What is there


def test_rows() -> None:
    relay = {
        **RELAY,
        "desk": file("d+$1@b.example", pattern="t-(.)", domains=["example.org"], senders=["@example.org"]),
        "old": file(action="refuse", text="Gone.", need="all", reveal=True),
        "rest": file("r@home.example", action="defer", catch_all=True),
        "broken": b"{",
    }
    passwords = {
        "alice": login(send_as=["info@example.org", "@example.net"]),
        "zoe": json.dumps({"verifier": make_scram("x", bytes(16)).text}).encode(),
    }
    shown = {row.name: (row.targets, row.password, row.says) for row in rows_of(relay, passwords)}
    assert shown["alice"] == (
        ("a@home.example",),
        "argon2id",
        ("sends as info@example.org, @example.net",),
    )
    assert shown["bob"] == ((), "argon2id", ("in example.org",))
    assert shown["carol"][1] == "blake2b"
    assert shown["erik"][1] == ""
    says = ("for t-(.)", "from @example.org", "in example.org")
    assert shown["desk"] == (("d+$1@b.example",), "", says)
    assert shown["old"][2] == ("refuse: Gone.", "need all", "reveal")
    assert shown["rest"][2] == ("defer", "catch-all")
    assert shown["zoe"] == ((), "scram-sha-256", ("no file in relay.git",))
    assert "broken" not in shown


def test_every_mistake_has_its_place() -> None:
    relay = {
        "alice": b'{\n "targets": ["a@home.example",\n  "nobody@example.org", "postmaster@example.org"]\n}',
        "Bob": file(),
        "bob": file(),
        "broken": b'{"targets": [],\n}',
        "erik": b'{"targets": [],\n "password": "hunter2"}',
        "round": file("round@example.org"),
        "typo": b'{"targets": [],\n "sender": ["a@b"], "note": 1}',
        "list": b"[]",
    }
    passwords = {"alice": b'{"verifier":\n"x"}', "zoe": login(note=1), "broken": login()}
    found = findings(relay, passwords, OURS)
    told = {(each.file, each.fault.line, each.is_mistake) for each in found}
    assert told == {
        ("passwords.git/alice", 2, True),
        ("relay.git/alice", 3, True),
        ("relay.git/bob", 0, True),
        ("relay.git/broken", 2, True),
        ("relay.git/erik", 2, True),
        ("relay.git/list", 1, True),
        ("relay.git/round", 1, True),
        ("passwords.git/zoe", 0, False),
        ("passwords.git/zoe", 1, False),
        ("relay.git/typo", 2, False),
    }
    assert [each.is_mistake for each in found] == [True] * 7 + [False] * 4
    assert any(each.fault.mend == "did you mean senders?" for each in found)
    assert "hunter2" not in str(found)
    assert found[1].text.startswith(
        "relay.git/alice:3: targets[1]: nobody@example.org: there is no such user\n"
    )


def test_old_passwords_are_noted_where_there_is_somewhere_to_move_them() -> None:
    assert not findings({"alice": file(password=HASH)}, None, frozenset())
    [note] = findings({"alice": file(password=HASH)}, {}, frozenset())
    assert "ptt user upgrade" in note.text


def test_too_many_expressions_are_a_mistake() -> None:
    relay = {f"p{number:03}": file(pattern=f"x{number}") for number in range(101)}
    [found] = findings(relay, None, OURS)
    assert found.file == "relay.git/p100"
