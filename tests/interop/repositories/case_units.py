"""Users who come and go by ``git push`` while the units run: at RCPT, at AUTH, and when Git is in trouble.

``relay.git`` is behind OpenSSH, ``passwords.git`` is a repository of this machine that the host serves.
"""

import hashlib
import json
import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.message
import pytest

from ptt import topology
from ptt.host.repositories import LocalRepository
from ptt.records.passwords import make_argon2id
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.our_service import Domain
from ptt.rehearsal.peers.git_server import OpenSsh, Operator, git
from ptt.rehearsal.peers.scripted import ScriptedServer
from ptt.rehearsal.site import Site
from ptt.units.dns_primary.manifest import MANIFEST as DNS_PRIMARY

pytestmark = pytest.mark.timeout(120)
OUR_ADDRESS, HOME = "192.0.2.10", "203.0.113.25"
ZONE = f"""
mirage.org       MX 10 mail.mirage.org
mail.mirage.org  A {OUR_ADDRESS}
home.com         MX 10 mx.home.com
mx.home.com      A {HOME}
"""
PASSWORD = "correct horse"
OLD_PASSWORD = "from the original"
LIVE_S = 5.0  # from a push to its effect [S7]
UNITS = tuple(dict.fromkeys((*topology.OUTBOUND, *topology.INBOUND, DNS_PRIMARY)))


def relay_file(password: str | None = None) -> bytes:
    file: dict[str, Any] = {"targets": ["box@home.com"], "insecure": True}
    if password is not None:
        file["password"] = hashlib.blake2b(password.encode()).hexdigest()
    return json.dumps(file, indent=1).encode()


def login_file(password: str = PASSWORD) -> bytes:
    return json.dumps({"verifier": make_argon2id(password, b"salt" * 4).text}, indent=1).encode()


def zone_file(serial: int, address: str) -> bytes:
    return f"@ 60 SOA ns admin {serial} 60 60 60 60\n@ 60 NS ns\nns 60 A {address}\n".encode()


@dataclass(frozen=True, slots=True)
class World:
    """Our service and those who push."""

    site: Site
    relay: Operator
    passwords: Operator
    zones: Operator
    ssh: OpenSsh
    wait_until: Callable[..., Any]

    def recipient(self, address: str) -> int:
        """What port 25 says to a recipient."""
        with smtplib.SMTP(OUR_ADDRESS, 25, timeout=20) as client:
            client.ehlo("stranger.test")
            client.mail("somebody@stranger.test")
            return client.rcpt(address)[0]

    def login(self, user: str, password: str = PASSWORD) -> int:
        """What port 465 says to a login."""
        with self.site.client() as client:
            try:
                return client.login(user, password)[0]
            except smtplib.SMTPAuthenticationError as error:
                return error.smtp_code

    def address(self, name: str) -> str:
        """What our name server says."""
        question = dns.message.make_query(name, "A")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(20)
            asking.sendto(question.to_wire(), (OUR_ADDRESS, 53))
            answer = dns.message.from_wire(asking.recv(4096))
        return " ".join(rdata.to_text() for rrset in answer.answer for rdata in rrset)

    def send(self, user: str = "alice") -> None:
        """Send a mail to a user's own target, through all units; raises when it is not taken."""
        with self.site.client() as client:
            client.login(user, PASSWORD)
            sender = f"{user}@mirage.org"
            client.sendmail(sender, ["box@home.com"], f"From: {sender}\r\nSubject: hello\r\n\r\nhello\r\n")

    def alarms(self, words: str) -> list[str]:
        """Alarms so far with these words."""
        return [line for line in self.site.journal if '"alarm"' in line and words in line]

    def is_live(self, what: Callable[[], bool]) -> None:
        """Wait until a push has had its effect, and see that it was in time."""
        began = time.monotonic()
        self.wait_until(what, 20.0, every_s=1.0)  # who tries passwords faster is slowed down
        assert time.monotonic() - began < LIVE_S


@pytest.fixture(scope="module")
def world(ssh: OpenSsh, open_place: Path, keys: Any, wait_until: Callable[..., Any]) -> Iterator[World]:
    folder = open_place / "repositories"
    folder.mkdir(mode=0o755)
    relay, passwords = Operator(folder, "relay"), Operator(folder, "passwords", branch="main")
    zones = Operator(folder, "zone")
    zones.push({"mirage.org": zone_file(1, "192.0.2.1"), "mirage.org._keys": b"", "README": b"not a zone"})
    names = ("alice", "bruno", "carol", "dora")
    relay.push({**dict.fromkeys(names, relay_file()), "old": relay_file(OLD_PASSWORD)})
    passwords.push(dict.fromkeys(names, login_file()))
    add_addresses([HOME])
    source = {"url": ssh.url(relay.bare), "host_key": ssh.host_key("ed25519"), "poll_s": 0.5}
    settings: dict[str, dict[str, Any]] = {
        "relay": {"zone": ZONE, "repository": source},
        "receiver": {"zone": ZONE},
        "dns_primary": {"repository": {"url": "local:zone"}},
        "submission": {
            "zone": ZONE,
            "repository": {"url": "local:passwords"},
            "relay_repository": source,
        },
    }
    domain = Domain(
        addresses=(OUR_ADDRESS,),
        ssh_key=keys.setting("ed25519"),
        repositories={
            "submission": {"passwords": LocalRepository(passwords.bare)},
            "dns_primary": {"zone": LocalRepository(zones.bare)},
        },
    )
    home = ScriptedServer(HOME, {})
    home.start()
    with Site(open_place, domain, settings, units=UNITS) as site:
        made = World(site, relay, passwords, zones, ssh, wait_until)
        wait_until(lambda: made.recipient("alice@mirage.org") == 250)
        wait_until(lambda: made.login("alice") == 235)
        wait_until(lambda: made.login("old", OLD_PASSWORD) == 235)
        yield made
    home.stop()


def test_the_original_s_files_work_unchanged(world: World) -> None:
    assert world.recipient("old@mirage.org") == 250
    assert world.login("old", OLD_PASSWORD) == 235
    assert world.login("old", PASSWORD) == 535
    assert world.login("nobody") == 535
    world.send()


def test_a_push_is_live_without_a_restart(world: World) -> None:
    pids = {unit: world.site.background.call(pid_of(world, unit)) for unit in ("relay", "submission")}
    assert (world.recipient("eva@mirage.org"), world.login("eva")) == (550, 535)
    world.passwords.push({"eva": login_file()})
    world.is_live(lambda: world.login("eva") == 235)
    world.relay.push({"eva": relay_file()})
    world.is_live(lambda: world.recipient("eva@mirage.org") == 250)
    world.passwords.push({"eva": None})
    world.is_live(lambda: world.login("eva") == 535)
    world.relay.push({"eva": None})
    world.is_live(lambda: world.recipient("eva@mirage.org") == 550)
    assert pids == {unit: world.site.background.call(pid_of(world, unit)) for unit in pids}


async def pid_of(world: World, unit: str) -> int:
    return world.site.host.pid(unit)


def test_a_broken_file_leaves_its_user_and_is_told_with_its_line(world: World) -> None:
    world.relay.push(
        {"bruno": b'{\n "targets": ["x@home.com"],\n "insecure" true\n}', "rubbish": bytes(range(256))}
    )
    world.wait_until(lambda: world.alarms("relay: bruno, line 3: not JSON"))
    world.wait_until(lambda: world.alarms("relay: rubbish, line 1:"))
    assert world.recipient("bruno@mirage.org") == 250
    world.wait_until(lambda: world.recipient("rubbish@mirage.org") == 451)
    world.relay.push({"bruno": relay_file(), "rubbish": None})
    world.wait_until(lambda: world.recipient("rubbish@mirage.org") == 550)


def test_a_list_that_lost_more_than_half_waits_for_a_word(world: World) -> None:
    world.relay.push({"carol": None, "dora": None, "old": None})
    world.wait_until(lambda: world.alarms("has 2 users where there were 5; the last good list stays"))
    assert world.recipient("carol@mirage.org") == 250
    world.relay.push({}, "Remove users\n\nUsers-Removed: yes")
    world.is_live(lambda: world.recipient("carol@mirage.org") == 550)
    world.relay.push(dict.fromkeys(("carol", "dora", "old"), relay_file(OLD_PASSWORD)))
    world.is_live(lambda: world.recipient("carol@mirage.org") == 250)


def test_while_the_repository_is_gone_mail_goes_on_and_the_operator_is_told(world: World) -> None:
    before = len(world.alarms("relay: "))
    world.ssh.stop()
    for _ in range(20):
        world.send()
    world.wait_until(lambda: world.alarms("what was there before holds"))
    world.site.kill("relay", "submission")  # who comes next has the lists from the host
    world.site.wait_ready()
    assert world.recipient("alice@mirage.org") == 250
    assert world.recipient("nobody@mirage.org") == 550
    assert world.login("old", OLD_PASSWORD) == 235
    world.send()
    world.ssh.start()
    world.wait_until(lambda: world.alarms("relay: the repository can be had again"), 30.0)
    world.relay.push({"fritz": relay_file()})
    world.wait_until(lambda: world.recipient("fritz@mirage.org") == 250)
    assert len(world.alarms("relay: ")) - before <= 6  # two units: told, also by who came next


def test_zones_are_pushed_too(world: World) -> None:
    world.wait_until(lambda: world.address("ns.mirage.org") == "192.0.2.1")
    assert world.alarms("zone README:1:")
    world.zones.push({"mirage.org": zone_file(2, "192.0.2.2")})
    world.is_live(lambda: world.address("ns.mirage.org") == "192.0.2.2")
    world.zones.push({"mirage.org": zone_file(2, "192.0.2.3")})
    world.is_live(lambda: world.address("ns.mirage.org") == "192.0.2.3")
    assert world.alarms("zone mirage.org: its serial 2 was not raised; 3 is served")
    world.zones.push({"mirage.org": zone_file(4, "192.0.2.300")})
    world.wait_until(lambda: world.alarms("zone mirage.org:"))
    assert world.address("ns.mirage.org") == "192.0.2.3"
    away = world.zones.bare.with_suffix(".away")
    world.zones.bare.rename(away)
    world.site.kill("dns_primary")  # who comes next has the zones from the host
    world.site.wait_ready()
    assert world.address("ns.mirage.org") == "192.0.2.3"
    world.wait_until(lambda: world.alarms("zone: "))
    away.rename(world.zones.bare)


def test_an_emptied_repository_takes_nobody_away(world: World) -> None:
    names = [path.name for path in world.relay.copy.iterdir() if path.is_file()]
    world.relay.push(dict.fromkeys(names))
    world.wait_until(lambda: world.alarms("has no user that can be read; the last good list stays"))
    assert world.recipient("alice@mirage.org") == 250
    git("update-ref", "-d", "refs/heads/master", folder=world.relay.bare)
    world.wait_until(lambda: world.alarms("relay: the repository is empty"))
    assert world.recipient("alice@mirage.org") == 250
    world.send()
