"""``ptt user`` as an operator meets it, on repositories that the real git has made."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from ptt.cli.main import main
from ptt.records.logins import Login, parse_compatible_login, parse_login
from ptt.records.passwords import ScramVerifierRecord, verify
from ptt.records.users import RelayUser, parse_relay_user

Ptt = Callable[..., tuple[int, str, str]]
WIDTH = 80


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("relay.git", "passwords.git"):
        subprocess.run(
            ["git", "init", "-q", "--bare", "-b", "master", str(tmp_path / name)], check=True, timeout=30
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    return tmp_path


@pytest.fixture
def ptt(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ptt:
    def run(command: str, *more: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ptt", *command.split(), *more])
        monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        code = main()
        out, err = capsys.readouterr()
        widest = max((len(line) for line in out.splitlines()), default=0)
        assert widest <= WIDTH or "--json" in command, out
        return code, out, err

    return run


BOTH = ("-r", "relay.git", "-p", "passwords.git")


def relay_user(place: Path, name: str) -> RelayUser:
    read = parse_relay_user(name, git(place / "relay.git", "show", f"master:{name}").encode())
    assert isinstance(read, RelayUser)
    return read


def login(place: Path, name: str) -> Login:
    read = parse_login(name, git(place / "passwords.git", "show", f"master:{name}").encode())
    assert isinstance(read, Login)
    return read


def test_the_original_s_arguments_make_the_original_s_commit(place: Path, ptt: Ptt) -> None:
    code, _, err = ptt("user add john.doe tiger -r relay.git -t j@home.example,k@home.example --insecure")
    assert code == 0
    assert "among the arguments" in err
    content = git(place / "relay.git", "show", "master:john.doe")
    assert list(json.loads(content)) == ["targets", "password", "insecure"]
    read = parse_compatible_login("john.doe", content.encode())
    assert isinstance(read, Login)
    assert verify(read.verifier, "tiger")
    assert git(place / "relay.git", "log", "--format=%an|%s") == "ptt.adduser|New user john.doe added"


def test_a_user_gets_a_password_that_is_shown_once(place: Path, ptt: Ptt) -> None:
    code, out, err = ptt("user add alice -t a@home.example --send-as info@example.org", *BOTH)
    assert (code, err) == (0, "")
    [password] = re.findall(r"password  (\S+)", out)
    assert len(password.replace("-", "")) * 5 >= 128
    assert verify(login(place, "alice").verifier, password)
    assert password not in git(place / "passwords.git", "show", "master:alice")
    assert "password" not in git(place / "relay.git", "show", "master:alice")
    code, _, err = ptt("user add ALICE -t b@home.example", *BOTH)
    assert code == 64
    assert "--overwrite" in err
    assert ptt("user add alice -t b@home.example --overwrite --json", *BOTH)[0] == 0
    assert str(relay_user(place, "alice").targets[0]) == "b@home.example"
    assert login(place, "alice").send_as == ()


def test_passwords_come_from_files_and_standard_input(place: Path, ptt: Ptt) -> None:
    (place / "secret").write_text("from a file\nnot this\n", encoding="utf-8")
    assert "shown once" not in ptt("user add alice --password-file secret", *BOTH)[1]
    assert verify(login(place, "alice").verifier, "from a file")
    assert ptt("user passwd alice --scram --password-file -", *BOTH, stdin="typed\n")[0] == 0
    assert isinstance(login(place, "alice").verifier, ScramVerifierRecord)
    assert verify(login(place, "alice").verifier, "typed")
    for file, says in (("none", "No such file"), ("-", "first line is empty")):
        code, _, err = ptt(f"user passwd alice --password-file {file}", *BOTH)
        assert code == 64
        assert says in err


def test_aliases(place: Path, ptt: Ptt) -> None:
    ptt("user add desk --pattern ticket-([0-9]+) -t d+$1@desk.example", *BOTH)
    ptt("user add old --action refuse", "--text", "Gone since May.", *BOTH)
    ptt("user add team -t alice@example.org --no-password --senders @example.org,<> --need-all", *BOTH)
    desk = relay_user(place, "desk").matched("ticket-7")
    assert desk is not None
    assert str(desk.targets[0]) == "d+7@desk.example"
    assert relay_user(place, "old").text == "Gone since May."
    assert relay_user(place, "team").takes_from(None)
    code, out, _ = ptt("user list", *BOTH)
    assert code == 0
    assert re.search(r"old +- +- +refuse: Gone since May\.", out)
    ptt("user change old --action forward -t new@home.example", *BOTH)
    assert relay_user(place, "old") == RelayUser("old", relay_user(place, "old").targets)
    code, _, err = ptt("user add bad --pattern (a*)* -t x@desk.example", *BOTH)
    assert code == 64
    assert "repeats a group" in err
    assert git(place / "passwords.git", "for-each-ref") == ""


def test_change_show_and_remove(place: Path, ptt: Ptt) -> None:
    for name in ("alice", "bob", "carol", "dora"):
        ptt(f"user add {name} -t {name}@home.example", *BOTH)
    assert ptt("user change alice --insecure --send-as @example.net --domains example.org", *BOTH)[0] == 0
    assert relay_user(place, "alice").insecure
    assert [str(domain) for domain in login(place, "alice").domains or ()] == ["example.org"]
    assert "unchanged" in ptt("user change alice --insecure", *BOTH)[1]
    code, out, _ = ptt("user show Alice --json", *BOTH)
    assert code == 0
    assert json.loads(out) == {
        "user": "alice",
        "targets": ["alice@home.example"],
        "password": "argon2id",
        "insecure": True,
        "also": ["in example.org", "sends as @example.net"],
    }
    assert "insecure      yes" in ptt("user show alice", *BOTH)[1]
    assert ptt("user show alise", *BOTH)[0] == 64
    assert ptt("user change alice", *BOTH)[0] == 64
    code, _, err = ptt("user remove alice bob carol", *BOTH)
    assert code == 64
    assert "more than half" in err
    assert ptt("user remove alice bob carol --yes", *BOTH)[0] == 0
    for repository in ("relay.git", "passwords.git"):
        assert git(place / repository, "ls-tree", "--name-only", "master") == "dora"
        assert git(place / repository, "log", "-1", "--format=%(trailers:key=Users-Removed)", "master")
    assert ptt("user remove dora", *BOTH)[0] == 64


def test_upgrade_moves_passwords_and_says_what_it_cannot(place: Path, ptt: Ptt) -> None:
    ptt("user add alice tiger -r relay.git -t a@home.example")
    ptt("user add bob lion -r relay.git")
    assert ptt("user verify", *BOTH)[1].count("note: ") == 2
    code, out, _ = ptt("user upgrade", *BOTH)
    assert code == 0
    assert "moved    2" in out
    assert "Older commits" in out
    assert verify(login(place, "alice").verifier, "tiger")
    assert "password" not in git(place / "relay.git", "show", "master:alice", "master:bob")
    assert "compatible = false" in ptt("user upgrade", *BOTH)[1]
    assert json.loads(ptt("user upgrade --json", *BOTH)[1])["moved"] == []
    ptt("user passwd alice", *BOTH)
    assert not verify(login(place, "alice").verifier, "tiger")
    assert ptt("user upgrade -r relay.git")[0] == 64


def test_verify_tells_every_mistake(place: Path, ptt: Ptt) -> None:
    ptt("user add alice -t a@home.example", *BOTH)
    work = place / "work"
    git(place, "clone", "-q", str(place / "relay.git"), str(work))
    (work / "bob").write_text('{"targets": ["a@b.example",\n  "nobody"]}\n', encoding="utf-8")
    (work / "carol").write_text('{"targets": [],\n"insecure": yes}\n', encoding="utf-8")
    git(work, "add", ".")
    git(work, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "m")
    git(work, "push", "-q")
    code, out, _ = ptt("user verify", *BOTH)
    assert code == 64
    assert "relay.git/bob:2: targets[1]: not a mailbox\n  each target is an address" in out
    assert "relay.git/carol:2: not JSON\n" in out
    assert "2 mistakes" in out
    told: Any = json.loads(ptt("user verify --json", *BOTH)[1])
    assert [finding["line"] for finding in told["findings"]] == [2, 2]
    assert "2 broken files" in ptt("user list", *BOTH)[1]
    assert ptt("user show bob", *BOTH)[0] == 64


def test_the_repositories_of_ptt_toml_and_circles(place: Path, ptt: Ptt) -> None:
    (place / "ptt.toml").write_text('domain = "example.org"\naddresses = ["192.0.2.1"]\n', encoding="utf-8")
    assert ptt("user add alice -t team@example.org")[0] == 0
    code, _, err = ptt("user add team -t alice@example.org --no-password")
    assert code == 64
    assert "team -> alice -> team" in err
    assert login(place, "alice").local_part == "alice"
    assert "there is no such user" in ptt("user verify")[1]


def test_what_cannot_be_reached_is_69(ptt: Ptt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    code, _, err = ptt("user list -r op@host.example:relay.git")
    assert code == 69
    assert "git ls-remote" in err
