"""OpenDMARC as a milter: judges SPF by itself and DMARC by the signatures that OpenDKIM has verified.

Needs Debian's package ``opendmarc``, and names to ask: a resolver in /etc/resolv.conf, which within a
rehearsal is one of its own (``namespace.use_name_server``). Its verdicts stand in the message, in the field
Authentication-Results; mail whose author's domain asks for that is refused: 550 5.7.1.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ptt.rehearsal.peers.milter_process import MilterProcess, find_program

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
    return find_program("opendmarc") is not None


@dataclass(slots=True)
class OpenDmarc:
    """One judge."""

    folder: Path
    host_name: str
    port: int = 8893
    _process: MilterProcess = field(init=False)

    def __post_init__(self) -> None:
        self._process = MilterProcess("opendmarc", self.folder, self.port)

    @property
    def milter(self) -> str:
        """What Postfix's ``smtpd_milters`` says to reach it; it comes after OpenDKIM."""
        return f"inet:127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "nobody").write_text("203.0.113.255\n", encoding="ascii")  # else: whoever is near
        configuration = CONFIGURATION.format(port=self.port, folder=self.folder, host_name=self.host_name)
        self._process.start(configuration, ("-f", "-c"))

    def stop(self) -> None:
        """End it."""
        self._process.stop()
