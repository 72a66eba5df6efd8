"""From the file of secrets to what units are told: by kind of secret, in the form that the units read.

A seed becomes its key here (RSA takes up to seconds), so that units need no arithmetic for it. Whoever runs
the service under systemd may give the file as the credential ``secrets.toml`` instead.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ptt import topology
from ptt.deployer.config import Config
from ptt.deployer.secret_store import FILE_NAME, read_secrets
from ptt.errors import ConfigError, Malformed
from ptt.manifest import Secret
from ptt.protocol.mailauth.dkim.keys import PrivateKey as SigningPrivateKey
from ptt.protocol.mailauth.dkim.keys import public_record
from ptt.records.keys import CERTIFICATE, DKIM, PrivateKey, is_seed, parse_key, private_pem
from ptt.records.secrets_file import SecretKind, Secrets

CREDENTIALS = "CREDENTIALS_DIRECTORY"  # systemd.exec(5)
ANY = "all"
SIGNER = topology.OUTBOUND[1].name
_DKIM_LABEL = "._domainkey."


def load_secrets(config: Config) -> Secrets:
    """The secrets: systemd's credential of that name, else the file beside ``ptt.toml``."""
    folder = os.environ.get(CREDENTIALS)
    credential = Path(folder) / FILE_NAME if folder else None
    return read_secrets(credential if credential and credential.exists() else config.secrets_file)


def secrets_for(unit: str, config: Config, secrets: Secrets) -> dict[str, str]:
    """What a unit may be told, by kind; it gets only what its manifest names."""
    found = {
        Secret.DKIM_KEYS: json.dumps(list(_dkim_entries(config, secrets))) if unit == SIGNER else None,
        Secret.TSIG_KEYS: json.dumps(list(secrets.of(SecretKind.TSIG).values())),
        Secret.TSIG_KEY: secrets.get(SecretKind.TSIG, f"{unit}._update.{config.domain}"),
        Secret.SSH_KEY: secrets.get(SecretKind.SSH, unit),
        Secret.ACME_ACCOUNT_KEY: secrets.get(SecretKind.ACCOUNT, "acme"),
        Secret.DNSSEC_SEED: secrets.get(SecretKind.DNSSEC, ANY),
        **_certificate_key(config, secrets),
    }
    told = {str(kind): text for kind, text in found.items() if text is not None}
    return {**told, **secrets.of(SecretKind.OTHER)}


def dkim_records(config: Config, secrets: Secrets) -> dict[str, str]:
    """The TXT records of the keys, by owner name without the final dot."""
    return {
        f"{selector}{_DKIM_LABEL}{domain}": public_record(_dkim_key(secrets, name)).decode("ascii")
        for name, selector, domain in _dkim_names(config, secrets)
    }


def tls_key(config: Config, secrets: Secrets) -> PrivateKey:
    """The key of a certificate that the operator brings: the host's own, else the one for all."""
    text = _certificate_text(config, secrets)
    key = parse_key(text, CERTIFICATE) if text is not None else Malformed("it is not there")
    if isinstance(key, Malformed):
        what = f"the key of the certificate: {key.reason}"
        mend = "name its file: tls.key in ptt.toml, or ptt key certificate import"
        raise ConfigError(str(config.secrets_file), what, mend)
    return key


def _certificate_text(config: Config, secrets: Secrets) -> str | None:
    texts = secrets.of(SecretKind.CERTIFICATE)
    return texts.get(config.name) or texts.get(ANY)


def _certificate_key(config: Config, secrets: Secrets) -> dict[Secret, str]:
    """A key of the operator's, or the seed from which the unit makes one."""
    text = _certificate_text(config, secrets)
    if text is None:
        return {}
    return {Secret.CERTIFICATE_SEED if is_seed(text, CERTIFICATE) else Secret.TLS_KEY: text}


def _dkim_entries(config: Config, secrets: Secrets) -> Iterator[Mapping[str, str]]:
    """The form that the signer reads."""
    for name, selector, domain in _dkim_names(config, secrets):
        yield {"selector": selector, "domain": domain, "key": private_pem(_dkim_key(secrets, name))}


def _dkim_names(config: Config, secrets: Secrets) -> Iterator[tuple[str, str, str]]:
    """Name in the file, selector, domain: a bare selector is for each domain of ours."""
    for name in secrets.of(SecretKind.DKIM):
        selector, _, domain = name.partition(_DKIM_LABEL)
        if config.signer.selector and selector not in config.signer.selector:
            continue
        for each in (domain,) if domain else config.domains:
            yield name, selector, each


def _dkim_key(secrets: Secrets, name: str) -> SigningPrivateKey:
    key = parse_key(secrets.of(SecretKind.DKIM)[name], DKIM)
    if isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        return key
    reason = key.reason if isinstance(key, Malformed) else "a kind of key that does not sign mail"
    raise ConfigError(f"secrets: dkim.{name}", reason, f"ptt key dkim make {name} --replace")
