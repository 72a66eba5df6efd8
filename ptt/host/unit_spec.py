"""What the host is given to run a unit, and what it hears of it: parts of the boot record, journal lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ptt.boot import BootRecord, Rights
from ptt.errors import MisuseError
from ptt.host.acquaintance import public_listens
from ptt.host.repositories import Repositories
from ptt.manifest import INTERNET, Channel, Manifest
from ptt.net.world import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpec:
    """A unit as it is to run. ``public`` has one or more addresses for each listener of the Internet's."""

    manifest: Manifest
    image: Path
    digest: str
    host_name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    public: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    repositories: Repositories = field(default_factory=dict)
    """Those of this machine that the unit may ask for, by the names in its settings (``local:NAME``)."""
    connect_ports: tuple[int, ...] = ()
    """TCP ports beside the manifest's: those in the operator's own addresses, of a repository say."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A line that a unit wrote on standard error, or the host about it."""

    at: datetime
    unit: str
    generation: int
    text: str


def check_spec(spec: UnitSpec) -> None:
    """Refuse what does not fit the manifest: all its public listeners, no others; no secrets but its own."""
    name = spec.manifest.name
    wanted = {listen.name for listen in public_listens(spec.manifest)}
    if wanted != spec.public.keys() or not all(spec.public.values()):
        raise MisuseError(f"{name} has the public listeners {sorted(wanted)}")
    alien = spec.secrets.keys() - spec.manifest.secrets
    if alien:
        raise MisuseError(f"{name} is given secrets that its manifest does not name: {sorted(alien)}")
    if spec.repositories and not any(call.channel is Channel.GIT for call in spec.manifest.calls):
        raise MisuseError(f"{name} is given repositories, but its manifest calls none")
    if spec.connect_ports and not any(call.callee == INTERNET for call in spec.manifest.calls):
        raise MisuseError(f"{name} is given ports, but its manifest calls nobody on the Internet")


def boot_record(spec: UnitSpec, generation: int, rights: Rights) -> BootRecord:
    """What a generation of this unit reads first."""
    return BootRecord(
        unit=spec.manifest.name,
        generation=generation,
        host_name=spec.host_name,
        digest=spec.digest,
        settings=dict(spec.settings),
        secrets=dict(spec.secrets),
        rights=rights,
    )
