"""An account's key: signed requests (RFC 8555 §6.2 over RFC 7515) and what answers a challenge (§8.1, §8.4).

Keys and signatures are josepy's: ES256 for P-256, RS256 for RSA (RFC 7518 §3). The flattened form is put
together here, since its header has fields of ACME: ``nonce``, ``url``, ``kid``.
"""

import hashlib
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from josepy.b64 import b64encode
from josepy.jwa import ES256, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA


class AccountKey:
    """A private key with what ACME makes of it. It never shows itself."""

    def __init__(self, key: RSAPrivateKey | EllipticCurvePrivateKey) -> None:
        self._key = key
        self._jwk: JWK
        self._algorithm: JWASignature
        if isinstance(key, RSAPrivateKey):
            self._jwk, self._algorithm = JWKRSA(key=key.public_key()), RS256
        else:
            self._jwk, self._algorithm = JWKEC(key=key.public_key()), ES256

    @property
    def thumbprint(self) -> str:
        """RFC 7638, base64url."""
        return base64url(self._jwk.thumbprint())

    def sign(self, payload: object | None, url: str, nonce: str, account_url: str = "") -> bytes:
        """A request's body. ``payload`` None: POST-as-GET (§6.3); no ``account_url``: with the key."""
        header: dict[str, Any] = {"alg": self._algorithm.name, "nonce": nonce, "url": url}
        if account_url:
            header["kid"] = account_url
        else:
            header["jwk"] = self._jwk.to_json()
        protected = base64url(msgspec.json.encode(header))
        content = base64url(msgspec.json.encode(payload)) if payload is not None else ""
        signature = self._algorithm.sign(self._key, f"{protected}.{content}".encode("ascii"))
        return msgspec.json.encode(
            {"protected": protected, "payload": content, "signature": base64url(signature)}
        )

    def dns_01(self, token: str) -> str:
        """The text of the TXT record that answers a challenge (RFC 8555 §8.4)."""
        key_authorization = f"{token}.{self.thumbprint}"
        return base64url(hashlib.sha256(key_authorization.encode("ascii")).digest())


def base64url(data: bytes) -> str:
    """RFC 4648 §5 without padding, as in RFC 7515 §2."""
    return b64encode(data).decode("ascii")
