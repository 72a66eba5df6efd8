"""The ports of mail before and with a certificate that comes through the DNS; openssl, dig, nsupdate, swaks.

The other side, whose part the unit letsencrypt has elsewhere, is played here by nsupdate: so the test says
when a certificate comes. All units run as processes; the tests follow on each other.
"""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ptt import topology
from ptt.records.tsig_key import TsigKey, parse_tsig_key
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.our_service import Domain
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Ran, Site, run

OURS, REMOTE, HOST = "192.0.2.10", "203.0.113.25", "mail.mirage.org"
NAME = f"_letsencrypt._tcp.{HOST}"
FIXED = f"remote.com MX 10 mx.remote.com\nmx.remote.com A {REMOTE}\n"
ZONE = f"""$TTL 300
@ SOA ns1 hostmaster 7 3600 600 86400 60
@ NS ns1
ns1 A {OURS}
mail A {OURS}
"""
UNITS = tuple(each for each in topology.ALL if each.name not in {"letsencrypt", "dns_resolver"})
EDGES = ("submission", "receiver")
PATIENCE_S = 40.0
FIRST_LIFE_S = 30.0  # two thirds of it pass before our units look again


@dataclass(slots=True)
class Stage:
    """The service, and the authority that signs below the one that clients trust."""

    site: Site
    low: Authority
    mails: list[str] = field(default_factory=list)

    def dig(self, *question: str) -> str:
        return run("dig", f"@{OURS}", "+tries=1", "+time=3", "+tcp", "+short", *question).output

    def nsupdate(self, key: str, *lines: str) -> Ran:
        read = parse_tsig_key(self.site.tsig_keys[key])
        assert isinstance(read, TsigKey)
        secret = read.text.rpartition(":")[2]
        script = "\n".join((f"server {OURS}", "zone mirage.org", *lines, "send", ""))
        return run("nsupdate", "-y", f"hmac-sha256:{read.name}:{secret}", stdin=script)

    def requests(self) -> list[str]:
        """The requests that stand at the name, in DER, hexadecimal."""
        lines = self.dig(NAME, "TLSA").splitlines()
        return [line[len("3 255 0 ") :].replace(" ", "") for line in lines if line.startswith("3 255 0 ")]

    def issue(self, lifetime: timedelta) -> int:
        """Answer the request as letsencrypt does; gives the certificate's number."""
        (request,) = self.requests()
        pem = self.low.certify(x509.load_der_x509_csr(bytes.fromhex(request)), lifetime)
        leaf = x509.load_pem_x509_certificate(pem.encode())
        above = x509.load_pem_x509_certificate(self.low.anchor_pem.encode())
        records = [("3 255 0", request)] + [
            (numbers, each.public_bytes(Encoding.DER).hex())
            for numbers, each in (("0 0 0", above), ("3 0 0", leaf))
        ]
        adds = [f"update add {NAME} 3600 TLSA {numbers} {der}" for numbers, der in records]
        done = self.nsupdate("letsencrypt", f"update delete {NAME} TLSA", *adds)
        assert (done.code, done.output) == (0, "")
        return leaf.serial_number

    def openssl(self, port: int) -> str:
        starttls = [] if port == 465 else ["-starttls", "smtp"]
        place = ["-connect", f"{HOST}:{port}", "-verify_hostname", HOST, "-CAfile", str(self.site.anchor)]
        return run("timeout", "5", "openssl", "s_client", *place, *starttls, "-showcerts").output

    def serial(self, port: int) -> int:
        """The number of the certificate that is served, 0 for none."""
        pem = re.search("-----BEGIN CERTIFICATE-.*?-END CERTIFICATE-----", self.openssl(port), re.DOTALL)
        return x509.load_pem_x509_certificate(pem.group().encode()).serial_number if pem else 0

    def said(self, words: str) -> int:
        return sum(words in line for line in self.site.journal)


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE_S} s"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def stage(open_place: Path, require_program: Callable[[str], str]) -> Iterator[Stage]:
    for program in ("openssl", "dig", "nsupdate", "swaks"):
        require_program(program)
    add_addresses([REMOTE])
    settings: dict[str, dict[str, Any]] = {
        "dns_primary": {"zones": {"mirage.org.": ZONE}},
        "relay": {"zone": FIXED, "users": {"alice": {"insecure": True}}},
        "receiver": {"zone": FIXED},
        "submission": {"zone": FIXED},
    }
    domain = Domain(addresses=(OURS,), users={"alice": "a password"}, has_exchange=True)
    authority = Authority()
    target = ScriptedServer(REMOTE, {})
    target.start()
    try:
        with Site(open_place, domain, settings, authority=authority, units=UNITS) as site:
            yield Stage(site, Authority("One below", authority))
    finally:
        target.stop()


def test_before_there_is_one(stage: Stage) -> None:
    """25 shows one of our own making, 465 lets wait and serves who has waited when it comes."""
    wait_for(stage.requests)
    own = stage.openssl(25)
    assert "self-signed certificate" in own
    assert f"CN = {HOST}" in own or f"CN={HOST}" in own
    patient = subprocess.Popen(
        ["swaks", "--server", HOST, "--tls-on-connect", "--port", "465", "--quit-after", "EHLO"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        patient.communicate(timeout=1)
    assert len(stage.requests()) == 1, "two units, one host, one request"
    assert stage.site.host.units["submission"].published is not None, "all the same it is ready"
    stage.issue(timedelta(seconds=FIRST_LIFE_S))
    said, _ = patient.communicate(timeout=PATIENCE_S)
    assert patient.returncode == 0, said


def test_it_is_served_on_every_port(stage: Stage) -> None:
    wait_for(lambda: stage.said("is taken") == 2)
    for port in (25, 465, 587):
        found = stage.openssl(port)
        assert "Verify return code: 0 (ok)" in found, found
        assert f"Verified peername: {HOST}" in found
        assert found.count("BEGIN CERTIFICATE") >= 2, "the chain, with the one below the root"


def test_a_renewed_one_is_taken_while_mail_goes_out(stage: Stage) -> None:
    """No connection is refused, none is cut: one that stays open, and a new one for each mail."""
    message = b"From: alice@mirage.org\r\nTo: bob@remote.com\r\nSubject: x\r\n\r\nx\r\n"
    stays = stage.site.client("alice")
    sent, failures, enough = [0], list[str](), threading.Event()

    def send() -> None:
        while not enough.is_set() and not failures:
            try:
                with stage.site.client("alice", 465 if sent[0] % 2 else 587) as client:
                    client.sendmail("alice@mirage.org", ["bob@remote.com"], message)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                failures.append(f"{type(error).__name__}: {error}")
            sent[0] += 1
            time.sleep(0.1)

    sender = threading.Thread(target=send)
    sender.start()
    number = stage.issue(timedelta(days=90))
    try:
        wait_for(lambda: failures or all(stage.serial(port) == number for port in (25, 465, 587)))
        before = sent[0]
        wait_for(lambda: failures or sent[0] > before + 1)
    finally:
        enough.set()
        sender.join()
    assert not failures, failures
    assert sent[0] > 10
    assert stays.sendmail("alice@mirage.org", ["bob@remote.com"], message) == {}
    stays.quit()
    assert stage.said("is taken") == 4


def test_restarts_and_replacements_ask_for_nothing(stage: Stage) -> None:
    number, asked = stage.serial(465), stage.said("asked for")
    before = stage.dig("mirage.org", "SOA")
    assert stage.site.background.call(stage.site.host.replace("dns_primary"))
    serial = wait_for(
        lambda: (now := stage.dig("mirage.org", "SOA")) != before and now
    )  # it counts on itself
    stage.site.kill(*EDGES)
    stage.site.wait_ready()
    for unit in (*EDGES, *EDGES):
        assert stage.site.background.call(stage.site.host.replace(unit))
    for port in (25, 465, 587):
        assert stage.serial(port) == number, port
    assert stage.dig("mirage.org", "SOA") == serial, "nobody has changed the zone"
    assert stage.said("asked for") == asked


def test_keys_of_units_are_narrow(stage: Stage) -> None:
    """The receiver's key can put a request, and nothing else."""
    assert "REFUSED" in stage.nsupdate("receiver", f"update add {HOST} 60 A 192.0.2.1").output
    assert "REFUSED" in stage.nsupdate("receiver", "update delete mirage.org NS").output
    assert "REFUSED" in stage.nsupdate("receiver", f"update delete {NAME}").output
    assert stage.nsupdate("receiver", f"update add {NAME} 60 TLSA 3 255 0 AABB").output == ""
