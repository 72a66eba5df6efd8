"""Bare Git repositories on this machine: made by ``ptt init``, read where a unit is told files.

The branch is ``master`` (the original's tools know no other) or ``main``, or the one behind ``#``. Files
stand flat; folders are passed over.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dulwich.errors import NotGitRepository
from dulwich.objects import Blob, Commit, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from ptt.errors import ConfigError

BRANCHES = ("master", "main")
AUTHOR = b"ptt <ptt@localhost>"
FILE_MODE = stat.S_IFREG | 0o644


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All files of a commit by name. ``commit`` is empty where there is none yet."""

    commit: str
    files: Mapping[str, bytes]


def make_repository(path: Path, files: Mapping[str, bytes], message: str) -> None:
    """Make a bare repository that only its owner may read, with one commit."""
    path.mkdir(mode=0o700, parents=True)
    with Repo.init_bare(path, default_branch=BRANCHES[0].encode()) as repository:
        tree = Tree()
        for name, content in files.items():
            blob = Blob.from_string(content)
            repository.object_store.add_object(blob)
            tree.add(name.encode(), FILE_MODE, blob.id)
        repository.object_store.add_object(tree)
        repository.get_worktree().commit(
            message=message.encode(), committer=AUTHOR, author=AUTHOR, tree=tree.id
        )


def head_of(path: Path, branch: str = "") -> str:
    """The commit that a branch stands at; empty where there is none. ``ConfigError``: no repository."""
    with _opened(path) as repository:
        return _head(repository, branch)


def read_repository(path: Path, branch: str = "") -> Snapshot:
    """All files at the head of a branch. ``ConfigError``: no repository."""
    with _opened(path) as repository:
        commit_id = _head(repository, branch)
        if not commit_id:
            return Snapshot("", {})
        commit = repository[commit_id.encode()]
        tree = repository[commit.tree] if isinstance(commit, Commit) else None
        files = {}
        for entry in tree.iteritems() if isinstance(tree, Tree) else ():
            blob = repository[entry.sha]
            if isinstance(blob, Blob):
                files[entry.path.decode("utf-8", "surrogateescape")] = blob.data
    return Snapshot(commit_id, files)


def _opened(path: Path) -> Repo:
    try:
        return Repo(str(path))
    except (NotGitRepository, OSError) as error:
        raise ConfigError(str(path), "is no Git repository", f"make one: git init --bare {path}") from error


def _head(repository: Repo, branch: str) -> str:
    for name in (branch,) if branch else BRANCHES:
        try:
            return repository.refs[Ref(f"refs/heads/{name}".encode())].decode()
        except KeyError:
            continue
    return ""
