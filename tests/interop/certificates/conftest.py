"""A pretend Internet with an ACME authority, and of our own the name server, the resolver and letsencrypt."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ptt import topology
from ptt.host.daemon import Host
from ptt.host.unit_spec import UnitSpec
from ptt.manifest import INTERNET
from ptt.net.system import SystemWorld
from ptt.net.world import Endpoint, Server
from ptt.records.keys import private_pem
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.image_store import stored_image
from ptt.rehearsal.internet.acme_authority import AcmeAuthority
from ptt.rehearsal.internet.https_server import HttpsServer
from ptt.rehearsal.internet.name_server import serve_zones
from ptt.rehearsal.internet.names import Entry, ZoneServer, zone_files
from ptt.rehearsal.namespace import add_addresses, name_hosts
from ptt.rehearsal.site import Background, Ran, run

ROOT = ZoneServer("a.root", "198.51.100.1")
TOP = ZoneServer("a.tld", "198.51.100.2")
OURS = ZoneServer("ns1.mirage.org", "192.0.2.10")
ACME, ACME_NAME = "203.0.113.14", "acme.example"
SERVERS = {"": ROOT, "org": TOP, "example": TOP, "mirage.org": OURS, "island.org": OURS}
ENTRIES = [Entry(ACME_NAME, "A", ACME), Entry("mail.mirage.org", "A", OURS.address)]
SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
HOST_KEYS = {zone: f"mail._update.{zone}" for zone in ("mirage.org", "island.org")}
UNIT_KEY = "letsencrypt._update"  # for all zones
UNITS = ("dns_resolver", "dns_primary", "letsencrypt")
PATIENCE_S = 60.0


@dataclass(slots=True)
class Stage:
    """Everything that runs."""

    folder: Path
    background: Background
    trust: Authority
    authority: AcmeAuthority
    server: HttpsServer
    host: Host
    world: SystemWorld
    specs: dict[str, UnitSpec]
    listeners: list[Server] = field(default_factory=list)

    @property
    def anchor(self) -> Path:
        return self.folder / "anchor.pem"

    @property
    def alarms(self) -> list[str]:
        """What letsencrypt has complained of."""
        lines = [json.loads(entry.text) for entry in self.host.journal if entry.text.startswith("{")]
        return [line["detail"] for line in lines if line.get("event") == "alarm"]

    def orders_for(self, name: str) -> int:
        return sum(name in order.names for order in self.authority.orders)

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Until the condition holds; gives what it gave."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            said = "\n".join(
                [*self.authority.requests[-30:], *(e.text for e in list(self.host.journal)[-30:])]
            )
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        return found

    def dig(self, *question: str) -> str:
        return run("dig", f"@{OURS.address}", "+tries=1", "+time=3", "+tcp", *question).output

    def nsupdate(self, *lines: str, zone: str = "mirage.org") -> Ran:
        script = "\n".join((f"server {OURS.address}", f"zone {zone}", *lines, "send", ""))
        return run("nsupdate", "-y", f"hmac-sha256:{HOST_KEYS[zone]}:{SECRET}", stdin=script)

    def request(self, host: str, *der: bytes) -> None:
        """Put requests at a host's name, in place of all that is there."""
        name = f"_letsencrypt._tcp.{host}"
        adds = [f"update add {name} 3600 TLSA 3 255 0 {each.hex()}" for each in der]
        zone = ".".join(host.split(".")[-2:])
        done = self.nsupdate(f"update delete {name} TLSA", *adds, zone=zone)
        assert (done.code, done.output) == (0, "")

    def records(self, host: str) -> dict[tuple[int, ...], list[bytes]]:
        """What stands at a host's name, by the three numbers."""
        found: dict[tuple[int, ...], list[bytes]] = {}
        for line in self.dig("+short", f"_letsencrypt._tcp.{host}", "TLSA").splitlines():
            *numbers, data = line.split(" ", 3)
            found.setdefault(tuple(map(int, numbers)), []).append(bytes.fromhex(data.replace(" ", "")))
        return found

    def leaf(self, host: str) -> bytes | None:
        return next(iter(self.records(host).get((3, 0, 0), [])), None)

    def replace(self, unit: str) -> None:
        """Put a new generation in the place of the old one."""
        assert self.background.call(self.host.replace(unit))


def new_request(*names: str) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER), key


@pytest.fixture(scope="session")
def make_request() -> Callable[..., tuple[bytes, ec.EllipticCurvePrivateKey]]:
    return new_request


@pytest.fixture(scope="session")
def stage(open_place: Path, require_program: Callable[[str], str]) -> Iterator[Stage]:
    """Start the pretend Internet and our units."""
    for program in ("dig", "nsupdate", "openssl"):
        require_program(program)
    add_addresses([ACME, *{server.address for server in SERVERS.values()}])
    name_hosts({ACME_NAME: ACME})
    background = Background()
    found = background.call(start(open_place, background))
    try:
        yield found
    finally:
        background.call(stop(found))
        background.close()


async def start(folder: Path, background: Background) -> Stage:
    trust, world = Authority(), SystemWorld()
    (folder / "anchor.pem").write_text(trust.anchor_pem, encoding="ascii")
    authority = AcmeAuthority(f"https://{ACME_NAME}", ROOT.address, trust)
    server = HttpsServer(ACME, trust.issue(ACME_NAME), authority.handle)
    await server.serve()
    zones = zone_files(ENTRIES, SERVERS)
    theirs = {origin: text for origin, text in zones.items() if SERVERS[origin] in {ROOT, TOP}}
    listeners = await serve_zones(world, theirs, SERVERS)
    specs = {unit: spec_of(unit, told, secrets) for unit, (told, secrets) in told_of(zones, trust).items()}
    host = Host()
    await host.start(list(specs.values()))
    assert await host.ready(PATIENCE_S), [entry.text for entry in host.journal]
    return Stage(folder, background, trust, authority, server, host, world, specs, listeners)


def told_of(zones: dict[str, str], trust: Authority) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Settings and secrets by unit."""
    keys = {name: f"{name}:SHA256:{SECRET}" for name in (*HOST_KEYS.values(), UNIT_KEY)}
    return {
        "dns_resolver": (
            {"roots": [{"name": "a.root", "ipv4": ROOT.address}], "ipv6": False, "private_servers": True},
            {},
        ),
        "dns_primary": (
            {"zones": {zone: zones[zone] for zone in HOST_KEYS}},
            {"tsig_keys": json.dumps(list(keys.values()))},
        ),
        "letsencrypt": (
            {
                "zones": [*HOST_KEYS, "missing.org"],  # one that nobody serves stops no other
                "email": "hostmaster@mirage.org",
                "directory": f"https://{ACME_NAME}/directory",
                "roots": trust.anchor_pem,
                "settle_s": 0.0,
                "retry_s": 1.0,
            },
            {
                "acme_account_key": private_pem(ec.generate_private_key(ec.SECP256R1())),
                "tsig_key": keys[UNIT_KEY],
            },
        ),
    }


def spec_of(unit: str, settings: dict[str, Any], secrets: dict[str, str]) -> UnitSpec:
    manifest = next(each for each in topology.ALL if each.name == unit)
    image = stored_image(unit)
    return UnitSpec(
        manifest=manifest,
        image=image.folder,
        digest=image.digest[:16],
        host_name="ns1.mirage.org",
        settings=settings,
        secrets=secrets,
        public={
            listen.name: (Endpoint(OURS.address, listen.port),)
            for listen in manifest.listens
            if INTERNET in listen.callers
        },
    )


async def stop(stage: Stage) -> None:
    await stage.host.stop(5.0)
    await stage.server.close()
    await stage.authority.close()
    for listener in stage.listeners:
        listener.close()
    stage.world.close()
