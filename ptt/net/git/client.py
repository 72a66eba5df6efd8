"""Fetching a branch's head and pushing a commit: blocking calls, for a thread.

A head is always fetched whole and alone (depth 1): nothing accumulates, a branch that was rewritten needs no
care, and memory depends on the head only. A push is one commit on top of the head as fetched; when somebody
else was faster, ``RemoteMovedError`` says so and the caller begins anew.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import dulwich.object_filters  # noqa: F401 - imported late by dulwich: nothing is imported once a unit is closed
from dulwich.client import GitClient, TraditionalGitClient
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree, parse_tree
from dulwich.pack import UnpackedObject
from dulwich.protocol import Protocol as PktLines
from dulwich.protocol import pkt_line

from ptt.net.git.failures import GitTroubleError, RemoteMovedError
from ptt.net.git.http import HttpClient
from ptt.net.git.pack import GitObject, read_pack
from ptt.net.git.ssh import open_ssh
from ptt.net.git.wire import Wire
from ptt.records.keys import PrivateKey
from ptt.records.repository import USUAL_BRANCHES, DaemonPlace, HttpPlace, Place, SshPlace, choose_branch

REGULAR_FILE = 0o100000
FILE_TYPE = 0o170000
TRAILER_DEPTH = 100  # commits looked at for a trailer, when a list has shrunk
TREE_ID_OCTETS = 20
# How servers say that somebody else was faster.
MOVED_WORDS = ("lock", "failed to update", "fast-forward", "fetch first", "stale info", "unable to set")

for _name in ("dulwich", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)  # what fails is told once, by us


@dataclass(frozen=True, slots=True)
class Head:
    """A branch's head: its commit's id, and the files of its top folder by name.

    Folders, links and submodules are no files. ``commit`` is empty where nothing was ever pushed. ``tree``
    is the folder as Git has it, for the next commit.
    """

    commit: str
    files: Mapping[str, bytes] = field(repr=False)
    ref: bytes = b""
    tree: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The branch is where it was."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who commits: ``NAME <MAIL>``, and when, in seconds since 1970."""

    name: str
    unix_time: int


@dataclass(frozen=True, slots=True)
class Reach:
    """A place and what it takes to get there. ``connect`` is told the service for a local place.

    ``client``: gives dulwich's client and the path to ask it for, where others than we make the connection.
    """

    place: Place
    connect: Callable[[str], Any] = field(repr=False)
    key: PrivateKey | None = field(repr=False, default=None)
    client: Callable[[], tuple[GitClient, bytes]] | None = field(repr=False, default=None)
    host_key_kinds: dict[bytes, tuple[str, ...]] = field(repr=False, default_factory=dict)
    """Of which kinds host keys were found to be; to be kept from one call to the next."""


def fetch_head(reach: Reach, branch: str | None, known: str | None) -> Head | Unchanged:
    """Fetch the head of a branch unless it is ``known``.

    Raises ``GitTroubleError``, and whatever dulwich and paramiko raise about what a server says.
    """
    found = _fetch(reach, branch, known, depth=1)
    if found is None:
        return Unchanged()
    ref, commit, objects = found
    if not commit:
        return Head("", {}, ref)
    tree = _tree_of(objects, commit)
    return Head(commit.decode("ascii"), _files(objects, tree), ref, tree)


def messages_since(reach: Reach, branch: str | None, last: str | None) -> Mapping[str, str]:
    """Messages of the commits after ``last`` by id, at most ``TRAILER_DEPTH`` deep.

    Where ``last`` is not among the ancestors (the branch was rewritten) only the head's.
    """
    found = _fetch(reach, branch, None, depth=TRAILER_DEPTH)
    if found is None:
        return {}
    _, head, objects = found
    commits = {name: each.content for name, each in objects.items() if each.kind == b"commit"}
    root = (last or "").encode("ascii")
    old = _ancestors(commits, root) if root in commits else commits.keys() - {head}
    return {
        name.decode("ascii"): content.partition(b"\n\n")[2].decode("utf-8", "replace")
        for name, content in commits.items()
        if name not in old
    }


def push_change(
    reach: Reach, head: Head, changes: Mapping[str, bytes | None], author: Author, message: str
) -> str:
    """Commit on top of ``head`` and push; gives the commit. None removes a file.

    ``RemoteMovedError`` when the branch is somewhere else by now.
    """
    commit, objects = _commit(head, changes, author, message)

    def update(refs: dict[Any, Any]) -> dict[Any, Any]:
        if refs.get(head.ref, b"").decode("ascii") != head.commit:
            raise RemoteMovedError
        return {head.ref: commit}

    def pack_data(*_: object, **__: object) -> tuple[int, Iterator[UnpackedObject]]:
        return len(objects), (
            UnpackedObject(each.type_num, decomp_chunks=each.as_raw_chunks(), sha=each.sha().digest())
            for each in objects
        )

    client, path = _client(reach)
    try:
        result = client.send_pack(path, update, pack_data)
    finally:
        client.close()
    refused = (result.ref_status or {}).get(head.ref)
    if refused is None:
        return commit.decode("ascii")
    if any(word in refused for word in MOVED_WORDS):
        raise RemoteMovedError
    raise GitTroubleError(f"the push was refused: {refused}", needs_operator=True)


def _fetch(
    reach: Reach, branch: str | None, known: str | None, depth: int
) -> tuple[bytes, bytes, Mapping[bytes, GitObject]] | None:
    """Ref, commit (empty before the first push) and objects; None: the commit is the known one."""
    pack = bytearray()
    chosen: list[tuple[bytes, bytes]] = []

    def wants(refs: Mapping[Any, Any], depth: int | None = None) -> list[Any]:  # noqa: ARG001 - dulwich's
        found = choose_branch(refs, branch)
        if found is None and refs:
            names = f"branch {branch}" if branch else "branch main or master"
            raise GitTroubleError(f"the repository has no {names}", needs_operator=True)
        chosen.append(found or (f"refs/heads/{branch or USUAL_BRANCHES[0]}".encode(), b""))
        commit = chosen[0][1]
        return [] if commit in {(known or "").encode("ascii"), b""} else [commit]

    def keep(data: bytes) -> int:
        pack.extend(data)
        return len(data)

    client, path = _client(reach)
    try:
        client.fetch_pack(path, wants, _NothingKnown(), keep, depth=depth, protocol_version=0)
    finally:
        client.close()
    ref, commit = chosen[0]
    if known and commit.decode("ascii") == known:
        return None
    return ref, commit, read_pack(bytes(pack)) if commit else {}


class _NothingKnown:
    """What we have of the repository, as dulwich asks for it."""

    def __next__(self) -> None:
        return None

    def ack(self, sha: bytes) -> None:
        """Take in that the server has what we never said that we have."""

    def nak(self) -> None:
        """Take in that the server has nothing of it."""


class _StreamClient(TraditionalGitClient):
    """Dulwich's rules over one of our streams."""

    def __init__(self, reach: Reach) -> None:
        super().__init__(thin_packs=False)
        self._reach = reach

    def _connect(
        self,
        cmd: bytes,
        path: str | bytes,  # noqa: ARG002 - it is in the place
        protocol_version: int | None = None,  # noqa: ARG002 - always 0
    ) -> tuple[PktLines, Callable[[], bool], IO[bytes] | None]:
        wire = _open(self._reach, cmd.decode("ascii"))
        return PktLines(wire.read, wire.write, wire.close), lambda: False, None


def _open(reach: Reach, service: str) -> Wire:
    place = reach.place
    if isinstance(place, SshPlace):
        if reach.key is None:
            raise GitTroubleError("there is no SSH key to log in with", needs_operator=True)
        return open_ssh(lambda: reach.connect(service), place, reach.key, service, reach.host_key_kinds)
    stream = reach.connect(service)
    if isinstance(place, DaemonPlace):
        host = f"[{place.host}]" if ":" in place.host else place.host
        stream.sendall(pkt_line(f"git-{service} {place.path}\0host={host}\0".encode()))
    return Wire(stream, stream.close)


def _client(reach: Reach) -> tuple[GitClient, bytes]:
    if reach.client is not None:
        return reach.client()
    if isinstance(reach.place, HttpPlace):
        return HttpClient(lambda: reach.connect(""), reach.place), reach.place.path.encode()
    return _StreamClient(reach), b""


def _tree_of(objects: Mapping[bytes, GitObject], commit: bytes) -> bytes:
    found = objects.get(commit)
    if found is None or found.kind != b"commit" or not found.content.startswith(b"tree "):
        raise GitTroubleError("the server has sent another commit than it has named")
    tree = objects.get(found.content[5:45])
    if tree is None or tree.kind != b"tree":
        raise GitTroubleError("the server has sent a commit without its files")
    return tree.content


def _files(objects: Mapping[bytes, GitObject], tree: bytes) -> dict[str, bytes]:
    files = {}
    for name, mode, blob_id in parse_tree(tree, TREE_ID_OCTETS):
        blob = objects.get(blob_id)
        if mode & FILE_TYPE == REGULAR_FILE and blob is not None:
            # A name that is no text becomes one that no local part can be, and so a fault of its own.
            files[name.decode("utf-8", "backslashreplace")] = blob.content
    return files


def _ancestors(commits: Mapping[bytes, bytes], root: bytes) -> set[bytes]:
    """A commit and all before it, as far as they are here."""
    seen: set[bytes] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in commits and name not in seen:
            seen.add(name)
            header = commits[name].partition(b"\n\n")[0]
            waiting += [line[7:] for line in header.splitlines() if line.startswith(b"parent ")]
    return seen


def _commit(
    head: Head, changes: Mapping[str, bytes | None], author: Author, message: str
) -> tuple[bytes, list[ShaFile]]:
    """The new commit's id, and the objects that it adds."""
    tree = Tree.from_string(head.tree)
    added: list[ShaFile] = []
    for name, content in changes.items():
        file_name = name.encode("utf-8")
        if content is None:
            del tree[file_name]
        else:
            blob = Blob.from_string(content)
            added.append(blob)
            tree[file_name] = (REGULAR_FILE | 0o644, blob.id)
    commit = Commit()
    commit.tree = tree.id
    commit.parents = [ObjectID(head.commit.encode("ascii"))] if head.commit else []
    commit.author = commit.committer = author.name.encode("utf-8")
    commit.author_time = commit.commit_time = author.unix_time
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = message.encode("utf-8")
    return commit.id, [commit, tree, *added]
