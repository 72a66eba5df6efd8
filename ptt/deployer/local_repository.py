"""Bare Git repositories on this machine, as ``ptt init`` makes them; the host serves them to units.

The branch is ``master``, since the original's tools know no other. Files stand flat.
"""

import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from dulwich.errors import NotGitRepository
from dulwich.objects import Blob, Tree
from dulwich.repo import Repo

from ptt.errors import ConfigError

BRANCH = b"master"
AUTHOR = b"ptt <ptt@localhost>"
FILE_MODE = stat.S_IFREG | 0o644


def make_repository(path: Path, files: Mapping[str, bytes], message: str) -> None:
    """Make a bare repository that only its owner may read, with one commit; whole or not at all.

    ``ConfigError`` where it cannot be made, or something is there already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))  # with mode 0700
        try:
            _fill(made, files, message)
            made.rename(path)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        mend = "make room for it, or name another place in ptt.toml"
        raise ConfigError(str(path), error.strerror or str(error), mend) from error


def _fill(path: Path, files: Mapping[str, bytes], message: str) -> None:
    with Repo.init_bare(path, default_branch=BRANCH) as repository:
        tree = Tree()
        for name, content in files.items():
            blob = Blob.from_string(content)
            repository.object_store.add_object(blob)
            tree.add(name.encode(), FILE_MODE, blob.id)
        repository.object_store.add_object(tree)
        repository.get_worktree().commit(
            message=message.encode(), committer=AUTHOR, author=AUTHOR, tree=tree.id
        )


def check_repository(path: Path) -> None:
    """``ConfigError`` where there is no repository."""
    try:
        Repo(str(path)).close()
    except (NotGitRepository, OSError) as error:
        mend = f"make one: git init --bare {path}; ptt init makes what is missing"
        raise ConfigError(str(path), "is no Git repository", mend) from error
