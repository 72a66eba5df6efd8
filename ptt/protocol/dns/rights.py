"""What a key may do, which its name says: ``X._update.OWNER``, ``X._transfer.ZONE``, ``X._notify.ZONE``.

Who may update may transfer, who may transfer may notify [P10]; always OWNER and below. Unit keys are narrow
[P21]: certificate requests (TLSA at ``_letsencrypt._tcp.HOST``) and challenges (TXT at
``_acme-challenge.HOST``, RFC 8555 §8.4), nothing else. DNSSEC types are refused to every update.
"""

from dataclasses import dataclass
from enum import IntEnum

from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.name import Name

DNSSEC_TYPES = frozenset({46, 47, 48, 50, 51})  # RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM; not DS, the child's
CHALLENGE = b"_acme-challenge"
CERTIFICATE = (b"_letsencrypt", b"_tcp")


class Right(IntEnum):
    """Each includes those below it."""

    NOTIFY = 1
    TRANSFER = 2
    UPDATE = 3


_BY_LABEL = {b"_notify": Right.NOTIFY, b"_transfer": Right.TRANSFER, b"_update": Right.UPDATE}


@dataclass(frozen=True, slots=True)
class KeyRights:
    """The right of a key and where it holds; ``narrow`` for keys of units."""

    right: Right
    owner: Name
    narrow: bool = True


def rights_of(key: Name, *, narrow: bool = True) -> KeyRights | None:
    """What the name of a key says; None: nothing."""
    for index, label in enumerate(key.labels):
        right = _BY_LABEL.get(label)
        if right is not None and index > 0:
            return KeyRights(right, Name(key.labels[index + 1 :]), narrow)
    return None


def may(rights: KeyRights | None, wanted: Right, name: Name) -> bool:
    """Whether a key has a right at a name."""
    return rights is not None and rights.right >= wanted and name.is_at_or_below(rights.owner)


def may_change(rights: KeyRights, name: Name, rdtype: int) -> bool:
    """Whether an update by this key may touch records of this name and type (255: all types of the name)."""
    if rdtype in DNSSEC_TYPES or not may(rights, Right.UPDATE, name):
        return False
    if not rights.narrow:
        return True
    if rdtype == RecordType.TLSA:
        return name.labels[:2] == CERTIFICATE
    return rdtype == RecordType.TXT and name.labels[:1] == (CHALLENGE,)
