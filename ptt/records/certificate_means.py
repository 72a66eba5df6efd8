"""How a unit with public listeners comes to its certificate: given to it, or by the exchange in the DNS.

Given: the chain is in the settings, its key is the secret ``tls_key``. By the exchange: a key, ``tls_key``
where the operator has one, else made from the secret ``certificate_seed``, and a TSIG key for the name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ptt.errors import Malformed
from ptt.protocol.acme.signing_request import SigningRequest
from ptt.protocol.dns.certificate_exchange import has_room
from ptt.protocol.dns.name import Name
from ptt.records.certificate_key import MAX_COUNTER, derive_key, parse_seed
from ptt.records.certificate_request import make_request
from ptt.records.keys import CERTIFICATE, PrivateKey, is_seed, parse_key, private_pem
from ptt.records.tsig_key import TsigKey, parse_tsig_key


@dataclass(frozen=True, slots=True)
class GivenCertificate:
    """A chain (PEM, leaf first) and its key (PEM)."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExchangeMeans:
    """What the exchange needs."""

    host: Name
    key: PrivateKey = field(repr=False)
    request: SigningRequest
    tsig_key: TsigKey

    @property
    def key_pem(self) -> bytes:
        """The key as PEM."""
        return private_pem(self.key).encode("ascii")


CertificateMeans = GivenCertificate | ExchangeMeans


def read_means(
    certificate_pem: str, counter: int, secrets: Mapping[str, str], host_name: str
) -> CertificateMeans | Malformed:
    """Read settings and secrets; a reason shows no secret."""
    if certificate_pem:
        if "tls_key" not in secrets:
            return Malformed("a certificate without tls_key")
        return GivenCertificate(certificate_pem.encode(), secrets["tls_key"].encode())
    host = Name.parse(host_name)
    if isinstance(host, Malformed):
        return Malformed(f"host name {host_name!r}: {host.reason}")
    if not has_room(host):
        return Malformed(f"host name {host_name!r}: too long for the exchange of certificates")
    if "tsig_key" not in secrets:
        return Malformed("neither certificate_pem nor tsig_key, by which a certificate would be asked for")
    tsig_key = parse_tsig_key(secrets["tsig_key"])
    if isinstance(tsig_key, Malformed):
        return tsig_key
    key = _read_key(secrets, host, counter)
    if isinstance(key, Malformed):
        return key
    request = make_request(key, host)
    if isinstance(request, Malformed):
        return Malformed(f"tls_key: {request.reason}")
    return ExchangeMeans(host, key, request, tsig_key)


def _read_key(secrets: Mapping[str, str], host: Name, counter: int) -> PrivateKey | Malformed:
    if "tls_key" in secrets:
        if is_seed(secrets["tls_key"], CERTIFICATE):
            return Malformed("tls_key: a seed, which belongs into certificate_seed")
        return parse_key(secrets["tls_key"], CERTIFICATE)
    if "certificate_seed" not in secrets:
        return Malformed("neither tls_key nor certificate_seed: no key for the certificate")
    if not 0 <= counter <= MAX_COUNTER:
        return Malformed(f"certificate_key: {counter} is not 0 to {MAX_COUNTER}")
    seed = parse_seed(secrets["certificate_seed"])
    if isinstance(seed, Malformed):
        return Malformed(f"certificate_seed: {seed.reason}")
    return derive_key(seed, host, counter)
