"""Who may log in, and as whom they send."""

import json
from collections.abc import Mapping

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.records.passwords import make_argon2id, make_blake2b, make_scram, wrap
from ptt.units.submission.logins import Directory, read_directory

DOMAINS = (Name.of("example.org"), Name.of("example.net"))
SALT = bytes(16)


def directory(**logins: Mapping[str, object]) -> Directory:
    read = read_directory(json.dumps(logins), DOMAINS, b"key")
    assert isinstance(read, tuple)
    assert read[1] == ()
    return read[0]


def test_login_by_local_part_or_address_in_any_domain_of_ours() -> None:
    users = directory(alice={"verifier": make_argon2id("secret", SALT).text})
    for login in ("alice", "Alice", "alice@example.org", "alice@EXAMPLE.net"):
        assert users.check(login, "secret", None)
        assert users.canonical(login) == "alice"
        assert not users.check(login, "wrong", None)
    for stranger in ("bob", "alice@elsewhere.com", "@", "alice@", ""):
        assert not users.check(stranger, "secret", None)
        assert users.canonical(stranger) == stranger


def test_an_old_hash_that_was_upgraded_takes_the_old_password() -> None:
    users = directory(alice={"verifier": wrap(make_blake2b("tiger"), SALT).text})
    assert users.check("alice", "tiger", None)
    assert not users.check("alice", make_blake2b("tiger").text, None)
    assert not users.offers_scram


def test_nobody_acts_as_somebody_else() -> None:
    users = directory(
        alice={"verifier": make_blake2b("secret").text}, bob={"verifier": make_blake2b("b").text}
    )
    assert users.check("alice", "secret", "alice@example.org")
    assert not users.check("alice", "secret", "bob")


def test_who_may_send_as_whom() -> None:
    users = directory(alice={"verifier": make_blake2b("s").text, "send_as": ["sales@example.org"]})
    for own in ("alice@example.org", "alice+tag@example.net", "sales@example.org"):
        assert users.may_use("alice", mailbox(own))
    for foreign in ("bob@example.org", "alice@elsewhere.com", "sales@example.net"):
        assert not users.may_use("alice", mailbox(foreign))
    assert not users.may_use("nobody", mailbox("alice@example.org"))


def test_scram_is_offered_only_when_everybody_can_use_it() -> None:
    scram = {"verifier": make_scram("s", SALT).text}
    assert directory(alice=scram).offers_scram
    assert not directory(alice=scram, bob={"verifier": make_blake2b("b").text}).offers_scram
    assert not directory().offers_scram


def test_an_unknown_user_has_a_stable_salt() -> None:
    users = directory(alice={"verifier": make_scram("s", SALT).text})
    assert users.scram("alice").salt == SALT
    assert users.scram("nobody").salt == users.scram("nobody").salt != users.scram("other").salt
    assert directory().scram("nobody").iterations >= 100_000


def test_a_broken_file_affects_that_user_only() -> None:
    read = read_directory(
        json.dumps({"alice": {}, "bob": {"verifier": make_blake2b("b").text}}), DOMAINS, b"k"
    )
    assert isinstance(read, tuple)
    users, faults = read
    assert len(faults) == 1
    assert faults[0].startswith("alice: ")
    assert users.check("bob", "b", None)
    assert isinstance(read_directory("not JSON", DOMAINS, b"k"), Malformed)
