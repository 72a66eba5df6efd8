"""The service of one machine, as ``ptt.toml`` says: images built, units started, changes taken over.

What is read at a restart of a unit is the file as it stands then, so ``ptt restart`` is how a change of it is
taken over; one with mistakes leaves everything as it is.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptt import topology
from ptt.deployer.config import Config, load_config
from ptt.deployer.images import Image, build_image
from ptt.deployer.local_repository import Snapshot, head_of, read_repository
from ptt.deployer.specs import Material, read_named, unit_spec
from ptt.deployer.unit_secrets import load_secrets, secrets_for, tls_key
from ptt.errors import ConfigError
from ptt.host.daemon import Host
from ptt.host.unit_spec import JournalEntry, UnitSpec
from ptt.manifest import Manifest, Secret
from ptt.records.keys import private_pem

READY_TIMEOUT_S = 60.0  # eight units take a second; a small machine that does other things, more
POLL_S = 1.0  # a push is live within two seconds; looking costs a small file
READERS = {"zone": "dns_primary"}
"""Who is told the files of a repository: units that take them by Git themselves are not."""

Progress = Callable[[str], None]
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything as the operator has it now. ``notices`` are for the operator."""

    config: Config
    material: Material
    snapshots: Mapping[str, Snapshot]
    notices: tuple[str, ...]


class Service:
    """All units of one machine. ``file``: which ``ptt.toml``; None: where it usually is."""

    def __init__(
        self,
        file: Path | None = None,
        on_line: Callable[[JournalEntry], None] | None = None,
        units: Sequence[Manifest] = topology.ALL,
    ) -> None:
        self.plan = read_plan(load_config(file), units)
        self.host = Host(on_line=on_line)
        self._file = file
        self._units = tuple(units)
        self._images: dict[str, Image] = {}
        self._is_started = self._is_abandoned = False

    async def start(self, progress: Progress = lambda _: None) -> None:
        """Build the images, start all units, wait until they serve; ``ConfigError`` where they do not."""
        folder = self.plan.config.path(self.plan.config.images)
        for number, manifest in enumerate(self._units, 1):
            progress(f"building images: {manifest.name} ({number} of {len(self._units)})")
            self._images[manifest.name] = await asyncio.to_thread(build_image, manifest.name, folder)
        progress("starting units")
        self._is_started = True
        await self.host.start([self._spec(manifest) for manifest in self._units])
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
        try:
            plan = read_plan(load_config(self._file), self._units)
        except ConfigError as error:
            return str(error)
        before, self.plan = self.plan, plan
        manifest = next(each for each in self._units if each.name == unit)
        try:
            done = await self.host.replace(unit, self._spec(manifest))
        except ConfigError as error:
            done = False
            self.plan = before
            return str(error)
        return "" if done else f"the new generation of {unit} did not start: ptt logs {unit}"

    async def follow_repositories(self, told: Progress) -> None:
        """Take over what is pushed, until cancelled; ``told`` hears what an operator should know."""
        while True:
            await asyncio.sleep(POLL_S)
            if not all(map(self._is_present, READERS)):
                await self._take_over(told)

    def _is_present(self, name: str) -> bool:
        text = self.plan.config.repositories.place(name)
        path = self.plan.config.repository(text)
        return path is None or head_of(path, text.partition("#")[2]) == self.plan.snapshots[name].commit

    async def _take_over(self, told: Progress) -> None:
        """Give the units that are told files the present ones."""
        try:
            plan = read_plan(self.plan.config, self._units)
        except ConfigError as error:
            told(str(error))
            return
        before, self.plan = self.plan, plan
        for name, unit in READERS.items():
            if plan.snapshots[name] == before.snapshots[name]:
                continue
            manifest = next((each for each in self._units if each.name == unit), None)
            if manifest is not None and not await self.host.replace(unit, self._spec(manifest)):
                told(f"{unit} did not start with what is in {name} now")

    def _spec(self, manifest: Manifest) -> UnitSpec:
        return unit_spec(manifest, self._images[manifest.name], self.plan.config, self.plan.material)

    def _not_ready(self) -> str:
        missing = [name for name, unit in self.host.units.items() if unit.published is None]
        return f"not ready: {', '.join(missing)}"

    def _last_words(self) -> list[str]:
        """What the units that are not there have said."""
        missing = {name for name, unit in self.host.units.items() if unit.published is None}
        return [entry.text for entry in self.host.journal if entry.unit in missing][-5:]


def read_plan(config: Config, units: Sequence[Manifest] = topology.ALL) -> Plan:
    """Read everything that the configuration names; ``ConfigError`` where something is not there."""
    secrets = load_secrets(config)
    snapshots = {name: _snapshot(config, name) for name in READERS}
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
        zones=_zones(snapshots["zone"].files),
        has_repositories=True,
    )
    return Plan(config, material, snapshots, tuple(notices))


def _snapshot(config: Config, name: str) -> Snapshot:
    text = config.repositories.place(name)
    path = config.repository(text)
    return read_repository(path, text.partition("#")[2]) if path is not None else Snapshot("", {})


def _zones(files: Mapping[str, bytes]) -> dict[str, str]:
    """Zone files by origin; files of keys and notes are none."""
    return {
        f"{name.rstrip('.')}.": content.decode("utf-8", "replace")
        for name, content in files.items()
        if not name.startswith((".", "_")) and "._keys" not in name and "." in name
    }


def _key_pem(config: Config, certificate: str) -> str:
    """The key that belongs to a certificate of the operator's own, where it is not ours."""
    if config.tls.key:
        return read_named(config.path(config.tls.key)).decode("ascii", "replace")
    return certificate if "PRIVATE KEY-----" in certificate else ""
