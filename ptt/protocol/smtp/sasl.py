"""The server's side of SASL (RFC 4422): PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, RFC 7677).

A mechanism takes the client's decoded responses and returns what to do next. Only SCRAM decides by itself
whether the client knows the password; PLAIN and LOGIN hand the password out. Without channel binding:
Python's TLS has no exporter, so no -PLUS is offered. Names and passwords have at most 1024 octets, so that
nobody can make us hash megabytes; RFC 4616 §2 asks for 255.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ptt.errors import Malformed, MisuseError

MAX_CREDENTIAL_OCTETS = 1024
USERNAME_PROMPT = b"Username:"  # Outlook and Thunderbird want exactly these two
PASSWORD_PROMPT = b"Password:"


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this (not coded yet) and wait for the response."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """The end of PLAIN and LOGIN: somebody else compares. ``authorization`` None where it was empty."""

    login: str
    password: str = field(repr=False)
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class VerifierWanted:
    """SCRAM needs the verifier of this login: call ``Scram.provide``."""

    login: str


@dataclass(frozen=True, slots=True)
class Proved:
    """The end of SCRAM: the client knows the password, and it has seen that we know the verifier."""

    login: str


@dataclass(frozen=True, slots=True)
class Disproved:
    """The end of SCRAM: the client does not know the password."""

    login: str


Step = Challenge | Credentials | VerifierWanted | Proved | Disproved | Malformed


class Mechanism(Protocol):
    """One login by one mechanism."""

    def respond(self, response: bytes | None) -> Step:
        """Take the client's response; None at the start where it gave no initial response."""


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What is stored of a password (RFC 5802 §3)."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


class Plain:
    """PLAIN: ``authorization NUL login NUL password``."""

    def respond(self, response: bytes | None) -> Step:
        """Ask with an empty challenge if need be, then read the credentials."""
        if response is None:
            return Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:  # noqa: PLR2004 - RFC 4616 §2
            return Malformed("PLAIN has three parts")
        authorization, login, password = map(_text, parts)
        if authorization is None or not login or not password:
            return Malformed("a part of PLAIN is empty, too long or not UTF-8")
        return Credentials(login, password, authorization or None)


class Login:
    """LOGIN (draft-murchison-sasl-login-00): two prompts; the login may come as initial response."""

    def __init__(self) -> None:
        self._login: str | None = None

    def respond(self, response: bytes | None) -> Step:
        """Prompt, then read."""
        if response is None:
            return Challenge(USERNAME_PROMPT)
        text = _text(response)
        if not text:
            return Malformed("an answer to a prompt of LOGIN is empty, too long or not UTF-8")
        if self._login is None:
            self._login = text
            return Challenge(PASSWORD_PROMPT)
        return Credentials(self._login, text)


_CLIENT_FIRST = re.compile(
    r"(?P<gs2>(?:n|y|(?P<binding>p=[A-Za-z0-9.-]+)),(?:a=(?P<authorization>[^,]+))?,)"
    r"(?P<bare>n=(?P<login>[^,]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,]+)*)"
)
_CLIENT_FINAL = re.compile(
    r"(?P<unproved>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,]+)*)"
    r",p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_SASLNAME = re.compile(r"(?:[^=]|=2C|=3D)+")
_NONCE = re.compile(r"[!-+\--~]{16,}")


class Scram:
    """SCRAM-SHA-256. The nonce of ours comes with the verifier, since nothing here is random."""

    def __init__(self) -> None:
        self._next: Callable[[bytes], Step] = self._client_first
        self._login = self._gs2 = self._nonce = self._transcript = ""
        self.is_waiting = False

    def respond(self, response: bytes | None) -> Step:
        """Take the client's next message."""
        return Challenge(b"") if response is None else self._next(response)

    def provide(self, verifier: ScramVerifier, nonce: str) -> Challenge:
        """Answer ``VerifierWanted``.

        ``nonce``: at least 16 characters of printable ASCII without comma, unguessable and never used before.
        """
        if not _NONCE.fullmatch(nonce):
            raise MisuseError("a nonce of SCRAM is printable ASCII without comma, 16 characters or more")
        self.is_waiting = False
        self._nonce += nonce
        salt = binascii.b2a_base64(verifier.salt, newline=False).decode("ascii")
        server_first = f"r={self._nonce},s={salt},i={verifier.iterations}"
        self._transcript += f",{server_first}"
        self._next = partial(self._client_final, verifier)
        return Challenge(server_first.encode("ascii"))

    def _client_first(self, response: bytes) -> Step:
        match = _CLIENT_FIRST.fullmatch(_text(response) or "")
        if match is None or match["binding"]:  # RFC 5802 §6: a binding that we did not offer
            return Malformed("not the first message of SCRAM-SHA-256")
        login = _saslname(match["login"])
        if login is None or match["authorization"] not in (None, match["login"]):
            return Malformed("a bad name, or the wish to act for another")
        self._login, self._gs2, self._nonce = login, match["gs2"], match["nonce"]
        self._transcript = match["bare"]
        self.is_waiting = True
        return VerifierWanted(login)

    def _client_final(self, verifier: ScramVerifier, response: bytes) -> Step:
        match = _CLIENT_FINAL.fullmatch(_text(response) or "")
        if match is None:
            return Malformed("not the final message of SCRAM-SHA-256")
        proof = decode_base64(match["proof"].encode("ascii"))
        binding = decode_base64(match["binding"].encode("ascii"))
        if isinstance(proof, Malformed) or binding != self._gs2.encode() or match["nonce"] != self._nonce:
            return Malformed("another binding or nonce than in this dialogue")
        message = f"{self._transcript},{match['unproved']}".encode()
        signature = hmac.digest(verifier.stored_key, message, "sha256")
        if len(proof) != len(signature):
            return Malformed("a proof of the wrong length")
        client_key = bytes(left ^ right for left, right in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key):
            return Disproved(self._login)
        server_signature = hmac.digest(verifier.server_key, message, "sha256")
        self._next = self._acknowledgement
        return Challenge(b"v=" + binascii.b2a_base64(server_signature, newline=False))

    def _acknowledgement(self, response: bytes) -> Step:
        """RFC 4954 §4: data that goes with success is a challenge, and its response is empty."""
        return (
            Malformed("the response to the server's signature is empty") if response else Proved(self._login)
        )


MECHANISMS: dict[str, Callable[[], Mechanism]] = {"PLAIN": Plain, "LOGIN": Login, "SCRAM-SHA-256": Scram}


def decode_base64(text: bytes) -> bytes | Malformed:
    """Decode strictly: nothing but the alphabet, with padding, and nothing behind it (RFC 4954 §4)."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return Malformed("not base64")


def encode_base64(data: bytes) -> str:
    """Code a challenge."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _text(octets: bytes) -> str | None:
    """UTF-8 text without NUL, at most ``MAX_CREDENTIAL_OCTETS``; None for anything else."""
    if len(octets) > MAX_CREDENTIAL_OCTETS or b"\0" in octets:
        return None
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _saslname(text: str) -> str | None:
    """RFC 5802 §5.1: ``=2C`` is a comma and ``=3D`` an equals sign."""
    return text.replace("=2C", ",").replace("=3D", "=") if _SASLNAME.fullmatch(text) else None
