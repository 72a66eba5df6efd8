"""The file of secrets on a disk: mode, mistakes, changes at the same time."""

import threading
from pathlib import Path

import pytest

from ptt.deployer.secret_store import change_secrets, read_secrets
from ptt.errors import ConfigError
from ptt.records.secrets_file import SecretKind, Secrets

TEXT = "ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def test_the_first_key_makes_the_file_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    written = change_secrets(path, lambda secrets: secrets.holding(SecretKind.SSH, "relay", TEXT))
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secrets(path) == written
    assert [file.name for file in tmp_path.iterdir()] == ["secrets.toml"]


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    change_secrets(path, lambda secrets: secrets.holding(SecretKind.SSH, "relay", TEXT))
    before = path.read_bytes()

    def fails(_secrets: Secrets) -> Secrets:
        raise ConfigError("here", "no", "mend")

    with pytest.raises(ConfigError):
        change_secrets(path, fails)
    assert path.read_bytes() == before


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"

    def add(number: int) -> None:
        change_secrets(path, lambda secrets: secrets.holding(SecretKind.SSH, f"unit{number}", TEXT))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_secrets(path).of(SecretKind.SSH)) == len(threads)


def test_a_link_stays_and_what_it_leads_to_is_changed(tmp_path: Path) -> None:
    path, link = tmp_path / "elsewhere" / "secrets.toml", tmp_path / "secrets.toml"
    path.parent.mkdir()
    change_secrets(path, lambda secrets: secrets.holding(SecretKind.SSH, "relay", TEXT))
    link.symlink_to(path)
    change_secrets(link, lambda secrets: secrets.holding(SecretKind.SSH, "submission", TEXT))
    assert link.is_symlink()
    assert set(read_secrets(path).of(SecretKind.SSH)) == {"relay", "submission"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="Is a directory"):
        change_secrets(path, lambda secrets: secrets)
    path.rmdir()

    def meanwhile(secrets: Secrets) -> Secrets:
        path.mkdir()
        return secrets.holding(SecretKind.SSH, "relay", TEXT)

    with pytest.raises(ConfigError, match="Is a directory"):
        change_secrets(path, meanwhile)
    assert [file.name for file in tmp_path.iterdir()] == ["secrets.toml"]


def test_a_file_that_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text("")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"mode 0640.*\n  chmod 600 "):
        read_secrets(path)


def test_mistakes_are_told_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.touch(0o600)
    path.write_text('[ssh]\na = "x"\nb = "y"\n')
    with pytest.raises(ConfigError) as raised:
        read_secrets(path)
    assert f"{path}:2: ssh.a" in str(raised.value)
    assert f"{path}:3: ssh.b" in str(raised.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_secrets(tmp_path / "none")
    with pytest.raises(ConfigError, match="No such file"):
        change_secrets(tmp_path / "no" / "folder", lambda secrets: secrets)
    path = tmp_path / "binary"
    path.touch(0o600)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_secrets(path)
