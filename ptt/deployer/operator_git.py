"""A Git repository as its operator reaches it: a path, SSH by the operator's own ``ssh``, or a web server.

Read and changed in memory; there is no working copy. A change is one commit on top of the head; when somebody
else was faster it is decided again on theirs. ``GIT_SSH_COMMAND`` is honoured, a login in an ``https``
address too. Branches are those of units: ``#BRANCH`` behind the address, else ``main`` or ``master`` [T5].
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dulwich.client import (
    AbstractHttpGitClient,
    GitClient,
    HTTPUnauthorized,
    TraditionalGitClient,
    get_transport_and_path,
)
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.protocol import Protocol as PktLines

from ptt.errors import ConfigError, MisuseError, UnreachableError
from ptt.net.git.client import Author, Head, Reach, Unchanged, fetch_head, push_change
from ptt.net.git.failures import GitTroubleError, RemoteMovedError
from ptt.records.repository import LocalPlace

AUTHOR = "ptt.adduser <ptt.adduser@localhost>"  # the name that the original's commits bear
MAX_PUSHES = 10  # somebody else is faster each time: then it is no accident

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change: new contents by file name, None removes; and the commit's message."""

    changes: Mapping[str, bytes | None]
    message: str


class OperatorRepository:
    """See the module. ``remote``: a path or an address, with ``#BRANCH`` or without."""

    def __init__(self, remote: str) -> None:
        self.shown = _without_secret(remote)
        """The address as it may be told: a password in it is not."""
        self._location, _, branch = remote.partition("#")
        self._branch = branch or None
        self._open: list[PktLines] = []
        self._web: GitClient | None = None

    @property
    def name(self) -> str:
        """What errors call it: the last part of its address."""
        shown = self.shown.partition("#")[0]
        return shown.rstrip("/").replace(":", "/").rpartition("/")[2] or shown

    @property
    def _mend(self) -> str:
        return f"does git ls-remote {self.shown.partition('#')[0]} work?"

    def read(self) -> Mapping[str, bytes]:
        """All files of the branch's head."""
        return self._head().files

    def change(self, decide: Callable[[Mapping[str, bytes]], Edit | None]) -> str:
        """Commit and push what is decided on the files as they are; gives the commit, empty without a change.

        What ``decide`` raises ends it. ``UnreachableError``: the repository does not answer or refuses.
        """
        for _ in range(MAX_PUSHES):
            head = self._head()
            edit = decide(head.files)
            if edit is None or all(head.files.get(name) == new for name, new in edit.changes.items()):
                return ""
            try:
                author = Author(AUTHOR, int(time.time()))
                return self._do(partial(push_change, self._reach(), head, edit.changes, author, edit.message))
            except RemoteMovedError:
                continue
        raise UnreachableError(self.shown, "somebody else pushes all the time", "try again")

    def _head(self) -> Head:
        head = self._do(lambda: fetch_head(self._reach(), self._branch, None))
        if isinstance(head, Unchanged):
            raise MisuseError("no commit was named as known")
        # The original's tools know no other branch than master; whoever wants another names it.
        return head if head.commit or self._branch else replace(head, ref=b"refs/heads/master")

    def _do(self, work: Callable[[], T]) -> T:
        try:
            return self._and_close(work)
        except RemoteMovedError:
            raise
        except GitTroubleError as error:
            raise UnreachableError(self.shown, error.failed.reason, self._mend) from error
        except NotGitRepository as error:
            mend = f"make one: git init --bare {self._location}, or name another with -r"
            raise ConfigError(self.shown, "is no Git repository", mend) from error
        except HTTPUnauthorized as error:
            mend = "give the login in front of the host, as USER:TOKEN@"
            raise UnreachableError(self.shown, "the server wants a login", mend) from error
        except (OSError, GitProtocolError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise UnreachableError(self.shown, _without_secret(said)[:300], self._mend) from error

    def _and_close(self, work: Callable[[], T]) -> T:
        """Dulwich leaves its programs running where something goes wrong."""
        try:
            done = work()
        except NotImplementedError:
            self._refuse_plain_server()
            raise
        else:
            self._refuse_plain_server()
            return done
        finally:
            while self._open:
                with suppress(OSError, GitProtocolError):
                    self._open.pop().close()

    def _refuse_plain_server(self) -> None:
        """A web server that only shows files is asked in another way by dulwich, and cannot be pushed to."""
        if isinstance(self._web, AbstractHttpGitClient) and self._web.dumb:
            raise GitTroubleError("a web server answers that is no Git server, or has no such repository")

    def _reach(self) -> Reach:
        return Reach(LocalPlace(self.name), _no_connection, client=self._client)

    def _client(self) -> tuple[GitClient, bytes]:
        location = self._location
        is_local = "://" not in location and Path(location).exists()
        client, path = get_transport_and_path(
            f"file://{Path(location).absolute()}" if is_local else location,
            thin_packs=False,
            quiet=True,
            ssh_command=os.environ.get("GIT_SSH_COMMAND"),
        )
        if isinstance(client, TraditionalGitClient):
            self._remember_connections(client)
        self._web = client
        return client, os.fsencode(path)

    def _remember_connections(self, client: TraditionalGitClient) -> None:
        connect = client._connect  # noqa: SLF001 - there is no other place that all of them pass

        def connect_and_remember(*arguments: Any, **options: Any) -> Any:
            made = connect(*arguments, **options)
            self._open.append(made[0])
            return made

        client._connect = connect_and_remember  # type: ignore[method-assign] # noqa: SLF001


def _without_secret(text: str) -> str:
    """Without the passwords of addresses: what is told goes to terminals, logs and bug reports."""
    return re.sub(r"(://)[^/\s]+@", r"\1…@", text)


def _no_connection(_service: str) -> None:
    raise MisuseError("dulwich makes the connection")
