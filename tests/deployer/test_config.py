"""``ptt.toml``: what is read out of it, and how every mistake is told at once."""

import tomllib
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.deployer.config import Config, RelayConfig, find_config, load_config, read_config
from ptt.deployer.config_kinds import DURATION, SIZE
from ptt.deployer.original_names import KNOWN_BY_ITSELF, RENAMED, SECRETS
from ptt.deployer.toml_places import find_places
from ptt.errors import ConfigError, Malformed

SMALL = 'domain = "example.org"\naddresses = ["192.0.2.10", "2001:db8::10"]\n'

WRONG = """\
# the domain is missing
addresses = ["192.0.2.10", "192.0.2.300"]
max-size = "25 MB"
max_sise = "25 MB"
drain = "soon"

[relay]
max_size = "25 MB"
memory = "25 potatoes"
smarthost = { host = "smtp.example.com", login = 3 }

[[dns_primary.secondaries]]
zone = "example.org"

[nonsense]
"""
TOLD = """\
ptt.toml: 9 mistakes
  ptt.toml:1: domain: domain is missing: our domain, for example domain =
        "example.org"
  ptt.toml:2: addresses[2] = "192.0.2.300"
                             ^ an IPv4 or IPv6 address, for example "192.0.2.10"
  ptt.toml:4: max_sise: there is no max_sise; did you mean max_size?
  ptt.toml:5: drain = "soon"
                      ^
        a duration is a number with ms, s, min, h or d, for example "30 s"
  ptt.toml:8: relay.max_size: max_size stands at the top of the file: it is the
        same for all units
  ptt.toml:9: relay.memory = "25 potatoes"
                             ^
        a size is a number with B, kB, MB or GB, for example "25 MB"
  ptt.toml:10: relay.smarthost.login = 3
                                       ^ a text, in quotes: "like this"
  ptt.toml:12: dns_primary.secondaries[1].address: address is missing: who is
        told of changes
  ptt.toml:15: nonsense: there is no nonsense; docs/configuration.md names what
        there is"""


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read_config(text)
    return str(raised.value)


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    told = refusal(WRONG)
    assert told == TOLD
    assert max(map(len, told.splitlines())) <= 80


def test_a_small_file_is_enough() -> None:
    config = read_config(SMALL, Path("/etc/ptt/ptt.toml"))
    assert config.name == "mail.example.org"
    assert config.domains == ("example.org",)
    assert config.bound_addresses == ("192.0.2.10", "2001:db8::10")
    assert config.secrets_file == Path("/etc/ptt/secrets.toml")
    assert config.repository(config.repositories.relay) == Path("/etc/ptt/relay.git")
    assert config.repository("git@git.example.org:relay.git") is None
    assert config.repository("ssh://git.example.org/relay.git") is None
    assert config.relay == RelayConfig()


def test_sizes_and_durations_have_units() -> None:
    assert [SIZE.read(text) for text in ("25 MB", "1KiB", "1.5 kB", "10 B")] == [25_000_000, 1024, 1500, 10]
    assert [DURATION.read(text) for text in ("30 s", "2min", "1 h", "500 ms")] == [30, 120, 3600, 0.5]
    for value in ("25", 25, "25 potatoes", "MB", "-1 MB", "0 B", True, None):
        assert isinstance(SIZE.read(value), Malformed)
    assert isinstance(DURATION.read("30"), Malformed)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('addresses = ["192.0.2.1", "192.0.2.2"]', "at most one IPv4 and one IPv6"),
        ("addresses = []", "at least one address"),
        ('addresses = "192.0.2.1"\nrelay.srs_domain = "example.org"', "a domain of its own"),
        ('addresses = "192.0.2.1"\n[[dns_resolver.roots]]\nname = "a.root"', "needs ipv4 or ipv6"),
        ('addresses = "192.0.2.1"\npostmaster = "a b@"', 'a user ("alice") or an address'),
        (
            'addresses = "192.0.2.1"\nrepositories.relay = "git@git.example.org:relay.git"',
            "repositories.relay_host_key: ",
        ),
        ('addresses = "192.0.2.1"\nrepositories.zone = "git://user@git.example.org/z"', "no login"),
        ('addresses = "192.0.2.1"\nrelay.port = 0', "a whole number from 1 to 65535"),
        ('addresses = "192.0.2.1"\nreceiver.dmarc = "no"', '"enforce" or "stamp"'),
        ('addresses = "192.0.2.1"\nreceiver.dmarc.x = 1', '"enforce" or "stamp"'),
        ('addresses = "192.0.2.1"\nrelay = 1', "a table: [relay]"),
        ('addresses = "192.0.2.1"\ndns_primary.secondaries = 1', "a list of tables: [[secondaries]]"),
        ('addresses = "192.0.2.1"\nrelay.zone_ = 1', "known here: catch_all, connections, ipv6"),
        ('addresses = "192.0.2.1"\nrelay.ipv6 = "yes"', "true or false, without quotes"),
    ],
)
def test_what_does_not_fit(line: str, told: str) -> None:
    assert told in " ".join(refusal(f'domain = "example.org"\n{line}').split())


def test_what_is_not_toml_is_shown_where_it_ends() -> None:
    assert refusal('domain = "example.org"\naddresses = \n').splitlines()[:2] == [
        "ptt.toml: not TOML",
        "  ptt.toml:2: addresses = ",
    ]
    assert "^" in refusal("a = [1,")


def test_the_original_s_names() -> None:
    config = read_config(
        'smtp_domain = "example.org"\naddresses = "192.0.2.10"\n'
        "[relay]\ndomain = 'example.org'\npostmaster = 'alice'\nresolver = 'tcp://10.0.0.3'\n"
        "remote = 'https://git.example.org/relay.git'\n"
        "[verifier]\nhostname = 'mail.example.org'\ndns-server = '10.0.0.2'\n"
        "[signer]\nselector = 'ptt'\nfields = 'from:to:subject'\n"
    )
    assert (config.domain, config.postmaster, config.name) == ("example.org", "alice", "mail.example.org")
    assert config.repositories.relay == "https://git.example.org/relay.git"
    assert config.signer.selector == ("ptt",)
    assert config.signer.fields == ("from", "to", "subject")
    assert config.notices == (
        "ptt.toml:6: resolver has no effect: units ask dns_resolver",
        "ptt.toml:10: dns-server has no effect: units are told where dns_primary is",
    )
    assert not set(RENAMED) & set(SECRETS) & set(KNOWN_BY_ITSELF)


def test_the_original_s_names_that_contradict_each_other() -> None:
    told = refusal(SMALL + "[relay]\npostmaster = 'alice'\n[submission]\npostmaster = 'bob'\n")
    assert "ptt.toml:6: submission.postmaster: says something else than relay.postmaster" in told


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_refused_and_not_shown(name: str) -> None:
    told = refusal(f"{SMALL}{name} = 'rsa:never to be seen'\n")
    assert "ptt key" in " ".join(told.split())
    assert "never to be seen" not in told


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PTT_CONFIG", raising=False)
    assert find_config() == Path("/etc/ptt/ptt.toml")
    (tmp_path / "ptt.toml").write_text(SMALL)
    assert find_config() == tmp_path / "ptt.toml"
    monkeypatch.setenv("PTT_CONFIG", "/srv/other.toml")
    assert find_config() == Path("/srv/other.toml")
    assert find_config(tmp_path) == tmp_path / "ptt.toml"
    assert load_config(tmp_path).file == tmp_path / "ptt.toml"
    with pytest.raises(ConfigError, match="ptt init DOMAIN"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "latin.toml")


def test_every_setting_says_what_it_is() -> None:
    for each in fields(Config):
        if each.name not in {"file", "notices"}:
            assert each.metadata.get("setting") or each.metadata["says"]


KEYS = st.text("abc-_ .é\"'", min_size=1, max_size=5)
VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{_toml(key)} = {_toml(each)}" for key, each in value.items()) + "}"
        case list():
            return "[ # a list\n" + ",\n".join(map(_toml, value)) + "]"
        case str():
            escaped = "".join(char if char.isalnum() else f"\\U{ord(char):08X}" for char in value)
            return f'"{escaped}"'
        case _:
            return str(value)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(_paths(each, (*path, key)) for key, each in inner))


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_-]{0,4}", fullmatch=True), VALUES, max_size=5))
def test_every_value_has_a_place(values: dict[str, object]) -> None:
    text = "".join(f"{name} = {_toml(value)}\n# a line = [between\n" for name, value in values.items())
    parsed = tomllib.loads(text)
    places = find_places(text)
    lines = text.split("\n")
    for path in _paths(parsed) - {()}:
        if not any('"' in str(part) or "\\" in str(part) for part in path if isinstance(part, str)):
            place = places.get(path)
            if place is None:  # a key with escapes keeps them
                assert any(not str(part).isalnum() for part in path)
                continue
            assert lines[place.line - 1][place.column - 1 :].startswith(place.source)


@given(st.text(max_size=60))
def test_no_text_gives_anything_but_a_config_or_a_complaint(text: str) -> None:
    find_places(text)
    with suppress(ConfigError):
        assert read_config(text).domain
