"""The relay's settings: read whole, mistakes named by their field."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.mail.address import mailbox
from ptt.units.relay.settings import Configured, SmarthostSettings, read_settings


def test_settings_are_read() -> None:
    read = read_settings(
        {
            "domains": ["mirage.example"],
            "users": {"alice": {"targets": ["a@home.example"], "domains": ["mirage.example"], "need": "all"}},
            "smarthost": {"host": "smtp.isp.example", "login": "me"},
        },
        "mail.mirage.example",
    )

    assert isinstance(read, Configured)
    user = read.directory.find(mailbox("ALICE@mirage.example"))
    assert user is not None
    assert user.targets == (mailbox("a@home.example"),)
    assert user.needs_all
    assert read.settings.smarthost is not None
    assert read.settings.smarthost.port == 465
    assert read.settings.smarthost.has_implicit_tls


@pytest.mark.parametrize(
    ("port", "given", "expected"),
    [(465, None, True), (587, None, False), (2465, True, True), (465, False, False)],
)
def test_tls_of_a_smarthost_comes_first_where_that_is_usual(
    port: int, given: bool | None, expected: bool
) -> None:
    assert SmarthostSettings("h", "me", port, given).has_implicit_tls is expected


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"domain": []}, "Object contains unknown field `domain`"),
        ({"domains": ["a..b"]}, "domains: 'a..b': not a domain"),
        ({"users": {"a": {"targets": ["b"]}}}, "users.a.targets: 'b': not a mailbox"),
        ({"users": {"a": {"domains": ["-"]}}}, "users.a.domains: '-': not a domain"),
        ({"users": {"a": {}, "A": {}}}, "users: 'A' is there twice"),
        ({"smarthost": {"host": "a..b", "login": "x"}}, "smarthost.host: 'a..b' is no name"),
        (
            {"source_addresses": ["mail.mirage.example"]},
            "source_addresses: 'mail.mirage.example' is no address",
        ),
        ({"source_addresses": ["192.0.2.1", "192.0.2.2"]}, "source_addresses: more than one of a family"),
    ],
)
def test_a_mistake_is_named(settings: dict[str, object], reason: str) -> None:
    assert read_settings(settings, "mail.mirage.example") == Malformed(reason)
