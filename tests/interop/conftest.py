"""What the cases share: a place for what they start, and marks that tell one mail from another."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ptt.rehearsal.namespace import is_inside
from ptt.rehearsal.peers.exim import find_exim

NewMark = Callable[[], str]


@pytest.fixture(scope="session")
def inside() -> None:
    """Refuse to run outside of a namespace: these tests take addresses and ports of servers."""
    assert is_inside(), (
        "run these by `pytest tests/interop` or `python -m ptt.rehearsal.namespace -- pytest …`"
    )


@pytest.fixture(scope="session")
def open_place(inside: None) -> Iterator[Path]:
    """Give a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="ptt-interop-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def exim_program() -> None:
    """Where Exim is missing skip and say so, in CI fail."""
    if find_exim() is None:
        reason = "the program exim4 is not there (scripts/packages test unpacks it)"
        if os.environ.get("CI", "") not in ("", "0", "false"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def new_mark() -> NewMark:
    """Give a word that no other mail of this run has."""
    numbers = itertools.count(1)
    return lambda: f"mark-{next(numbers)}-end"
