"""TSIG keys in settings."""

import pytest

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.records.tsig_key import TsigAlgorithm, TsigKey, parse_tsig_key


def test_a_key_of_the_original() -> None:
    key = parse_tsig_key("primary._update.Example.ORG:sha256:yT5VaGVsbG8=")
    assert key == TsigKey(Name.of("primary._update.example.org"), TsigAlgorithm.SHA256, b"\xc9>Uhello")
    assert isinstance(key, TsigKey)
    assert key.text == "primary._update.example.org:SHA256:yT5VaGVsbG8="
    assert parse_tsig_key(key.text) == key


def test_a_colon_in_the_name() -> None:
    key = parse_tsig_key("a:b:SHA1:AA==")
    assert isinstance(key, TsigKey)
    assert key.name.labels == (b"a:b",)


@pytest.mark.parametrize(
    ("algorithm", "number", "name"),
    [
        (TsigAlgorithm.SHA1, 161, "hmac-sha1"),
        (TsigAlgorithm.SHA224, 162, "hmac-sha224"),
        (TsigAlgorithm.SHA256, 163, "hmac-sha256"),
        (TsigAlgorithm.SHA384, 164, "hmac-sha384"),
        (TsigAlgorithm.SHA512, 165, "hmac-sha512"),
    ],
)
def test_names_and_numbers(algorithm: TsigAlgorithm, number: int, name: str) -> None:
    assert algorithm.dnskey_number == number
    assert str(algorithm.wire_name) == name


def test_the_secret_does_not_show() -> None:
    assert "geheim" not in repr(TsigKey(Name.of("k"), TsigAlgorithm.SHA256, b"geheim"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name:SHA256",
        ":SHA256:Z2VoZWlt",
        "a..b:SHA256:Z2VoZWlt",
        "name:MD5:Z2VoZWlt",
        "name:SHA256:",
        "name:SHA256:Z2VoZWl",
        "name:SHA256:Z2Vo ZWlt",
        "name:SHA256:Z2VoZWltä",
        f"name:SHA256:{'Z2Vo' * 342}",
    ],
)
def test_malformed(text: str) -> None:
    key = parse_tsig_key(text)
    assert isinstance(key, Malformed)
    assert "Z2Vo" not in key.reason
