"""Logins of two repositories as one directory: who counts most, and who is in doubt."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.records.logins import Login, parse_login
from ptt.records.scram import make_scram
from ptt.records.user_list import UserList
from ptt.units.submission.logins import Directory, Doubts, Source, merged
from ptt.units.submission.settings import SubmissionSettings, read_settings

DOMAIN = Name.of("mirage.org")


def login(name: str, password: str = "secret") -> Login:
    content = b'{"verifier": "%b"}' % make_scram(password, b"salt" * 4).text.encode()
    read = parse_login(name, content)
    assert isinstance(read, Login)
    return read


def source(*names: str, faults: tuple[str, ...] = ()) -> Source:
    users = {name: login(name) for name in names}
    return Source(UserList(users, {name: Malformed("broken") for name in faults}))


def directory(*sources: Source) -> Directory:
    logins, doubts = merged(sources)
    return Directory(logins, [DOMAIN], b"key", doubts)


def test_the_first_repository_counts_most() -> None:
    first, second = source("alice"), source("alice", "bruno")
    logins, doubts = merged([first, second])
    assert sorted(logins) == ["alice", "bruno"]
    assert first.users is not None
    assert logins["alice"] is first.users.users["alice"]
    assert doubts == Doubts()
    assert directory(first, second).offers_scram


@pytest.mark.parametrize(
    ("sources", "known", "in_doubt", "unknown"),
    [
        ((Source(None), source("alice")), (), ("alice", "bruno", "alice@mirage.org"), ()),
        ((source("alice"), Source(None)), ("alice",), ("bruno",), ()),
        ((source("alice", faults=("Bruno",)), source("bruno")), ("alice",), ("bruno",), ("carol",)),
        (
            (source("alice"), source("bruno", faults=("alice", "carol"))),
            ("alice", "bruno"),
            ("carol",),
            ("d",),
        ),
        ((source("alice"),), ("alice",), (), ("bruno",)),
    ],
)
def test_who_is_in_doubt(
    sources: tuple[Source, ...], known: tuple[str, ...], in_doubt: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    made = directory(*sources)
    assert sorted(merged(sources)[0]) == list(known)
    assert all(made.is_in_doubt(name) for name in in_doubt)
    assert not any(made.is_in_doubt(name) for name in (*known, *unknown))
    assert made.offers_scram == (not in_doubt)


def test_settings_name_the_repository_that_is_wrong() -> None:
    read = read_settings(
        {"domains": ["mirage.org"], "certificate_pem": "x", "repository": {"url": "local:p"}}
    )
    assert isinstance(read, SubmissionSettings)
    for field in ("repository", "relay_repository"):
        wrong = read_settings({"domains": ["mirage.org"], "certificate_pem": "x", field: {"url": "nowhere"}})
        assert isinstance(wrong, Malformed)
        assert wrong.reason.startswith(f"{field}.url: ")
