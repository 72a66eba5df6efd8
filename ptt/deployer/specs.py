"""From configuration, secrets and repositories to what the host runs: settings, secrets, addresses a unit.

The only place that knows both the operator's names and the units'. ``settings_of`` says what each unit is
told, ``unit_spec`` puts it together with its image; the rehearsal goes the same way.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ptt.deployer.config import Config, Root, Smarthost
from ptt.deployer.images import Image
from ptt.errors import ConfigError
from ptt.host.repositories import LocalRepository
from ptt.host.unit_spec import UnitSpec
from ptt.manifest import INTERNET, Manifest
from ptt.net.world import Endpoint

SHOWN_DIGITS = 16  # of an image's digest, in Received


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What units are told beside the configuration.

    ``certificate_pem`` empty: units get theirs by the exchange in the DNS. ``secrets`` by kind are for any
    unit whose manifest names the kind, ``own_secrets`` for one unit and before those.
    """

    certificate_pem: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    has_repositories: bool = False
    """Users and zones are in Git; else somebody gives them as settings and secrets (a rehearsal)."""


def unit_spec(
    manifest: Manifest,
    image: Image,
    config: Config,
    material: Material,
    settings: Mapping[str, Any] | None = None,
) -> UnitSpec:
    """What the host runs. ``settings`` takes precedence over what follows from the configuration."""
    secrets = {**material.secrets, **material.own_secrets.get(manifest.name, {})}
    repositories = repositories_of(manifest.name, config) if material.has_repositories else {}
    told = {**settings_of(manifest.name, config, material), **(settings or {})}
    return UnitSpec(
        manifest=manifest,
        image=image.folder,
        digest=image.digest[:SHOWN_DIGITS],
        host_name=config.name,
        settings=told,
        secrets={kind: secrets[kind] for kind in manifest.secrets if kind in secrets},
        public={
            listen.name: tuple(Endpoint(address, listen.port) for address in config.bound_addresses)
            for listen in manifest.listens
            if INTERNET in listen.callers
        },
        repositories=repositories,
        connect_ports=named_ports(told),
    )


def named_ports(told: Mapping[str, Any]) -> tuple[int, ...]:
    """The TCP ports in addresses of the operator's own that a unit is told.

    Of its repositories, its smarthost, the servers that it delivers to, its certificate authority.
    """
    places = [told.get("repository"), told.get("relay_repository"), {"url": told.get("directory")}]
    found = {_port_of(str(place["url"])) for place in places if place and place["url"]}
    found |= {place.get("port") for place in (told, told.get("smarthost") or {})}
    return tuple(sorted(port for port in found if port))


def _port_of(address: str) -> int | None:
    """The port that an address names; None: that of its scheme, or it is none, which its unit will say."""
    try:
        return urlsplit(address).port
    except ValueError:
        return None


def repositories_of(unit: str, config: Config) -> dict[str, LocalRepository]:
    """The repositories of this machine that a unit may ask for, by the names in its settings."""
    names = {
        "relay": ("relay",),
        "submission": ("passwords", "relay") if config.compatible else ("passwords",),
        "dns_primary": ("zone",),
    }
    paths = {name: config.repository(config.repositories.place(name)) for name in names.get(unit, ())}
    return {name: LocalRepository(path) for name, path in paths.items() if path is not None}


def repository_settings(name: str, config: Config, material: Material) -> dict[str, Any] | None:
    """How a unit reaches a repository; None where users come in another way."""
    if not material.has_repositories:
        return None
    text = config.repositories.place(name)
    if config.repository(text) is None:
        return {"url": text, "host_key": config.repositories.host_key(name)}
    branch = text.partition("#")[2]
    return {"url": f"local:{name}#{branch}" if branch else f"local:{name}"}


def settings_of(unit: str, config: Config, material: Material) -> dict[str, Any]:
    """What a unit is told."""
    match unit:
        case "submission":
            return {
                "domains": config.domains,
                "certificate_pem": material.certificate_pem,
                "certificate_key": config.tls.key_number,
                "hide_client": config.submission.hide_client,
                "repository": repository_settings("passwords", config, material),
                "relay_repository": repository_settings("relay", config, material)
                if config.compatible
                else None,
                **_bounds(config, config.submission.memory),
            }
        case "signer":
            return _signer(config)
        case "receiver":
            return {
                "domains": config.domains,
                "certificate_pem": material.certificate_pem,
                "certificate_key": config.tls.key_number,
                "lists": config.receiver.lists,
                "dmarc": config.receiver.dmarc,
                **_bounds(config, config.receiver.memory),
            }
        case "spam_filter":
            return {
                "model": _model(config),
                "x_spam_status": config.spam_filter.x_spam_status,
                **_bounds(config, config.spam_filter.memory),
            }
        case "relay":
            return _relay(config, material)
        case "dns_resolver":
            return {
                "roots": [_root(root) for root in config.dns_resolver.roots],
                "ipv6": config.dns_resolver.ipv6,
                "unreserved": config.dns_resolver.unreserved,
                "private_servers": config.dns_resolver.private_servers,
            }
        case "dns_primary":
            return {
                "repository": repository_settings("zone", config, material),
                "secondaries": _secondaries(config),
            }
        case "letsencrypt":
            return _letsencrypt(config, material)
        case _:
            return {}


def _bounds(config: Config, memory: int) -> dict[str, int]:
    return {"size_limit": config.max_size, "memory_octets": memory}


def _signer(config: Config) -> dict[str, Any]:
    signer = config.signer
    return {
        "fields": signer.fields,
        "header_canonicalization": signer.header_canonicalization,
        "body_canonicalization": signer.body_canonicalization,
        "expiration_s": int(signer.expiration) or None,
        **_bounds(config, signer.memory),
    }


def _relay(config: Config, material: Material) -> dict[str, Any]:
    relay = config.relay
    return {
        "domains": config.domains,
        "repository": repository_settings("relay", config, material),
        "postmaster": config.postmaster,
        "catch_all": relay.catch_all,
        "srs_domain": relay.srs_domain,
        "smarthost": None if relay.smarthost is None else _smarthost(config, relay.smarthost),
        "ipv6": relay.ipv6,
        "source_addresses": config.bound_addresses,
        "port": relay.port,
        "limits": {
            "connections": relay.connections,
            "messages_per_connection": relay.messages_per_connection,
        },
        **_bounds(config, relay.memory),
    }


def _letsencrypt(config: Config, material: Material) -> dict[str, Any]:
    told = config.letsencrypt
    return {
        # Without zones it does nothing: the operator has brought a certificate.
        "zones": () if material.certificate_pem else (config.domain,),
        "email": told.email,
        "production": told.production,
        "directory": told.directory,
        "roots": read_named(config.path(told.trust)).decode("ascii", "replace") if told.trust else "",
    }


def _smarthost(config: Config, smarthost: Smarthost) -> dict[str, Any]:
    trust = read_named(config.path(smarthost.trust)).decode("utf-8", "replace") if smarthost.trust else None
    return {
        "host": smarthost.host,
        "login": smarthost.login,
        "port": smarthost.port,
        "implicit_tls": smarthost.implicit_tls,
        "trust_anchors_pem": trust,
    }


def _root(root: Root) -> dict[str, str]:
    return {"name": root.name, "ipv4": root.ipv4, "ipv6": root.ipv6}


def _secondaries(config: Config) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in config.dns_primary.secondaries:
        told = {"address": each.address, "port": each.port, "key": each.key}
        found.setdefault(f"{each.zone.rstrip('.')}.", []).append(told)
    return found


def _model(config: Config) -> str:
    name = config.spam_filter.model
    return b64encode(read_named(config.path(name))).decode("ascii") if name else ""


def read_named(path: Path) -> bytes:
    """A file that the configuration names; ``ConfigError`` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        mend = "ptt.toml names it: see that it is there and readable"
        raise ConfigError(str(path), error.strerror or str(error), mend) from error
