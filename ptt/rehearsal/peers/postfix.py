"""A real Postfix as a remote mail server: takes mail for its domains into Maildirs, and sends mail.

Needs Debian's package ``postfix`` and more than one user id (root, or an ordinary user with subordinate ids).
Everything of it (configuration, queue, log, mailboxes) is in one folder; nothing in /etc is read or changed.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptt.errors import ConfigError

START_TIMEOUT_S = 20.0  # the first start makes the queue's folders; slow disks were seen to take 8 s
MAIL_USER_ID = 65000  # owns the Maildirs: any id that is neither root nor postfix

MASTER_CF = """\
{front}
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
SMTPD = "{address}:25 inet n - n - - smtpd"
POSTSCREEN = """\
{address}:25 inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""
# Every test that needs no list of others, each of which a broken client fails; the pause before the greeting
# is shorter than the 6 s that it is by itself.
POSTSCREEN_SETTINGS = {
    "postscreen_access_list": "permit_mynetworks",
    "postscreen_greet_action": "enforce",
    "postscreen_greet_wait": "1s",
    "postscreen_pipelining_enable": "yes",
    "postscreen_pipelining_action": "enforce",
    "postscreen_non_smtp_command_enable": "yes",
    "postscreen_non_smtp_command_action": "enforce",
    "postscreen_bare_newline_enable": "yes",
    "postscreen_bare_newline_action": "enforce",
}


@dataclass(slots=True)
class Postfix:
    """One instance. ``users`` are local parts known in each of ``domains``; anybody else is 550 5.1.1."""

    folder: Path
    host_name: str
    address: str
    domains: Sequence[str]
    users: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further lines of main.cf."""
    certificate: Path | None = None
    """PEM with key and chain; None: no STARTTLS is offered."""
    has_postscreen: bool = False
    """postscreen stands in front, with all tests that ask nobody; each stranger is tested once."""

    def start(self) -> None:
        """Write the configuration and start; returns when port 25 listens."""
        if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
            raise ConfigError("this machine", "no program postfix", "apt-get install postfix")
        self._write()
        self._postfix("start")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._greets():
            if time.monotonic() > deadline:
                raise ConfigError("rehearsal", f"Postfix {self.host_name} did not start", self.log()[-2000:])
            time.sleep(0.05)

    def stop(self) -> None:
        """End it with all its processes."""
        self._postfix("abort", check=False)

    def log(self) -> str:
        """Everything that it has logged."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        return ""

    def messages(self, user: str, domain: str | None = None) -> list[bytes]:
        """The messages that a user has got, as delivered (LF line ends, Postfix's own fields in front)."""
        new = self.folder / "mail" / (domain or self.domains[0]) / user / "new"
        files = sorted(new.glob("*"), key=lambda path: path.stat().st_mtime_ns) if new.is_dir() else []
        return [path.read_bytes() for path in files]

    def wait_messages(
        self, user: str, mark: bytes, count: int = 1, domain: str | None = None, timeout_s: float = 10.0
    ) -> list[bytes]:
        """Wait until so many messages with this mark in them have arrived; gives those that have."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = [message for message in self.messages(user, domain) if mark in message]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def queued(self) -> int:
        """Messages that wait in the queue."""
        folders = ("active", "deferred", "incoming", "maildrop", "hold")
        return sum(
            1 for name in folders for path in (self.folder / "queue" / name).rglob("*") if path.is_file()
        )

    def flush(self) -> None:
        """Try everything in the queue again, now."""
        self._postfix("flush")

    def _greets(self) -> bool:
        """Whether port 25 answers with a greeting."""
        try:
            with socket.create_connection((self.address, 25), timeout=1.0) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def _write(self) -> None:
        for name in ("etc", "queue", "data", "mail"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for path in (self.folder, *self.folder.parents):
            if path.stat().st_uid == os.getuid():
                path.chmod(path.stat().st_mode | 0o711)
        shutil.chown(self.folder / "data", "postfix")
        os.chown(self.folder / "mail", MAIL_USER_ID, MAIL_USER_ID)
        etc = self.folder / "etc"
        boxes = [f"{user}@{domain} {domain}/{user}/" for domain in self.domains for user in self.users]
        (etc / "mailboxes").write_text("\n".join([*boxes, ""]), encoding="utf-8")
        main = [f"{key} = {value}" for key, value in {**self._settings(), **self.settings}.items()]
        (etc / "main.cf").write_text("\n".join([*main, ""]), encoding="utf-8")
        front = (POSTSCREEN if self.has_postscreen else SMTPD).format(address=self.address)
        (etc / "master.cf").write_text(MASTER_CF.format(front=front), encoding="utf-8")

    def _settings(self) -> dict[str, str]:
        folder = self.folder
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{folder}/queue",
            "data_directory": f"{folder}/data",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "command_directory": "/usr/sbin",
            "maillog_file": f"{folder}/log",
            "maillog_file_prefixes": f"/dev/stdout, {folder}",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "myhostname": self.host_name,
            "mydestination": "",
            "inet_interfaces": self.address,
            "inet_protocols": "ipv6" if ":" in self.address else "ipv4",
            "smtp_bind_address6" if ":" in self.address else "smtp_bind_address": self.address,
            "alias_maps": "",
            "mynetworks": f"{self.address}/32",
            "virtual_mailbox_domains": ", ".join(self.domains),
            "virtual_mailbox_base": f"{folder}/mail",
            "virtual_mailbox_maps": f"texthash:{folder}/etc/mailboxes",
            "virtual_uid_maps": f"static:{MAIL_USER_ID}",
            "virtual_gid_maps": f"static:{MAIL_USER_ID}",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "smtpd_peername_lookup": "no",
            "smtpd_tls_security_level": "none",
        }
        if self.certificate is not None:
            settings |= {
                "smtpd_tls_security_level": "may",
                "smtpd_tls_chain_files": str(self.certificate),
                "smtpd_tls_received_header": "yes",
                "smtpd_tls_loglevel": "1",
            }
        if self.has_postscreen:
            settings |= POSTSCREEN_SETTINGS
        return settings

    def _postfix(self, verb: str, *, check: bool = True) -> None:
        command = ["/usr/sbin/postfix", "-c", str(self.folder / "etc"), verb]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if check and done.returncode:
            raise ConfigError("rehearsal", f"postfix {verb} failed", done.stderr + self.log()[-2000:])
