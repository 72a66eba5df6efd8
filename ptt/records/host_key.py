"""How a setting names the key of an SSH server, and whether a key is that one.

Forms: a fingerprint as OpenSSH shows it (``SHA256:BASE64``), one of a certain kind as the original has it
(``ed25519:BASE64``, ``rsa:BASE64``), the key itself in base64, or a line of ``known_hosts`` or of a
``.pub`` file. A fingerprint is SHA-256 over the key's blob (RFC 4253 §6.6), in base64 without padding.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from ptt.errors import Malformed

SHA256_OCTETS = 32
MAX_TEXT_CHARACTERS = 4096  # RSA-16384 has 2,800
ED25519 = ("ssh-ed25519",)  # RFC 8709
RSA = ("rsa-sha2-512", "rsa-sha2-256")  # RFC 8332; SHA-1 signatures are not taken
ECDSA = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")  # RFC 5656
ALL_KINDS = (ED25519, RSA, ECDSA)
_BY_NAME = {"ssh-ed25519": ED25519, "ssh-rsa": RSA, **{name: (name,) for name in ECDSA}}


@dataclass(frozen=True, slots=True)
class HostKeyPin:
    """One key. ``kinds``: the sets of signature algorithms to offer, one after the other (RFC 4253 §7.1)."""

    fingerprint: bytes
    kinds: tuple[tuple[str, ...], ...]

    def matches(self, blob: bytes) -> bool:
        """Whether the server's key, as it is on the wire, is this one."""
        return hmac.compare_digest(hashlib.sha256(blob).digest(), self.fingerprint)


def parse_host_key(text: str) -> HostKeyPin | Malformed:
    """Read a setting."""
    if not text:
        return Malformed("give the server's key or fingerprint: ssh-keyscan HOST | ssh-keygen -lf -")
    if len(text) > MAX_TEXT_CHARACTERS:
        return Malformed(f"longer than {MAX_TEXT_CHARACTERS} characters")
    words = text.split()
    if len(words) == 1 and ":" in words[0]:
        kind, _, value = words[0].partition(":")
        return _fingerprint(kind, value)
    blob = next((word for word in words if word.startswith("AAAA")), words[0] if words else "")
    return _key(blob)


def fingerprint_text(blob: bytes) -> str:
    """``SHA256:BASE64`` as OpenSSH shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def _fingerprint(kind: str, value: str) -> HostKeyPin | Malformed:
    kinds = {"sha256": ALL_KINDS, "ed25519": (ED25519,), "rsa": (RSA,)}.get(kind.lower())
    if kinds is None:
        return Malformed("a fingerprint begins with SHA256:, ed25519: or rsa:")
    digest = _decode(value.rstrip("="))
    if digest is None or len(digest) != SHA256_OCTETS:
        return Malformed(f"behind {kind}: stand {SHA256_OCTETS} octets in base64")
    return HostKeyPin(digest, kinds)


def _key(text: str) -> HostKeyPin | Malformed:
    blob = _decode(text.rstrip("="))
    if blob is None or len(blob) < 4:  # noqa: PLR2004 - the length in front of the name
        return Malformed("neither a fingerprint (SHA256:…, ed25519:…, rsa:…) nor a key in base64")
    name = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
    if name not in _BY_NAME:
        return Malformed("a key of an unknown kind")
    return HostKeyPin(hashlib.sha256(blob).digest(), (_BY_NAME[name],))


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
