"""Names: presentation form, escapes, U-labels, limits, ancestry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import MAX_LABEL_OCTETS, MAX_NAME_OCTETS, Name

LABELS = st.lists(st.binary(min_size=1, max_size=12), max_size=6)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (".", ()),
        ("example.org", (b"example", b"org")),
        ("example.org.", (b"example", b"org")),
        ("EXAMPLE.Org", (b"example", b"org")),
        ("_25._tcp.mx.example.org", (b"_25", b"_tcp", b"mx", b"example", b"org")),
        ("bücher.example", (b"xn--bcher-kva", b"example")),
        ("BÜCHER.example", (b"xn--bcher-kva", b"example")),
        ("faß.example", (b"xn--fa-hia", b"example")),
        (r"a\.b.example", (b"a.b", b"example")),
        (r"a\.b.example.", (b"a.b", b"example")),
        (r"\065\000\255.example", (b"a\0\xff", b"example")),
        (r"\\.example", (b"\\", b"example")),
        (r"\1.example", (b"1", b"example")),
        (r"\1x2.example", (b"1x2", b"example")),
        ("x" * MAX_LABEL_OCTETS, (b"x" * MAX_LABEL_OCTETS,)),
        (".".join(["x"] * 127), (b"x",) * 127),
    ],
)
def test_parse(text: str, labels: tuple[bytes, ...]) -> None:
    assert Name.parse(text) == Name(labels)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an empty name"),
        ("..", "an empty label"),
        ("a..b", "an empty label"),
        (".a", "an empty label"),
        ("a..", "an empty label"),
        (r"\065..", "an empty label"),
        (r".\065", "an empty label"),
        ("a。b", "an empty label"),
        ("\udc80.example", "an empty label"),
        ("-ü.example", "an empty label"),
        ("a\\", "a backslash at the end"),
        (r"\256", r"an escape above \255"),
        (r"\065ü", "escapes beside characters that are not ASCII"),
        ("\\²²²", "escapes beside characters that are not ASCII"),
        ("x" * (MAX_LABEL_OCTETS + 1), f"a label is longer than {MAX_LABEL_OCTETS} octets"),
        (".".join(["x"] * 128), f"the name is longer than {MAX_NAME_OCTETS} octets"),
        ("x" * 100_000, f"the name is longer than {MAX_NAME_OCTETS} octets"),
    ],
)
def test_malformed(text: str, reason: str) -> None:
    assert Name.parse(text) == Malformed(reason)


def test_of_reads_our_own_names_and_nothing_else() -> None:
    assert Name.of("example.org").labels == (b"example", b"org")
    with pytest.raises(MisuseError, match="empty label"):
        Name.of("a..b")


def test_names_are_equal_without_regard_to_case() -> None:
    assert Name.of("EXAMPLE.org") == Name.of("example.ORG.")
    assert hash(Name.of("EXAMPLE.org")) == hash(Name.of("example.ORG."))
    assert Name.of("example.org") != Name.of("example.com")


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ((), "."),
        ((b"example", b"org"), "example.org"),
        ((b"_dmarc", b"a-b"), "_dmarc.a-b"),
        ((b"*", b"org"), "*.org"),
        ((b"a.b\\", b"org"), r"a\.b\\.org"),
        ((b'"', b" ;"), r"\".\032\;"),
        ((b"\0\x7f\xff",), r"\000\127\255"),
    ],
)
def test_text(labels: tuple[bytes, ...], text: str) -> None:
    name = Name(labels)
    assert name.text == text
    assert str(name) == name.text


def test_parents_go_up_to_the_root() -> None:
    assert [str(name) for name in Name.of("a.example.org").parents()] == ["example.org", "org", "."]
    assert list(Name(()).parents()) == []


@pytest.mark.parametrize(
    ("name", "ancestor", "expected"),
    [
        ("a.example.org", "example.org", True),
        ("example.org", "example.org", True),
        ("example.org", ".", True),
        (".", ".", True),
        ("org", "example.org", False),
        ("notexample.org", "example.org", False),
        ("example.org.evil", "example.org", False),
    ],
)
def test_is_at_or_below(name: str, ancestor: str, expected: bool) -> None:
    assert Name.of(name).is_at_or_below(Name.of(ancestor)) is expected


def test_below() -> None:
    assert Name.of("example.org").below(b"_25", b"_TCP") == Name.of("_25._tcp.example.org")
    assert Name.of("example.org").below() == Name.of("example.org")
    assert isinstance(Name.of("example.org").below(b""), Malformed)
    assert isinstance(Name.of("example.org").below(*[b"x" * 60] * 4), Malformed)


@given(LABELS)
def test_what_is_written_is_read_back(labels: list[bytes]) -> None:
    name = Name(()).below(*labels)
    assert isinstance(name, Name)
    assert Name.parse(name.text) == name
    assert Name.parse(name.text.upper()) == name


@given(st.text())
def test_no_text_raises(text: str) -> None:
    name = Name.parse(text)
    assert isinstance(name, Malformed) or Name.parse(name.text) == name


@given(st.text(alphabet=st.sampled_from("aA1ß．。\u200d‥٠²ü\\.-_\0")))
def test_no_odd_text_raises(text: str) -> None:
    name = Name.parse(text)
    assert isinstance(name, Malformed) or Name.parse(name.text) == name
