"""What all tests share: repeatable hypothesis, the budget of each folder, programs that must be there.

``make test`` sets ``PTT_BUDGET=enforce``: then a folder under ``tests/`` that takes longer than
``tests/budget.toml`` gives it fails the run. In CI (``CI=true``) a missing program fails the test that
needs it; on a workstation the test is skipped and says which program it was.
"""

import os
import shutil
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).resolve().parent
IN_CI = os.environ.get("CI", "") not in ("", "0", "false")

# `make test` must give the same verdict twice and in bounded time; `make fuzz` searches.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, max_examples=60, deadline=None, database=None, print_blob=True
)
hypothesis.settings.register_profile("search", max_examples=1000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("PTT_HYPOTHESIS", "repeatable"))

RequireProgram = Callable[[str], str]


@pytest.fixture(scope="session")
def require_program() -> RequireProgram:
    """Give the path of a program; where it is missing skip by name, in CI fail.

    Debian keeps servers in ``/usr/sbin``, which is not in an ordinary user's ``PATH``; it is searched too.
    """

    def find(name: str) -> str:
        path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
        if path is not None:
            return path
        reason = f"the program {name} is not installed (see tests/system-packages.txt)"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)

    return find


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that every user may read: what runs under another id cannot enter ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="ptt-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _seconds() -> float:
    """Time that passed, less what this thread only waited for a processor: others may be busy here."""
    try:
        waited_ns = int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        waited_ns = 0
    return time.monotonic() - waited_ns / 1e9


class Budget:
    """Sums the seconds of each folder directly under ``tests/`` and compares them with its budget."""

    def __init__(self, budgets: dict[str, float], *, enforced: bool) -> None:
        self.budgets = budgets
        self.enforced = enforced
        self.spent: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        parts = item.path.relative_to(TESTS).parts
        start = _seconds()
        try:
            return (yield)
        finally:
            self.spent[parts[0] if len(parts) > 1 else "."] += _seconds() - start

    def _overdrawn(self) -> list[str]:
        return sorted(f for f, spent in self.spent.items() if spent > self.budgets.get(f, 0.0))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.enforced and self._overdrawn() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        overdrawn = self._overdrawn()
        if not self.enforced and not overdrawn:
            return
        terminalreporter.section("seconds of each folder (tests/budget.toml)")
        for folder, spent in sorted(self.spent.items()):
            budget = self.budgets.get(folder)
            allowed = "no budget" if budget is None else f"{budget:7.1f} s"
            mark = "  OVER BUDGET" if folder in overdrawn else ""
            terminalreporter.write_line(f"{folder:16} {spent:7.1f} s of {allowed}{mark}")
        if overdrawn and not self.enforced:
            terminalreporter.write_line("(counts as a failure with PTT_BUDGET=enforce, as in `make test`)")


def pytest_configure(config: pytest.Config) -> None:
    """Register the budget."""
    budgets = tomllib.loads((TESTS / "budget.toml").read_text())["seconds"]
    enforced = os.environ.get("PTT_BUDGET") == "enforce"
    config.pluginmanager.register(Budget(budgets, enforced=enforced), "ptt-budget")
