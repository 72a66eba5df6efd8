"""What the cases share: a place for what they start, and marks that tell one mail from another."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ptt.rehearsal.namespace import is_inside

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
def new_mark() -> NewMark:
    """Give a word that no other mail of this run has."""
    numbers = itertools.count(1)
    return lambda: f"mark-{next(numbers)}-end"
