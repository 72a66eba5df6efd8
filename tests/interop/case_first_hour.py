"""An operator's first hour, by the commands of the documentation: from nothing to mail both ways.

``ptt init``, ``ptt up`` and ``ptt user`` run as programs among a pretend root, the Postfix of a stranger and
the one where Alice reads.
"""

import json
import os
import re
import shlex
import signal
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ptt.net.system import SystemWorld
from ptt.net.world import Server
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.internet.name_server import serve_zones
from ptt.rehearsal.internet.names import Entry, ZoneServer, zone_files
from ptt.rehearsal.namespace import add_addresses, name_hosts
from ptt.rehearsal.peers.postfix import Postfix
from ptt.rehearsal.site import Background

NewMark = Callable[[], str]

OURS, REMOTE, HOME = "192.0.2.10", "198.51.100.25", "203.0.113.25"
ROOT, TOP, NAMES = "198.51.100.1", "198.51.100.2", "203.0.113.53"
HOST = "mail.mirage.org"
PASSWORD = "a password of alice"
SERVERS = {
    "": ZoneServer("a.root", ROOT),
    **dict.fromkeys(("org", "com"), ZoneServer("a.tld", TOP)),
    "mirage.org": ZoneServer("ns1.mirage.org", OURS),
    "remote.com": ZoneServer("ns.remote.com", NAMES),
    "home.com": ZoneServer("ns.home.com", NAMES),
    "arpa": ZoneServer("ns.home.com", NAMES),
}
ENTRIES = (
    Entry("remote.com", "MX", "10 mx1.remote.com"),
    Entry("mx1.remote.com", "A", REMOTE),
    Entry("remote.com", "TXT", "v=spf1 mx -all"),
    Entry("home.com", "MX", "10 mail.home.com"),
    Entry("mail.home.com", "A", HOME),
    Entry("10.2.0.192.in-addr.arpa", "PTR", HOST),
)
PRETEND = f"""
[tls]
certificate = "tls.pem"
[dns_resolver]
ipv6 = false
private_servers = true
unreserved = ["2.0.192.in-addr.arpa"]
roots = [{{ name = "a.root.", ipv4 = "{ROOT}" }}]
[check]
mail_servers = ["mx1.remote.com"]
"""
START_LIMIT_S = (
    150.0  # a few seconds, most of them for building images; a machine that is busy takes a minute
)
pytestmark = pytest.mark.timeout(200)


DOCUMENTED = re.findall(
    r"^ptt .*$", (Path(__file__).parents[2] / "docs" / "operating.md").read_text(), re.MULTILINE
)


def documented(command: str) -> list[str]:
    """The arguments of a command as docs/operating.md has them, for this domain."""
    [line] = [line for line in DOCUMENTED if line.startswith(f"ptt {command}")]
    return shlex.split(line.replace("example.org", "mirage.org").replace("home.example", "home.com"))[1:]


class Operator:
    """Somebody at a terminal of 80 columns, with a folder for the service."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "ptt"
        self.socket = place / "asked" / "host.sock"
        self.told = place / "told"
        self.journal = place / "journal"
        self.environment = {
            **os.environ,
            "PTT_HOST_SOCKET": str(self.socket),
            "PTT_CONFIG": str(self.folder),
            "COLUMNS": "80",
        }

    def ptt(self, *arguments: str, code: int = 0, typed: str = "") -> str:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "ptt.cli.main", *arguments],
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def up(self) -> subprocess.Popen[bytes]:
        """Start the service in the foreground of another terminal; returns when it serves."""
        arguments = [*documented("up"), "--journal", str(self.journal)]
        command = [sys.executable, "-m", "ptt.cli.main", *arguments]
        with self.told.open("wb") as output:
            running = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment
            )
        try:
            self.wait(self.socket.exists, running)
        except BaseException:
            running.kill()
            running.wait()
            raise
        return running

    def wait(self, what: Callable[[], Any], running: subprocess.Popen[bytes]) -> Any:
        """Wait until something is so while the service runs."""
        deadline = time.monotonic() + START_LIMIT_S
        while not (found := what()):
            assert running.poll() is None, self.told.read_text()
            assert time.monotonic() < deadline, self.told.read_text()
            time.sleep(0.05)
        return found

    def status(self) -> dict[str, dict[str, Any]]:
        """The newest generation of each unit."""
        return {unit["unit"]: unit for unit in json.loads(self.ptt("status", "--json"))}


@pytest.fixture(scope="module")
def internet(open_place: Path, require_program: Callable[[str], str]) -> Iterator[dict[str, Postfix]]:
    """Give the servers of remote.com and home.com; the names that lead to them and to us are served."""
    require_program("postfix")
    add_addresses([OURS, REMOTE, HOME, ROOT, TOP, NAMES])
    name_hosts({HOST: OURS})
    background, theirs = Background(), zone_files(ENTRIES, SERVERS)
    del theirs["mirage.org"]
    listening: list[Server] = []

    async def serve() -> SystemWorld:
        world = SystemWorld()
        listening.extend(await serve_zones(world, theirs, SERVERS))
        return world

    async def close() -> None:
        for server in listening:
            server.close()
        world.close()

    world = background.call(serve())
    more = {
        "relayhost": f"[{OURS}]",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    }
    servers = {
        name: Postfix(
            open_place / name,
            host,
            address,
            [domain],
            [user],
            more if name == "remote" else {},
            certificate=Authority().issue(host).write(open_place / f"{name}.pem"),
        )
        for name, host, address, domain, user in (
            ("remote", "mx1.remote.com", REMOTE, "remote.com", "bob"),
            ("home", "mail.home.com", HOME, "home.com", "alice"),
        )
    }
    try:
        for server in servers.values():
            server.start()
        yield servers
    finally:
        for server in servers.values():
            server.stop()
        background.call(close())
        background.close()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def operator(open_place: Path) -> Operator:
    return Operator(open_place)


@pytest.fixture(scope="module")
def running(
    operator: Operator, internet: dict[str, Postfix], authority: Authority
) -> Iterator[subprocess.Popen[bytes]]:
    """Give the service, founded by ``ptt init`` and started by ``ptt up``."""
    operator.ptt(*documented("init"), "--folder", str(operator.folder))
    authority.issue(HOST).write(operator.folder / "tls.pem")
    with (operator.folder / "ptt.toml").open("a") as file:
        file.write(PRETEND)
    service = operator.up()
    try:
        yield service
    finally:
        service.kill()
        service.wait()


@pytest.fixture(scope="module")
def alice(operator: Operator, running: subprocess.Popen[bytes], authority: Authority) -> None:
    """Add Alice, while the service runs: live without a restart."""
    operator.ptt(*documented("user add"), "--password-file", "-", typed=PASSWORD)

    def may_log_in() -> bool:
        with suppress(smtplib.SMTPException), client(authority):
            return True
        return False

    operator.wait(may_log_in, running)


def client(authority: Authority) -> smtplib.SMTP_SSL:
    """Alice's mail program, logged in."""
    context = ssl.create_default_context(cadata=authority.anchor_pem)
    connection = smtplib.SMTP_SSL(HOST, 465, context=context, timeout=60)
    try:
        connection.login("alice", PASSWORD)
    except BaseException:
        connection.close()  # it would be missed wherever the collector of garbage comes by
        raise
    return connection


def write(mark: str, author: str, to: str) -> bytes:
    date = "Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n"
    return (
        f"From: {author}\r\nTo: {to}\r\nSubject: {mark}\r\nMessage-ID: <{mark}@x>\r\n{date}\r\nHello\r\n"
    ).encode()


def test_what_is_made_stays(operator: Operator, running: subprocess.Popen[bytes]) -> None:
    before = {path: path.read_bytes() for path in operator.folder.iterdir() if path.is_file()}
    told = json.loads(operator.ptt(*documented("init"), "--folder", str(operator.folder), "--json"))
    assert told["made"] == []
    assert {path: path.read_bytes() for path in before} == before
    assert told["registrar"] == ["mirage.org. NS ns1.mirage.org.", f"ns1.mirage.org. A {OURS}"]
    assert told["reverse_names"] == [f"10.2.0.192.in-addr.arpa. PTR {HOST}."]


def test_mail_both_ways(
    operator: Operator, alice: None, internet: dict[str, Postfix], authority: Authority, new_mark: NewMark
) -> None:
    inward, outward = new_mark(), new_mark()
    with smtplib.SMTP(REMOTE, 25, timeout=60, source_address=(REMOTE, 0)) as postfix:
        postfix.sendmail(
            "bob@remote.com", ["alice@mirage.org"], write(inward, "bob@remote.com", "alice@mirage.org")
        )
    [arrived] = internet["home"].wait_messages("alice", inward.encode(), timeout_s=30)
    assert b"spf=pass" in arrived
    with client(authority) as program:
        program.sendmail(
            "alice@mirage.org", ["bob@remote.com"], write(outward, "alice@mirage.org", "bob@remote.com")
        )
    [sent] = internet["remote"].wait_messages("bob", outward.encode(), timeout_s=30)
    assert sent.count(b"DKIM-Signature:") == 2

    trace_id = re.search(rb"ESMTPSA? .*?id ([0-9a-f]{20})", sent.replace(b"\n\t", b" "), re.DOTALL)
    assert trace_id is not None
    told = operator.ptt(*documented("trace")[:1], trace_id[1].decode())
    assert "Delivered: alice's mail to bob@remote.com is at mx1.remote.com." in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 80
    for source in ([], ["--journal", str(operator.journal)]):
        trace = json.loads(operator.ptt("trace", trace_id[1].decode(), "--json", *source))
        assert [step["unit"] for step in trace["steps"]] == ["submission", "signer", "relay"]
        assert trace["steps"][-1]["words"][0]["host"] == "mx1.remote.com"
    mail = operator.folder.parent / "mail"
    mail.write_bytes(arrived)
    story = json.loads(operator.ptt("trace", "--file", str(mail), "--json"))
    assert {hop["by"] for hop in story["hops"]} >= {HOST, "mail.home.com"}


def test_a_refusal_is_explained(
    operator: Operator, alice: None, authority: Authority, new_mark: NewMark
) -> None:
    with client(authority) as program, pytest.raises(smtplib.SMTPRecipientsRefused):
        program.sendmail(
            "alice@mirage.org",
            ["nobody@remote.com"],
            write(new_mark(), "alice@mirage.org", "nobody@remote.com"),
        )
    line = json.loads(json.loads(operator.ptt("logs", "submission", "-n", "1", "--json"))["text"])
    told = " ".join(operator.ptt("trace", line["trace"]).split())
    assert told.startswith("Refused by mx1.remote.com:")
    assert "still has the mail" in told


def test_a_restart_refuses_nobody(operator: Operator, alice: None, authority: Authority) -> None:
    """Connections are made all the time while submission is replaced; each is served."""
    before = operator.status()["submission"]["generation"]
    command = [sys.executable, "-m", "ptt.cli.main", *documented("restart"), "--json"]
    with subprocess.Popen(
        command, env=operator.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as restart:
        served = 0
        while restart.poll() is None:
            with client(authority) as program:
                served += program.noop()[0] == 250
        told = json.loads(restart.communicate()[0])
    assert restart.returncode == 0
    assert told == {"type": "restarted", "unit": "submission", "generation": before + 1}
    assert served > 0


def test_a_restart_reads_the_configuration_anew(operator: Operator, alice: None) -> None:
    file = operator.folder / "ptt.toml"
    good = file.read_text()
    file.write_text(f'max_size = "9 potatoes"\n{good}')
    refused = operator.ptt("restart", "receiver", code=64)
    assert "ptt.toml:1: max_size" in refused
    file.write_text(f'max_size = "9 MB"\n{good}')
    operator.ptt("restart", "receiver")
    deadline, offered = time.monotonic() + 30, ""
    while offered != "9000000" and time.monotonic() < deadline:  # the old one may still take a connection
        with smtplib.SMTP(OURS, 25, timeout=60) as connection:
            connection.ehlo("remote.com")
            offered = connection.esmtp_features["size"]
    assert offered == "9000000"


def test_nothing_is_to_mend(operator: Operator, alice: None) -> None:
    """``ptt check`` of a healthy service that runs: asked of the units themselves, port 25 too."""
    later = {"DS": "todo", "TLSA": "todo", "certificate": "todo", "secondary": "todo"}
    deadline = time.monotonic() + START_LIMIT_S
    while True:  # a service that has just started takes a moment until all of it answers
        findings = json.loads(operator.ptt(*documented("check"), "--json"))
        odd = {each["what"]: each["level"] for each in findings if each["level"] != "ok"}
        expected = {**later, "postmaster": "warn"} | ({"isolation": "warn"} if "isolation" in odd else {})
        if odd == expected or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert odd == expected
    relay = next(each for each in findings if each["theme"] == "relay")
    assert "refuses mail from strangers to strangers (550)" in relay["sentence"]


def test_what_a_terminal_shows(operator: Operator, alice: None) -> None:
    table = operator.ptt(*documented("status"))
    assert max(map(len, table.splitlines())) <= 80
    assert len(table.splitlines()) >= 8
    assert "relay.1" in operator.ptt(*documented("logs"))
    assert operator.ptt("logs", "--since", "2099-01-01T00:00:00Z") == ""
    assert "duration before now" in operator.ptt("logs", "--since", "noon", code=64)
    assert "no unit nobody" in operator.ptt("restart", "nobody", code=64)
    assert "nothing is known of abc" in operator.ptt("trace", "abc", code=64)
    told = operator.told.read_text()
    assert max(map(len, told.splitlines())) <= 80


def test_logs_follow(operator: Operator, alice: None, authority: Authority) -> None:
    command = [sys.executable, "-u", "-m", "ptt.cli.main", "logs", "submission", "-n", "1", "--follow"]
    with subprocess.Popen(
        command, env=operator.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as follow:
        assert follow.stdout is not None
        follow.stdout.readline()
        with client(authority) as program:
            program.mail("alice@mirage.org")
            program.rcpt("carol@remote.com")
        while "given up" not in follow.stdout.readline():
            pass
        follow.send_signal(signal.SIGINT)
        follow.wait(30)
    assert follow.returncode == 130


def test_ctrl_c_lets_mail_under_way_finish(
    operator: Operator,
    running: subprocess.Popen[bytes],
    alice: None,
    internet: dict[str, Postfix],
    authority: Authority,
    new_mark: NewMark,
) -> None:
    mark = new_mark()
    message = write(mark, "alice@mirage.org", "bob@remote.com")
    program = client(authority)
    program.mail("alice@mirage.org")
    assert program.rcpt("bob@remote.com")[0] == 250
    assert program.docmd("DATA")[0] == 354
    program.send(message[:60])
    running.send_signal(signal.SIGINT)
    operator.wait(lambda: "draining" in operator.told.read_text(), running)
    program.send(message[60:] + b".\r\n")
    assert program.getreply()[0] == 250
    program.close()
    assert running.wait(60) == 0, operator.told.read_text() + operator.journal.read_text()[-4000:]
    assert operator.told.read_text().splitlines()[-1] == "ended"
    assert internet["remote"].wait_messages("bob", mark.encode(), timeout_s=30)
    assert "ptt up" in operator.ptt("status", code=69)
