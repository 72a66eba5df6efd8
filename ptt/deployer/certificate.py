"""The public certificate until an authority has issued one: of our own making, with the key that stays.

Servers that send mail take it (RFC 7435: any encryption is better than none); mail programs warn of it.
"""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ptt.records.keys import PrivateKey

LIFETIME = timedelta(days=90)  # as an authority's; it is made anew at each start
EARLIER = timedelta(hours=1)  # for clocks that are behind ours


def self_signed(key: PrivateKey, host_name: str, now: datetime) -> str:
    """A certificate for one host, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host_name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    algorithm = None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode("ascii")
