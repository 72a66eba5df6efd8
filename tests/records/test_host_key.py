"""The forms of an SSH server's key and fingerprint."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.records.host_key import ALL_KINDS, ED25519, RSA, HostKeyPin, fingerprint_text, parse_host_key

LINE = (
    Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    .public_key()
    .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    .decode()
)
KEY = LINE.split()[1]
BLOB = base64.b64decode(KEY)
FINGERPRINT = base64.b64encode(hashlib.sha256(BLOB).digest()).decode().rstrip("=")
RSA_BLOB = b"\x00\x00\x00\x07ssh-rsa" + b"\x00" * 20


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f"SHA256:{FINGERPRINT}", ALL_KINDS),
        (f"SHA256:{FINGERPRINT}=", ALL_KINDS),
        (f" SHA256:{FINGERPRINT}\n", ALL_KINDS),
        (f"ed25519:{FINGERPRINT}", (ED25519,)),
        (f"rsa:{FINGERPRINT}", (RSA,)),
        (KEY, (ED25519,)),
        (KEY.rstrip("="), (ED25519,)),
        (LINE, (ED25519,)),
        (f"{LINE} root@git", (ED25519,)),
        (f"git.example.org {LINE}", (ED25519,)),
        (f"[git.example.org]:2222 {LINE}", (ED25519,)),
    ],
)
def test_forms(text: str, kinds: tuple[tuple[str, ...], ...]) -> None:
    pin = parse_host_key(text)
    assert isinstance(pin, HostKeyPin)
    assert pin.kinds == kinds
    assert pin.matches(BLOB)
    assert not pin.matches(BLOB + b"x")


def test_an_rsa_key_asks_for_sha2_signatures() -> None:
    pin = parse_host_key(base64.b64encode(RSA_BLOB).decode())
    assert isinstance(pin, HostKeyPin)
    assert pin.kinds == (RSA,)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ssh-keyscan"),
        ("MD5:aa", "begins with"),
        ("SHA256:aaaa", "32 octets"),
        ("SHA256:!", "32 octets"),
        ("ed25519:é", "32 octets"),
        ("aa", "neither"),
        ("   ", "neither"),
        ("!!", "neither"),
        (base64.b64encode(b"\x00\x00\x00\x03dsa").decode(), "unknown kind"),
        ("A" * 5000, "longer"),
    ],
)
def test_faults(text: str, reason: str) -> None:
    pin = parse_host_key(text)
    assert isinstance(pin, Malformed)
    assert reason in pin.reason


def test_the_text_is_openssh_s() -> None:
    assert fingerprint_text(BLOB) == f"SHA256:{FINGERPRINT}"


@given(st.text())
def test_anything_gives_a_result(text: str) -> None:
    assert isinstance(parse_host_key(text), HostKeyPin | Malformed)
