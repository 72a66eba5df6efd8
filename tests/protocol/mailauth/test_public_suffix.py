"""Organizations by the Public Suffix List."""

import pytest

from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.public_suffix import parse_public_suffixes

LIST = """// comment
com
co.uk  and words behind a rule

*.ck
!www.ck
公司.cn
..nothing
"""


@pytest.mark.parametrize(
    ("name", "registrable"),
    [
        ("com", None),
        ("www.Example.com", "example.com"),
        ("a.b.co.uk", "b.co.uk"),
        ("co.uk", None),
        ("test.ck", None),
        ("a.b.test.ck", "b.test.ck"),
        ("www.www.ck", "www.ck"),
        ("公司.cn", None),
        ("a.xn--55qx5d.cn", "a.xn--55qx5d.cn"),
        ("unlisted.example", "unlisted.example"),
    ],
)
def test_registrable_domains(name: str, registrable: str | None) -> None:
    found = parse_public_suffixes(LIST).registrable_domain(Name.of(name))
    assert found == (None if registrable is None else Name.of(registrable))
