"""Requests and responses as far as ACME knows them: no connection, no header that only HTTP needs.

Retry-After (RFC 9110 §10.2.3) is read into seconds; what it asks is kept within a week, which is the longest
period over which authorities limit. Of the forms of dates the one that servers must write is read (§5.6.7).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

JOSE_JSON = "application/jose+json"  # RFC 8555 §6.2
MAX_RETRY_AFTER_S = 7 * 86_400.0
MAX_DIGITS = 9  # of a number of seconds; more is a slip


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. ``url`` is an https one; ``content_type`` is empty where there is no body."""

    method: str
    url: str
    body: bytes = b""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; names of ``headers`` in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No response: no connection, no good certificate, not in time."""

    reason: str


def retry_after_s(response: Response, now: datetime) -> float | None:
    """Seconds from ``now`` (aware) that the server asks us to wait; None: it asks nothing readable."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return min(float(text), MAX_RETRY_AFTER_S)
    date = _read_date(text)
    if date is None:
        return None
    return min(max((date - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def _read_date(text: str) -> datetime | None:
    found = _IMF_FIXDATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    year, month, day = int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1])
    try:
        return datetime(year, month, day, int(found[4]), int(found[5]), int(found[6]), tzinfo=UTC)
    except ValueError:  # no such day or time
        return None


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_IMF_FIXDATE = re.compile(
    r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
