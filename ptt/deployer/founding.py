"""Makes what the service of a new domain needs, and never touches what is there already.

``ptt.toml``, the file of secrets with fresh keys, and three local repositories, one with the first zones.
Run again it makes what is missing: a key that stands stays, since the world may know it.
"""

import base64
import json
import os
import secrets as randomness
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ptt.deployer.config import FILE_NAME, Config, load_config, read_config
from ptt.deployer.first_zone import Naming, first_zones
from ptt.deployer.local_repository import make_repository
from ptt.deployer.secret_store import change_secrets
from ptt.deployer.unit_secrets import dkim_records
from ptt.errors import ConfigError
from ptt.manifest import Secret
from ptt.records.keys import ed25519_setting, private_pem
from ptt.records.secrets_file import SecretKind, Secrets

SEED_OCTETS = 32  # 256 bits
RSA_BITS = 2048  # RFC 8301 §3.2; larger keys do not fit into what some name servers take
SELECTORS = ("rsa1", "ed1")
TSIG_OCTETS = 32  # as long as the hash (RFC 2104 §3)
UPDATERS = ("operator", "letsencrypt", "submission", "receiver", "signer")
"""Who may change the zone by a key of its own."""
GIT_USERS = ("relay", "submission", "dns_primary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the operator said."""

    domain: str
    addresses: tuple[str, ...]
    folder: Path
    host_name: str = ""
    postmaster: str = ""


@dataclass(frozen=True, slots=True)
class Founded:
    """What there is now. ``made`` and ``kept``: files and secrets, by name."""

    config: Config
    naming: Naming
    made: tuple[str, ...]
    kept: tuple[str, ...]


def found(wishes: Wishes) -> Founded:
    """Make everything that is missing. ``ConfigError`` where what is there is for another domain."""
    made: list[str] = []
    kept: list[str] = []
    _make_folder(wishes.folder)
    config = _config(wishes, made, kept)
    secrets = _secrets(config, made, kept)
    naming = Naming(config.domain, config.name, config.addresses, dkim_records(config, secrets))
    for name, files, message in (
        ("relay", {}, "The list of users"),
        ("passwords", {}, "The verifiers of passwords"),
        ("zone", first_zones(naming), f"The first zones of {config.domain}"),
    ):
        text = getattr(config.repositories, name)
        path = config.repository(text)
        if path is None or os.path.lexists(path):
            kept.append(text)
        else:
            make_repository(path, files, message)
            made.append(text)
    return Founded(config, naming, tuple(made), tuple(kept))


def _make_folder(folder: Path) -> None:
    """Others may enter it: units run under user ids of their own, and their images are in it."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        mend = "choose another place: --folder FOLDER"
        raise ConfigError(str(folder), error.strerror or str(error), mend) from error


def _config(wishes: Wishes, made: list[str], kept: list[str]) -> Config:
    file = wishes.folder / FILE_NAME
    if os.path.lexists(file):
        config = load_config(file)
        if config.domain != wishes.domain:
            mend = f"another place for {wishes.domain}: --folder FOLDER"
            raise ConfigError(str(file), f"is there already, for {config.domain}", mend)
        kept.append(FILE_NAME)
        return config
    text = _config_text(wishes)
    config = read_config(text, file)  # before anything is written
    _write_new(file, text)
    made.append(FILE_NAME)
    return config


def _write_new(file: Path, text: str) -> None:
    """Write a file that is not there; a link that somebody put there is not followed (open(2), O_EXCL)."""
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        mend = "make room for it, or choose another place: --folder FOLDER"
        raise ConfigError(str(file), error.strerror or str(error), mend) from error


def _config_text(wishes: Wishes) -> str:
    lines = [
        f"# PTT for {wishes.domain}. What may stand here: docs/configuration.md. Secrets: secrets.toml.",
        f"domain = {json.dumps(wishes.domain)}",
        f"addresses = {json.dumps(list(wishes.addresses))}",
    ]
    if wishes.host_name:
        lines.append(f"host_name = {json.dumps(wishes.host_name)}")
    if wishes.postmaster:
        lines.append(f"postmaster = {json.dumps(wishes.postmaster, ensure_ascii=False)}")
    else:
        lines.append('# postmaster = "alice"    who gets mail for postmaster and abuse')
    return "\n".join([*lines, ""])


def _secrets(config: Config, made: list[str], kept: list[str]) -> Secrets:
    def fill(there: Secrets) -> Secrets:
        for kind, name, make in _wanted(config):
            if there.get(kind, name) is None:
                there = there.holding(kind, name, make())
                made.append(f"{kind} {name}")
            else:
                kept.append(f"{kind} {name}")
        return there

    return change_secrets(config.secrets_file, fill)


def needed_secrets(config: Config) -> tuple[tuple[SecretKind, str], ...]:
    """What a service has in its file of secrets, by kind and name."""
    return tuple((kind, name) for kind, name, _ in _wanted(config))


def _wanted(config: Config) -> Iterator[tuple[SecretKind, str, Callable[[], str]]]:
    for selector, make in zip(SELECTORS, (_rsa, _ed25519), strict=True):
        yield SecretKind.DKIM, selector, make
    for unit in GIT_USERS:
        yield SecretKind.SSH, unit, _ed25519
    for who in UPDATERS:
        name = f"{who}._update.{config.domain}"
        yield SecretKind.TSIG, name, partial(_tsig, name)
    yield SecretKind.ACCOUNT, "acme", lambda: private_pem(ec.generate_private_key(ec.SECP256R1()))
    yield SecretKind.DNSSEC, "all", _seed
    yield SecretKind.CERTIFICATE, "all", _seed
    yield SecretKind.OTHER, Secret.SRS_KEYS, lambda: json.dumps({"keys": [randomness.token_hex(SEED_OCTETS)]})
    yield SecretKind.OTHER, Secret.LEDGER_KEY, lambda: randomness.token_hex(SEED_OCTETS)


def _seed(octets: int = SEED_OCTETS) -> str:
    return base64.b64encode(randomness.token_bytes(octets)).decode("ascii")


def _tsig(name: str) -> str:
    return f"{name}:SHA256:{_seed(TSIG_OCTETS)}"


def _rsa() -> str:
    return private_pem(rsa.generate_private_key(65537, RSA_BITS))


def _ed25519() -> str:
    return ed25519_setting(ed25519.Ed25519PrivateKey.generate())
