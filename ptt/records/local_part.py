"""How we compare local parts of our own domains, and what a file name says about one.

RFC 5321 §2.4 leaves the meaning of a local part to the domain that owns it, and the domain is ours. We
compare without regard to case, because nobody tells ``Alice@`` from ``alice@``, and read ``alice+news`` as
a tagged address of ``alice``. Deviation from the original, which distinguishes case.
"""

import unicodedata

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import parse_mailbox

TAG_SEPARATOR = "+"  # subaddressing as RFC 5233 §1 describes it
_ANY_DOMAIN = Name((b"invalid",))


def fold(local_part: str) -> str:
    """Equal for local parts that are the same to us: NFC, lower case (no full case folding: ß is not ss)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local_part).lower())


def without_tag(local_part: str) -> str:
    """``alice`` of ``alice+news``; a local part that begins with the separator is its own."""
    return local_part.partition(TAG_SEPARATOR)[0] or local_part


def local_part_of_file(file_name: str) -> str | Malformed:
    """Read a file name as the original writes it: the local part, quoted (``"a b"``) where it must be."""
    wire = f"{file_name}@{_ANY_DOMAIN}".encode("utf-8", "surrogatepass")
    mailbox = parse_mailbox(wire, allow_utf8=True)
    if isinstance(mailbox, Malformed):
        return Malformed("the file's name is no local part of an address")
    return mailbox.local_part
