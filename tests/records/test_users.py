"""User files of the original and of ours; what is wrong in one is named."""

import json

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.records.json_file import change_file
from ptt.records.users import Action, RelayUser, parse_relay_user, without_password

ORIGINAL = b'{"targets":["alice@home.example","<a@b.example>"],"password":"ab12","insecure":true}'


def test_a_file_of_the_original() -> None:
    assert parse_relay_user("alice", ORIGINAL) == RelayUser(
        "alice", (mailbox("alice@home.example"), mailbox("a@b.example")), insecure=True
    )


def test_defaults() -> None:
    user = parse_relay_user('"john doe"', b'{"targets":[]}')
    assert user == RelayUser("john doe", (), insecure=False, domains=None, needs_all=False, reveals=False)


def test_fields_of_ours() -> None:
    user = parse_relay_user(
        "info", b'{"targets":["a@b.example"],"domains":["Example.ORG"],"need":"all","reveal":true}'
    )
    assert isinstance(user, RelayUser)
    assert user.needs_all
    assert user.reveals
    assert user.is_in(Name.of("example.org"))
    assert not user.is_in(Name.of("example.net"))
    assert RelayUser("x", ()).is_in(Name.of("example.net"))


def test_the_same_target_twice_is_one() -> None:
    user = parse_relay_user("a", b'{"targets":["a@b.example","a@B.EXAMPLE"]}')
    assert isinstance(user, RelayUser)
    assert len(user.targets) == 1


def test_the_relay_does_not_look_at_the_password() -> None:
    assert isinstance(parse_relay_user("a", b'{"targets":[],"password":5,"later":{"x":[1]}}'), RelayUser)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a..b", b'{"targets":[]}', "name"),
        ("a@b", b'{"targets":[]}', "name"),
        ("a", b"", "not JSON"),
        ("a", b'{"targets":["\xff@b"]}', "not JSON"),
        ("a", b"[]", "Expected `object`"),
        ("a", b"{}", "`targets`"),
        ("a", b'{"targets":"a@b"}', "`targets`"),
        ("a", b'{"targets":["a@b",1]}', "`targets[1]`"),
        ("a", b'{"targets":["a@b","b"]}', "`targets[1]`"),
        ("a", b'{"targets":["\\ud800@b"]}', "not JSON"),
        ("a", b'{"targets":[],"insecure":1}', "`insecure`"),
        ("a", b'{"targets":[],"domains":["-"]}', "`domains[0]`"),
        ("a", b'{"targets":[],"need":"some"}', "`need`"),
        ("a", b'{"targets":[],"action":"later"}', "`action`"),
        ("a", b'{"targets":[],"text":"Gone."}', "`text`"),
        ("a", b'{"targets":[],"text":"Gone.","action":"drop"}', "`text`"),
        ("a", '{"targets":[],"text":"Weg f\u00fcr immer","action":"refuse"}'.encode(), "`text`"),
        ("a", b'{"targets":[],"text":"a\\nb","action":"refuse"}', "`text`"),
        ("a", json.dumps({"targets": [], "text": "x" * 201, "action": "defer"}).encode(), "`text`"),
        ("a", b'{"targets":[],"senders":[]}', "`senders`"),
        ("a", b'{"targets":[],"senders":["@"]}', "`senders[0]`"),
        ("a", b'{"targets":[],"pattern":"("}', "`pattern`"),
        ("a", b'{"targets":[],"pattern":"x","catch_all":true}', "`catch_all`"),
        ("a", b'{"targets":["$1@b"],"pattern":"x"}', "`targets[0]`"),
        ("a", json.dumps({"targets": ["a@b"] * 101}).encode(), "`targets`"),
        ("a", json.dumps({"targets": [], "domains": ["b"] * 101}).encode(), "`domains`"),
        ("a", b'{"targets":[],"x":' + b"[" * 60000, "deep"),
        ("a", b'{"targets":[]}' + b" " * 65536, "65536"),
    ],
)
def test_malformed(name: str, content: bytes, reason: str) -> None:
    user = parse_relay_user(name, content)
    assert isinstance(user, Malformed)
    assert reason in user.reason


def test_a_change_keeps_what_it_does_not_know() -> None:
    previous = b'{"x":{"y":null},"targets":["a@b.example"],"password":"ab12","insecure":true}'
    file = change_file(previous, {"targets": [], "insecure": False})
    assert file == b'{"x":{"y":null},"targets":[],"password":"ab12","insecure":false}'
    assert isinstance(file, bytes)
    assert without_password(file) == b'{"x":{"y":null},"targets":[],"insecure":false}'


def test_no_change_of_what_cannot_be_read() -> None:
    assert isinstance(change_file(b"{", {"targets": []}), Malformed)
    assert isinstance(without_password(b"[]"), Malformed)


def test_an_alias_that_takes_mail_of_some() -> None:
    file = b'{"targets":["a@b.example"],"senders":["Boss@b.example","@example.org"]}'
    alias = parse_relay_user("team", file)
    assert isinstance(alias, RelayUser)
    assert alias.takes_from(mailbox("boss@B.example"))
    assert alias.takes_from(mailbox("anybody@example.org"))
    assert not alias.takes_from(mailbox("other@b.example"))
    assert not alias.takes_from(None)
    assert RelayUser("x", ()).takes_from(None)


def test_bounces_to_an_alias_that_takes_mail_of_some() -> None:
    alias = parse_relay_user("team", b'{"targets":["a@b.example"],"senders":["<>","@example.org"]}')
    assert isinstance(alias, RelayUser)
    assert alias.takes_from(None)
    assert alias.senders is not None
    assert len(alias.senders) == 1


def test_an_alias_with_its_own_answer() -> None:
    alias = parse_relay_user("old", b'{"targets":["a@b.example"],"action":"refuse","text":"Gone since May."}')
    assert isinstance(alias, RelayUser)
    assert (alias.action, alias.text) == (Action.REFUSE, "Gone since May.")


def test_an_alias_with_an_expression() -> None:
    file = b'{"targets":["d+$1@b.example","all@b.example","all@b.example"],"pattern":"t-(.+)"}'
    alias = parse_relay_user("desk", file)
    assert isinstance(alias, RelayUser)
    matched = alias.matched("t-7")
    assert matched is not None
    assert matched.targets == (mailbox("d+7@b.example"), mailbox("all@b.example"))
    assert alias.matched("t7") is None
    assert alias.matched("t-a b") is None
    assert RelayUser("x", ()).matched("x") is None
