"""The service of one machine, as ``ptt.toml`` says: images built, units started, changes taken over.

What is read at a restart of a unit is the file as it stands then, so ``ptt restart`` is how a change of it is
taken over; one with mistakes leaves everything as it is.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ptt import topology
from ptt.deployer.certificate import self_signed
from ptt.deployer.config import Config, load_config
from ptt.deployer.images import Image, build_image
from ptt.deployer.local_repository import Snapshot, head_of, read_repository
from ptt.deployer.specs import Material, read_named, unit_spec
from ptt.deployer.unit_secrets import load_secrets, secrets_for_units, tls_key
from ptt.errors import ConfigError, Malformed
from ptt.host.daemon import Host
from ptt.host.unit_spec import JournalEntry, UnitSpec
from ptt.manifest import Manifest, Secret
from ptt.records.keys import private_pem
from ptt.records.logins import Login, parse_compatible_login
from ptt.records.user_list import may_succeed
from ptt.records.users import RelayUser, parse_relay_user

READY_TIMEOUT_S = 60.0  # eight units take a second; a small machine that does other things, more
POLL_S = 1.0  # a push is live within two seconds; looking costs three small files
READERS = {"relay": ("relay",), "passwords": ("submission",), "zone": ("dns_primary",)}
"""Who is told the files of a repository."""

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
        self.plan = read_plan(load_config(file))
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
            plan = read_plan(load_config(self._file))
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
            for name, units in READERS.items():
                path = self._path(name)
                if path is None or head_of(path) == self.plan.snapshots[name].commit:
                    continue
                await self._take_over(name, units, told)

    async def _take_over(self, name: str, units: Sequence[str], told: Progress) -> None:
        try:
            plan = read_plan(self.plan.config)
        except ConfigError as error:
            told(str(error))
            return
        size, former = (len(each.snapshots[name].files) for each in (plan, self.plan))
        if not may_succeed(size, former or None, removal_is_meant=name == "zone"):
            told(
                f"{name}: {size} of {former} users are left: not taken over; ptt restart does it all the same"
            )
            self.plan = Plan(self.plan.config, self.plan.material, plan.snapshots, plan.notices)
            return
        self.plan = plan
        for unit in units:
            manifest = next((each for each in self._units if each.name == unit), None)
            if manifest is not None and not await self.host.replace(unit, self._spec(manifest)):
                told(f"{unit} did not start with what is in {name} now")

    def _path(self, name: str) -> Path | None:
        return self.plan.config.repository(getattr(self.plan.config.repositories, name))

    def _spec(self, manifest: Manifest) -> UnitSpec:
        return unit_spec(manifest, self._images[manifest.name], self.plan.config, self.plan.material)

    def _not_ready(self) -> str:
        missing = [name for name, unit in self.host.units.items() if unit.published is None]
        return f"not ready: {', '.join(missing)}"

    def _last_words(self) -> list[str]:
        """What the units that are not there have said."""
        missing = {name for name, unit in self.host.units.items() if unit.published is None}
        return [entry.text for entry in self.host.journal if entry.unit in missing][-5:]


def read_plan(config: Config) -> Plan:
    """Read everything that the configuration names; ``ConfigError`` where something is not there."""
    secrets = load_secrets(config)
    snapshots = {name: _snapshot(config, name) for name in READERS}
    users, faults = _users(snapshots["relay"].files)
    notices = [*config.notices, *faults]
    if config.postmaster and "@" not in config.postmaster and config.postmaster not in users:
        notices.append(f"postmaster: no user {config.postmaster} yet: ptt user add {config.postmaster}")
    key = tls_key(config, secrets)
    if config.tls.certificate:
        certificate = read_named(config.path(config.tls.certificate)).decode("ascii", "replace")
    else:
        certificate = self_signed(key, config.name, datetime.now(UTC))
        notices.append("certificate: of our own making, mail programs warn of it (ptt.toml: tls.certificate)")
    told = secrets_for_units(config, secrets)
    told[str(Secret.TLS_KEY)] = _key_pem(config, certificate) or private_pem(key)
    told[str(Secret.VERIFIERS)] = _verifiers(config, snapshots)
    material = Material(
        certificate_pem="".join(_CERTIFICATE.findall(certificate)),
        secrets=told,
        users=users,
        zones=_zones(snapshots["zone"].files),
    )
    return Plan(config, material, snapshots, tuple(notices))


def _snapshot(config: Config, name: str) -> Snapshot:
    path = config.repository(getattr(config.repositories, name))
    return read_repository(path) if path is not None else Snapshot("", {})


def _users(files: Mapping[str, bytes]) -> tuple[dict[str, Any], list[str]]:
    """The relay's users by local part, and what is wrong with the files of others."""
    users: dict[str, Any] = {}
    faults = []
    for name, content in files.items():
        if name.startswith("."):
            continue
        user = parse_relay_user(name, content)
        if isinstance(user, Malformed):
            faults.append(f"relay.git: {name}: {user.reason}")
        else:
            users[user.local_part] = _user(user)
    return users, faults


def _user(user: RelayUser) -> dict[str, Any]:
    return {
        "targets": [str(target) for target in user.targets],
        "insecure": user.insecure,
        "domains": None if user.domains is None else [str(domain) for domain in user.domains],
        "need": "all" if user.needs_all else "any",
        "reveal": user.reveals,
    }


def _verifiers(config: Config, snapshots: Mapping[str, Snapshot]) -> str:
    """The submission's secret: each login's file; those whose password is still in ``relay.git`` too [S6]."""
    logins: dict[str, object] = {}
    for name, content in snapshots["relay"].files.items() if config.compatible else ():
        if not name.startswith(".") and isinstance(login := parse_compatible_login(name, content), Login):
            logins[name] = {"verifier": login.verifier.text, "domains": json.loads(content).get("domains")}
    for name, content in snapshots["passwords"].files.items():
        with suppress(ValueError):  # what is no JSON is nobody's login
            if not name.startswith("."):
                logins[name] = json.loads(content)
    return json.dumps(logins)


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
