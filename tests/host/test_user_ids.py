"""Which ids the kernel maps decides whether units have users of their own."""

import os
from pathlib import Path

import pytest

from ptt.host.user_ids import can_have_own, covers

EVERYTHING = "         0          0 4294967295\n"
SUBORDINATE = "         0       1000          1\n         1     100000      65536\n"
ONE = "         0       1000          1\n"


@pytest.mark.parametrize(
    ("id_map", "first", "expected"),
    [
        (EVERYTHING, 64001, True),
        (SUBORDINATE, 64001, True),
        (SUBORDINATE, 65530, False),
        (ONE, 64001, False),
        ("", 64001, False),
    ],
)
def test_the_map_holds_all_ids_or_not(id_map: str, first: int, expected: bool) -> None:
    assert covers(id_map, first, 8) is expected


def test_who_is_not_root_gives_no_ids() -> None:
    has_all = covers(Path("/proc/self/uid_map").read_text(), 64001, 8)

    assert can_have_own(64001, 8) is (os.geteuid() == 0 and has_all)
