"""The pages about users, aliases and keys: their commands run, their examples come out as they say."""

import re
import shlex
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from ptt.cli.main import main
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.records.user_list import UserList, read_user_list
from ptt.records.users import FIELDS, RelayUser, parse_relay_user
from ptt.units.relay.routing import Directory, Router

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONFIG = 'domain = "example.org"\nmore_domains = ["example.net"]\naddresses = ["192.0.2.1"]\n'
COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"<!-- file: (\S+) -->\n```json\n(.*?)```", re.DOTALL)
ROW = re.compile(r"^\| (\S+@\S+) \| (\S+) \| (.+) \|$", re.MULTILINE)


def lines_of(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [line for block in COMMANDS.findall(text) for line in block.splitlines()]


def call(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a line: ``ptt …``, or ``printf 'TEXT' | ptt …``."""
    words = shlex.split(line)
    given = words[1] if words[0] == "printf" else ""
    monkeypatch.setattr(sys, "argv", words[words.index("ptt") :])
    monkeypatch.setattr(sys, "stdin", StringIO(given))
    return main()


@pytest.mark.parametrize("page", ["aliases.md", "users.md", "keys.md"])
def test_the_commands_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "ptt.toml").write_text(CONFIG, encoding="utf-8")
    for name in ("relay.git", "passwords.git"):
        subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / name)], check=True, timeout=30)
    codes = {line: call(line, monkeypatch) for line in lines_of(page)}
    assert codes
    assert [line for line, code in codes.items() if code != 0] == [], capsys.readouterr().err


def users() -> UserList[RelayUser]:
    files = FILE.findall((DOCS / "aliases.md").read_text(encoding="utf-8"))
    return read_user_list({name: content.encode() for name, content in files}, parse_relay_user)


def outcome(recipient: str, sender: str) -> str:
    """What becomes of mail, in the words of the page."""
    ours = frozenset({Name.of("example.org"), Name.of("example.net")})
    directory = Directory(ours, users(), Name.of("mail.example.org"))
    reverse_path: Mailbox | None = None if sender == "<>" else mailbox(sender)
    router = Router(directory, reverse_path=reverse_path, sender_may_be_clear=True, to_smarthost=False)
    routed = router.route(mailbox(recipient))
    if isinstance(routed, Reply):
        return f"{'put off' if routed.is_temporary else 'refused'}: {routed}"
    if routed.is_discarded:
        return "discarded"
    return f"goes to {', '.join(sorted(str(target.mailbox) for target in routed.targets))}"


def test_the_examples_of_aliases_come_out_as_the_page_says() -> None:
    text = (DOCS / "aliases.md").read_text(encoding="utf-8")
    rows = ROW.findall(text)
    assert not users().faults
    assert len(rows) > 10
    wrong = {row: found for row in rows if not (found := outcome(row[0], row[1])).startswith(row[2])}
    assert wrong == {}


def test_the_page_names_every_field() -> None:
    text = (DOCS / "aliases.md").read_text(encoding="utf-8").partition("## All fields")[2]
    cells = " ".join(re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", cells)) == FIELDS
