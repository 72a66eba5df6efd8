"""No input gives anything but a defined result; what is written reads back the same."""

from datetime import UTC

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, make_mailbox
from ptt.records.address_rules import AnyOf
from ptt.records.argon2id import Argon2idVerifier
from ptt.records.journal import JournalLine, bounded, decode_line, encode_line
from ptt.records.json_file import change_file
from ptt.records.keys import ACME_ACCOUNT, CERTIFICATE, DKIM, SSH, KeyUse, is_seed_short, parse_key
from ptt.records.local_part import fold, local_part_of_file, without_tag
from ptt.records.logins import (
    Login,
    SendAs,
    login_file,
    may_send_as,
    parse_compatible_login,
    parse_login,
)
from ptt.records.password_text import prepare_opaque_string, prepare_saslprep
from ptt.records.passwords import (
    Blake2bVerifier,
    ScramVerifierRecord,
    Verifier,
    make_blake2b,
    parse_verifier,
    verify,
)
from ptt.records.tsig_key import TsigAlgorithm, TsigKey, parse_tsig_key
from ptt.records.users import RelayUser, parse_relay_user

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # with lone surrogates
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ALIAS = ("action", "text", "senders", "pattern", "catch_all")
FIELDS = st.dictionaries(
    st.sampled_from(
        ["targets", "password", "insecure", "verifier", "send_as", "domains", "need", "reveal", "x", *ALIAS]
    ),
    JSON | st.lists(st.sampled_from(["a@b", "@b", "*@b", "b", "<a@b>", "@", "<>", "$1@b"])),
)
FILES = st.binary() | FIELDS.map(msgspec.json.encode)
NAMES = st.sampled_from([Name.of(name) for name in ("example.org", "example.net", "a.example.org", "0")])


def made(parts: tuple[str, Name]) -> Mailbox:
    mailbox = make_mailbox(*parts)
    return mailbox if isinstance(mailbox, Mailbox) else Mailbox("a", parts[1], f"a@{parts[1]}".encode())


MAILBOXES = st.tuples(st.text(max_size=10), NAMES).map(made)
USES = st.sampled_from([SSH, DKIM, ACME_ACCOUNT, CERTIFICATE])


@given(
    ANY_TEXT
    | st.from_regex(r"(\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$.*|SCRAM-SHA-256\$\d+:.*)", fullmatch=True)
)
def test_verifiers(text: str) -> None:
    verifier = parse_verifier(text)
    if not isinstance(verifier, Malformed):
        assert parse_verifier(verifier.text) == verifier


def encode(parts: tuple[int, int, int]) -> Argon2idVerifier | None:
    memory, passes, lanes = parts
    verifier = parse_verifier(f"$argon2id$v=19$m={memory},t={passes},p={lanes}${'A' * 22}${'A' * 43}")
    return verifier if isinstance(verifier, Argon2idVerifier) else None


@given(st.tuples(st.integers(0, 64), st.integers(0, 12), st.integers(0, 6)))
def test_every_argon2id_that_is_read_can_be_checked(parts: tuple[int, int, int]) -> None:
    verifier = encode(parts)
    if verifier is not None:
        assert verifier.cost == parts
        assert not verify(verifier, "x")


@given(
    st.binary(min_size=8, max_size=64), st.integers(100_000, 10_000_000), st.binary(min_size=32, max_size=32)
)
def test_scram_round_trip(salt: bytes, iterations: int, key: bytes) -> None:
    record = ScramVerifierRecord(salt, iterations, key, key[::-1])
    assert parse_verifier(record.text) == record


@given(ANY_TEXT)
def test_passwords_are_prepared_to_a_fixed_point(password: str) -> None:
    opaque, prepared = prepare_opaque_string(password), prepare_saslprep(password)
    assert prepare_opaque_string(opaque) == opaque
    assert prepare_saslprep(prepared) == prepared
    assert verify(make_blake2b(password), password)


@given(st.text(), FILES)
def test_user_files(file_name: str, content: bytes) -> None:
    user = parse_relay_user(file_name, content)
    assert isinstance(user, RelayUser | Malformed)
    if isinstance(user, RelayUser) and user.pattern is not None:
        matched = user.matched("x-1")
        assert matched is None or len(matched.targets) <= len(user.templates)
    elif isinstance(user, RelayUser):
        texts = [target.wire.decode("utf-8") for target in user.targets]
        written = change_file(content, {"targets": texts, "insecure": user.insecure})
        assert isinstance(written, bytes)
        assert parse_relay_user(file_name, written) == user


@given(st.text(), FILES)
def test_login_files(file_name: str, content: bytes) -> None:
    assert isinstance(parse_login(file_name, content), Login | Malformed)
    assert isinstance(parse_compatible_login(file_name, content), Login | Malformed | None)


SEND_AS: st.SearchStrategy[list[SendAs]] = st.lists(MAILBOXES | NAMES.map(AnyOf), max_size=4, unique=True)


@given(SEND_AS, st.sampled_from([make_blake2b("x")]))
def test_login_round_trip(send_as: list[SendAs], verifier: Verifier) -> None:
    written = login_file(verifier, send_as)
    assert isinstance(written, bytes)
    assert parse_login("alice", written) == Login("alice", verifier, tuple(send_as))


@given(SEND_AS, MAILBOXES, st.sets(NAMES, max_size=3))
def test_nobody_sends_as_somebody_whom_no_rule_names(
    send_as: list[SendAs], mailbox: Mailbox, ours: set[Name]
) -> None:
    login = Login("alice", Blake2bVerifier(b""), tuple(send_as))
    if may_send_as(login, ours, mailbox):
        is_own = mailbox.domain in ours and without_tag(fold(mailbox.local_part)) == "alice"
        domains = {entry.domain for entry in send_as}
        assert is_own or mailbox.domain in domains


@given(ANY_TEXT)
def test_local_parts(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert without_tag(without_tag(text)) == without_tag(text)
    local_part = local_part_of_file(text)
    assert isinstance(local_part, str | Malformed)


# A seed that is read would be searched for primes, which takes seconds: what can be one is left out here.
@given(
    ANY_TEXT.map(lambda text: f"ed25519:{text}")
    | ANY_TEXT.map(lambda text: f"-----BEGIN PRIVATE KEY-----{text}"),
    USES,
)
def test_keys(text: str, use: KeyUse) -> None:
    assert isinstance(is_seed_short(text, use), bool)
    if use is not ACME_ACCOUNT or text.startswith("-"):
        parse_key(text, use)


@given(ANY_TEXT)
def test_tsig_keys(text: str) -> None:
    key = parse_tsig_key(text)
    if isinstance(key, TsigKey):
        assert parse_tsig_key(key.text) == key


@given(NAMES, st.sampled_from(TsigAlgorithm), st.binary(min_size=1, max_size=64))
def test_tsig_round_trip(name: Name, algorithm: TsigAlgorithm, secret: bytes) -> None:
    key = TsigKey(name, algorithm, secret)
    assert parse_tsig_key(key.text) == key


@given(st.binary())
def test_journal_lines_of_anybody(text: bytes) -> None:
    assert isinstance(decode_line(text), JournalLine | Malformed)


LINES = st.builds(
    JournalLine,
    at=st.datetimes(timezones=st.just(UTC)),
    event=ANY_TEXT,
    unit=ANY_TEXT,
    generation=st.integers(),
    reverse_path=st.none() | ANY_TEXT,
    forward_paths=st.lists(ANY_TEXT, max_size=30).map(tuple),
    size=st.none() | st.integers(),
    outcome=st.none() | ANY_TEXT,
    duration_ms=st.none() | st.floats(),
    times=st.dictionaries(ANY_TEXT, st.floats(), max_size=20),
    detail=st.none() | ANY_TEXT,
)


@given(LINES)
def test_journal_round_trip(line: JournalLine) -> None:
    assert decode_line(encode_line(line)) == bounded(line)
