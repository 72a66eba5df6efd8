"""A real SSH server with git behind it, keys to log in with, and operators who push."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from ptt.records.keys import ed25519_setting, private_pem, public_line
from ptt.rehearsal.namespace import add_addresses
from ptt.rehearsal.peers.git_server import OpenSsh, Operator

GIT_ADDRESS = "203.0.113.70"


@dataclass(frozen=True, slots=True)
class Keys:
    """Two keys that are let in, as settings have them."""

    ed25519: Ed25519PrivateKey
    rsa: RSAPrivateKey

    def setting(self, kind: str) -> str:
        """The secret ``ssh_key``."""
        return ed25519_setting(self.ed25519) if kind == "ed25519" else private_pem(self.rsa)

    @property
    def lines(self) -> tuple[str, str]:
        """What ``authorized_keys`` has of them."""
        return public_line(self.ed25519), public_line(self.rsa)


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Give the keys."""
    return Keys(Ed25519PrivateKey.generate(), generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """Give what waits until something is so, and gives it."""

    def wait(what: Callable[[], Any], timeout_s: float = 15.0, every_s: float = 0.02) -> Any:
        deadline = time.monotonic() + timeout_s
        while not (found := what()):
            assert time.monotonic() < deadline, f"did not happen within {timeout_s} s"
            time.sleep(every_s)
        return found

    return wait


@pytest.fixture(scope="session")
def ssh(open_place: Path, require_program: Callable[[str], str], keys: Keys) -> Iterator[OpenSsh]:
    """Give the server."""
    require_program("sshd")
    require_program("git")
    add_addresses([GIT_ADDRESS])
    server = OpenSsh(open_place / "sshd", GIT_ADDRESS, list(keys.lines))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def operator(ssh: OpenSsh, tmp_path: Path) -> Operator:
    """Give somebody with a repository of two users."""
    made = Operator(tmp_path, "relay")
    made.push({"alice": b'{"targets": ["alice@home.com"]}', "bruno": b'{"targets": ["bruno@home.com"]}'})
    return made
