"""TLS of our own: identities on the private network, exact pins, and the contexts of each kind of connection.

Between units every generation has a fresh ECDSA P-256 key that never leaves it and a self-signed certificate;
both ends know the exact certificates of the other (control frame ``Peers``), which are the only trust anchors
(RFC 5280 §6 with a chain of one). After the handshake the certificate is compared once more, octet by octet.
"""

import os
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MAX_LINK_CONTEXTS = 64  # the two sides of a unit's links, through some changes of its peers
BUNDLE, HASHED = "ca-certificates.crt", "????????.[0-9]"  # in a folder of authorities: all, or one each
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n")
LINK_CERTIFICATE_DAYS = 3650  # pins, not dates, decide; longer than any generation lives


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Key and certificate of one generation on the private network."""

    certificate: bytes
    """DER."""
    private_key_pem: bytes = field(repr=False)


def make_link_identity(unit: str, generation: int, now: datetime) -> LinkIdentity:
    """A fresh ECDSA P-256 key and its self-signed certificate; a few milliseconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{unit}.{generation}.ptt")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(now.astimezone(UTC) + timedelta(days=LINK_CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return LinkIdentity(
        certificate.public_bytes(serialization.Encoding.DER),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def link_server_context(identity: LinkIdentity, callers: Iterable[bytes]) -> ssl.SSLContext:
    """For a private listener: only these certificates (DER) get in, TLS 1.3 alone."""
    return _link_context(identity, tuple(callers), server_side=True)


def link_client_context(identity: LinkIdentity, callee: bytes) -> ssl.SSLContext:
    """For a call to one generation of a unit: exactly this certificate (DER)."""
    return _link_context(identity, (callee,), server_side=False)


def public_server_context(chain_pem: bytes, key_pem: bytes, *, tickets: bool) -> ssl.SSLContext:
    """For listeners that the Internet sees: TLS 1.2 and 1.3 (RFC 8996).

    ``tickets`` False on port 25: Microsoft breaks off when TLS 1.3 tickets come (specs/clients.md section 3).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tickets:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    _load_chain(context, chain_pem, key_pem)
    return context


def opportunistic_client_context() -> ssl.SSLContext:
    """Towards mail servers of the Internet without DANE or MTA-STS: any certificate (RFC 7435 §3)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def verifying_client_context(trust_anchors_pem: str | None) -> ssl.SSLContext:
    """Towards a smarthost: name and chain are verified, by these anchors or the system's."""
    context = ssl.create_default_context(cadata=trust_anchors_pem or system_trust_anchors() or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@cache
def system_trust_anchors() -> str:
    """The certificates of the system's authorities (PEM); empty where it has none.

    Read once, before a unit closes: OpenSSL itself would look for files at each handshake.
    """
    places = ssl.get_default_verify_paths()
    files = [Path(name) for name in (places.cafile,) if name]  # None where there is none
    for folder in (Path(name) for name in (places.capath,) if name):
        files += [path for path in (folder / BUNDLE,) if path.is_file()] or sorted(folder.glob(HASHED))
    text = "".join(path.read_text(encoding="ascii", errors="replace") for path in files if path.is_file())
    return "\n".join(dict.fromkeys(_CERTIFICATE.findall(text)))


@lru_cache(MAX_LINK_CONTEXTS)
def _link_context(
    identity: LinkIdentity, certificates: tuple[bytes, ...], *, server_side: bool
) -> ssl.SSLContext:
    """One context for the same ends: the host names all peers again whenever one of them changes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    if server_side:
        context.num_tickets = 0  # connections stay open, resumption would only widen what is trusted
    else:
        context.check_hostname = False  # the pin is the identity
    _pin(context, identity, certificates)
    return context


def _pin(context: ssl.SSLContext, identity: LinkIdentity, certificates: Iterable[bytes]) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    for certificate in certificates:
        context.load_verify_locations(cadata=certificate)
    pem = x509.load_der_x509_certificate(identity.certificate).public_bytes(serialization.Encoding.PEM)
    _load_chain(context, pem, identity.private_key_pem)


def _load_chain(context: ssl.SSLContext, chain_pem: bytes, key_pem: bytes) -> None:
    """OpenSSL's Python binding reads chains from files only: this one is memory (memfd_create(2))."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, chain_pem + b"\n" + key_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
