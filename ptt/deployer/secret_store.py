"""The file of secrets on the operator's disk: nobody else may read it, a change of it is whole or not at all.

Its form is ``records.secrets_file``. Two commands that change it at the same time wait for each other.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ptt.errors import ConfigError
from ptt.records.secrets_file import Secrets, parse_secrets, write_secrets

FILE_NAME = "secrets.toml"  # beside ptt.toml, unless told otherwise
OWNER_ONLY = 0o600


def read_secrets(path: Path) -> Secrets:
    """Read the file; a ``ConfigError`` tells all mistakes in it, or that others may read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except OSError as error:
        raise ConfigError(
            str(path),
            error.strerror or str(error),
            "ptt key makes it with the first key; --secrets names another",
        ) from error
    if mode & 0o077:
        raise ConfigError(str(path), f"others may read the secrets (mode {mode:04o})", f"chmod 600 {path}")
    try:
        secrets = parse_secrets(content.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "not UTF-8", "is it the file of secrets?") from error
    if isinstance(secrets, tuple):
        first, *others = secrets
        told = "\n".join(fault.at(str(path)) for fault in others)
        where = f"{path}:{first.line}" if first.line else str(path)
        raise ConfigError(where, first.what, f"{first.mend}\n{told}".rstrip("\n"))
    return secrets


def change_secrets(path: Path, change: Callable[[Secrets], Secrets]) -> Secrets:
    """Read, change and write; a file that is not there yet begins empty. Returns what was written.

    Where the path is a link, the file that it leads to is the one that is read and written.
    """
    path = path.resolve()
    with _alone(path) as folder:
        changed = change(read_secrets(path) if os.path.lexists(path) else Secrets())
        try:
            _write(path, write_secrets(changed).encode())
            os.fsync(folder)  # a key may be known to the world a moment later
        except OSError as error:
            mend = "is the disk full, or the folder somebody else's? The file is as it was"
            raise ConfigError(str(path), error.strerror or str(error), mend) from error
    return changed


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), OWNER_ONLY)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Hold the folder's lock; gives the folder.

    The file itself is replaced, so a lock on it would be on what is gone.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(str(path.parent), error.strerror or str(error), "make the folder first") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(folder)
