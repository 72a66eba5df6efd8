"""The repositories and fields that the options of ``ptt user`` name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ptt.deployer.config import Config, load_config
from ptt.deployer.operator_git import OperatorRepository
from ptt.errors import ConfigError, Malformed
from ptt.protocol.dns.name import Name
from ptt.records.address_rules import AddressRule, read_address_rule
from ptt.records.users import Action


@dataclass(frozen=True, slots=True)
class Stores:
    """The repositories, and our domains where they are known."""

    relay: OperatorRepository
    passwords: OperatorRepository | None
    domains: frozenset[Name]

    @property
    def needed_passwords(self) -> OperatorRepository:
        """``passwords.git``, for what cannot be done without."""
        if self.passwords is None:
            mend = "name it: -p REPOSITORY, or --config ptt.toml"
            raise ConfigError("ptt user", "passwords.git is not named", mend)
        return self.passwords

    def password_files(self) -> Mapping[str, bytes]:
        """The files of ``passwords.git``; none where there is no such repository."""
        return {} if self.passwords is None else self.passwords.read()


def stores_of(remote: str, passwords: str, config: Path | None) -> Stores:
    """The repositories as named, else those of ``ptt.toml``."""
    if remote and config is None:
        return Stores(OperatorRepository(remote), _maybe(passwords), frozenset())
    read = load_config(config)
    found = [
        named or _placed(read, text)
        for named, text in ((remote, read.repositories.relay), (passwords, read.repositories.passwords))
    ]
    domains = frozenset(Name.of(domain) for domain in read.domains)
    return Stores(OperatorRepository(found[0]), _maybe(found[1]), domains)


def fields_of(
    *, targets: str | None, insecure: bool | None, need_all: bool | None, **others: str | bool | None
) -> dict[str, object]:
    """The fields of a file that options name, in the original's order. An empty text removes a field."""
    fields: dict[str, object] = {}
    if targets is not None:
        fields["targets"] = parts_of(targets)
    if insecure is not None:
        fields["insecure"] = insecure
    for name in ("domains", "senders"):
        if (text := others.pop(name)) is not None:
            fields[name] = parts_of(str(text)) or None
    if need_all is not None:
        fields["need"] = "all" if need_all else None
    for name, value in others.items():
        if value is not None:
            fields[name] = value or None
    if fields.get("action") == Action.FORWARD:
        fields |= {"action": None, "text": None}
    return fields


def rules_of(text: str | None) -> list[AddressRule] | None:
    """Read ``--send-as``."""
    if text is None:
        return None
    rules = []
    for part in parts_of(text):
        rule = read_address_rule(part)
        if isinstance(rule, Malformed):
            mend = "an address, or @example.com for a domain"
            raise ConfigError("--send-as", f"{part}: {rule.reason}", mend)
        rules.append(rule)
    return rules


def parts_of(text: str) -> list[str]:
    """What stands between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _maybe(remote: str) -> OperatorRepository | None:
    return OperatorRepository(remote) if remote else None


def _placed(config: Config, text: str) -> str:
    """A repository of ``ptt.toml`` from where we are."""
    path, mark, branch = text.partition("#")
    return f"{config.repository(path) or path}{mark}{branch}"
