"""The words in which the checks of a message end (RFC 8601 §2.7), one enumeration a method.

The value is the word of the Authentication-Results field. ``temperror`` is doubt: nothing may be concluded.
"""

from enum import Enum


class DkimResult(Enum):
    """RFC 8601 §2.7.1. ``POLICY``: whatever the signature says, we do not accept signatures of that kind."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - a word of RFC 8601
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class SpfResult(Enum):
    """RFC 7208 §2.6, RFC 8601 §2.7.2."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - a word of RFC 8601
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class DmarcResult(Enum):
    """RFC 9989 §9."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - a word of RFC 8601
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class ArcResult(Enum):
    """RFC 8617 §4.4 with RFC 8601 §2.7: the state of the chain as a whole."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - a word of RFC 8601
    FAIL = "fail"
