"""What a push brings: broken files, vanished users, and what the operator is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.records.logins import parse_compatible_login
from ptt.records.succession import LastGood, NotTaken, Taken, fault_line, has_trailer, succeed
from ptt.records.users import RelayUser, parse_relay_user

ALICE = b'{"targets": ["alice@remote.com"], "insecure": true}'
BROKEN = b'{\n  "targets": ["alice@remote.com"],\n  "insecure" true\n}\n'
WRONG = b'{\n  "insecure": false,\n  "targets": ["nobody"]\n}\n'


def files(*names: str) -> dict[str, bytes]:
    return dict.fromkeys(names, ALICE)


def take(last: LastGood | None, new: dict[str, bytes], *, meant: bool = False) -> Taken[RelayUser] | NotTaken:
    return succeed(last, "c0ffee" * 6, new, parse_relay_user, removal_is_meant=meant)


def taken(last: LastGood | None, new: dict[str, bytes], *, meant: bool = False) -> Taken[RelayUser]:
    result = take(last, new, meant=meant)
    assert isinstance(result, Taken)
    return result


def test_the_first_list_is_taken() -> None:
    result = taken(None, files("alice", "bruno"))
    assert sorted(result.users.users) == ["alice", "bruno"]
    assert result.good == LastGood("c0ffee" * 6, 2, files("alice", "bruno"))
    assert result.alarms == ()


def test_a_broken_file_leaves_its_user_as_before_and_is_told_once() -> None:
    first = taken(None, files("alice", "bruno")).good
    second = taken(first, files("bruno") | {"alice": BROKEN})
    assert sorted(second.users.users) == ["alice", "bruno"]
    assert second.users.faults == {}
    assert second.alarms == ("alice, line 3: not JSON; the last good file stays in force",)
    third = taken(second.good, files("bruno", "carol") | {"alice": BROKEN})
    assert sorted(third.users.users) == ["alice", "bruno", "carol"]
    assert third.alarms == ()
    fourth = taken(third.good, files("bruno", "carol") | {"alice": WRONG})
    assert "alice, line 3:" in fourth.alarms[0]


def test_a_broken_file_of_a_new_user_is_a_fault() -> None:
    result = taken(None, files("bruno") | {"alice": BROKEN})
    assert sorted(result.users.users) == ["bruno"]
    assert list(result.users.faults) == ["alice"]
    assert result.alarms == ("alice, line 3: not JSON; nothing of this file is in force",)


def test_a_removed_user_is_gone() -> None:
    first = taken(None, files("alice", "bruno")).good
    assert sorted(taken(first, files("bruno")).users.users) == ["bruno"]


def test_a_list_that_lost_more_than_half_is_taken_only_when_meant() -> None:
    first = taken(None, files("alice", "bruno", "carol")).good
    refused = take(first, files("alice"))
    assert isinstance(refused, NotTaken)
    assert refused.may_be_meant
    assert "1 users where there were 3" in refused.alarm
    assert "Users-Removed: yes" in refused.alarm
    assert sorted(taken(first, files("alice"), meant=True).users.users) == ["alice"]


def test_only_the_size_needs_to_be_remembered() -> None:
    assert isinstance(take(LastGood("0" * 40, 3), files("alice")), NotTaken)
    assert isinstance(take(LastGood("0" * 40, 2), files("alice")), Taken)


@pytest.mark.parametrize("meant", [False, True])
def test_an_empty_list_is_never_taken(meant: bool) -> None:
    for last in (None, taken(None, files("alice")).good):
        refused = take(last, {}, meant=meant)
        assert isinstance(refused, NotTaken)
        assert not refused.may_be_meant
        assert "no user" in refused.alarm


def test_rubbish_in_all_files_changes_nobody() -> None:
    first = taken(None, files("alice", "bruno")).good
    result = taken(first, {"alice": b"\x00\xff\x80", "bruno": b"\x89PNG\r\n"})
    assert sorted(result.users.users) == ["alice", "bruno"]
    assert len(result.alarms) == 2


def test_a_file_without_a_password_is_no_login() -> None:
    content = {"alice": b'{"targets": [], "password": "%s"}' % (b"ab" * 64), "bruno": ALICE}
    result = succeed(None, "0" * 40, content, parse_compatible_login, removal_is_meant=False)
    assert isinstance(result, Taken)
    assert list(result.users.users) == ["alice"]


def test_the_trailer_is_a_line_of_its_own() -> None:
    assert has_trailer({"1": "Tidy up", "2": "Remove users\n\nUsers-Removed: yes\n"})
    assert not has_trailer({"1": "say Users-Removed: yes in the commit"})
    assert not has_trailer({})


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        (BROKEN, "not JSON", 3),
        (WRONG, "no @ - at `targets[0]`", 3),
        (WRONG, "Expected `bool`, got `int` - at `insecure`", 2),
        (WRONG, "the file's name is no local part", 1),
        (WRONG, "missing - at `other`", 1),
        (b"", "not JSON", 1),
        (b'{\n"a":\n', "not JSON", 2),
        (b'{\n"\xff": 1}', "not JSON", 1),
        (b"[" * 5000, "too deep", 1),
    ],
)
def test_the_line_of_a_fault(content: bytes, reason: str, line: int) -> None:
    assert fault_line(content, Malformed(reason)) == line


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=40) | st.just(ALICE), max_size=5))
def test_anything_gives_a_result(content: dict[str, bytes]) -> None:
    last = taken(None, files("alice", "bruno")).good
    result = take(last, content)
    assert isinstance(result, NotTaken) or {"alice", "bruno"} & set(result.users.users) or content
