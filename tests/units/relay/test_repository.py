"""The relay's directory when its users come from a repository."""

from typing import Any

from ptt.errors import Malformed
from ptt.protocol.mail.address import Mailbox, parse_mailbox
from ptt.records.user_list import UserList, read_user_list
from ptt.records.users import RelayUser, parse_relay_user
from ptt.units.relay.settings import Configured, read_settings

FILES = {name: b'{"targets": ["%b@home.com"]}' % name.encode() for name in ("alice", "bruno")}
SETTINGS: dict[str, Any] = {"domains": ["mirage.org"], "repository": {"url": "local:relay"}}


def users() -> UserList[RelayUser]:
    return read_user_list(FILES, parse_relay_user)


def configured(**more: Any) -> Configured:
    read = read_settings({**SETTINGS, **more}, "mail.mirage.org")
    assert isinstance(read, Configured), read
    return read


def mailbox(text: str) -> Mailbox:
    read = parse_mailbox(text.encode(), allow_utf8=True)
    assert isinstance(read, Mailbox)
    return read


def test_before_the_first_list_everybody_is_in_doubt() -> None:
    assert configured().directory.is_in_doubt(mailbox("alice@mirage.org"))


def test_roles_are_looked_up_in_each_list() -> None:
    made = configured(postmaster="alice", catch_all="gone")
    assert made.directory.postmaster is None
    directory = made.with_users(users())
    assert directory.find(mailbox("postmaster@mirage.org")) == users().users["alice"]
    assert directory.find(mailbox("nobody@mirage.org")) is None
    assert made.unknown_roles(users()) == ("gone",)
    both = configured(postmaster="alice", catch_all="box@home.com").with_users(users())
    assert both.find(mailbox("nobody@mirage.org")) is not None


def test_faults_name_their_field() -> None:
    for more, words in (
        ({"users": {"alice": {}}}, "users: they are in the repository"),
        ({"repository": {"url": "nowhere"}}, "repository.url: "),
        ({"repository": {"url": "git@git.example.org:relay.git"}}, "repository.host_key: "),
        ({"postmaster": "a@b@c"}, "postmaster: "),
    ):
        read = read_settings({**SETTINGS, **more}, "mail.mirage.org")
        assert isinstance(read, Malformed)
        assert read.reason.startswith(words)
