"""TSIG keys (RFC 8945) as settings hold them: ``NAME:ALGORITHM:BASE64``, as in the original.

``ALGORITHM`` is SHA1, SHA224, SHA256, SHA384 or SHA512. In a zone's ``_keys`` file the same key is a DNSKEY
record whose algorithm number is 161 to 165 (``dnskey_number``). What a key may do is in its name and
decided by the name server.
"""

import base64
import binascii
from dataclasses import dataclass, field
from enum import Enum

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name

MAX_SECRET_OCTETS = 1024  # far above the block of SHA-512 (128), past which HMAC gains nothing (RFC 2104 §3)


class TsigAlgorithm(Enum):
    """The algorithms of RFC 8945 §6. Deviation: HMAC-MD5 (157 in the original) is refused, as §6 lets us."""

    SHA1 = 161
    SHA224 = 162
    SHA256 = 163
    SHA384 = 164
    SHA512 = 165

    @property
    def dnskey_number(self) -> int:
        """The algorithm of the DNSKEY record that stands for such a key in a ``_keys`` file."""
        return self.value

    @property
    def wire_name(self) -> Name:
        """The algorithm's name in a TSIG record (RFC 8945 §6)."""
        return Name((f"hmac-{self.name.lower()}".encode("ascii"),))


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A shared secret and its name. The secret does not show in ``repr``."""

    name: Name
    algorithm: TsigAlgorithm
    secret: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The form of settings. It holds the secret."""
        return f"{self.name}:{self.algorithm.name}:{base64.b64encode(self.secret).decode('ascii')}"


def parse_tsig_key(text: str) -> TsigKey | Malformed:
    """Read ``NAME:ALGORITHM:BASE64``; the reason given for bad input never holds the secret."""
    parts = text.rsplit(":", 2)
    if len(parts) != 3:  # noqa: PLR2004 - name, algorithm, secret
        return Malformed("a TSIG key has the form NAME:ALGORITHM:BASE64")
    name = Name.parse(parts[0])
    if isinstance(name, Malformed):
        return Malformed(f"the name of the TSIG key: {name.reason}")
    algorithm = TsigAlgorithm.__members__.get(parts[1].upper())
    if algorithm is None:
        known = ", ".join(TsigAlgorithm.__members__)
        return Malformed(f"the algorithm of the TSIG key is none of {known}")
    try:
        secret = base64.b64decode(parts[2].encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return Malformed("the secret of the TSIG key is not base64")
    if not 0 < len(secret) <= MAX_SECRET_OCTETS:
        return Malformed(f"the secret of the TSIG key has {len(secret)} octets, not 1 to {MAX_SECRET_OCTETS}")
    return TsigKey(name, algorithm, secret)
