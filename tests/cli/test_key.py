"""``ptt key`` as an operator meets it."""

import json
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from ptt.cli.main import main
from ptt.deployer.secret_store import read_secrets
from ptt.records.secrets_file import SecretKind

Ptt = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ptt(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ptt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(command: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ptt", "key", *command.split()])
        monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        code = main()
        return (code, *capsys.readouterr())

    return run


def test_the_secret_goes_into_the_file_only(tmp_path: Path, ptt: Ptt) -> None:
    code, out, err = ptt("ssh make relay")
    assert (code, err) == (0, "")
    assert "ssh-ed25519 AAAA" in out
    text = read_secrets(tmp_path / "secrets.toml").get(SecretKind.SSH, "relay")
    assert text is not None
    assert text not in out
    assert text not in "".join(ptt("ssh show relay")[1:])
    assert text in ptt("ssh show relay --show-secret")[1]
    assert (tmp_path / "secrets.toml").stat().st_mode & 0o777 == 0o600


def test_nothing_is_replaced_unless_it_is_meant(ptt: Ptt) -> None:
    first = ptt("tsig make k.example.org --show-secret")[1]
    code, _, err = ptt("tsig make k.example.org")
    assert code == 64
    assert "--replace" in err
    assert ptt("tsig make k.example.org --replace --show-secret --type SHA512")[1] != first


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("ssh make", "ptt key ssh make relay"),
        ("tsig make a..b", "domain name"),
        ("dkim make s1 --type p256", "one of rsa, ed25519"),
        ("dkim show s9", "ptt key dkim make s9"),
        ("ssh import relay none", "No such file"),
    ],
)
def test_mistakes_are_64_and_name_the_mend(ptt: Ptt, command: str, says: str) -> None:
    ptt("ssh make submission")
    code, _, err = ptt(command)
    assert code == 64
    assert says in err


def test_keys_of_the_original_come_from_standard_input(tmp_path: Path, ptt: Ptt) -> None:
    seed = "M0XGwihC6RtGCzYptLcHuO+SV38TqBUbCMiCf898"
    code, out, _ = ptt("ssh import relay --bits 2048", stdin=f"{seed}\n")
    assert code == 0
    assert "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCmid+AGVt0mrVggEFkLAVS6rgWhhov" in out
    assert seed not in out
    assert seed not in (tmp_path / "secrets.toml").read_text()
    assert "shorter than 16" in ptt("dkim import s1", stdin="c2hvcnQ=")[2]


def test_all_keys_in_a_table(ptt: Ptt) -> None:
    ptt("ssh make relay")
    ptt("account make")
    ptt("dnssec make")
    ptt("certificate make")
    code, out, _ = ptt("show")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:] if line.startswith(("s", "a", "d", "c"))] == [
        ["ssh", "relay"],
        ["account", "acme"],
        ["dnssec", "all"],
        ["certificate", "all"],
    ]
    assert [each["type"] for each in json.loads(ptt("show --json")[1])] == [
        "ed25519",
        "p256",
        "seed",
        "rsa 2048",
    ]
    assert json.loads(ptt("account show --json")[1])[0]["fingerprint"].startswith("thumbprint ")


def test_domains_and_place_come_from_ptt_toml(tmp_path: Path, ptt: Ptt) -> None:
    text = 'domain = "example.org"\naddresses = ["192.0.2.1"]\nsecrets = "other.toml"\n'
    (tmp_path / "ptt.toml").write_text(text, encoding="utf-8")
    out = ptt("dkim make s1 --type ed25519")[1]
    assert 's1._domainkey.example.org. 3600 IN TXT "v=DKIM1; k=ed25519; p=' in out
    assert (tmp_path / "other.toml").exists()
