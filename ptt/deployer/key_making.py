"""Keys of the file of secrets: made, taken over from the original, and what of each is to be known [N12, T6].

A new key is an ordinary one. A seed of the original is turned into its key once, when it is taken over, so
that no unit has to (RSA-4096 takes seconds). What a person pastes somewhere (a line for ``authorized_keys``,
for a zone) holds no secret, but where it says so.
"""

import base64
import hashlib
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ptt.errors import ConfigError, Malformed
from ptt.protocol.acme.account_key import AccountKey
from ptt.protocol.mailauth.dkim.keys import public_record
from ptt.records.keys import (
    ACME_ACCOUNT,
    CERTIFICATE,
    DKIM,
    MIN_RSA_BITS,
    SSH,
    KeyUse,
    PrivateKey,
    ed25519_setting,
    is_seed,
    is_seed_short,
    parse_key,
    private_pem,
    public_line,
    public_spki,
)
from ptt.records.secrets_file import SecretKind, check_secret
from ptt.records.seeds import MAX_RSA_BITS, ed25519_from_seed
from ptt.records.tsig_key import TsigKey, parse_tsig_key

SEED_OCTETS = 32
ORIGINAL_SEED_OCTETS = 30  # 40 characters of base64, as the original's key tool draws
TTL_S = 3600
STRING_OCTETS = 250  # a character-string holds 255 at most (RFC 1035 §3.3)
OTHER_SSH_BITS = 2048  # what the original made of the same seed until the end of 2021

USES = {
    SecretKind.SSH: SSH,
    SecretKind.DKIM: DKIM,
    SecretKind.ACCOUNT: ACME_ACCOUNT,
    SecretKind.CERTIFICATE: CERTIFICATE,
}
FORMS = {
    SecretKind.SSH: ("ed25519", "rsa", "seed"),
    SecretKind.DKIM: ("rsa", "ed25519"),
    SecretKind.ACCOUNT: ("p256", "rsa"),
    SecretKind.CERTIFICATE: ("seed", "p256", "rsa", "ed25519"),
    SecretKind.TSIG: ("SHA256", "SHA512", "SHA384", "SHA224", "SHA1"),
    SecretKind.DNSSEC: ("seed",),
}
"""What can be made of each kind; the first is made where nothing is said."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A key for people: what it is, and the lines to paste, each with what it is for."""

    kind: SecretKind
    name: str
    form: str
    fingerprint: str
    lines: tuple[tuple[str, str], ...]


def made_text(kind: SecretKind, name: str, form: str, bits: int | None) -> str:
    """The text of a new secret. ``form``: one of ``FORMS``, empty: the usual one."""
    form = form or FORMS[kind][0]
    if form not in FORMS[kind]:
        raise ConfigError("--type", f"there is no {form} here", f"one of {', '.join(FORMS[kind])}")
    if bits is not None and not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        mend = f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
        raise ConfigError("--bits", f"{bits} bits", mend)
    if kind is SecretKind.TSIG:
        return f"{name.rstrip('.')}:{form}:{_base64(randomness.token_bytes(SEED_OCTETS))}"
    match form:
        case "ed25519":
            return ed25519_setting(ed25519.Ed25519PrivateKey.generate())
        case "p256":
            return private_pem(ec.generate_private_key(ec.SECP256R1()))
        case "rsa":
            return private_pem(rsa.generate_private_key(65537, bits or USES[kind].rsa_bits))
        case _ if kind is SecretKind.SSH:
            return f"rsa:{_base64(randomness.token_bytes(ORIGINAL_SEED_OCTETS))}"
        case _:
            return _base64(randomness.token_bytes(SEED_OCTETS))


def taken_over(kind: SecretKind, text: str, form: str, bits: int | None) -> str:
    """A secret of the original, or of another program, as our file holds it. A seed becomes its key."""
    text = text.rstrip("\r\n") if "PRIVATE KEY" not in text else text
    if kind is SecretKind.SSH and form == "ed25519" and ":" not in text:
        return ed25519_setting(ed25519_from_seed(text.encode()))  # as the original's key tool makes it
    if kind is SecretKind.SSH and ":" not in text and "PRIVATE KEY" not in text:
        text = f"rsa:{text}"  # as it was told until 2022, without the kind in front
    fault = check_secret(kind, text)
    if fault is not None:
        raise ConfigError(
            f"ptt key {kind} import", fault.reason, "docs/keys.md names the forms that are taken"
        )
    use = USES.get(kind)
    return text if use is None or not is_seed(text, use) else private_pem(_key(text, use, bits))


def weak_seed(kind: SecretKind, text: str) -> bool:
    """Whether a seed is short enough to be guessed."""
    use = USES.get(kind)
    return use is not None and is_seed_short(text.rstrip("\r\n"), use)


def other_ssh_line(text: str, name: str) -> str:
    """The public line of the same seed with the size of before 2022, to compare with ``authorized_keys``."""
    seed = text.strip() if text.lower().startswith("rsa:") else f"rsa:{text.strip()}"
    return public_line(_key(seed, SSH, OTHER_SSH_BITS), name)


def shown(
    kind: SecretKind, name: str, text: str, domains: Sequence[str] = (), *, shows_secret: bool = False
) -> Shown:
    """What of a secret is for other people's eyes; with ``shows_secret`` the secret too."""
    use = USES.get(kind)
    secret = (("the secret itself", text),) if shows_secret else ()
    if use is not None:
        key = _key(text, use, None)
        lines = (*_lines(kind, name, key, domains), *secret)
        return Shown(kind, name, _form(key), _fingerprint(kind, key), lines)
    if kind is SecretKind.TSIG:
        tsig = parse_tsig_key(text)
        if isinstance(tsig, Malformed):
            raise ConfigError(f"{kind}.{name}", tsig.reason, f"ptt key {kind} make {name} --replace")
        in_keys = (("for a _keys file", keys_line(tsig)),) if shows_secret else ()
        return Shown(kind, name, tsig.algorithm.name, "", (*in_keys, *secret))
    return Shown(kind, name, "seed", "", secret)


def keys_line(key: TsigKey) -> str:
    """The line of a zone's ``_keys`` file, which the original's tools read. It holds the secret."""
    return f"{key.name}. IN DNSKEY 0 3 {key.algorithm.dnskey_number} {_base64(key.secret)}"


def zone_line(owner: str, text: str) -> str:
    """A TXT record for a zone file, in as many strings as it needs."""
    pieces = [f'"{text[at : at + STRING_OCTETS]}"' for at in range(0, len(text), STRING_OCTETS)]
    return f"{owner} {TTL_S} IN TXT {' '.join(pieces)}"


def _lines(
    kind: SecretKind, name: str, key: PrivateKey, domains: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    if kind is SecretKind.SSH:
        return (("for authorized_keys of the Git host", public_line(key, name)),)
    if kind is not SecretKind.DKIM or isinstance(key, ec.EllipticCurvePrivateKey):
        return ()
    selector, _, own = name.partition("._domainkey.")
    record = public_record(key).decode("ascii")
    return tuple(
        (
            f"for the zone of {domain or 'your domain'}",
            zone_line(f"{selector}._domainkey.{domain}." if domain else f"{selector}._domainkey", record),
        )
        for domain in ((own,) if own else domains or ("",))
    )


def _fingerprint(kind: SecretKind, key: PrivateKey) -> str:
    match kind:
        case SecretKind.SSH:  # as ssh-keygen -l shows it
            blob = base64.b64decode(public_line(key, "").split()[1])
            return f"SHA256:{_base64(hashlib.sha256(blob).digest()).rstrip('=')}"
        case SecretKind.ACCOUNT:
            return f"thumbprint {AccountKey(key).thumbprint}"  # type: ignore[arg-type]
        case _:
            return f"SHA256 of the public key {hashlib.sha256(public_spki(key)).hexdigest()}"


def _form(key: PrivateKey) -> str:
    match key:
        case rsa.RSAPrivateKey():
            return f"rsa {key.key_size}"
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case _:
            return "p256"


def _key(text: str, use: KeyUse, bits: int | None) -> PrivateKey:
    key = parse_key(text, use, bits)
    if isinstance(key, Malformed):
        raise ConfigError("ptt key", key.reason, "see --bits, and the forms in docs/keys.md")
    return key


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
