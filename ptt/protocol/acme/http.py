"""Requests and responses as far as ACME knows them: no connection, no header that only HTTP needs.

Retry-After (RFC 9110 §10.2.3) is read into seconds; what it asks is kept within a week, which is the longest
period over which authorities limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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
    try:
        date = parsedate_to_datetime(text)
        left_s = ((date if date.tzinfo is not None else date.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):  # not a date, or one outside of the calendar
        return None
    return min(max(left_s, 0.0), MAX_RETRY_AFTER_S)
