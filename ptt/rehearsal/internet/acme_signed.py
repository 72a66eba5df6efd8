"""A signed request as an authority reads it (RFC 8555 §6.2 to §6.5): whose it is and what it says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import josepy
import msgspec
from josepy.b64 import b64decode
from josepy.jwa import ES256, RS256
from josepy.jwk import JWK, JWKEC, JWKRSA

ALGORITHMS = {"ES256": ES256, "RS256": RS256}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is answered instead (RFC 8555 §6.7)."""

    status: int
    kind: str
    detail: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A request whose signature holds. ``payload`` None: POST-as-GET; ``account_url`` empty: by ``key``."""

    payload: dict[str, Any] | None
    key: JWK
    account_url: str


def read_signed(
    body: bytes,
    url: str,
    take_nonce: Callable[[str], bool],
    key_of: Callable[[str], JWK | None],
) -> Signed | Problem:
    """Check a request to ``url``; ``take_nonce`` says whether a nonce is ours and unused."""
    try:
        parts = msgspec.json.decode(body, type=dict[str, str])
        header = msgspec.json.decode(b64decode(parts["protected"]))
        algorithm = ALGORITHMS.get(header["alg"])
        nonce, signed_url = header["nonce"], header["url"]
        account_url = header.get("kid", "")
        key = key_of(account_url) if account_url else JWK.from_json(header["jwk"])
        signature = b64decode(parts["signature"])
        payload = msgspec.json.decode(b64decode(parts["payload"])) if parts["payload"] else None
    except (ValueError, KeyError, TypeError, msgspec.DecodeError, josepy.errors.Error) as error:
        return Problem(400, "malformed", str(error))
    if ("kid" in header) == ("jwk" in header):
        return Problem(400, "malformed", "exactly one of jwk and kid (RFC 8555 section 6.2)")
    if algorithm is None:
        return Problem(400, "badSignatureAlgorithm", f"not one of {', '.join(ALGORITHMS)}")
    if not isinstance(key, JWKRSA | JWKEC):
        return Problem(400, "accountDoesNotExist" if account_url else "badPublicKey", account_url)
    if signed_url != url:
        return Problem(401, "unauthorized", f"signed for {signed_url}, sent to {url}")
    if not take_nonce(nonce):
        return Problem(400, "badNonce", "unknown or used")
    if not algorithm.verify(key.key, f"{parts['protected']}.{parts['payload']}".encode(), signature):
        return Problem(403, "unauthorized", "the signature does not hold")
    return Signed(payload, key, account_url)
