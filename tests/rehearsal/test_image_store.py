"""Images that rehearsals share."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from ptt.errors import ConfigError
from ptt.rehearsal import image_store
from ptt.rehearsal.image_store import KEPT_S, store, stored_image


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_image_is_built_once_and_kept_while_it_is_used() -> None:
    first = stored_image("dns_resolver")
    long_ago = time.time() - 2 * KEPT_S
    unused = store() / "dns_resolver-of-last-week"
    unused.mkdir()
    os.utime(unused, (long_ago, long_ago))
    built_at = (first.folder / "__main__.py").stat().st_mtime_ns
    assert stored_image("dns_resolver") == first
    assert (first.folder / "__main__.py").stat().st_mtime_ns == built_at
    assert not unused.exists()
    assert first.folder.stat().st_mtime > long_ago


@pytest.mark.parametrize("trap", ["link", "open"])
def test_a_folder_that_others_can_write_to_is_refused(temporary: Path, trap: str) -> None:
    folder = store()
    if trap == "open":
        folder.chmod(0o777)
    else:
        folder.rmdir()
        (temporary / "elsewhere").mkdir()
        folder.symlink_to(temporary / "elsewhere")
    with pytest.raises(ConfigError, match="others can write to it"):
        store()


def test_each_user_has_a_folder_of_its_own() -> None:
    assert store().name == f"ptt-images-{image_store._user()}"
