"""A request for a certificate (PKCS #10, RFC 2986) and whether a certificate answers it.

Read strictly, since it comes over the network: the signature holds, the key is one that authorities certify,
every name is a DNS name of the subjectAltName (RFC 5280 §4.2.1.6) or, without that, the common name alone.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name

MAX_REQUEST_OCTETS = 16 * 1024  # RSA-4096 with a hundred names has some 8 kB
MAX_CERTIFICATE_OCTETS = 64 * 1024
MAX_NAMES = 100  # what public authorities take in one certificate
RSA_BITS = range(2048, 4097)
WILDCARD = b"*"


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """``der`` as it came; ``key`` is the SubjectPublicKeyInfo; ``names`` may begin with ``*``."""

    der: bytes
    key: bytes
    names: frozenset[Name]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate in DER, with what is compared. Times in seconds since 1970."""

    der: bytes
    key: bytes
    names: frozenset[Name]
    not_before: float
    not_after: float

    def answers(self, request: SigningRequest) -> bool:
        """Whether it has the key and the names that were asked for."""
        return self.key == request.key and self.names == request.names

    def is_valid(self, now: float) -> bool:
        """Whether its time has come and is not over (RFC 5280 §4.1.2.5)."""
        return self.not_before <= now < self.not_after

    @property
    def renew_at(self) -> float:
        """When a third of its life is left [L3]."""
        return self.not_after - (self.not_after - self.not_before) / 3


def read_signing_request(der: bytes) -> SigningRequest | Malformed:
    """Read a request; the reason is for the operator."""
    if len(der) > MAX_REQUEST_OCTETS:
        return Malformed(f"a request of {len(der)} octets")
    try:
        request = x509.load_der_x509_csr(der)
        is_signed = request.is_signature_valid
        key = request.public_key()
        names = _names(request)
    except _UNREADABLE as error:
        return Malformed(f"not a certificate request: {error}")
    if isinstance(names, Malformed):
        return names
    if not is_signed:
        return Malformed("the request is not signed with its own key")
    match key:
        case RSAPublicKey() if key.key_size in RSA_BITS:
            pass
        case EllipticCurvePublicKey(curve=SECP256R1() | SECP384R1()):
            pass
        case _:
            return Malformed("a kind of key that authorities do not certify")
    return SigningRequest(der, _spki(request), names)


def read_certificate(der: bytes) -> Certificate | Malformed:
    """Read a certificate as far as it is compared with requests."""
    if len(der) > MAX_CERTIFICATE_OCTETS:
        return Malformed(f"a certificate of {len(der)} octets")
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = _names(certificate)
        if isinstance(names, Malformed):
            return names
        return Certificate(
            der,
            _spki(certificate),
            names,
            certificate.not_valid_before_utc.timestamp(),
            certificate.not_valid_after_utc.timestamp(),
        )
    except _UNREADABLE as error:
        return Malformed(f"not a certificate: {error}")


def read_chain(pem: bytes) -> tuple[bytes, ...] | Malformed:
    """The certificates (DER) of a chain in PEM, leaf first (RFC 8555 §9.1)."""
    if len(pem) > MAX_CERTIFICATE_OCTETS:
        return Malformed(f"a chain of {len(pem)} octets")
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except _UNREADABLE as error:
        return Malformed(f"not a chain of certificates: {error}")
    return tuple(each.public_bytes(Encoding.DER) for each in chain)


_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def _spki(of: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(of: x509.Certificate | x509.CertificateSigningRequest) -> frozenset[Name] | Malformed:
    try:
        found = of.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        texts = [str(each.value) for each in of.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    else:
        if any(not isinstance(each, x509.DNSName) for each in found):
            return Malformed("a name that is no DNS name")
        texts = found.get_values_for_type(x509.DNSName)
    if not 1 <= len(texts) <= MAX_NAMES:
        return Malformed(f"{len(texts)} names")
    names = [Name.parse(text) if text.isascii() else Malformed("not ASCII") for text in texts]
    read = frozenset(name for name in names if isinstance(name, Name) and _is_host(name))
    return read if len(read) == len(set(names)) else Malformed("a name that cannot be read")


def _is_host(name: Name) -> bool:
    """Letters, digits and hyphens; ``*`` as the first label alone (RFC 8555 §7.1.3)."""
    labels = name.labels[1:] if name.labels[:1] == (WILDCARD,) else name.labels
    return len(labels) > 1 and all(label.replace(b"-", b"a").isalnum() for label in labels)
