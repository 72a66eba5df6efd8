"""The two profiles, on their RFCs' examples and on what they forbid."""

import pytest

from ptt.records.password_text import (
    MAX_NORMALISED_CHARACTERS,
    password_octets,
    prepare_opaque_string,
    prepare_saslprep,
)


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("plain ascii \x07", "plain ascii \x07"),
        ("A\u030a", "\u00c5"),  # composed
        ("a\u00a0b\u3000c", "a b c"),  # other spaces
        ("\ufb01", "\ufb01"),  # no compatibility mapping
        ("e\u0301" * (MAX_NORMALISED_CHARACTERS // 2 + 1), "e\u0301" * (MAX_NORMALISED_CHARACTERS // 2 + 1)),
    ],
)
def test_opaque_string(password: str, prepared: str) -> None:
    assert prepare_opaque_string(password) == prepared


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),  # RFC 4013 §3, example 1
        ("user", "user"),  # 2
        ("USER", "USER"),  # 3
        ("\u00aa", "a"),  # 4
        ("\u2168", "IX"),  # 5
        ("\u0007", "\u0007"),  # 6, forbidden: as typed
        ("\u0627\u0031", "\u0627\u0031"),  # 7, forbidden: as typed
        ("a\u00a0\u2168", "a IX"),
        ("\u0627\u0031\u0628\u00ad", "\u0627\u0031\u0628"),  # right to left at both ends
        ("\u0627a\u0628\u00ad", "\u0627a\u0628\u00ad"),  # with a letter from left to right
        ("\u2168\u0221", "\u2168\u0221"),  # not assigned in Unicode 3.2
        ("\u2168" * (MAX_NORMALISED_CHARACTERS + 1), "\u2168" * (MAX_NORMALISED_CHARACTERS + 1)),
    ],
)
def test_saslprep(password: str, prepared: str) -> None:
    assert prepare_saslprep(password) == prepared


def test_every_text_has_octets_of_its_own() -> None:
    assert password_octets("ä") == b"\xc3\xa4"
    assert password_octets("\ud800") != password_octets("\ud801")
