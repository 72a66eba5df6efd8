"""The command line as a person meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def ptt(*arguments: str, tmp: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ptt.cli.main", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80", "PTT_HOST_SOCKET": str(tmp / "none" / "host.sock")},
        check=False,
        timeout=60,
    )


def test_help_names_the_commands(tmp_path: Path) -> None:
    done = ptt("--help", tmp=tmp_path)
    assert done.returncode == 0
    for word in ("demo", "status", "logs"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", [["nonsense"], ["demo", "--nonsense"], ["logs", "--count", "many"]])
def test_a_wrong_call_is_64_and_says_what_helps(command: list[str], tmp_path: Path) -> None:
    done = ptt(*command, tmp=tmp_path)
    assert done.returncode == 64
    assert "--help" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["status", "logs"])
def test_without_a_host_the_mend_is_named(command: str, tmp_path: Path) -> None:
    done = ptt(command, tmp=tmp_path)
    assert done.returncode == 69
    assert "ptt up" in done.stderr
    assert done.stdout == ""
