"""One service of ours, real senders and real targets around it, and judges that answer from the same zone."""

import smtplib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dkim
import pytest

from ptt import topology
from ptt.rehearsal.internet.people import DomainSigner
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.our_service import Domain
from ptt.rehearsal.peers.exim import Exim
from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site

OUR_ADDRESS = "192.0.2.10"
REMOTE, EXIM, TARGET, STRANGER = "198.51.100.25", "198.51.100.26", "203.0.113.25", "198.51.100.99"
SCRIPTED = range(1, 41)
OURS = ("mirage.org", "mirage.net")
ZONE = f"""
mirage.org            MX 10 mail.mirage.org
mirage.net            MX 10 mail.mirage.org
mail.mirage.org       A {OUR_ADDRESS}
mirage.org            TXT "v=spf1 mx -all"
mail.mirage.org       TXT "v=spf1 a -all"
_dmarc.mirage.org     TXT "v=DMARC1; p=reject; aspf=s; adkim=s"
srs.mirage.org        MX 10 mail.mirage.org
srs.mirage.org        TXT "v=spf1 ip4:{OUR_ADDRESS} -all"
_dmarc.srs.mirage.org TXT "v=DMARC1; p=reject; psd=n"
remote.com            MX 10 mx1.remote.com
mx1.remote.com        A {REMOTE}
mx1.remote.com        TXT "v=spf1 a -all"
remote.com            TXT "v=spf1 mx -all"
_dmarc.remote.com     TXT "v=DMARC1; p=reject"
exim.net              MX 10 mx.exim.net
mx.exim.net           A {EXIM}
exim.net              TXT "v=spf1 mx -all"
strict.test           A {REMOTE}
strict.test           TXT "v=spf1 -all"
_dmarc.strict.test    TXT "v=DMARC1; p=reject"
relaxed.test          TXT "v=spf1 -all"
_dmarc.relaxed.test   TXT "v=DMARC1; p=none"
lists.test            TXT "v=spf1 ip4:{STRANGER} -all"
stranger.test         A {STRANGER}
stranger.test         TXT "v=spf1 a -all"
home.com              MX 10 mail.home.com
mail.home.com         A {TARGET}
"""

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # theirs, of strings that have to be raw ones
    import authheaders
    import spf

Require = Callable[[str], str]
MakeScripted = Callable[..., ScriptedServer]


def scripted_address(number: int) -> str:
    """The address of the server of ``s<number>.test``, where user ``s<number>`` has a mailbox."""
    return f"203.0.113.{100 + number}"


def wait_for(what: Callable[[], Any], timeout_s: float = 15.0) -> Any:
    """Wait until something is so; gives it."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"did not happen within {timeout_s} s"
        time.sleep(0.02)
    return found


@dataclass(frozen=True, slots=True)
class Judges:
    """Programs that are not ours, asked about what a target got; the same zone is their DNS."""

    zone: str

    def records(self, name: str, kind: str) -> list[str]:
        """The data of a name's records."""
        lines = [line.split(None, 2) for line in self.zone.splitlines() if line.strip()]
        return [
            data.strip('"')
            for owner, found, data in lines
            if (owner, found) == (name.lower().rstrip("."), kind)
        ]

    def spf(self, sender: str, address: str, helo: str) -> str:
        """What pyspf says."""
        return str(spf.check2(address, sender, helo)[0])

    def dkim(self, message: bytes) -> bool:
        """Whether dkimpy accepts the uppermost signature."""
        return bool(dkim.verify(message.replace(b"\n", b"\r\n"), dnsfunc=self._txt))

    def all(self, message: bytes, sender: str, address: str, helo: str) -> str:
        """What authheaders makes of SPF, DKIM and DMARC together."""
        return str(
            authheaders.authenticate_message(
                message.replace(b"\n", b"\r\n"),
                "judge.test",
                spf=True,
                ip=address,
                mail_from=sender,
                helo=helo,
                dnsfunc=self._txt,
            )
        )

    def _txt(self, name: bytes | str, *_: object, **__: object) -> bytes | str | None:
        """The text as dkimpy (octets) or authheaders (words) asks for it."""
        found = self.records(name if isinstance(name, str) else name.decode(), "TXT")
        if not found:
            return None
        return found[0] if isinstance(name, str) else found[0].encode()


@pytest.fixture(scope="session")
def judges(zone: str) -> Iterator[Judges]:
    """Give the judges."""
    made = Judges(zone)

    def look_up(name: str, kind: str, *_: object, **__: object) -> list[Any]:
        found = made.records(name, kind)
        if kind == "MX":
            return [((name, kind), (int(one.split()[0]), one.split()[1])) for one in found]
        return [((name, kind), (one.encode(),) if kind == "TXT" else one) for one in found]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spf, "DNSLookup", look_up)
        yield made


@pytest.fixture(scope="session")
def remote_signer() -> DomainSigner:
    """Give the DKIM key of remote.com."""
    return DomainSigner("remote.com")


@pytest.fixture(scope="session")
def zone(remote_signer: DomainSigner) -> str:
    """Give what the DNS holds."""
    lines = [f'{name} TXT "{text}"' for name, text in remote_signer.records().items()]
    lines += [f"s{n}.test MX 10 mx.s{n}.test\nmx.s{n}.test A {scripted_address(n)}" for n in SCRIPTED]
    return "\n".join([ZONE, *lines, ""])


@pytest.fixture(scope="session")
def relay_settings(zone: str) -> dict[str, Any]:
    """Give what the relay is told: alice has a mailbox at a Postfix, s<n> at a scripted server."""
    home = ["alice@home.com"]
    users: dict[str, Any] = {
        "alice": {"targets": home},
        "carol": {"targets": ["carol@home.com"]},
        "staff": {"targets": ["alice@home.com", "carol@home.com"]},
        "everybody": {"targets": ["staff@mirage.org", "alice@mirage.org", "box@s1.test"]},
        "gone": {"targets": ["nobody@home.com"]},
        "full": {"targets": ["full@home.com"]},
        "lost": {"targets": ["lost@home.com"]},
        "some": {"targets": ["alice@home.com", "nobody@home.com"]},
        "every": {"targets": ["alice@home.com", "nobody@home.com"], "need": "all"},
        "letters": {"targets": ["$1@home.com"], "pattern": "to-(alice|carol)"},
        "net": {"targets": ["all@home.com"], "catch_all": True, "domains": ["mirage.net"]},
        "board": {"targets": ["carol@home.com"], "senders": ["bob@remote.com"]},
        "quiet": {"targets": home, "action": "drop"},
        "closed": {"targets": home, "action": "refuse", "text": "Closed since May."},
        "later": {"targets": home, "action": "defer", "text": "We are moving."},
        "round": {"targets": ["round@mirage.org"]},
        **{f"s{n}": {"targets": [f"box@s{n}.test"]} for n in SCRIPTED},
    }
    for user in users.values():
        user["insecure"] = True
    return {
        "zone": zone,
        "users": users,
        "domains": list(OURS),
        "postmaster": "root@home.com",
        "srs_domain": "srs.mirage.org",
    }


@pytest.fixture(scope="session")
def site(open_place: Path, relay_settings: dict[str, Any], zone: str) -> Iterator[Site]:
    """Give our service."""
    addresses = [REMOTE, EXIM, TARGET, STRANGER, *map(scripted_address, SCRIPTED)]
    add_addresses(addresses)
    settings = {
        "relay": relay_settings,
        "receiver": {"zone": zone, "domains": list(OURS), "lists": ["lists.test"]},
    }
    with Site(open_place, Domain(addresses=(OUR_ADDRESS,)), settings, units=topology.INBOUND) as running:
        yield running


@pytest.fixture(scope="session")
def remote(site: Site, open_place: Path, require_program: Require) -> Iterator[Postfix]:
    """Give the Postfix of remote.com: it sends all mail for others to us, and has bob, who gets bounces."""
    require_program("postfix")
    postfix = Postfix(
        open_place / "remote",
        "mx1.remote.com",
        REMOTE,
        ["remote.com"],
        ["bob", "dora"],
        settings={
            "relayhost": f"[{OUR_ADDRESS}]",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtp_tls_security_level": "may",
            "smtp_tls_loglevel": "1",
            "enable_long_queue_ids": "yes",
            "initial_destination_concurrency": "20",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "1s",
            "queue_run_delay": "1s",
            "transport_retry_time": "1s",
            "smtpd_client_connection_rate_limit": "0",
            "disable_vrfy_command": "no",
        },
    )
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()


@pytest.fixture(scope="session")
def home(site: Site, open_place: Path, require_program: Require) -> Iterator[Postfix]:
    """Give the Postfix of home.com, where alice and carol read; STARTTLS, mailbox ``full`` is full."""
    require_program("postfix")
    full = open_place / "full"
    full.write_text("full@home.com 452 4.2.2 Mailbox full\n", encoding="ascii")
    full.chmod(0o644)
    aliases = open_place / "aliases"  # taken, and then nobody is there: Postfix writes a bounce
    aliases.write_text("lost@home.com ghost@home.com\n", encoding="ascii")
    aliases.chmod(0o644)
    postfix = Postfix(
        open_place / "home",
        "mail.home.com",
        TARGET,
        ["home.com"],
        ["alice", "carol", "root", "full", "all"],
        settings={
            "smtpd_recipient_restrictions": f"check_recipient_access texthash:{full}",
            "virtual_alias_maps": f"texthash:{aliases}",
            "relayhost": f"[{OUR_ADDRESS}]",
            "enable_long_queue_ids": "yes",
        },
        certificate=site.authority.issue("mail.home.com").write(open_place / "home.pem"),
    )
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()


@pytest.fixture(scope="session")
def exim(site: Site, open_place: Path, exim_program: None) -> Iterator[Exim]:
    """Give the Exim of exim.net, which sends all mail for others to us."""
    users = ["erik", "erik0", "erik1", "erik2", "plain"]
    server = Exim(open_place / "exim", "mx.exim.net", EXIM, ["exim.net"], users, OUR_ADDRESS)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def scripted() -> Iterator[MakeScripted]:
    """Start scripted servers, by number (``s<number>.test``)."""
    running: list[ScriptedServer] = []

    def start(number: int, script: Any = None, **parts: Any) -> ScriptedServer:
        server = ScriptedServer(scripted_address(number), dict(script or {}), **parts)
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def direct(site: Site) -> Callable[..., smtplib.SMTP]:
    """Give a connection to our port 25 from an address; EHLO is said."""

    def connect(address: str = REMOTE, helo: str = "mx1.remote.com") -> smtplib.SMTP:
        client = smtplib.SMTP(OUR_ADDRESS, 25, helo, timeout=60, source_address=(address, 0))
        client.ehlo()
        return client

    return connect


@pytest.fixture(scope="session")
def send() -> Callable[..., dict[str, tuple[int, bytes]]]:
    """Hand a message to a mail server of ours, from its own address; it sends it on by itself."""

    def hand_over(
        server: Postfix | Exim, sender: str, recipients: list[str], message: bytes
    ) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP(server.address, 25, timeout=60, source_address=(server.address, 0)) as client:
            return client.sendmail(sender, recipients, message, ["BODY=8BITMIME"])

    return hand_over


@pytest.fixture(scope="session")
def draft() -> Callable[..., bytes]:
    """Write a message that is found again by its mark."""

    def write(
        mark: str, author: str = "bob@remote.com", to: str = "alice@mirage.org", extra: str = ""
    ) -> bytes:
        return (
            f"From: {author}\r\nTo: {to}\r\nSubject: {mark}\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{mark}@remote.com>\r\n{extra}\r\n.Hello  \r\n\r\n..\r\n"
        ).encode()

    return write


@pytest.fixture(scope="session")
def wait() -> Callable[..., Any]:
    """Wait until something is so."""
    return wait_for
