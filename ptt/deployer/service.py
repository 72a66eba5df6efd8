"""The service of one machine, as ``ptt.toml`` says: images built, units started, changes taken over.

What is read at a restart of a unit is the file as it stands then, so ``ptt restart`` is how a change of it is
taken over; one with mistakes leaves everything as it is.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptt import topology
from ptt.deployer.config import Config, load_config
from ptt.deployer.images import Image, build_image
from ptt.deployer.local_repository import check_repository
from ptt.deployer.specs import Material, read_named, unit_spec
from ptt.deployer.unit_secrets import load_secrets, secrets_for, tls_key
from ptt.errors import ConfigError
from ptt.host.daemon import Host
from ptt.host.unit_spec import JournalEntry, UnitSpec
from ptt.manifest import Manifest, Secret
from ptt.records.journal import JournalLine, decode_line
from ptt.records.keys import private_pem

READY_TIMEOUT_S = 60.0  # eight units take a second; a small machine that does other things, more
LAST_WORDS = 8  # lines of the journal, where units do not start
REPOSITORIES = ("relay", "passwords", "zone")

Progress = Callable[[str], None]
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything as the operator has it now. ``notices`` are for the operator."""

    config: Config
    material: Material
    notices: tuple[str, ...]


class Service:
    """All units of one machine. ``file``: which ``ptt.toml``; None: where it usually is."""

    def __init__(
        self,
        file: Path | None = None,
        on_line: Callable[[JournalEntry], None] | None = None,
        units: Sequence[Manifest] = topology.ALL,
    ) -> None:
        self._file = file
        self._units = tuple(units)
        self.plan = self._read_plan()
        self.host = Host(on_line=on_line)
        self._images: dict[str, Image] = {}
        self._is_started = self._is_abandoned = False

    async def start(self, progress: Progress = lambda _: None) -> None:
        """Build the images, start all units, wait until they serve; ``ConfigError`` where they do not."""
        folder = self.plan.config.path(self.plan.config.images)
        for number, manifest in enumerate(self._units, 1):
            progress(f"building images: {manifest.name} ({number} of {len(self._units)})")
            self._images[manifest.name] = await asyncio.to_thread(build_image, manifest.name, folder)
        progress("starting units")
        specs = [self._spec(manifest) for manifest in self._units]
        self._is_started = True
        await self.host.start(specs)
        if not await self.host.ready(READY_TIMEOUT_S):
            raise ConfigError("ptt up", self._not_ready(), "\n  ".join(self._last_words()))

    async def stop(self) -> bool:
        """Drain and end; False: something had to be cut off."""
        if not self._is_started:
            return True
        return await self.host.stop(0.0 if self._is_abandoned else self.plan.config.drain)

    def abandon(self) -> None:
        """Wait for nothing any more: a drain that runs ends too."""
        self._is_abandoned = True
        if self._is_started:
            self.host.end_now()

    async def restart(self, unit: str) -> str:
        """Put a new generation in a unit's place, with ``ptt.toml`` as it is now; gives why not, or ""."""
        manifest = next(each for each in self._units if each.name == unit)
        try:
            plan = await asyncio.to_thread(self._read_plan)  # a key that is given as a seed takes a while
            spec = unit_spec(manifest, self._images[unit], plan.config, plan.material)
            done = await self.host.replace(unit, spec)
        except ConfigError as error:
            return str(error)
        self.plan = plan
        return "" if done else f"the new generation of {unit} did not start: ptt logs {unit}"

    def _read_plan(self) -> Plan:
        return read_plan(load_config(self._file), self._units)

    def _spec(self, manifest: Manifest) -> UnitSpec:
        return unit_spec(manifest, self._images[manifest.name], self.plan.config, self.plan.material)

    def _not_ready(self) -> str:
        missing = [name for name, unit in self.host.units.items() if unit.published is None]
        return f"not ready: {', '.join(missing)}"

    def _last_words(self) -> list[str]:
        """What the units that are not there have said."""
        missing = {name for name, unit in self.host.units.items() if unit.published is None}
        said = []
        for entry in self.host.journal:
            if entry.unit in missing:
                line = decode_line(entry.text.encode())
                detail = line.detail if isinstance(line, JournalLine) else None
                said.append(f"{entry.unit}: {detail or entry.text}")
        return said[-LAST_WORDS:]


def read_plan(config: Config, units: Sequence[Manifest] = topology.ALL) -> Plan:
    """Read everything that the configuration names; ``ConfigError`` where something is not there."""
    secrets = load_secrets(config)
    for name in REPOSITORIES:
        if (path := config.repository(config.repositories.place(name))) is not None:
            check_repository(path)
    own_secrets = {each.name: secrets_for(each.name, config, secrets) for each in units}
    notices = list(config.notices)
    certificate = ""
    if config.tls.certificate:
        certificate = read_named(config.path(config.tls.certificate)).decode("ascii", "replace")
        key = _key_pem(config, certificate) or private_pem(tls_key(config, secrets))
        for told in own_secrets.values():
            told[str(Secret.TLS_KEY)] = key
    else:
        notices.append(
            "465 and 587 wait until letsencrypt has a certificate (or tls.certificate names yours)"
        )
    material = Material(
        certificate_pem="".join(_CERTIFICATE.findall(certificate)),
        own_secrets=own_secrets,
        has_repositories=True,
    )
    return Plan(config, material, tuple(notices))


def _key_pem(config: Config, certificate: str) -> str:
    """The key that belongs to a certificate of the operator's own, where it is not ours."""
    if config.tls.key:
        return read_named(config.path(config.tls.key)).decode("ascii", "replace")
    return certificate if "PRIVATE KEY-----" in certificate else ""
