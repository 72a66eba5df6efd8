"""Settings of submission: every mistake names its field."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.units.submission.settings import SubmissionSettings, read_settings

GOOD = {"domains": ["example.org"], "certificate_pem": "…"}


def test_defaults() -> None:
    settings = read_settings(GOOD)
    assert isinstance(settings, SubmissionSettings)
    assert settings.domain_names == (Name.of("example.org"),)
    assert settings.hide_client


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size_limit": "much"}, "size_limit"),
        ({"domains": ["exa mple.org"]}, "domains"),
        ({"colour": "red"}, "colour"),
        ({"certificate_pem": None}, "certificate_pem"),
    ],
)
def test_mistakes(change: dict[str, object], named: str) -> None:
    refused = read_settings({**GOOD, **change})
    assert isinstance(refused, Malformed)
    assert named in refused.reason
