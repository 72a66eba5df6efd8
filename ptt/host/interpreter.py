"""The Python that units run on, and whether everybody may read what they run from.

Units run under user ids of their own, so neither the interpreter nor an image may lie in a folder that is
closed to them; a virtual environment's launcher is left aside for the interpreter that it leads to.
"""

import os
import stat
import sys
from pathlib import Path

from ptt.errors import ConfigError


def base_interpreter() -> Path:
    """The interpreter itself, no virtual environment's. ``ConfigError`` when not everybody may run it."""
    path = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    check_open_to_everybody(path, stat.S_IXOTH)
    return path


def check_open_to_everybody(path: Path, right: int) -> None:
    """See that others have ``right`` to ``path`` and may enter all its folders; else ``ConfigError``."""
    if not os.stat(path).st_mode & right:  # noqa: PTH116 - follows links, as the kernel will
        raise ConfigError(str(path), "is closed to other users", f"Run: chmod o+rX {path}")
    for folder in path.resolve().parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise ConfigError(str(folder), "may not be entered by other users", f"Run: chmod o+x {folder}")
