"""Repositories as an operator reaches them, with the real git on the other side."""

import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ptt.deployer.operator_git import AUTHOR, Edit, OperatorRepository
from ptt.errors import ConfigError, UnreachableError

SSH = '#!/bin/sh\nfor command; do :; done\nexec sh -c "$command"\n'  # runs here what would be run there


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "relay.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "master", str(path)], check=True, timeout=30)
    return path


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh"
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))


def put(name: str, content: bytes | None, message: str = "m") -> Callable[[Mapping[str, bytes]], Edit]:
    return lambda _files: Edit({name: content}, message)


@pytest.mark.parametrize("address", ["{}", "file://{}", "op@host.example:{}", "ssh://op@host.example:2222{}"])
@pytest.mark.usefixtures("ssh")
def test_one_commit_for_each_change(bare: Path, address: str) -> None:
    repository = OperatorRepository(address.format(bare))
    assert repository.name == "relay.git"
    assert repository.read() == {}
    first = repository.change(put("alice", b"1", "New user alice added"))
    assert repository.change(put("alice", b"1")) == ""
    assert repository.change(lambda _files: None) == ""
    repository.change(put("bob", b"2"))
    repository.change(put("alice", None))
    assert repository.read() == {"bob": b"2"}
    assert git(bare, "log", "--format=%an <%ae>|%s", "master", "--reverse").splitlines() == [
        f"{AUTHOR}|New user alice added",
        f"{AUTHOR}|m",
        f"{AUTHOR}|m",
    ]
    assert git(bare, "rev-list", "--max-parents=0", "master") == first
    git(bare, "fsck", "--strict")


def test_the_branch_that_is_named(bare: Path) -> None:
    OperatorRepository(f"{bare}#users").change(put("alice", b"1"))
    assert git(bare, "for-each-ref", "--format=%(refname)") == "refs/heads/users"
    with pytest.raises(UnreachableError, match="no branch main or master"):
        OperatorRepository(str(bare)).read()


def test_who_was_slower_decides_again(bare: Path) -> None:
    OperatorRepository(str(bare)).change(put("alice", b"1"))
    seen = []

    def decide(files: Mapping[str, bytes]) -> Edit:
        seen.append(sorted(files))
        if len(seen) <= 2:  # somebody else pushes between our fetch and our push
            OperatorRepository(str(bare)).change(put(f"other{len(seen)}", b"x"))
        return Edit({"mine": b"y"}, "m")

    OperatorRepository(str(bare)).change(decide)
    assert seen == [["alice"], ["alice", "other1"], ["alice", "other1", "other2"]]
    assert sorted(OperatorRepository(str(bare)).read()) == ["alice", "mine", "other1", "other2"]


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="is no Git repository\n  make one: git init --bare") as raised:
            OperatorRepository(str(path)).read()
        assert not isinstance(raised.value, UnreachableError)
    with pytest.raises(UnreachableError, match="git ls-remote http"):
        OperatorRepository("http://127.0.0.1:9/relay.git").read()
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    with pytest.raises(UnreachableError, match="git ls-remote"):
        OperatorRepository("op@host.example:relay.git").read()


def test_a_password_in_an_address_is_not_told() -> None:
    with pytest.raises(UnreachableError) as raised:
        OperatorRepository("https://op:secret@127.0.0.1:9/relay.git#users").read()
    assert "secret" not in str(raised.value)
    assert OperatorRepository("https://op:se@cret@host.example").name == "…@host.example"
    assert "git ls-remote https://…@127.0.0.1:9/relay.git work?" in str(raised.value)


class Quiet(SimpleHTTPRequestHandler):
    """Shows files, and says nothing of it."""

    def log_message(self, *_: object) -> None:
        pass


def test_a_web_server_that_only_shows_files(bare: Path) -> None:
    OperatorRepository(str(bare)).change(put("alice", b"1"))
    git(bare, "update-server-info")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(bare.parent))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        repository = OperatorRepository(f"http://127.0.0.1:{server.server_port}/relay.git")
        for use in (repository.read, lambda: repository.change(put("bob", b"2"))):
            with pytest.raises(UnreachableError, match="no Git server"):
                use()
        server.shutdown()
