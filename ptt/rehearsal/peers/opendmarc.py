"""OpenDMARC as a milter: judges SPF by itself and DMARC by the signatures that OpenDKIM has verified.

Needs Debian's package ``opendmarc``, and names to ask: a resolver in /etc/resolv.conf, which within a
rehearsal is one of its own (``namespace.use_name_server``). Its verdicts stand in the message, in the field
Authentication-Results; mail whose author's domain asks for that is refused: 550 5.7.1.
"""

import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ptt.errors import ConfigError

START_TIMEOUT_S = 10.0
PROGRAM_PATH = "/usr/sbin:/usr/bin"

CONFIGURATION = """\
Socket inet:{port}@127.0.0.1
Background false
Syslog false
AutoRestart false
PidFile {folder}/opendmarc.pid
AuthservID {host_name}
TrustedAuthservIDs {host_name}
IgnoreHosts {folder}/nobody
RejectFailures true
SPFSelfValidate true
SPFIgnoreResults true
"""


def has_opendmarc() -> bool:
    """Whether the program is there."""
    return shutil.which("opendmarc", path=PROGRAM_PATH) is not None


@dataclass(slots=True)
class OpenDmarc:
    """One judge."""

    folder: Path
    host_name: str
    port: int = 8893
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def milter(self) -> str:
        """What Postfix's ``smtpd_milters`` says to reach it; it comes after OpenDKIM."""
        return f"inet:127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it listens."""
        program = shutil.which("opendmarc", path=PROGRAM_PATH)
        if program is None:
            raise ConfigError("this machine", "no program opendmarc", "apt-get install opendmarc")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "nobody").write_text("203.0.113.255\n", encoding="ascii")  # else: whoever is near
        configuration = self.folder / "opendmarc.conf"
        configuration.write_text(
            CONFIGURATION.format(port=self.port, folder=self.folder, host_name=self.host_name),
            encoding="ascii",
        )
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-f", "-c", str(configuration)], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
                raise ConfigError("rehearsal", "OpenDMARC did not start", said[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True
