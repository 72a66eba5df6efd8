"""Their contender: Postfix with OpenDKIM by a Unix-socket milter, as their Debian packages install them.

Submission on 465 with TLS and SASL, plain SMTP without login on 25, everything relayed to one sink. Logins
are checked by a server of Dovecot's authentication protocol (``bench.checking``) with the same Argon2id
verifier as ours, and counted with Postfix, so that passwords cost both sides the same.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt.errors import ConfigError
from ptt.rehearsal.peers.postfix import Postfix

CONCURRENCY = 50  # of sending to the sink, as ours
START_TIMEOUT_S = 10.0

SUBMISSION_CF = """\
{address}:465 inet n - n - - smtpd
    -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
    -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
    -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
tlsproxy unix - - n - 0 tlsproxy
"""

OPENDKIM_CONF = """\
Mode s
Domain {domain}
Selector rsa1
KeyFile {key}
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
OversignHeaders From
InternalHosts 0.0.0.0/0
Socket local:{socket}
UMask 000
Background no
Syslog no
RequireSafeKeys no
"""


class SubmissionPostfix(Postfix):
    """A Postfix that takes mail from users."""

    def _write(self) -> None:
        super()._write()
        with (self.folder / "etc" / "master.cf").open("a", encoding="utf-8") as file:
            file.write(SUBMISSION_CF.format(address=self.address))


@dataclass(slots=True)
class PostfixWithOpendkim:
    """The whole contender. ``verifier``: the Argon2id text of ``login``'s password."""

    folder: Path
    address: str
    domain: str
    sink: str
    login: str
    verifier: str
    certificate: Path
    _postfix: Postfix | None = None
    _helpers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start everything; returns when Postfix greets."""
        self.folder.mkdir()
        self.folder.chmod(0o711)
        milter, checking = self.folder / "milter", self.folder / "checking"
        self._helpers = [self._start_opendkim(milter), self._start_checking(checking)]
        self._postfix = SubmissionPostfix(
            self.folder / "postfix",
            f"theirs.{self.domain}",
            self.address,
            domains=[],
            users=[],
            certificate=self.certificate,
            settings={
                "mynetworks": "0.0.0.0/0",  # whoever connects may relay on port 25: that is "without login"
                "smtpd_relay_restrictions": "permit_mynetworks,reject",
                "relayhost": f"[{self.sink}]:25",
                "smtp_host_lookup": "native",
                "local_recipient_maps": "",
                "in_flow_delay": "0",
                "default_process_limit": "150",
                "smtp_destination_concurrency_limit": str(CONCURRENCY),
                "initial_destination_concurrency": "20",
                "message_size_limit": "50000000",
                "smtpd_milters": f"unix:{milter}",
                "milter_default_action": "tempfail",
                "milter_protocol": "6",
                "smtpd_sasl_type": "dovecot",
                "smtpd_sasl_path": str(checking),
                "smtpd_tls_loglevel": "0",
                "smtp_tls_security_level": "may",
                "smtp_tls_connection_reuse": "yes",
                "smtpd_client_connection_rate_limit": "0",
                "smtpd_client_connection_count_limit": "0",
            },
        )
        for path in (milter, checking):
            _wait_for(path)
            path.chmod(0o777)
        self._postfix.start()

    def stop(self) -> None:
        """End everything."""
        if self._postfix is not None:
            self._postfix.stop()
        for helper in self._helpers:
            helper.terminate()
            helper.wait()

    @property
    def roots(self) -> list[int]:
        """The processes that all others descend from."""
        assert self._postfix is not None
        master = int((self._postfix.folder / "queue" / "pid" / "master.pid").read_text(encoding="ascii"))
        return [master, *(helper.pid for helper in self._helpers)]

    @property
    def log(self) -> str:
        """What Postfix says."""
        return "" if self._postfix is None else self._postfix.log()

    def _start_opendkim(self, socket: Path) -> subprocess.Popen[bytes]:
        key = rsa.generate_private_key(65537, 2048)
        key_file = self.folder / "rsa1.pem"
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        conf = self.folder / "opendkim.conf"
        conf.write_text(
            OPENDKIM_CONF.format(domain=self.domain, key=key_file, socket=socket), encoding="utf-8"
        )
        return subprocess.Popen(["/usr/sbin/opendkim", "-x", str(conf), "-f"])

    def _start_checking(self, socket: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "bench.checking", str(socket), self.login, self.verifier]
        return subprocess.Popen(command, env=dict(os.environ))


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise ConfigError("bench", f"{path.name} did not come up", "see what it said")
        time.sleep(0.02)
