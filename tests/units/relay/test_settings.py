"""The relay's settings: read whole, mistakes named by their field."""

import json

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.srs import SrsKeys
from ptt.units.relay.settings import Configured, SmarthostSettings, read_settings, read_srs_keys

LONG = ".".join(["d" * 62] * 4)  # a name that has no room for one more label


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
        ({"users": {"a": {"targets": ["b"]}}}, "users.a: not a mailbox - at `targets[0]`"),
        ({"users": {"a": {"domains": ["-"]}}}, "users.a: not a domain - at `domains[0]`"),
        ({"users": {"a": {}, "A": {}}}, "users: 'A' is there twice"),
        ({"smarthost": {"host": "a..b", "login": "x"}}, "smarthost.host: 'a..b' is no name"),
        ({"postmaster": "root"}, "postmaster: 'root' is no user"),
        ({"postmaster": "@"}, "postmaster: '@': not a mailbox"),
        ({"catch_all": "root"}, "catch_all: 'root' is no user"),
        ({"srs_domain": "a..b"}, "srs_domain: a..b: not a domain"),
        ({"domains": [LONG]}, f"srs_domain: {LONG}: the name is longer than 255 octets"),
        (
            {"domains": ["a.example", "srs.a.example"]},
            "srs_domain: srs.a.example is a domain of users, or too long",
        ),
        ({"srs_domain": LONG}, f"srs_domain: {LONG} is a domain of users, or too long"),
        (
            {"source_addresses": ["mail.mirage.example"]},
            "source_addresses: 'mail.mirage.example' is no address",
        ),
        ({"source_addresses": ["192.0.2.1", "192.0.2.2"]}, "source_addresses: more than one of a family"),
    ],
)
def test_a_mistake_is_named(settings: dict[str, object], reason: str) -> None:
    assert read_settings(settings, "mail.mirage.example") == Malformed(reason)


def configured(**settings: object) -> Configured:
    read = read_settings({"domains": ["mirage.example", "other.example"], **settings}, "mail.mirage.example")
    assert isinstance(read, Configured)
    return read


def test_roles_are_mailboxes_or_users() -> None:
    users = {"alice": {"targets": ["a@home.example"]}}
    given = configured(users=users, postmaster="Alice", catch_all="c@home.example").directory

    assert given.postmaster == given.users.find("alice")
    assert given.catch_all is not None
    assert given.catch_all.targets == (mailbox("c@home.example"),)
    assert configured().directory.postmaster is None


def test_each_domain_has_its_srs_domain() -> None:
    given = configured().srs_domains
    names = [
        str(given.of(Name.of(name))) for name in ("mirage.example", "other.example", "mail.mirage.example")
    ]
    assert names == ["srs.mirage.example", "srs.other.example", "srs.mirage.example"]
    one = configured(srs_domain="bounces.example").srs_domains
    assert {one.of(Name.of(name)) for name in ("mirage.example", "other.example", "x.example")} == {
        Name.of("bounces.example")
    }
    alone = configured(domains=[]).srs_domains
    assert alone.default == Name.of("srs.mail.mirage.example")


def test_srs_keys_are_read() -> None:
    secret = json.dumps({"keys": ["ab" * 16, "CD" * 20]})
    assert read_srs_keys(secret) == SrsKeys((b"\xab" * 16, b"\xcd" * 20))


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("{", "no JSON object"),
        ("[]", "no JSON object"),
        ('{"key": ["ab"]}', "no JSON object"),
        ('{"keys": ["xy"]}', "no JSON object"),
        ('{"keys": []}', "no key"),
        (json.dumps({"keys": ["ab" * 16, "ab"]}), "fewer than 16 octets"),
    ],
)
def test_bad_srs_keys_are_told(secret: str, reason: str) -> None:
    read = read_srs_keys(secret)
    assert isinstance(read, Malformed)
    assert reason in read.reason
    assert "ab" * 16 not in read.reason
