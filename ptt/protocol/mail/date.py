"""Dates (RFC 5322 §3.3), obsolete forms of §4.3 included: two-digit years, zone names, comments anywhere.

Times are arguments and results, always aware. A zone that says nothing (missing, ``-0000``, military letters,
unknown names) is UTC, as §4.3 advises. A leap second becomes the second before it. The name of the weekday is
not checked: real programs write it wrong, and it decides nothing.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from ptt.errors import Malformed, MisuseError
from ptt.protocol.mail.tokens import without_comments

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower().encode(): number for number, name in enumerate(_MONTHS, 1)}
_ZONES = {b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5, b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7}
_ZONE_NAME_OCTETS = 3

_PIVOT_YEAR = 50  # RFC 5322 §4.3: 00 to 49 are of this century
_MAX_SECOND = 59
_DATE_TIME = re.compile(
    rb"(?:[A-Za-z]+\.? ?,? ?)?"
    rb"(?P<day>\d{1,2})[ -](?P<month>[A-Za-z]{3})[a-z]*\.?[ -](?P<year>\d{2,4}) ?,? "
    rb"(?P<hour>\d{1,2}) ?: ?(?P<minute>\d{2})(?: ?: ?(?P<second>\d{2})(?:\.\d+)?)?"
    rb"(?: ?(?P<sign>[+-])(?P<zone_hours>\d{2})(?P<zone_minutes>[0-5]\d))?"
    rb"(?: ?(?P<zone>[A-Za-z][A-Za-z0-9]*))?"
)


def parse_date(value: bytes) -> datetime | Malformed:
    """Read a ``date-time``."""
    plain = without_comments(value)
    if isinstance(plain, Malformed):
        return plain
    match = _DATE_TIME.fullmatch(b" ".join(plain.split()))
    if match is None:
        return Malformed("not a date")
    month = _MONTH_NUMBERS.get(match["month"].lower())
    if month is None:
        return Malformed("not a month")
    try:
        return datetime(
            _full_year(match["year"]),
            month,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(int(match["second"] or 0), _MAX_SECOND),
            tzinfo=_zone(match),
        )
    except ValueError:
        return Malformed("a date that the calendar does not have")


def format_date(when: datetime) -> bytes:
    """Write a ``date-time``: ``Tue, 01 Jul 2003 10:52:37 +0200``. ``when`` must be aware."""
    offset = when.utcoffset()
    if offset is None:
        raise MisuseError("a date without a zone")
    if offset % timedelta(minutes=1):  # of old local times, which the zone of a date cannot tell
        when, offset = when.astimezone(UTC), timedelta()
    sign = "-" if offset < timedelta() else "+"
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return (
        f"{_DAYS[when.weekday()]}, {when.day:02d} {_MONTHS[when.month - 1]} {when.year:04d} "
        f"{when.hour:02d}:{when.minute:02d}:{when.second:02d} {sign}{hours:02d}{minutes:02d}"
    ).encode()


def _full_year(digits: bytes) -> int:
    year = int(digits)
    match len(digits):
        case 2:
            return year + (2000 if year < _PIVOT_YEAR else 1900)
        case 3:
            return year + 1900  # programs that did not survive the year 2000
        case _:
            return year


def _zone(match: re.Match[bytes]) -> timezone:
    if match["sign"]:
        offset = timedelta(hours=int(match["zone_hours"]), minutes=int(match["zone_minutes"]))
        return timezone(-offset if match["sign"] == b"-" else offset)
    name = (match["zone"] or b"")[:_ZONE_NAME_OCTETS].upper()  # EST5EDT is EST
    return timezone(timedelta(hours=_ZONES[name])) if name in _ZONES else UTC
