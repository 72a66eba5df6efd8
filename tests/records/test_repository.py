"""Where a repository is: the forms of git, and one that the host serves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.records.host_key import HostKeyPin, parse_host_key
from ptt.records.repository import (
    LOCAL_POLL_S,
    REMOTE_POLL_S,
    DaemonPlace,
    HttpPlace,
    LocalPlace,
    Place,
    Repository,
    RepositorySettings,
    SshPlace,
    choose_branch,
    read_repository,
)

KEY = "SHA256:" + "A" * 43
PIN = parse_host_key(KEY)
assert isinstance(PIN, HostKeyPin)


@pytest.mark.parametrize(
    ("url", "place", "branch"),
    [
        ("git@git.example.org:relay.git", SshPlace("git", "git.example.org", 22, "relay.git", PIN), None),
        ("ops@192.0.2.1:~/a/b.git#next", SshPlace("ops", "192.0.2.1", 22, "~/a/b.git", PIN), "next"),
        ("ssh://git@h:2222/srv/relay.git", SshPlace("git", "h", 2222, "/srv/relay.git", PIN), None),
        ("ssh://h/~ops/relay.git", SshPlace("git", "h", 22, "~ops/relay.git", PIN), None),
        ("ssh://git@[2001:db8::1]:22/r", SshPlace("git", "2001:db8::1", 22, "/r", PIN), None),
        ("https://git.test/r.git", HttpPlace("git.test", 443, "/r.git", is_secure=True), None),
        ("http://git.test:8080/r.git", HttpPlace("git.test", 8080, "/r.git", is_secure=False), None),
        ("git://h/r.git#release/1", DaemonPlace("h", 9418, "/r.git"), "release/1"),
        ("local:relay", LocalPlace("relay"), None),
    ],
)
def test_forms(url: str, place: Place, branch: str | None) -> None:
    usual = LOCAL_POLL_S if isinstance(place, LocalPlace) else REMOTE_POLL_S
    read = read_repository(RepositorySettings(url, KEY))
    assert read == Repository(place, branch, usual)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (RepositorySettings("relay.git", KEY), "none of"),
        (RepositorySettings("/srv/relay.git", KEY), "none of"),
        (RepositorySettings("local:../x"), "none of"),
        (RepositorySettings("git@h:relay.git"), "host_key: give"),
        (RepositorySettings("git@h:r", "SHA256:x"), "host_key: behind"),
        (RepositorySettings("ssh://h:0/r", KEY), "no port 0"),
        (RepositorySettings("ssh://h:65536/r", KEY), "no port 65536"),
        (RepositorySettings("git://ops:secret@git.test/r"), "no login"),
        (RepositorySettings("local:r#a..b"), "no name of a branch"),
        (RepositorySettings("local:r#"), "no name of a branch"),
        (RepositorySettings("local:r#-x"), "no name of a branch"),
        (RepositorySettings("local:r", poll_s=0.1), "poll_s"),
        (RepositorySettings("local:r", poll_s=float("nan")), "poll_s"),
        (RepositorySettings("x" * 2000), "too long"),
    ],
)
def test_faults(settings: RepositorySettings, reason: str) -> None:
    read = read_repository(settings)
    assert isinstance(read, Malformed)
    assert reason in read.reason


@pytest.mark.parametrize(
    ("url", "name", "is_protected"),
    [
        ("git@h:mail/relay.git", "relay", True),
        ("local:passwords", "passwords", True),
        ("https://git.test/zone.git/", "zone", True),
        ("http://git.test/zone.git", "zone", False),
        ("git://h/zone", "zone", False),
        ("https://git.test//", "//", True),
    ],
)
def test_what_it_is_called(url: str, name: str, is_protected: bool) -> None:
    read = read_repository(RepositorySettings(url, KEY, poll_s=2.0))
    assert isinstance(read, Repository)
    assert (read.name, read.is_protected, read.poll_s) == (name, is_protected, 2.0)


MAIN, MASTER = (b"refs/heads/main", b"1" * 40), (b"refs/heads/master", b"2" * 40)


@pytest.mark.parametrize(
    ("refs", "branch", "chosen"),
    [
        ([MAIN], None, MAIN),
        ([MASTER], None, MASTER),
        ([MAIN, MASTER], None, MAIN),
        ([MAIN, MASTER, (b"HEAD", MASTER[1])], None, MASTER),
        ([MAIN, (b"HEAD", b"3" * 40)], None, MAIN),
        ([MAIN, MASTER], "master", MASTER),
        ([MAIN], "next", None),
        ([], None, None),
    ],
)
def test_the_branch(
    refs: list[tuple[bytes, bytes]], branch: str | None, chosen: tuple[bytes, bytes] | None
) -> None:
    assert choose_branch(dict(refs), branch) == chosen


@given(st.text())
def test_anything_gives_a_result(text: str) -> None:
    assert isinstance(read_repository(RepositorySettings(text, KEY)), Repository | Malformed)
