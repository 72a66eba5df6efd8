"""The public certificate until an authority has issued one: of our own making, with the key that stays.

Servers that send mail take it (RFC 7435: any encryption is better than none). Mail programs would warn of it.
"""

from datetime import datetime, timedelta
from hashlib import blake2b

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ptt.protocol.dns.name import Name
from ptt.records.certificate_request import subject_of
from ptt.records.keys import PrivateKey, public_spki

LIFETIME = timedelta(days=90)  # as an authority's; it is made anew at each start
EARLIER = timedelta(hours=1)  # for clocks that are behind ours
SERIAL_OCTETS = 16  # of 20 at most (RFC 5280 §4.1.2.2)


def self_signed(key: PrivateKey, host: Name, now: datetime) -> bytes:
    """A certificate (DER) for one host."""
    serial = blake2b(public_spki(key) + now.isoformat().encode(), digest_size=SERIAL_OCTETS).digest()
    subject = subject_of(host)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial, "big") >> 1 | 1)  # positive in DER, never 0
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host.text)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    algorithm = None if isinstance(key, Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)
