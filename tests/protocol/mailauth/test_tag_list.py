"""The grammar of tag lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.mailauth.tag_list import colon_list, parse_tag_list, without_white_space


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (b"v=1; a=b", {b"v": b"1", b"a": b"b"}),
        (b" v = 1 ;\r\n\ta= x y\t;", {b"v": b"1", b"a": b"x y"}),
        (b"p=", {b"p": b""}),
        (b"x_1=a=b==", {b"x_1": b"a=b=="}),
        ("d=bücher.example".encode(), {b"d": "bücher.example".encode()}),
        (b"v=1;  \r\n ", {b"v": b"1"}),
        (b"", {}),
    ],
)
def test_lists(text: bytes, tags: dict[bytes, bytes]) -> None:
    assert parse_tag_list(text) == tags


@pytest.mark.parametrize(
    "text", [b"v", b"v=1; t; p=x", b"=1", b"1a=x", b"a=1; a=2", b"a=1;;b=2", b"a=\0", b";", b"a-b=1"]
)
def test_what_is_no_list(text: bytes) -> None:
    assert isinstance(parse_tag_list(text), Malformed)


def test_parts_of_values() -> None:
    assert colon_list(b" a : b:\r\n c") == [b"a", b"b", b"c"]
    assert without_white_space(b"a b\r\n\tc") == b"abc"


@given(
    st.dictionaries(
        st.from_regex(rb"\A[A-Za-z][A-Za-z0-9_]{0,5}\Z"), st.from_regex(rb"\A[!-:<-~]{0,9}\Z"), min_size=1
    )
)
def test_what_is_written_is_read(tags: dict[bytes, bytes]) -> None:
    assert parse_tag_list(b"; ".join(name + b"=" + value for name, value in tags.items())) == tags
