"""Runs every ``case_*.py`` of this folder inside network namespaces of its own.

The cases need real addresses and port numbers, so they cannot run where the machine's own services are. Each file
is a pytest run of its own; its output is shown when it fails.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ptt.rehearsal import namespace

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CASES = sorted(HERE.glob("case_*.py"))
ORDINARY_USER = 64999  # an id that nobody has
TIMEOUT_S = 240


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_case(case: Path) -> None:
    """Whoever runs the tests runs the cases: root as root, an ordinary user in a user namespace."""
    _run([], case)


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever runs this is an ordinary user already")
def test_the_units_need_no_root() -> None:
    """The same processes, started by a user who has one user id and no rights."""
    if any(not folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents)):
        pytest.skip(f"{ROOT} cannot be read by other users")
    ids = [f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups"]
    _run(["setpriv", *ids, "--"], HERE / "case_outbound_scripted.py")


def _run(prefix: list[str], case: Path) -> None:
    pytest_options = ["-q", "-rs", "--import-mode=importlib", "-p", "no:cacheprovider", "--no-header"]
    command = namespace.command_line([sys.executable, "-m", "pytest", *pytest_options, str(case)])
    if prefix:  # another user: the user namespace must be asked for, though we are root
        command[1:1] = ["--user", "--map-root-user"]
    done = subprocess.run(
        [*prefix, *command],
        cwd=ROOT,
        env={**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", "PTT_BUDGET": ""},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{case.name}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
