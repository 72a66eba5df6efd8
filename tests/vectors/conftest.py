"""Where the public test data is, and how a run over it is told.

The data stand beside the project (``../shared/conformance``) or where ``PTT_CONFORMANCE`` says: another
folder of the same form. They are read, never copied.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

BESIDE_THE_PROJECT = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"

Conformance = Callable[[str], Path]
Report = Callable[[str, int, Mapping[str, str]], None]


@pytest.fixture
def conformance() -> Conformance:
    """Give the folder of a topic; skip, and say so, where it is not there."""
    root = Path(os.environ.get("PTT_CONFORMANCE", BESIDE_THE_PROJECT))

    def folder(topic: str) -> Path:
        path = root / topic
        if not path.is_dir():
            pytest.skip(f"no conformance data at {path} (set PTT_CONFORMANCE)")
        return path

    return folder


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    """Print how many cases ran and passed, and fail with each case that did not pass."""

    def tell(suite: str, ran: int, failures: Mapping[str, str]) -> None:
        with capsys.disabled():
            print(f"\n{suite}: {ran} cases, {ran - len(failures)} passed")
        assert ran, f"{suite}: no case was found"
        assert not failures, "\n".join(f"{case}: {why}" for case, why in failures.items())

    return tell
