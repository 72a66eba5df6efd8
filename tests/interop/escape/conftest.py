"""A prison: a host that runs, in the place of each unit, somebody who wants to get out of it."""

import asyncio
import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ptt import topology
from ptt.boot import Closed, Probe, Rights, encode
from ptt.deployer.images import OWN_SOURCE, Image, build_image
from ptt.host.daemon import Host
from ptt.host.unit_spec import JournalEntry, UnitSpec
from ptt.manifest import INTERNET, Manifest
from ptt.net.world import Endpoint
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.site import Background

HERE = Path(__file__).resolve().parent
OURS, INTERNET_V4, INTERNET_V6 = "192.0.2.10", "198.51.100.7", "2001:db8:7::7"
FAR_PORTS = (22, 25, 53, 80, 443, 465, 587, 853, 2222, 4444)
UNITS = tuple(manifest.name for manifest in topology.ALL)
CELL = '"""{unit}, with a prisoner in it."""\n\nimport {service}\nfrom prison.prisoner import serve\n'
READY_S, TRIED_S = 60.0, 60.0
SECRET = "the secret of "
OPERATORS_PORTS: dict[str, tuple[int, ...]] = {"submission": (2222,)}
"""By unit: what its operator's repository is reached at; no other unit may go there."""


@dataclass
class Prison:
    """What happened in each cell."""

    images: dict[str, Image] = field(default_factory=dict)
    closed: dict[str, Closed] = field(default_factory=dict)
    rights: dict[str, Rights] = field(default_factory=dict)
    operators_ports: dict[str, tuple[int, ...]] = field(default_factory=lambda: OPERATORS_PORTS)
    private_ports: dict[str, int] = field(default_factory=dict)
    """By unit."""
    loaded: dict[str, set[str]] = field(default_factory=dict)
    tried: dict[str, dict[str, str]] = field(default_factory=dict)
    """By unit and attempt: ``done``, or how it was refused."""
    breaches: dict[str, list[str]] = field(default_factory=dict)

    bugs: list[str] = field(default_factory=list)

    def hear(self, entry: JournalEntry) -> None:
        line = json.loads(entry.text)
        detail = line.get("detail", "")
        word, _, rest = detail.partition(" ")
        match word:
            case "loaded":
                self.loaded.setdefault(entry.unit, set()).update(rest.split())
            case "escape":
                name, outcome = json.loads(rest)
                self.tried.setdefault(entry.unit, {})[name] = outcome
            case "after":
                self.breaches.setdefault(entry.unit, []).append(detail)
            case _ if line["event"] in {"bug", "start"}:
                self.bugs.append(f"{entry.unit}: {detail}")
            case _:
                pass


@pytest.fixture(scope="session")
def prison(open_place: Path) -> Iterator[Prison]:
    """Give what everybody has tried; each unit is tried alone, one after the other."""
    add_addresses([OURS, INTERNET_V4, INTERNET_V6])
    found, background = Prison(), Background()
    with ExitStack() as stack:
        told = _surroundings(open_place, stack)
        host = background.call(_start(found, open_place))
        try:
            for is_last in (False, True):
                for manifest in topology.ALL:
                    background.call(_try(host, found, manifest, {**told, "last_round": is_last}))
        finally:
            background.call(_stop(host))
            background.close()
        yield found


def _surroundings(place: Path, stack: ExitStack) -> dict[str, Any]:
    """The Internet, the host's sockets, a file that everybody may read and its owner may change."""
    tcp, udp = {}, {}
    for port in FAR_PORTS:
        tcp[f"internet port {port}"] = (INTERNET_V4, port)
        tcp[f"internet port {port}, v6"] = (INTERNET_V6, port)
        udp[f"internet port {port}"] = (INTERNET_V4, port)
        for address, family in ((INTERNET_V4, socket.AF_INET), (INTERNET_V6, socket.AF_INET6)):
            listening = stack.enter_context(socket.create_server((address, port), family=family, backlog=500))
            assert listening.getsockname()[1] == port
    by_path = stack.enter_context(socket.socket(socket.AF_UNIX))
    by_path.bind(str(place / "host.sock"))
    (place / "host.sock").chmod(0o777)
    by_path.listen()
    abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
    abstract.bind("\0ptt-escape")
    abstract.listen()
    file = place / "file"
    file.write_text("everybody's")
    file.chmod(0o666)
    library = place / "library.so"
    shutil.copy(uvloop.loop.__file__, library)
    library.chmod(0o755)
    secret = place / "secret"
    secret.write_text("nobody's but the user's that all units share where the host is not root")
    return {
        "tcp": tcp,
        "udp": udp,
        "host_sockets": {"by path": str(place / "host.sock"), "abstract": "@ptt-escape"},
        "file": str(file),
        "library": str(library),
        "secret_files": [str(secret)],
    }


async def _start(found: Prison, place: Path) -> Host:
    host = Host(on_line=found.hear)
    await host.start([_spec(found, manifest, place) for manifest in topology.ALL])
    assert await host.ready(READY_S), [entry.text for entry in host.journal]
    for manifest in topology.ALL:
        found.closed[manifest.name] = host.closed(manifest.name)
        found.rights[manifest.name] = host._rights(host._specs[manifest.name])
    for (unit, _), port in host._private.ports.items():
        found.private_ports[unit] = port
    return host


async def _stop(host: Host) -> None:
    await host.stop(5.0)


def _spec(found: Prison, manifest: Manifest, place: Path) -> UnitSpec:
    cells = place / "cells" / "prison"
    cells.mkdir(parents=True, exist_ok=True)
    cell = CELL.format(unit=manifest.name, service=f"ptt.units.{manifest.name}.service")
    (cells / f"cell_{manifest.name}.py").write_text(cell)
    image = build_image(
        manifest.name,
        place / "images",
        service=f"prison.cell_{manifest.name}",
        sources=(cells.parent, HERE, OWN_SOURCE),
    )
    found.images[manifest.name] = image
    return UnitSpec(
        manifest=manifest,
        image=image.folder,
        digest=image.digest[:16],
        host_name="mail.mirage.org",
        settings={"listeners": [listen.name for listen in manifest.listens]},
        secrets=dict.fromkeys(manifest.secrets, SECRET + manifest.name),
        public={
            listen.name: (Endpoint(OURS, listen.port),)
            for listen in manifest.listens
            if INTERNET in listen.callers
        },
        connect_ports=OPERATORS_PORTS.get(manifest.name, ()),
    )


async def _try(host: Host, found: Prison, manifest: Manifest, told: dict[str, Any]) -> None:
    """Let one go at it, with everything that a spy could know about the others."""
    endpoints = {
        f"{other.name}.{listen.name}": host.endpoint(other.name, listen.name)
        for other in topology.ALL
        for listen in other.listens
        if listen.transport == "tcp" and other is not manifest
    }
    others = {other.name: host.pid(other.name) for other in topology.ALL if other is not manifest}
    known = {
        **told,
        "tcp": {**told["tcp"], **{name: (where.host, where.port) for name, where in endpoints.items()}},
        "processes": {"the host": host_pid(), **others},
    }
    published = host.units[manifest.name].published
    assert published is not None, found.bugs
    probe = Probe("escape", json.dumps(known).encode())
    host._running[manifest.name, published.number].process.send(encode(probe))
    tried = found.tried.setdefault(manifest.name, {})
    async with asyncio.timeout(TRIED_S):
        while "end" not in tried:
            assert not found.bugs
            await asyncio.sleep(0.01)
    del tried["end"]


def host_pid() -> int:
    """The host is this process."""
    return int(Path("/proc/self").resolve().name)
