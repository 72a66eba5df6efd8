"""The files of a commit as zones: which are taken, which stay, which go."""

import random

from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.records.compressed import compress
from ptt.units.dns_primary.zone_files import (
    MAX_KEPT_OCTETS,
    ZoneFiles,
    pack_files,
    raised,
    succeed,
    unpack_files,
)


def zone(serial: int, address: str = "192.0.2.1") -> bytes:
    return f"@ 60 SOA ns admin {serial} 60 60 60 60\n@ 60 NS ns\nns 60 A {address}\n".encode()


def taken(former: dict[str, bytes], files: dict[str, bytes]) -> ZoneFiles:
    result = succeed(former, files)
    assert isinstance(result, ZoneFiles), result
    return result


def test_one_file_is_one_zone() -> None:
    files = {"mirage.org": zone(1), "mirage.net.": zone(1), "_keys": b"", "mirage.org._keys": b"", ".x": b""}
    result = taken({}, files)
    assert {each.origin for each in result.zones} == {Name.of("mirage.org"), Name.of("mirage.net")}
    assert sorted(result.files) == ["mirage.net.", "mirage.org"]
    assert result.alarms == ()


def test_only_what_has_changed_is_served_anew() -> None:
    result = taken({"mirage.org": zone(1), "a.test": zone(1)}, {"mirage.org": zone(2), "a.test": zone(1)})
    assert [each.origin for each in result.zones] == [Name.of("mirage.org")]


def test_what_is_broken_stays_as_it_was_and_the_others_go_on() -> None:
    former = {"mirage.org": zone(1), "gone.test": zone(1)}
    files = {"mirage.org": b"@ 60 SOA", "new.test": zone(1), "odd.test": b"\n\xff"}
    result = taken(former, {**files, "..": b""})
    assert dict(result.files) == {"mirage.org": zone(1), "new.test": zone(1)}
    assert [each.origin for each in result.zones] == [Name.of("new.test")]
    assert result.gone == (Name.of("gone.test"),)
    assert any("mirage.org:" in alarm and "last good file" in alarm for alarm in result.alarms)
    assert any(alarm == "odd.test:2: it is no text; it is not served" for alarm in result.alarms)


def test_a_commit_without_a_zone_is_not_taken() -> None:
    assert isinstance(succeed({"mirage.org": zone(1)}, {}), Malformed)
    assert isinstance(succeed({}, {"README": b"hello"}), Malformed)


def test_the_serial_only_rises() -> None:
    (first,) = taken({}, {"mirage.org": zone(5)}).zones
    (second,) = taken({}, {"mirage.org": zone(5, "192.0.2.2")}).zones
    assert raised(first, None) == (first, False)
    present, was_old = raised(second, first)
    assert (present.serial, was_old) == (6, True)
    (third,) = taken({}, {"mirage.org": zone(7)}).zones
    assert raised(third, present) == (third, False)


def test_files_go_to_the_next_generation() -> None:
    files = {"mirage.org": zone(1)}
    assert unpack_files(pack_files(files)) == files
    for rubbish in (b"rubbish", compress(b"rubbish"), compress(b"\x81\xa1\xff\xc4\x00")):
        assert unpack_files(rubbish) is None


def test_too_much_is_not_kept() -> None:

    assert pack_files({"mirage.org": random.Random(1).randbytes(MAX_KEPT_OCTETS)}) == b""


@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=30), max_size=4))
def test_anything_gives_a_result(files: dict[str, bytes]) -> None:
    former = {"mirage.org": zone(1)}
    result = succeed(former, files)
    assert isinstance(result, ZoneFiles | Malformed)
