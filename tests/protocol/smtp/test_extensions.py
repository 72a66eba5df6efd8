"""Reading what a server offers."""

import pytest

from ptt.protocol.smtp.extensions import Extensions, Keyword


@pytest.mark.parametrize(
    ("values", "limit"), [((), None), (("1000",), 1000), (("0",), None), (("x",), None), (("٣",), None)]
)
def test_size(values: tuple[str, ...], limit: int | None) -> None:
    assert Extensions("mx.example", {"SIZE": values}).size_limit == limit


def test_limits() -> None:
    offer = Extensions("mx.example", {"LIMITS": ("MAILMAX=x", "rcptmax=50", "RCPTMAX=60")})
    assert offer.limit("RCPTMAX") == 50
    assert offer.limit("MAILMAX") is None
    assert Extensions("mx.example", {}).limit("RCPTMAX") is None
    assert Extensions("mx.example", {"LIMITS": ("RCPTMAX=٣",)}).limit("RCPTMAX") is None


def test_keywords() -> None:
    offer = Extensions("mx.example", {"AUTH": ("plain", "LOGIN"), "8BITMIME": ()})
    assert offer.offers(Keyword.EIGHTBITMIME)
    assert not offer.offers(Keyword.SIZE)
    assert offer.size_limit is None
    assert offer.auth_mechanisms == ("PLAIN", "LOGIN")
