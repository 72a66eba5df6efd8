"""A pretend certificate authority: what clients of a rehearsal trust, and certificates for its servers.

Keys are made when they are needed and are nowhere but in the rehearsal's folder and boot records.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(days=30)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A chain (leaf first) and its key, as PEM."""

    chain_pem: str
    key_pem: str = field(repr=False)

    def write(self, path: Path) -> Path:
        """Write key and chain into one file that only its owner may read, as Postfix wants them."""
        path.touch(mode=0o600)
        path.write_text(self.key_pem + self.chain_pem, encoding="ascii")
        return path


class Authority:
    """Issues certificates for names of the rehearsal; its own certificate is the trust anchor.

    With a ``parent`` it is an intermediate authority: the parent signs its certificate.
    """

    def __init__(self, name: str = "Pretend authority", parent: "Authority | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = parent or self
        builder = signer._builder(self._name, self._key.public_key())  # noqa: SLF001 - one of us
        length = 1 if parent is None else 0
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
        self._certificate = builder.sign(signer._key, hashes.SHA256())  # noqa: SLF001

    @property
    def anchor_pem(self) -> str:
        """The certificate that clients trust."""
        return self._certificate.public_bytes(Encoding.PEM).decode("ascii")

    def issue(self, host_name: str) -> ServerCertificate:
        """A certificate for one host name, with a fresh ECDSA P-256 key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host_name)])
        names = x509.SubjectAlternativeName([x509.DNSName(host_name)])
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return ServerCertificate(
            certificate.public_bytes(Encoding.PEM).decode("ascii"),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"),
        )

    def certify(
        self,
        request: x509.CertificateSigningRequest,
        lifetime: timedelta = LIFETIME,
        now: datetime | None = None,
    ) -> str:
        """The certificate that a request asks for, as PEM; the authority's own is no part of it."""
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        certificate = (
            self._builder(request.subject, request.public_key(), lifetime, now)
            .add_extension(names, critical=not list(request.subject))  # RFC 5280 §4.2.1.6
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode("ascii")

    def _builder(
        self,
        subject: x509.Name,
        key: CertificatePublicKeyTypes,
        lifetime: timedelta = LIFETIME,
        now: datetime | None = None,
    ) -> x509.CertificateBuilder:
        now = now or datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - min(timedelta(hours=1), lifetime / 100))
            .not_valid_after(now + lifetime)
            # Who verifies strictly asks for both (RFC 5280 §4.2.1.1, §4.2.1.2), as Python does from 3.13 on.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
