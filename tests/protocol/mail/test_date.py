"""Dates of header fields."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ptt.errors import Malformed, MisuseError
from ptt.protocol.mail.date import format_date, parse_date

WHEN = datetime(2003, 7, 1, 10, 52, 37, tzinfo=UTC)


def zone(hours: float) -> timezone:
    return timezone(timedelta(hours=hours))


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (b"Tue, 1 Jul 2003 10:52:37 +0000", WHEN),
        (b"Tue, 01 Jul 2003 10:52:37 -0000", WHEN),
        (b"1 jul 03 10:52:37 GMT", WHEN),
        (b"Tue 1 July 2003 10:52:37", WHEN),
        (b"Tuesday, 1-Jul-103 10:52:37 UT", WHEN),
        (b"Tue,\r\n 1 (one) Jul\t2003 10 : 52 : 37 (and (a) bit) Z (x)", WHEN),
        (b"1 Jul 2003 10:52:37 XYZ", WHEN),
        (b"1 Jul 2003 10:52 +0000", WHEN.replace(second=0)),
        (b"1 Jul 2003 10:52:60 +0000", WHEN.replace(second=59)),
        (b"1 Jul 2003 10:52:37 +0200", WHEN.replace(tzinfo=zone(2))),
        (b"1 Jul 2003 10:52:37 -0330", WHEN.replace(tzinfo=zone(-3.5))),
        (b"1 Jul 2003 10:52:37 PDT", WHEN.replace(tzinfo=zone(-7))),
        (b"1 Jul 2003 10:52:37 est5edt", WHEN.replace(tzinfo=zone(-5))),
        (b"1 Jul 2003 10:52:37.516 +0000", WHEN),
        (b"1 Jul 2003 10:52:37 -0800 PST", WHEN.replace(tzinfo=zone(-8))),
        (b"1 Jul 49 10:52:37 Z", WHEN.replace(year=2049)),
        (b"1 Jul 50 10:52:37 Z", WHEN.replace(year=1950)),
    ],
)
def test_parse(value: bytes, when: datetime) -> None:
    found = parse_date(value)
    assert found == when
    assert isinstance(found, datetime)
    assert found.utcoffset() == when.utcoffset()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"2003-07-01T10:52:37Z",
        b"1 Xyz 2003 10:52:37 +0000",
        b"31 Jun 2003 10:52:37 +0000",
        b"0 Jul 2003 10:52:37 +0000",
        b"1 Jul 0000 10:52:37 +0000",
        b"1 Jul 2003 24:00:00 +0000",
        b"1 Jul 2003 10:60:00 +0000",
        b"1 Jul 2003 10:52:37 +2400",
        b"1 Jul 2003 10:52:37 +0060",
        b"1 Jul 2003 10:52:37 +0000 x y",
        b"1 Jul 2003 10:52:37. +0000",
        b"1 Jul 2003 (10:52:37 +0000",
        "١ Jul 2003 10:52:37 +0000".encode(),
    ],
)
def test_malformed(value: bytes) -> None:
    assert isinstance(parse_date(value), Malformed)


@pytest.mark.parametrize(
    ("when", "written"),
    [
        (WHEN, b"Tue, 01 Jul 2003 10:52:37 +0000"),
        (WHEN.replace(tzinfo=zone(-3.5)), b"Tue, 01 Jul 2003 10:52:37 -0330"),
        (WHEN.replace(tzinfo=zone(14), microsecond=1), b"Tue, 01 Jul 2003 10:52:37 +1400"),
        (WHEN.replace(tzinfo=timezone(timedelta(seconds=1172))), b"Tue, 01 Jul 2003 10:33:05 +0000"),
    ],
)
def test_format(when: datetime, written: bytes) -> None:
    assert format_date(when) == written
    assert parse_date(written) == when.replace(microsecond=0)


def test_a_date_without_zone_is_a_bug() -> None:
    with pytest.raises(MisuseError, match="zone"):
        format_date(WHEN.replace(tzinfo=None))


def test_long_values_take_no_time() -> None:
    assert isinstance(parse_date(b"1 Jul 2003" + b" " * 200_000 + b"x"), Malformed)
