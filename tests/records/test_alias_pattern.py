"""Expressions of aliases: what is taken and what is not, what becomes of targets, and nothing takes long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.mail.address import mailbox
from ptt.records.alias_pattern import MAX_WAYS, AliasPattern, parse_pattern, parse_template


def pattern(text: str) -> AliasPattern:
    read = parse_pattern(text)
    assert isinstance(read, AliasPattern), read
    return read


@pytest.mark.parametrize(
    ("text", "local_part", "groups"),
    [
        (r"ticket-(\d+)", "ticket-42", ("ticket-42", "42")),
        (r"ticket-(\d+)", "ticket-", None),
        (r"ticket-(\d+)", "xticket-42", None),
        (r"^a$", "a", ("a",)),
        (r"a\$", "a$", ("a$",)),
        (r"A.C", "abc", ("abc",)),
        (r"(x|y(z)?)", "y", ("y", "y", "")),
        (r"(?:sales|info)?[_.-]?([^-]{2,3})", "info.de", ("info.de", "de")),
        (r"a{2}b{2,}c{1,5}", "aabbbccccc", ("aabbbccccc",)),
        (r".*", "a" * 65, None),
        (r"a|", "", ("",)),
        (r"[\]a]\+", "]+", ("]+",)),
    ],
)
def test_match(text: str, local_part: str, groups: tuple[str, ...] | None) -> None:
    assert pattern(text).match(local_part) == groups


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 characters"),
        ("x" * 201, "201 characters"),
        (".*.*.*.*", "too many ways"),
        ("(a|b)" * 16, "too many ways"),
        ("(a*)*", "repeats a group"),
        ("(a*)?*", "repeats a group"),
        ("a**", "repeats a repetition"),
        ("a+?+", "repeats a repetition"),
        ("a{3,2}", "m is more than n"),
        (r"(a)\1", "character 4"),
        ("(?=a)", "other than"),
        ("(?i)a", "other than"),
        ("(?:?:a)", "other than"),
        ("(a", "not closed"),
        ("a)", "too many at character 2"),
        ("(a{9,1})", "m is more"),
        ("a|b{9,1}", "m is more"),
        ("[a", "character 1"),
        ("[z-a]", "not a regular expression"),
        ("[a--z]", "character 1"),
        ("{2}", "character 1"),
        ("a\\", "character 2"),
        ("(" * 6 + ")" * 6, "5 deep"),
        ("(a)" * 10, "9 groups"),
    ],
)
def test_what_is_not_taken(text: str, reason: str) -> None:
    read = parse_pattern(text)
    assert isinstance(read, Malformed)
    assert reason in read.reason


@pytest.mark.parametrize(
    ("text", "groups", "made"),
    [
        ("support+$1@desk.example", ("t-1", "1"), "support+1@desk.example"),
        ("$0@desk.example", ("t-1", "1"), "t-1@desk.example"),
        ("$1$1@desk.example", ("t-1", "1"), "11@desk.example"),
        ("a$$b@desk.example", ("t-1", "1"), "a$b@desk.example"),
        ("$1@desk.example", ('x"y', 'x"y'), None),
        ("$1@desk.example", ("a b", "a b"), None),
        ("$1@desk.example", ("", ""), None),
        ("$1@desk.example", ("x", "a@b"), None),
        ("$1$1@desk.example", ("x", "a" * 40), None),
    ],
)
def test_targets(text: str, groups: tuple[str, ...], made: str | None) -> None:
    template = parse_template(text, 1)
    assert not isinstance(template, Malformed)
    assert template.fill(groups) == (None if made is None else mailbox(made))
    assert template.is_fixed == ("$" not in text.replace("$$", ""))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("desk.example", "not a mailbox"),
        ("a@$1.example", "local part only"),
        ("$2@desk.example", "no $2 here"),
        ("$@desk.example", "no $ here"),
        ("$x@desk.example", "no $x here"),
        ("$\u0663@desk.example", "here"),
        ("a b@desk.example", "not a mailbox"),
    ],
)
def test_targets_that_are_none(text: str, reason: str) -> None:
    template = parse_template(text, 1)
    assert isinstance(template, Malformed)
    assert reason in template.reason


PIECES = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "*",
        "+",
        "?",
        "{2}",
        "{1,3}",
        "{0,}",
        "(",
        ")",
        "(?:",
        "|",
        "[ab]",
        r"\d",
        "^",
        "$",
        "a*",
    ]
)


@given(st.text(max_size=30) | st.lists(PIECES, max_size=14).map("".join))
def test_nothing_that_is_taken_takes_long(text: str) -> None:
    """What is let through backtracks for milliseconds, what is not could for years."""
    read = parse_pattern(text)
    if isinstance(read, Malformed):
        return
    for local_part in ("a" * 64, "a" * 63 + "c", "ab" * 32, "ab" * 31 + "!"):
        began = time.thread_time()
        read.match(local_part)
        assert time.thread_time() - began < 1.0


@pytest.mark.parametrize("text", [".*.*.*x", "[ab]*[ab]*[ab]*c", "(a|aa)" * 9 + ".*x", "a?" * 14 + "x"])
def test_the_worst_that_is_taken(text: str) -> None:
    began = time.thread_time()
    assert pattern(text).match("a" * 64) is None
    assert time.thread_time() - began < 1.0
    assert MAX_WAYS < 100_000


@given(st.text(max_size=20), st.lists(st.text(max_size=20), min_size=2, max_size=2))
def test_a_filled_target_is_a_mailbox_of_the_operators_domain(local_part: str, groups: list[str]) -> None:
    template = parse_template(f"{local_part}$1@desk.example", 1)
    if isinstance(template, Malformed):
        return
    made = template.fill(tuple(groups))
    assert made is None or str(made.domain) == "desk.example"
    assert made is None or b'"' not in made.wire
