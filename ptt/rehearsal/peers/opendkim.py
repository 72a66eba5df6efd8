"""OpenDKIM as a milter: a mail server asks it about every signature and writes its verdicts into the mail.

Needs Debian's package ``opendkim``. It asks no DNS: it is given the TXT records of the rehearsal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ptt.rehearsal.peers.milter_process import MilterProcess

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
    _process: MilterProcess = field(init=False)

    def __post_init__(self) -> None:
        self._process = MilterProcess("opendkim", self.folder, self.port)

    @property
    def milter(self) -> str:
        """What Postfix's ``smtpd_milters`` says to reach it."""
        return f"inet:127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} {text}\n" for name, text in self.records.items()]
        (self.folder / "records").write_text("".join(lines), encoding="ascii")
        configuration = CONFIGURATION.format(port=self.port, folder=self.folder, host_name=self.host_name)
        self._process.start(configuration, ("-f", "-x"))

    def stop(self) -> None:
        """End it."""
        self._process.stop()
