"""Whose an address is, and circles."""

import json

import pytest

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.records.alias_book import MAX_PATTERNS, MAX_WAYS, AliasBook
from ptt.records.user_list import read_user_list
from ptt.records.users import parse_relay_user

OURS = frozenset({Name.of("example.org"), Name.of("example.net")})


def book(files: dict[str, dict[str, object]], **broken: bytes) -> AliasBook:
    contents = {name: json.dumps({"targets": [], **file}).encode() for name, file in files.items()}
    return AliasBook(read_user_list({**contents, **broken}, parse_relay_user), OURS)


FILES: dict[str, dict[str, object]] = {
    "alice": {"targets": ["a@home.example"]},
    "alice+shop": {"targets": ["shop@home.example"]},
    "desk": {"targets": ["desk+$1@home.example"], "pattern": r"ticket-(\d+)"},
    "every": {"targets": ["every@home.example"], "pattern": ".*a.*", "domains": ["example.net"]},
    "rest": {"targets": ["rest@home.example"], "catch_all": True, "domains": ["example.org"]},
}


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("alice@example.org", "a@home.example"),
        ("Alice+News@example.net", "a@home.example"),
        ("alice+shop@example.net", "shop@home.example"),
        ("Ticket-7@example.org", "desk+7@home.example"),
        ("ticket-7+x@example.net", "desk+7@home.example"),
        ("desk@example.org", "rest@home.example"),
        ("ticket-x@example.org", "rest@home.example"),
        ("maria@example.net", "every@home.example"),
        ("maria@example.org", "rest@home.example"),
        ("nobody@example.net", None),
        ("alice@elsewhere.example", None),
        ("alice@[192.0.2.1]", None),
    ],
)
def test_whose_an_address_is(address: str, target: str | None) -> None:
    user = book(FILES).find(mailbox(address))
    assert (None if user is None else [str(each) for each in user.targets]) == (target and [target])


def test_a_user_of_another_domain_leaves_the_address_to_the_catch_all() -> None:
    found = book({**FILES, "bob": {"domains": ["example.net"]}}).find(mailbox("bob@example.org"))
    assert found is not None
    assert found.local_part == "rest"


def test_doubt() -> None:
    sound = book(FILES)
    assert not sound.is_in_doubt("anybody")
    narrow = book(FILES, bob=b"{")
    assert narrow.is_in_doubt("Bob+x")
    assert not narrow.is_in_doubt("anybody")
    assert book(FILES, bob=b'{"pattern": "x"').is_in_doubt("anybody")
    assert book(FILES, bob=b'{"targets": 1, "catch_all": true}').is_in_doubt("anybody")


def test_patterns_beyond_the_limit_are_not_looked_at_and_leave_doubt() -> None:
    files: dict[str, dict[str, object]] = {
        f"p{number:03}": {"pattern": f"x{number}"} for number in range(MAX_PATTERNS + 1)
    }
    given = book(files)
    assert given.surplus == (f"p{MAX_PATTERNS:03}",)
    assert given.is_in_doubt("anybody")


def test_circles() -> None:
    given = book(
        {
            "a": {"targets": ["B+x@example.org", "a@home.example"]},
            "b": {"targets": ["c@example.net"]},
            "c": {"targets": ["a@example.org"]},
            "self": {"targets": ["self@example.org"]},
            "towards": {"targets": ["self@example.org", "end@example.org"]},
            "end": {"targets": ["e@home.example", "nobody@example.org"]},
            "diamond": {"targets": ["towards@example.org", "end@example.org"]},
            "desk": {"targets": ["t-1@example.org", "$1@example.org"], "pattern": r"t-(\d)"},
            "closed": {"targets": ["closed@example.org"], "action": "refuse"},
        }
    )
    assert given.circles() == {
        "a": ("a", "b", "c"),
        "b": ("b", "c", "a"),
        "c": ("c", "a", "b"),
        "self": ("self",),
        "desk": ("desk",),
    }


def test_no_circle_in_a_long_chain() -> None:
    files: dict[str, dict[str, object]] = {
        f"u{number}": {"targets": [f"u{number + 1}@example.org"]} for number in range(300)
    }
    assert book(files).circles() == {}
    assert len(book({**files, "u300": {"targets": ["u0@example.org"]}}).circles()) == len(files) + 1


def test_a_large_tangle_is_told_by_so_many_ways() -> None:
    names = [f"u{number}" for number in range(MAX_WAYS + 5)]
    files: dict[str, dict[str, object]] = {
        name: {"targets": [f"{name}@example.org", f"{after}@example.org"]}
        for name, after in zip(names, (*names[1:], names[0]), strict=True)
    }
    circles = book(files).circles()
    assert set(circles) == set(names)
    assert len(set(circles.values())) == MAX_WAYS
