"""Values of strangers in fields of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.field_text import address_value, comment, folded_field, quoted, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org", "example.org"),
        ("a b", '"a b"'),
        ("", '""'),
        ('"\\', '"\\"\\\\"'),
        ("a\r\nb", '"a??b"'),
        ("a=b", '"a=b"'),
    ],
)
def test_values(text: str, expected: str) -> None:
    assert value(text) == expected


def test_addresses_and_comments() -> None:
    assert address_value("a.b+c@example.org") == "a.b+c@example.org"
    assert address_value('"a b"@example.org') == quoted('"a b"@example.org')
    assert comment("a (b) \\ \n") == "(a \\(b\\) \\\\ ?)"


@given(st.lists(st.text(min_size=1, max_size=100).map(quoted), max_size=8))
def test_a_field_stays_one_field(parts: list[str]) -> None:
    field = folded_field("X-Test", parts)
    header = parse_header(field)
    assert isinstance(header, Header)
    assert [each.raw for each in header.fields] == [field]
