"""OpenDKIM as a milter: a mail server asks it about every signature and writes its verdicts into the mail.

Needs Debian's package ``opendkim``. It asks no DNS: it is given the TXT records of the rehearsal.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ptt.errors import ConfigError

START_TIMEOUT_S = 10.0
PROGRAM_PATH = "/usr/sbin:/usr/bin"

CONFIGURATION = """\
Mode v
Socket inet:{port}@127.0.0.1
Background no
Syslog no
AutoRestart no
PidFile {folder}/opendkim.pid
AuthservID {host_name}
AlwaysAddARHeader yes
TestDNSData file:{folder}/records
TemporaryDirectory {folder}
"""


@dataclass(slots=True)
class OpenDkim:
    """One verifier. ``records``: owner name -> text of the TXT record."""

    folder: Path
    host_name: str
    records: Mapping[str, str]
    port: int = 8891
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def milter(self) -> str:
        """What Postfix's ``smtpd_milters`` says to reach it."""
        return f"inet:127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it listens."""
        program = shutil.which("opendkim", path=PROGRAM_PATH)
        if program is None:
            raise ConfigError("this machine", "no program opendkim", "apt-get install opendkim")
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} {text}\n" for name, text in self.records.items()]
        (self.folder / "records").write_text("".join(lines), encoding="ascii")
        configuration = self.folder / "opendkim.conf"
        configuration.write_text(
            CONFIGURATION.format(port=self.port, folder=self.folder, host_name=self.host_name),
            encoding="ascii",
        )
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-f", "-x", str(configuration)], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
                raise ConfigError("rehearsal", "OpenDKIM did not start", said[-2000:])
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
