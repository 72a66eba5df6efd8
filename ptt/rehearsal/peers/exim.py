"""A real Exim as a remote mail server: sends all mail of others to one place, takes mail for its domains.

Debian's package excludes Postfix, so it need not be installed: ``scripts/packages test`` unpacks it, or one
that is installed is used. Configuration, queue, log and mailboxes are in one folder; /etc gets a user of its
name, seen in this namespace only. Needs more than one user id. It asks no DNS.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptt.errors import ConfigError
from ptt.rehearsal.certificates import ServerCertificate
from ptt.rehearsal.namespace import is_inside

START_TIMEOUT_S = 20.0
# Both ask the server of the address itself, of which what it said is remembered; behind our own domains there
# is none to ask. Where that comes to nothing Exim answers 550 or 451 by itself.
CALLOUTS = """\
  require verify = sender/callout=30s
  accept domains = ! +ours
         verify = recipient/callout=30s
"""
USER = "Debian-exim"  # built into Debian's program
USER_ID = 64990  # where the machine has no such user
UNPACKED = Path(__file__).resolve().parents[3] / "build" / "unpacked"

CONFIGURATION = """\
exim_path = {program}
primary_hostname = {host_name}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/pid
local_interfaces = {address}
daemon_smtp_ports = 25
deliver_drop_privilege
acl_smtp_rcpt = recipient
acl_smtp_data = accept
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
{tls}
log_selector = +smtp_confirmation
domainlist ours = {domains}
begin acl
recipient:
  accept hosts = {address}
{callouts}
  accept domains = +ours
         local_parts = {users}
  deny message = no such user
begin routers
boxes:
  driver = accept
  domains = +ours
  local_parts = {users}
  transport = box
elsewhere:
  driver = manualroute
  domains = ! +ours
  route_list = * {next_host}
  self = send
  transport = out
begin transports
out:
  driver = smtp
  interface = {address}
  hosts_try_prdr = ${{if eq{{$sender_address_local_part}}{{plain}}{{:}}{{*}}}}
box:
  driver = appendfile
  directory = {folder}/mail/$local_part_data
  maildir_format
begin retry
* * F,1h,1s
"""


def find_exim() -> Path | None:
    """The program, installed or unpacked."""
    installed = shutil.which("exim4", path="/usr/sbin:/usr/bin")
    if installed is not None:
        return Path(installed)
    unpacked = UNPACKED / "usr/sbin/exim4"
    return unpacked if unpacked.exists() else None


@dataclass(slots=True)
class Exim:
    """One instance. ``users`` are local parts known in each of ``domains``; all else goes to ``next_host``.

    It asks for PRDR as it does by itself, but for the mail of a sender called ``plain``.
    """

    folder: Path
    host_name: str
    address: str
    domains: Sequence[str]
    users: Sequence[str]
    next_host: str
    certificate: ServerCertificate | None = None
    """None: no STARTTLS is offered."""
    has_callouts: bool = False
    """It asks back about senders, and about recipients of others, for whom it is a second server then."""

    def start(self) -> None:
        """Write the configuration and start; returns when port 25 listens."""
        user_id = _user_id()
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self._place_program()
        for name in ("spool", "log", "mail"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, user_id, user_id)
        (self.folder / "exim.conf").write_text(
            CONFIGURATION.format(
                program=self._program,
                host_name=self.host_name,
                folder=self.folder,
                address=self.address,
                domains=" : ".join(self.domains),
                users=" : ".join(self.users),
                next_host=self.next_host,
                tls=self._tls(user_id),
                callouts=CALLOUTS if self.has_callouts else "",
            ),
            encoding="ascii",
        )
        (self.folder / "exim.conf").chmod(0o644)
        self._exim("-bd")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._greets():
            if time.monotonic() > deadline:
                raise ConfigError("rehearsal", f"Exim {self.host_name} did not start", self.log()[-2000:])
            time.sleep(0.05)

    def stop(self) -> None:
        """End the daemon."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text(encoding="ascii")), signal.SIGTERM)

    def log(self) -> str:
        """Everything that it has logged."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log/mainlog").read_text(encoding="utf-8", errors="replace")
        return ""

    def messages(self, user: str) -> list[bytes]:
        """The messages that a user has got (LF line ends)."""
        new = self.folder / "mail" / user / "new"
        return [path.read_bytes() for path in sorted(new.glob("*"))] if new.is_dir() else []

    def asked_about(self, address: str) -> bool:
        """Whether a callout about this address was answered: what it heard is in its database."""
        with contextlib.suppress(FileNotFoundError):
            return address.encode() in (self.folder / "spool/db/callout").read_bytes()
        return False

    def queued(self) -> int:
        """Messages that wait in the queue."""
        return len(list((self.folder / "spool/input").rglob("*-H")))

    def flush(self) -> None:
        """Try everything in the queue again; returns when that is over."""
        self._exim("-qqff")

    def _tls(self, user_id: int) -> str:
        if self.certificate is None:
            return "tls_advertise_hosts ="
        path = self.certificate.write(self.folder / "tls.pem")
        os.chown(path, user_id, user_id)
        return f"tls_advertise_hosts = *\ntls_certificate = {path}"

    def _place_program(self) -> None:
        """Put the program where its own user may run it again: our tree may be closed to others."""
        program = find_exim()
        if program is None:
            raise ConfigError("this machine", "no program exim4", "scripts/packages test")
        if not program.is_relative_to(UNPACKED):
            self._program.symlink_to(program)
            return
        shutil.copy(program, self._program)
        for libraries in (UNPACKED / "usr/lib").glob("*-linux-gnu*"):
            shutil.copytree(libraries, self.folder / "lib", dirs_exist_ok=True)

    @property
    def _program(self) -> Path:
        return self.folder / "exim4"

    def _exim(self, *arguments: str) -> None:
        command = [str(self._program), "-C", str(self.folder / "exim.conf"), *arguments]
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "LD_LIBRARY_PATH": str(self.folder / "lib")},
        )
        if done.returncode:
            raise ConfigError("rehearsal", f"exim4 {arguments[0]} failed", done.stderr + self.log()[-2000:])

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.address, 25), timeout=1.0) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False


def _user_id() -> int:
    """Exim's user; where there is none one is added to files that only this namespace sees."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(USER).pw_uid
    if not is_inside():
        raise ConfigError("rehearsal", f"no user {USER}", "run it by ptt.rehearsal.namespace")
    for name, line in (
        ("passwd", f"{USER}:x:{USER_ID}:{USER_ID}::/nonexistent:/usr/sbin/nologin\n"),
        ("group", f"{USER}:x:{USER_ID}:\n"),
    ):
        ours, theirs = Path("/run") / name, Path("/etc") / name  # our own /run, see ``namespace``
        ours.write_text(theirs.read_text(encoding="utf-8") + line, encoding="utf-8")
        subprocess.run(["mount", "--bind", str(ours), str(theirs)], check=True)
    return USER_ID
