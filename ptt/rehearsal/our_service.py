"""Our own side of a rehearsal: a domain with its users and keys, its units as real processes.

Everything is made anew: DKIM keys, verifiers, certificates. The units run from images under user ids of their
own where the rehearsal is root. A test or the demo asks the ``host`` for what is going on.
"""

import json
import os
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt import topology
from ptt.deployer.config import Config
from ptt.deployer.specs import Material, unit_spec
from ptt.errors import ConfigError
from ptt.host.daemon import Host
from ptt.host.repositories import Repositories
from ptt.host.unit_spec import JournalEntry, UnitSpec
from ptt.manifest import Manifest
from ptt.net.closing.breaches import BREACH
from ptt.protocol.mailauth.dkim.keys import PrivateKey, public_record
from ptt.records.keys import private_pem
from ptt.records.passwords import make_argon2id
from ptt.records.scram import make_scram
from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.image_store import stored_image

READY_TIMEOUT_S = 30.0  # eight units on a machine that does other things besides
DRAIN_S = 5.0
SALT_OCTETS = 16
SELECTORS = ("rsa1", "ed1")
SEED_OCTETS = 32
UPDATERS = ("operator", "letsencrypt", "submission", "receiver")


@dataclass(frozen=True, slots=True)
class Domain:
    """Who we are in the rehearsal. ``users``: login -> password; ``addresses``: one a family."""

    name: str = "mirage.org"
    host_name: str = "mail.mirage.org"
    addresses: tuple[str, ...] = ("192.0.2.10",)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    has_scram: bool = False
    """The users' verifiers are such that SCRAM-SHA-256 is offered."""
    ssh_key: str = field(default="", repr=False)
    """With it units log in to Git servers."""
    repositories: Mapping[str, Repositories] = field(default_factory=dict)
    """Repositories of this machine, by unit and name."""
    has_exchange: bool = False
    """Certificates come by the exchange in the DNS; else one is given, which is quicker."""


class OurService:
    """All units for one domain. ``settings`` adds to what each unit is told, by unit."""

    def __init__(
        self,
        domain: Domain,
        authority: Authority,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        smarthost_password: str | None = None,
        on_line: Callable[[JournalEntry], None] | None = None,
        units: Sequence[Manifest] = topology.ALL,
    ) -> None:
        self.domain = domain
        self.host = Host(on_line=self._heard)
        self._on_line = on_line
        self.breaches: list[str] = []
        """Journal lines of units that imported, opened or executed something after closing: bugs."""
        self._units = tuple(units)
        self.settings = dict(settings or {})
        self._certificate = authority.issue(domain.host_name)
        self._smarthost_password = smarthost_password
        self._dkim: dict[str, PrivateKey] = dict(
            zip(
                SELECTORS,
                (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()),
                strict=True,
            )
        )
        self._config = Config(
            domain=domain.name, host_name=domain.host_name, addresses=tuple(domain.addresses)
        )
        self.tsig_keys = {name: _tsig_key(f"{name}._update.{domain.name}") for name in UPDATERS}
        """Who may change our zone, by the first label of the key's name."""
        # Once: generations share the secrets, the ledger's key above all.
        self._material = Material(
            certificate_pem="" if domain.has_exchange else self._certificate.chain_pem,
            secrets=self._secrets(),
            own_secrets={name: {"tsig_key": key} for name, key in self.tsig_keys.items()},
        )

    def _heard(self, entry: JournalEntry) -> None:
        if BREACH in entry.text:
            self.breaches.append(entry.text)
        if self._on_line is not None:
            self._on_line(entry)

    def dkim_records(self) -> dict[str, str]:
        """The TXT records of our keys, by owner name: what the world must see."""
        return {
            f"{selector}._domainkey.{self.domain.name}": public_record(key).decode("ascii")
            for selector, key in self._dkim.items()
        }

    async def start(self) -> None:
        """Build the images, start all units, wait until they serve."""
        await self.host.start([self._spec(manifest) for manifest in self._units])
        if not await self.host.ready(READY_TIMEOUT_S):
            lines = "\n".join(entry.text for entry in self.host.journal)
            raise ConfigError("rehearsal", "not every unit became ready", lines)

    async def stop(self) -> None:
        """Drain and end all units."""
        await self.host.stop(DRAIN_S)

    async def change(self, unit: str, settings: Mapping[str, Any]) -> bool:
        """Give a unit other settings: a new generation takes over. False: it does not start with them."""
        self.settings[unit] = settings
        manifest = next(each for each in topology.ALL if each.name == unit)
        return await self.host.replace(unit, self._spec(manifest))

    def _spec(self, manifest: Manifest) -> UnitSpec:
        image = stored_image(manifest.name)
        settings = self.settings.get(manifest.name, {})
        spec = unit_spec(manifest, image, self._config, self._material, settings)
        return replace(spec, repositories=self.domain.repositories.get(manifest.name, {}))

    def _verifier(self, password: str) -> str:
        salt = os.urandom(SALT_OCTETS)
        return (
            make_scram(password, salt).text if self.domain.has_scram else make_argon2id(password, salt).text
        )

    def _secrets(self) -> dict[str, str]:
        """Everything secret; each unit gets only what its manifest names."""
        keys = [
            {"selector": selector, "domain": self.domain.name, "key": _pem(key)}
            for selector, key in self._dkim.items()
        ]
        logins = {
            name: {"verifier": self._verifier(password)} for name, password in self.domain.users.items()
        }
        known = {
            "tsig_keys": json.dumps(list(self.tsig_keys.values())),
            "dkim_keys": json.dumps(keys),
            "verifiers": json.dumps(logins),
            "ledger_key": secrets.token_hex(32),
            "srs_keys": json.dumps({"keys": [secrets.token_hex(32), secrets.token_hex(32)]}),
        }
        if self.domain.has_exchange:
            known["certificate_seed"] = _seed()
            known["acme_account_key"] = private_pem(ec.generate_private_key(ec.SECP256R1()))
        else:
            known["tls_key"] = self._certificate.key_pem
        if self.domain.ssh_key:
            known["ssh_key"] = self.domain.ssh_key
        if self._smarthost_password is not None:
            known["smarthost_password"] = self._smarthost_password
        return known


def _tsig_key(name: str) -> str:
    return f"{name}:SHA256:{_seed()}"


def _seed() -> str:
    return b64encode(secrets.token_bytes(SEED_OCTETS)).decode("ascii")


def _pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
