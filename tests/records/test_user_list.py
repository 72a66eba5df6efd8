"""Many files as one list: a bad one affects its user only."""

from ptt.records.local_part import fold, local_part_of_file, without_tag
from ptt.records.logins import parse_compatible_login
from ptt.records.user_list import may_succeed, read_user_list
from ptt.records.users import RelayUser, parse_relay_user

GOOD = b'{"targets":["a@b.example"]}'


def test_a_bad_file_affects_its_user_only() -> None:
    users = read_user_list(
        {"alice": GOOD, "bob": b"{", ".git": b"", "README.md": b"# hello"}, parse_relay_user
    )
    assert list(users.users) == ["alice"]
    assert set(users.faults) == {"bob", "README.md"}


def test_case_does_not_matter_when_somebody_is_looked_for() -> None:
    users = read_user_list({"Alice": GOOD}, parse_relay_user)
    found = users.find("aLICE")
    assert isinstance(found, RelayUser)
    assert found.local_part == "Alice"
    assert users.find("bob") is None


def test_names_that_differ_by_case_only() -> None:
    users = read_user_list({"alice": b'{"targets":[]}', "Alice": GOOD}, parse_relay_user)
    assert set(users.faults) == {"alice"}
    assert (found := users.find("alice")) is not None
    assert found.local_part == "Alice"


def test_users_whose_password_has_moved_are_no_logins() -> None:
    logins = read_user_list({"alice": GOOD}, parse_compatible_login)
    assert not logins.users
    assert not logins.faults


def test_an_accident_is_not_taken() -> None:
    assert may_succeed(1, None, removal_is_meant=False)
    assert may_succeed(5, 10, removal_is_meant=False)
    assert not may_succeed(4, 10, removal_is_meant=False)
    assert may_succeed(4, 10, removal_is_meant=True)
    assert not may_succeed(0, 10, removal_is_meant=True)
    assert not may_succeed(0, None, removal_is_meant=False)


def test_local_parts() -> None:
    assert fold("\u00c4A\u0308\u212a") == "\u00e4\u00e4k"
    assert fold("Stra\u00dfe") != fold("Strasse")
    assert without_tag("a+b+c") == "a"
    assert without_tag("+b") == "+b"
    assert local_part_of_file('"a@b"') == "a@b"
