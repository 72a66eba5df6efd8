"""Git servers as they are: OpenSSH with git behind it, git's own web program, git-daemon; and an operator.

Needs Debian's packages ``openssh-server`` and ``git``. Everything of a server is in its folder; the
repositories belong to whoever runs this.
"""

import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ptt.errors import ConfigError

START_TIMEOUT_S = 10.0
PROGRAM_PATH = "/usr/sbin:/usr/bin"
SSH_PORT = 22
PRIVILEGE_SEPARATION = Path("/run/sshd")  # a folder that sshd wants to be there
CONFIGURATION = """\
ListenAddress {address}:22
HostKey {folder}/host_ed25519
HostKey {folder}/host_rsa
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
LogLevel VERBOSE
"""


SETTINGS = ("-c", "user.name=Operator", "-c", "user.email=operator@mirage.org", "-c", "core.compression=1")


def git(*arguments: str, folder: Path | None = None) -> str:
    """Run git as an operator does; gives what it prints."""
    done = subprocess.run(
        ["git", *SETTINGS, *arguments],
        cwd=folder,
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigError(f"git {' '.join(arguments)}", done.stderr, "see git's words")
    return done.stdout


@dataclass(slots=True)
class Operator:
    """A bare repository and somebody who pushes to it from a working copy."""

    folder: Path
    name: str
    branch: str = "master"

    def __post_init__(self) -> None:
        git("init", "-q", "--bare", "-b", self.branch, str(self.bare))
        git("clone", "-q", str(self.bare), str(self.copy))

    @property
    def bare(self) -> Path:
        """The repository."""
        return self.folder / f"{self.name}.git"

    @property
    def copy(self) -> Path:
        """The working copy."""
        return self.folder / f"{self.name}-copy"

    def push(self, files: dict[str, bytes | None], message: str = "Change", *, force: bool = False) -> str:
        """Write or remove files (None), commit and push; gives the commit."""
        if not force and git("ls-remote", "--heads", "origin", folder=self.copy):
            git("pull", "-q", "--rebase", "origin", self.branch, folder=self.copy)
        for name, content in files.items():
            if content is None:
                (self.copy / name).unlink()
            else:
                (self.copy / name).write_bytes(content)
        git("add", "-A", folder=self.copy)
        git("commit", "-q", "--allow-empty", *(["--amend"] if force else []), "-m", message, folder=self.copy)
        git("push", "-q", *(["-f"] if force else []), "origin", f"HEAD:{self.branch}", folder=self.copy)
        return git("rev-parse", "HEAD", folder=self.copy).strip()


@dataclass(slots=True)
class OpenSsh:
    """A server at an address, port 22. ``authorized``: lines of keys that are let in."""

    folder: Path
    address: str
    authorized: list[str] = field(default_factory=list)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def user(self) -> str:
        """Whom to log in as."""
        return getpass.getuser()

    @property
    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def host_key(self, kind: str) -> str:
        """The line of a host key, ``ed25519`` or ``rsa``."""
        return (self.folder / f"host_{kind}.pub").read_text(encoding="ascii").strip()

    def url(self, path: Path) -> str:
        """Where a repository is, for who asks from elsewhere."""
        return f"ssh://{self.user}@{self.address}{path}"

    def authorize(self, *lines: str) -> None:
        """Let these keys in, and no others."""
        self.authorized = list(lines)
        (self.folder / "authorized_keys").write_text("\n".join(lines) + "\n", encoding="ascii")

    def start(self) -> None:
        """Start it; returns when it listens."""
        program = shutil.which("sshd", path=PROGRAM_PATH)
        if program is None:
            raise ConfigError("this machine", "no program sshd", "apt-get install openssh-server")
        self.folder.mkdir(parents=True, exist_ok=True)
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        if not (self.folder / "host_rsa").exists():
            _write_key(self.folder / "host_ed25519", Ed25519PrivateKey.generate())
            _write_key(self.folder / "host_rsa", generate_private_key(65537, 2048))
        self.authorize(*self.authorized)
        configuration = self.folder / "sshd_config"
        configuration.write_text(
            CONFIGURATION.format(address=self.address, folder=self.folder), encoding="ascii"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, "-D", "-e", "-f", str(configuration)], stderr=log)
        _wait_for_port(self.address, SSH_PORT, "sshd")

    def stop(self) -> None:
        """End it; sessions that are open end too."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@dataclass(slots=True)
class GitDaemon:
    """git-daemon at an address, port 9418, for everything below a folder."""

    folder: Path
    address: str
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; returns when it listens."""
        options = [f"--base-path={self.folder}", "--export-all", "--reuseaddr", f"--listen={self.address}"]
        self._process = subprocess.Popen(
            ["git", "daemon", *options, str(self.folder)], start_new_session=True, stderr=subprocess.DEVNULL
        )
        _wait_for_port(self.address, 9418, "git-daemon")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            os.killpg(self._process.pid, 15)
            self._process.wait()


def _write_key(path: Path, key: Ed25519PrivateKey | RSAPrivateKey) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(private)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b"\n")


def _wait_for_port(address: str, port: int, what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise ConfigError(what, "does not listen", "see its log") from None
            time.sleep(0.05)
        else:
            return
