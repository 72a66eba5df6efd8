"""Runs the cases of this folder (``case_*.py``, alone or by folders) in network namespaces of their own.

The cases need real addresses and port numbers, so they cannot run where the machine's own services are. What
lies in one folder shares one run, and with it the servers that are started; output is shown when it fails.
By hand: ``python -m ptt.rehearsal.namespace -- pytest tests/interop/outbound/case_clients.py``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ptt.rehearsal import namespace

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WITHOUT_RIGHTS = HERE / "case_outbound_scripted.py"
ESCAPE = HERE / "escape"
CASES = sorted({*HERE.glob("case_*.py"), *(case.parent for case in HERE.glob("*/case_*.py"))})
ORDINARY_USER = 64999  # an id that nobody has
TIMEOUT_S = 280  # a fifth of it on a machine that does nothing else

pytestmark = pytest.mark.timeout(TIMEOUT_S + 20)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_case(case: Path) -> None:
    """Whoever runs the tests runs the cases: root as root, an ordinary user in a user namespace."""
    if case == WITHOUT_RIGHTS and os.geteuid() == 0:
        pytest.skip("the next test is about it")
    _run([], case)


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever runs this is an ordinary user already")
@pytest.mark.parametrize("case", [WITHOUT_RIGHTS, ESCAPE], ids=lambda path: path.stem)
def test_the_units_need_no_root(case: Path) -> None:
    """The same processes, started by a user who has one user id and no rights."""
    if any(not folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents)):
        pytest.skip(f"{ROOT} cannot be read by other users")
    ids = [f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups"]
    _run(["setpriv", *ids, "--"], case)


def _run(prefix: list[str], case: Path) -> None:
    pytest_options = ["-q", "-rs", "-p", "no:cacheprovider", "--no-header", "-o", "python_files=case_*.py"]
    command = namespace.command_line([sys.executable, "-m", "pytest", *pytest_options, str(case)])
    if prefix:  # another user: the user namespace must be asked for, though we are root
        command[1:1] = ["--user", "--map-root-user"]
    done = subprocess.run(
        [*prefix, *command],
        cwd=ROOT,
        env={**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", "PTT_BUDGET": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, f"{case.name}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
