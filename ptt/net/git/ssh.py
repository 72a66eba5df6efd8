"""A Git server behind SSH: paramiko's transport on a connected socket; the host key comes before anything.

No configuration files, no agent, no passwords (RFC 4252 §7 only). The server must show the very key that the
settings pin; until it has, we tell it neither user nor key. A ``SHA256:`` fingerprint does not say of which
kind the key is, so the kinds are asked for one after the other, each on a connection of its own.
"""

import io
import logging

import paramiko  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt.errors import MisuseError
from ptt.net.git.failures import GitTroubleError
from ptt.net.git.wire import STEP_S, Connect, Wire
from ptt.records.host_key import fingerprint_text
from ptt.records.keys import PrivateKey
from ptt.records.repository import SshPlace

paramiko.util.get_logger("paramiko").setLevel(logging.CRITICAL + 1)  # what fails is told once, by us


Kinds = tuple[str, ...]


def open_ssh(
    connect: Connect, place: SshPlace, key: PrivateKey, service: str, remembered: dict[bytes, Kinds]
) -> Wire:
    """Run ``git-upload-pack`` or ``git-receive-pack`` there.

    ``remembered``: of which kind a pinned key was found to be, so that it is asked for at once the next time;
    servers take badly to connections that end before a login.
    """
    transport = _transport(connect, place, remembered)
    try:
        _log_in(transport, place, _client_key(key))
        channel = transport.open_session(timeout=STEP_S)
        channel.settimeout(STEP_S)
        channel.exec_command(f"git-{service} {_quoted(place.path)}".encode())
    except BaseException:
        transport.close()
        raise
    return Wire(_Output(channel), transport.close)


class _Output:
    """What the command says; where it says nothing, what it complains of."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._has_spoken = False

    def recv(self, nbytes: int, /) -> bytes:
        data: bytes = self._channel.recv(nbytes)
        if not data and not self._has_spoken:
            words = self._channel.makefile_stderr("rb").read(1000).decode("utf-8", "replace")
            raise GitTroubleError(f"the server says: {' '.join(words.split()) or 'nothing'}")
        self._has_spoken = True
        return data

    def sendall(self, data: bytes, /) -> None:
        self._channel.sendall(data)


def _transport(connect: Connect, place: SshPlace, remembered: dict[bytes, Kinds]) -> paramiko.Transport:
    """A transport whose server has shown the pinned key."""
    shown: list[str] = []
    reason = ""
    first = remembered.get(place.pin.fingerprint)
    for kinds in sorted(place.pin.kinds, key=lambda kinds: kinds != first):
        transport = paramiko.Transport(connect(), disabled_algorithms={})
        try:
            transport.banner_timeout = transport.auth_timeout = STEP_S
            transport.get_security_options().key_types = kinds
            transport.start_client(timeout=STEP_S)
            blob = transport.get_remote_server_key().asbytes()
        except paramiko.SSHException as error:
            transport.close()
            if isinstance(error, paramiko.IncompatiblePeer):  # it has no key of this kind
                reason = "it has no key of the pinned kind"
                continue
            raise
        except BaseException:
            transport.close()
            raise
        if place.pin.matches(blob):
            remembered[place.pin.fingerprint] = kinds
            return transport
        transport.close()
        shown.append(fingerprint_text(blob))
    what = f"the server has shown {', '.join(shown)}" if shown else reason
    raise GitTroubleError(f"the host key of {place.host} is not the pinned one: {what}", needs_operator=True)


def _log_in(transport: paramiko.Transport, place: SshPlace, key: paramiko.PKey) -> None:
    try:
        transport.auth_publickey(place.user, key)
    except paramiko.AuthenticationException as error:
        raise GitTroubleError(
            f"{place.host} does not let our SSH key {fingerprint_text(key.asbytes())} in as {place.user}",
            needs_operator=True,
        ) from error


def _client_key(key: PrivateKey) -> paramiko.PKey:
    match key:
        case RSAPrivateKey():
            return paramiko.RSAKey(key=key)
        case Ed25519PrivateKey():
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            return paramiko.Ed25519Key(file_obj=io.StringIO(pem.decode("ascii")))
        case _:
            raise MisuseError(f"{type(key).__name__} is no SSH key")


def _quoted(path: str) -> str:
    """As a POSIX shell at the other end reads it; ``~`` in front stays outside."""
    home, slash, rest = path.partition("/") if path.startswith("~") else ("", "", path)
    return home + slash + "'" + rest.replace("'", "'\\''") + "'"
