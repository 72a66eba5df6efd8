"""A password is brought to one form before it is hashed: keyboards compose one accent in several ways.

For argon2id by the OpaqueString profile (RFC 8265 §4.2: other spaces become U+0020, NFC); for SCRAM by
SASLprep (RFC 4013, asked for by RFC 5802 §2.2), because the client does the same before it hashes.
Deviation: a password that a profile forbids is taken as it stands instead of refused, both when it is set
and when it is checked: refusing helps nobody, and clients that do not prepare at all keep working.
"""

import stringprep
import unicodedata

MAX_NORMALISED_CHARACTERS = (
    1024  # normalising is quadratic in combining marks; longer passwords stay as typed
)


def prepare_opaque_string(password: str) -> str:
    """The OpaqueString profile of RFC 8265 §4.2.2, without its refusals."""
    if password.isascii() or len(password) > MAX_NORMALISED_CHARACTERS:
        return password
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password)
    return unicodedata.normalize("NFC", spaced)


def prepare_saslprep(password: str) -> str:
    """SASLprep (RFC 4013) as for a stored string; what it forbids stays as typed."""
    if password.isascii() or len(password) > MAX_NORMALISED_CHARACTERS:
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    return password if _is_forbidden(prepared) else prepared


def _is_forbidden(prepared: str) -> bool:
    if any(table(char) for char in prepared for table in _FORBIDDEN_TABLES):
        return True
    if not any(stringprep.in_table_d1(char) for char in prepared):
        return False
    # RFC 3454 §6: right-to-left text holds no left-to-right letter, and begins and ends right-to-left.
    is_mixed = any(stringprep.in_table_d2(char) for char in prepared)
    return is_mixed or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))


_FORBIDDEN_TABLES = (  # RFC 4013 §2.3 and §2.5
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def password_octets(password: str) -> bytes:
    """UTF-8; lone surrogates, which no wire form has, are kept apart from everything else."""
    return password.encode("utf-8", "surrogatepass")
