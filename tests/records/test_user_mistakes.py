"""Every mistake in a user's file is told with its line and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.records.faults import Fault
from ptt.records.logins import parse_login
from ptt.records.user_mistakes import line_of, mistake_in
from ptt.records.users import parse_relay_user

LONG = b"""{
  "insecure": true,
  "targets": [
    "a@b.example",
    "nobody"
  ],
  "note": {"targets": ["x", "y"]},
  "reveal": 1
}
"""


def test_a_sound_file() -> None:
    assert mistake_in("alice", b'{"targets":[]}', parse_relay_user) is None


@pytest.mark.parametrize(
    ("name", "content", "line", "what", "mend"),
    [
        ("alice", LONG.replace(b"1\n}", b"true\n}"), 5, "targets[1]: not a mailbox", "each target"),
        ("alice", LONG, 8, "reveal: Expected `bool`, got `int`", "true or false"),
        ("alice", b'{"targets":\n[],\n"insecure": yes}', 3, "not JSON", "it looks like this"),
        ("alice", b'{"targets":\n["\xff"]}', 2, "not JSON", "it looks like this"),
        ("alice", b'{"targets":["\\ud800@b"]}', 1, "not JSON", "it looks like this"),
        ("alice", b"{}", 1, "Object missing required field `targets`", "each target"),
        ("alice", b'{"targets":[],"x":' + b"[" * 60000, 1, "too deep", "it looks like this"),
        ("a..b", b"{}", 0, "the file's name is no local part of an address", "before the @"),
    ],
)
def test_mistakes(name: str, content: bytes, line: int, what: str, mend: str) -> None:
    found = mistake_in(name, content, parse_relay_user)
    assert isinstance(found, Fault)
    assert (found.line, found.what) == (line, what)
    assert mend in found.mend


def test_a_verifier_is_not_shown() -> None:
    found = mistake_in("alice", b'{\n"verifier": "hunter2"}', parse_login)
    assert found is not None
    assert found.line == 2
    assert "hunter2" not in found.what
    assert "ptt user passwd" in found.mend


@pytest.mark.parametrize(
    ("path", "line"),
    [("targets", 3), ("targets[0]", 4), ("targets[1]", 5), ("note", 7), ("reveal", 8), ("x", 1)],
)
def test_lines(path: str, line: int) -> None:
    assert line_of(LONG, path) == line


def test_lines_of_odd_files() -> None:
    assert line_of(b'{"[0]": 1,\n"x": 2}', "[0]") == 1
    assert line_of(b'}],:\n{"x"\n:1}', "x") == 3


@given(
    st.binary() | st.text(alphabet='{}[],:"x\n\\ ').map(str.encode), st.sampled_from(["x", "x[0]", "x[1]"])
)
def test_any_file(content: bytes, path: str) -> None:
    assert 1 <= line_of(content, path) <= content.decode("utf-8", "replace").count("\n") + 1
    mistake_in("alice", content, parse_relay_user)
