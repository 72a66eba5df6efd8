"""The file of secrets: closed to others, in form, with every key that this configuration needs."""

from collections.abc import Iterator

from ptt.deployer.checks.finding import Finding, fail, ok, warn
from ptt.deployer.config import Config
from ptt.deployer.founding import needed_secrets
from ptt.deployer.unit_secrets import ANY
from ptt.errors import ConfigError
from ptt.manifest import Secret
from ptt.records.secrets_file import SecretKind, Secrets

SEED_COMMAND = "ptt init {domain} --folder {folder} makes what is missing"


def judge_config(config: Config) -> Iterator[Finding]:
    """It was read; what is left are notices."""
    domains = ", ".join(config.domains)
    yield ok("configuration", f"{config.file.name} for {domains} at {', '.join(config.addresses)}")
    for notice in config.notices:
        yield warn("configuration", notice)


def judge_secrets(config: Config, secrets: Secrets | ConfigError) -> Iterator[Finding]:
    """``ConfigError``: why they could not be read."""
    if isinstance(secrets, ConfigError):
        yield fail("secrets", f"{secrets.where}: {secrets.what}", secrets.mend)
        return
    missing = [f"{kind} {name}" for kind, name in _needed(config) if not _has(secrets, kind, name, config)]
    if missing:
        mend = SEED_COMMAND.format(domain=config.domain, folder=config.folder)
        yield fail("secrets", f"{config.secrets_file.name} has no {', '.join(missing)}", mend)
    if not missing:
        count = sum(len(secrets.of(kind)) for kind in SecretKind)
        yield ok("secrets", f"{config.secrets_file.name} is closed to others and has all {count} keys")


def _needed(config: Config) -> Iterator[tuple[SecretKind, str]]:
    """What ``ptt init`` makes, less what this configuration has no use for."""
    repositories = config.repositories
    is_remote = {
        "relay": [repositories.relay],
        "submission": [repositories.passwords, *([repositories.relay] if config.compatible else [])],
        "dns_primary": [repositories.zone],
    }
    for kind, name in needed_secrets(config):
        match kind:
            case SecretKind.SSH:
                places = [each for each in is_remote.get(name, ()) if config.repository(each) is None]
                if any(not each.startswith(("https:", "http:", "git:")) for each in places):
                    yield kind, name
            case SecretKind.ACCOUNT | SecretKind.CERTIFICATE | SecretKind.TSIG if config.tls.certificate:
                pass  # the operator brings a certificate; no unit asks for one
            case SecretKind.DNSSEC:
                pass  # signing zones is not built yet
            case _:
                yield kind, name
    if config.relay.smarthost is not None:
        yield SecretKind.OTHER, Secret.SMARTHOST_PASSWORD


def _has(secrets: Secrets, kind: SecretKind, name: str, config: Config) -> bool:
    if kind is SecretKind.DKIM:
        return bool(secrets.of(kind))  # selectors are the operator's
    if kind is SecretKind.CERTIFICATE:
        return any(secrets.get(kind, each) for each in (ANY, config.name))
    return secrets.get(kind, name) is not None
