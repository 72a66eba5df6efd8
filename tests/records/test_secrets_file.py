"""The file of secrets: what is written is read again, every mistake has its line, none shows a secret."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import MisuseError
from ptt.records.faults import Fault
from ptt.records.keys import private_pem
from ptt.records.secrets_file import (
    MAX_FILE_CHARACTERS,
    SecretKind,
    Secrets,
    check_secret,
    parse_secrets,
    write_secrets,
)

ED25519 = f"ed25519:{base64.b64encode(bytes(range(32))).decode()}"
SEED = base64.b64encode(bytes(range(32))).decode()
TSIG = f"k._update.example.org:SHA256:{SEED}"
PEM = private_pem(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
GOOD = {
    SecretKind.SSH: {"relay": ED25519, "submission": "rsa:some seed of an operator"},
    SecretKind.DKIM: {"s1": SEED, "s2._domainkey.example.org": PEM},
    SecretKind.TSIG: {"k._update.example.org": TSIG},
    SecretKind.ACCOUNT: {"acme": "any text is a seed"},
    SecretKind.DNSSEC: {"all": SEED},
    SecretKind.OTHER: {"srs_keys": '{"keys": ["00"]}'},
}


def test_what_is_written_is_read_again() -> None:
    secrets = Secrets(GOOD)
    text = write_secrets(secrets)
    assert parse_secrets(text) == secrets
    assert '[ssh]\nrelay = "ed25519:' in text
    assert "'''\n-----BEGIN PRIVATE KEY-----\n" in text
    assert text.index("[ssh]") < text.index("[dkim]") < text.index("[tsig]")


def test_a_file_without_secrets() -> None:
    assert parse_secrets("") == Secrets()
    assert parse_secrets(write_secrets(Secrets())) == Secrets()


def test_one_more_and_one_less() -> None:
    secrets = Secrets().holding(SecretKind.SSH, "relay", ED25519).holding(SecretKind.DNSSEC, "all", SEED)
    assert secrets.get(SecretKind.SSH, "relay") == ED25519
    assert secrets.get(SecretKind.SSH, "submission") is None
    assert list(secrets.of(SecretKind.DNSSEC)) == ["all"]
    assert not secrets.without(SecretKind.SSH, "relay").of(SecretKind.SSH)
    with pytest.raises(MisuseError, match=r"ssh relay: the SSH key: neither"):
        secrets.holding(SecretKind.SSH, "relay", "x")


def test_no_secret_shows() -> None:
    assert SEED not in repr(Secrets(GOOD))


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (SecretKind.SSH, "", "0 characters"),
        (SecretKind.SSH, "x" * 65537, "65537 characters"),
        (SecretKind.OTHER, "\ud800", "UTF-8"),
        (SecretKind.SSH, "secret", "neither ed25519"),
        (SecretKind.SSH, "rsa:", "empty seed"),
        (SecretKind.DKIM, "secret", "base64"),
        (SecretKind.DKIM, "x" * 20000, "longer than"),
        (SecretKind.TSIG, "secret", "NAME:ALGORITHM:BASE64"),
        (SecretKind.DNSSEC, "secret!", "base64"),
        (SecretKind.DNSSEC, "\u00e9", "base64"),
        (SecretKind.DNSSEC, "c2VjcmV0", "fewer than 16"),
    ],
)
def test_texts_of_a_wrong_form(kind: SecretKind, text: str, reason: str) -> None:
    fault = check_secret(kind, text)
    assert fault is not None
    assert reason in fault.reason
    assert "secret" not in fault.reason.replace("the secret", "")


def test_all_mistakes_at_once_with_their_lines() -> None:
    text = f"""\
# notes
[ssh]
relay = "{ED25519}"
"submission" = "hunter2"
[keys]
x = "y"
[tsig]
"other.name" = "{TSIG}"
[dkim]
s1 = 5
"""
    faults = parse_secrets(text)
    assert isinstance(faults, tuple)
    assert [(fault.line, fault.what) for fault in faults] == [
        (4, "ssh.submission: the SSH key: neither ed25519:BASE64 nor rsa:SEED nor a PEM block"),
        (5, "keys is no table of secrets"),
        (8, "tsig.other.name holds a key of another name"),
        (10, "dkim.s1 is no text"),
    ]
    assert "hunter2" not in str(faults)
    assert faults[0].at("secrets.toml").startswith("secrets.toml:4: ssh.submission")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[ssh]\nrelay = "a', 2),
        ("[ssh]\nrelay = hunter2", 2),
        ("[ssh]\n[ssh]\n", 2),
        ("x = " + "[" * 5000, 0),
        ("ssh = 1", 1),
        ('ssh.relay = "a"', 1),
        ("[ssh]\nrelay.x = 'a'", 1),
        (" " * (MAX_FILE_CHARACTERS + 1), 0),
    ],
)
def test_what_is_no_file_of_secrets(text: str, line: int) -> None:
    faults = parse_secrets(text)
    assert isinstance(faults, tuple)
    assert [fault.line for fault in faults] == [line]
    assert "hunter2" not in str(faults)


def test_a_fault_of_a_whole_file() -> None:
    assert Fault(0, "what", "mend").at("f") == "f: what\n  mend"


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text(min_size=1), max_size=5))
def test_any_text_comes_back(texts: dict[str, str]) -> None:
    secrets = Secrets({SecretKind.OTHER: texts} if texts else {})
    read = parse_secrets(write_secrets(secrets))
    assert read == secrets


@given(st.text() | st.text(alphabet="[]ssh.\"'=\n\\ :x#{}1", max_size=60))
def test_any_file_is_read_or_told(text: str) -> None:
    assert isinstance(parse_secrets(text), Secrets | tuple)
