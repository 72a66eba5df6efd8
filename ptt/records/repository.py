"""Where a Git repository is, as settings name it, and which branch of it counts.

The forms are those of git itself: ``ssh://USER@HOST:PORT/PATH``, ``USER@HOST:PATH``, and the addresses of web
servers (``https:``, ``http:``) and of git-daemon (``git:``); and ``local:NAME`` for one that the host serves
(DESIGN section 8). ``#BRANCH`` may follow, else it is ``main`` or ``master``, whichever there is [T5]. An SSH
server is known by its key (``host_key``): without one nothing is fetched.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from ptt.errors import Malformed
from ptt.records.host_key import HostKeyPin, parse_host_key

SSH_PORT = 22
HTTPS_PORT = 443
HTTP_PORT = 80
GIT_PORT = 9418  # git-daemon(1)
MAX_PORT = 65_535
MAX_URL_CHARACTERS = 1024
USUAL_BRANCHES = ("main", "master")
REMOTE_POLL_S = 60.0  # between questions to a server that tells us of no push
LOCAL_POLL_S = 10.0  # the host tells of pushes at once; this is for what it did not see
MIN_POLL_S = 0.5  # a question costs a connection and a process at the other end

_URL = re.compile(
    r"(ssh|https|http|git)://(?:([^@/\s]+)@)?(\[[0-9a-fA-F:.]+\]|[^:/\s\[\]]+)(?::(\d+))?(/\S+)"
)
_SHORT = re.compile(r"(?:([^@/:\s]+)@)([^:/\s\[\]]+):([^\s:]+)")
_LOCAL = re.compile(r"local:([A-Za-z0-9][A-Za-z0-9._-]{0,99})")
_BRANCH = re.compile(r"(?!.*(\.\.|//|@\{))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}(?<![./])")
_PORTS = {"ssh": SSH_PORT, "https": HTTPS_PORT, "http": HTTP_PORT, "git": GIT_PORT}


class RepositorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a unit is told of a repository. The SSH key is among its secrets."""

    url: str
    host_key: str = ""
    """The SSH server's key or its fingerprint, in a form of ``host_key``."""
    poll_s: float | None = None
    """How often to ask whether there is something new; None: as is usual for the place."""
    trust_anchors_pem: str | None = None
    """For https; None: those of the system."""


@dataclass(frozen=True, slots=True)
class SshPlace:
    """A repository behind an SSH server. ``path`` as the server's shell gets it."""

    user: str
    host: str
    port: int
    path: str
    pin: HostKeyPin


@dataclass(frozen=True, slots=True)
class HttpPlace:
    """A repository behind a web server; ``is_secure``: https. ``path`` begins with a slash."""

    host: str
    port: int
    path: str
    is_secure: bool
    trust_anchors_pem: str | None = None


@dataclass(frozen=True, slots=True)
class DaemonPlace:
    """A repository behind git-daemon: neither secret nor authentic."""

    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A repository of this machine, which the host serves under a name."""

    name: str


Place = SshPlace | HttpPlace | DaemonPlace | LocalPlace


@dataclass(frozen=True, slots=True)
class Repository:
    """A place and a branch; None: the usual ones."""

    place: Place
    branch: str | None
    poll_s: float

    @property
    def is_protected(self) -> bool:
        """Whether nobody on the way can change what comes from there."""
        return not isinstance(self.place, DaemonPlace) and not (
            isinstance(self.place, HttpPlace) and not self.place.is_secure
        )

    @property
    def name(self) -> str:
        """What journal lines call it: its last part, without ``.git``."""
        path = self.place.name if isinstance(self.place, LocalPlace) else self.place.path
        return path.rstrip("/").rpartition("/")[2].removesuffix(".git") or path


def read_repository(settings: RepositorySettings) -> Repository | Malformed:
    """Read the settings of a repository; the reason names the field."""
    url, hash_mark, branch = settings.url.partition("#")
    if len(url) > MAX_URL_CHARACTERS:
        return Malformed("url: too long")
    if hash_mark and _BRANCH.fullmatch(branch) is None:
        return Malformed(f"url: {branch!r} is no name of a branch")
    place = _place(url, settings)
    if isinstance(place, Malformed):
        return place
    usual = LOCAL_POLL_S if isinstance(place, LocalPlace) else REMOTE_POLL_S
    poll_s = usual if settings.poll_s is None else settings.poll_s
    if not poll_s >= MIN_POLL_S:
        return Malformed(f"poll_s: less than {MIN_POLL_S:g} s")
    return Repository(place, branch or None, poll_s)


def choose_branch(refs: Mapping[bytes, bytes], branch: str | None) -> tuple[bytes, bytes] | None:
    """The branch that counts and its commit; ``refs`` by full name, ``HEAD`` among them. None: there is none.

    Where both usual names are there, the one that ``HEAD`` is at, else ``main``.
    """
    names = USUAL_BRANCHES if branch is None else (branch,)
    found = [(ref, refs[ref]) for ref in (f"refs/heads/{name}".encode() for name in names) if ref in refs]
    at_head = [(ref, commit) for ref, commit in found if commit == refs.get(b"HEAD")]
    return next(iter(at_head or found), None)


def _place(url: str, settings: RepositorySettings) -> Place | Malformed:
    if (local := _LOCAL.fullmatch(url)) is not None:
        return LocalPlace(local[1])
    if (match := _URL.fullmatch(url)) is not None:
        scheme, user, host, port_text, path = match.groups()
        port = int(port_text) if port_text else _PORTS[scheme]
    elif (match := _SHORT.fullmatch(url)) is not None:
        (user, host, path), scheme, port = match.groups(), "ssh", SSH_PORT
    else:
        return Malformed(
            f"url: {url!r} is none of ssh://USER@HOST/PATH, USER@HOST:PATH, https://…/PATH, local:NAME"
        )
    if not 0 < port <= MAX_PORT:
        return Malformed(f"url: there is no port {port}")
    return _remote(scheme, user, (host.strip("[]"), port, path), settings)


def _remote(
    scheme: str, user: str | None, where: tuple[str, int, str], settings: RepositorySettings
) -> Place | Malformed:
    host, port, path = where
    if scheme != "ssh" and user is not None:
        return Malformed("url: no login can be given here")
    match scheme:
        case "git":
            return DaemonPlace(host, port, path)
        case "https" | "http":
            return HttpPlace(host, port, path, scheme == "https", settings.trust_anchors_pem)
        case _:
            pin = parse_host_key(settings.host_key)
            if isinstance(pin, Malformed):
                return Malformed(f"host_key: {pin.reason}")
            # git-clone(1): ssh://host/~user/path is relative to a home.
            return SshPlace(user or "git", host, port, path[1:] if path.startswith("/~") else path, pin)
