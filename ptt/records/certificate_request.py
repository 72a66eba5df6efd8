"""What a public host asks an authority for: a request (PKCS #10, RFC 2986), the same bytes for the same key.

Nothing in it is drawn by lot: ECDSA signs deterministically (RFC 6979), RSA with PKCS #1 v1.5 does anyway.
So generations and replicas that ask for the same thing put the same record into the DNS.
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ptt.errors import Malformed
from ptt.protocol.acme.signing_request import SigningRequest
from ptt.protocol.dns.name import Name
from ptt.records.keys import PrivateKey, public_spki

MAX_COMMON_NAME_CHARACTERS = 64  # RFC 5280 §A.1, ub-common-name; a longer name is in subjectAltName alone


def make_request(key: PrivateKey, host: Name) -> SigningRequest | Malformed:
    """The request for one host; authorities take no keys but RSA and ECDSA."""
    if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
        return Malformed("authorities certify RSA and ECDSA keys only")
    names = x509.SubjectAlternativeName([x509.DNSName(host.text)])
    builder = x509.CertificateSigningRequestBuilder(subject_of(host)).add_extension(names, critical=False)
    is_ecdsa = isinstance(key, EllipticCurvePrivateKey)
    request = builder.sign(key, SHA256(), ecdsa_deterministic=True if is_ecdsa else None)
    return SigningRequest(request.public_bytes(Encoding.DER), public_spki(key), frozenset((host,)))


def subject_of(host: Name) -> x509.Name:
    """The name as the subject, where it is short enough for one."""
    if len(host.text) > MAX_COMMON_NAME_CHARACTERS:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host.text)])
