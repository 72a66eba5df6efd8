"""The interpreter of units, and who may read what they run from."""

import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptt.errors import ConfigError
from ptt.host.interpreter import base_interpreter, check_open_to_everybody


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others may enter, as tmp_path is not."""
    with tempfile.TemporaryDirectory(prefix="ptt-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def test_it_is_no_virtual_environments() -> None:
    program = "import sys; print(sys.prefix == sys.base_prefix)"
    done = subprocess.run([base_interpreter(), "-I", "-S", "-c", program], capture_output=True, check=True)
    assert done.stdout == b"True\n"


def test_what_is_closed_is_named(folder: Path) -> None:
    file = folder / "inner" / "file"
    file.parent.mkdir()
    file.touch(0o644)
    file.parent.chmod(0o755)
    file.chmod(0o644)
    check_open_to_everybody(file, stat.S_IROTH)
    with pytest.raises(ConfigError, match="file: is closed to other users"):
        check_open_to_everybody(file, stat.S_IXOTH)
    file.parent.chmod(0o750)
    with pytest.raises(ConfigError, match="inner: may not be entered by other users"):
        check_open_to_everybody(file, stat.S_IROTH)
