"""The original's names for settings, taken in ``ptt.toml`` as they are [U5].

Its operators have them in ``config.ml`` and as options of units (``--dns-server``: hyphens and underscores
are the same here). What the original had to be told and PTT knows by itself has no effect, which is said;
what is secret belongs into the file of secrets, never into ``ptt.toml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ptt.deployer.config_reading import Mistake
from ptt.deployer.toml_places import Path

UNITS = (
    "submission",
    "signer",
    "receiver",
    "spam_filter",
    "relay",
    "dns_resolver",
    "dns_primary",
    "letsencrypt",
)

RENAMED: Mapping[str, Path] = {
    "smtp_domain": ("domain",),
    "domain": ("domain",),
    "hostname": ("host_name",),
    "postmaster": ("postmaster",),
    "relay.remote": ("repositories", "relay"),
    "submission.remote": ("repositories", "passwords"),
    "dns_primary.remote": ("repositories", "zone"),
    "relay.ssh_authenticator": ("repositories", "relay_host_key"),
    "submission.ssh_authenticator": ("repositories", "passwords_host_key"),
    "dns_primary.ssh_authenticator": ("repositories", "zone_host_key"),
}
"""The original's name -> ours. A name without a unit is taken at the top and in the table of every unit."""

SECRETS: Mapping[str, str] = {
    "ssh_key": "ptt key ssh import",
    "dns_personal_key": "ptt key tsig import",
    "dns_key": "ptt key tsig import",
    "dkim_key": "ptt key dkim import",
    "private_key": "ptt key dkim import",
    "letsencrypt_account_key": "ptt key account import",
    "account_key_seed": "ptt key account import",
}
"""Names of secrets -> the command that takes them into the file of secrets."""

KNOWN_BY_ITSELF: Mapping[str, str] = {
    "destination": "each unit is told where the next one is",
    "resolver": "units ask dns_resolver",
    "dns_server": "units are told where dns_primary is",
    "dns_port": "units are told where dns_primary is",
    "cert_fingerprint": "units are told each other's certificates",
    "key_fingerprint": "units are told each other's certificates",
    "cert_der": "each unit makes its own certificate for the private network",
    "cert_key": "each unit makes its own certificate for the private network",
    "timestamp": "signatures always say when they were made",
    "ipv4": "the addresses are those at the top",
    "ipv4_gateway": "the system's own routes are used",
    "ipv6_gateway": "the system's own routes are used",
}
"""Names that have no effect, and why."""


@dataclass(slots=True)
class Translated:
    """Values under our names; ``origins`` says where each that was moved stands in the file."""

    values: dict[str, Any]
    origins: dict[Path, Path] = field(default_factory=dict)
    notices: list[tuple[Path, str]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


def translate(values: Mapping[str, Any]) -> Translated:
    """Give the file's values our names."""
    found = Translated({})
    for name, value in values.items():
        unit = _plain(name)
        unit = "receiver" if unit == "verifier" else unit
        if unit in UNITS and isinstance(value, dict):
            for inner, entry in value.items():
                _take(found, (name, inner), (unit, _plain(inner)), entry)
            found.values.setdefault(unit, {})
        else:
            _take(found, (name,), (_plain(name),), value)
    return found


def _take(found: Translated, at: Path, path: tuple[str, ...], value: object) -> None:
    name = path[-1]
    if name in SECRETS:
        what = f"a secret, and this file holds none: {SECRETS[name]}"
        found.mistakes.append(Mistake(at, what, is_about_name=True))
        return
    if name in KNOWN_BY_ITSELF:
        found.notices.append((at, f"{at[-1]} has no effect: {KNOWN_BY_ITSELF[name]}"))
        return
    ours = RENAMED.get(".".join(path)) or RENAMED.get(name) or path
    if ours == ("signer", "fields") and isinstance(value, str):
        value = value.split(":")  # as the original writes them: from:to:subject
    _put(found, at, ours, value)


def _put(found: Translated, at: Path, path: Path, value: object) -> None:
    table = found.values
    for part in path[:-1]:
        inner = table.setdefault(str(part), {})
        if not isinstance(inner, dict):
            break
        table = inner
    name = str(path[-1])
    if name in table and table[name] != value and at != path:
        was = found.origins.get(path, path)
        what = f"says something else than {'.'.join(map(str, was))}, which is the same setting"
        found.mistakes.append(Mistake(at, what, is_about_name=True))
        return
    table[name] = value
    if at != path:
        found.origins[path] = at


def _plain(name: str) -> str:
    return name.replace("-", "_")
