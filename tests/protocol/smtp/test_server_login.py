"""AUTH in the server's dialogue."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from ptt.errors import MisuseError
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import (
    LoginAttempted,
    LoginRefused,
    QuitReceived,
    ScramFinished,
    ScramStarted,
)
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.sasl import ScramVerifier

NewPeer = Callable[..., Any]
WRONG = Reply(535, "5.7.8", "Wrong.")
LATER = Reply(454, "4.7.0", "Later.")
LEAVING = Reply(421, "4.3.2", "Leaving.")


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


PLAIN = b64("\0anne\0secret")


def ready(peer: NewPeer, **settings: Any) -> Any:
    settings = {"tls": True, "auth_mechanisms": ("PLAIN", "LOGIN", "SCRAM-SHA-256")} | settings
    one = peer(**settings)
    one.say("EHLO c.example")
    return one


@pytest.mark.parametrize(
    "dialogue",
    [
        [(f"AUTH PLAIN {PLAIN}", "235 2.7.0 Welcome.")],
        [(f"auth plain   {PLAIN}", "235 2.7.0 Welcome.")],
        [("AUTH PLAIN", "334 "), (PLAIN, "235 2.7.0 Welcome.")],
    ],
)
def test_plain(peer: NewPeer, dialogue: list[tuple[str, str]]) -> None:
    one = ready(peer)
    for line, reply in dialogue:
        assert one.say(line) == [reply]
    assert one.events == [LoginAttempted("PLAIN", "anne", "secret")]
    assert one.dialogue.login == "anne"
    assert not any("AUTH" in line for line in one.say("EHLO c.example"))


@pytest.mark.parametrize("initial", [False, True])
def test_login(peer: NewPeer, initial: bool) -> None:
    one = ready(peer)
    if initial:
        assert one.say(f"AUTH LOGIN {b64('anne')}") == ["334 UGFzc3dvcmQ6"]
    else:
        assert one.say("AUTH LOGIN") == ["334 VXNlcm5hbWU6"]
        assert one.say(b64("anne")) == ["334 UGFzc3dvcmQ6"]
    assert one.say(b64("secret")) == ["235 2.7.0 Welcome."]
    assert one.events == [LoginAttempted("LOGIN", "anne", "secret")]


def test_wrong_password(peer: NewPeer) -> None:
    one = ready(peer)
    one.will(LoginAttempted, WRONG)
    assert one.codes(f"AUTH PLAIN {PLAIN}") == ["535"]
    assert one.dialogue.login is None
    assert one.codes(f"AUTH PLAIN {PLAIN}", "AUTH PLAIN") == ["235", "503"]


def test_three_attempts(peer: NewPeer) -> None:
    one = ready(peer)
    for _ in range(3):
        one.will(LoginAttempted, WRONG)
    assert one.codes(*[f"AUTH PLAIN {PLAIN}"] * 4) == ["535", "535", "421"]
    assert one.events[-1] == QuitReceived(wording.TOO_MANY_LOGINS)


def test_what_counts_as_an_attempt(peer: NewPeer) -> None:
    one = ready(peer)
    for _ in range(5):
        one.will(LoginAttempted, LATER)
    assert one.codes(*[f"AUTH PLAIN {PLAIN}"] * 5) == ["454"] * 5
    assert one.codes(*["AUTH PLAIN", "*"] * 3) == ["334", "501"] * 3
    assert one.of(LoginRefused) == []
    assert one.codes("AUTH PLAIN something", "AUTH LOGIN", "\0", "AUTH LOGIN", "x" * 20_000) == [
        *("501", "334", "501", "334", "421")
    ]
    assert one.of(LoginRefused) == [LoginRefused(None)] * 3


def test_the_caller_leaves(peer: NewPeer) -> None:
    one = ready(peer)
    one.will(LoginAttempted, LEAVING)
    assert one.codes(f"AUTH PLAIN {PLAIN}", "NOOP") == ["421"]
    assert one.dialogue.closing


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("AUTH", "504"),
        ("AUTH CRAM-MD5", "504"),
        ("AUTH EXTERNAL =", "504"),
        ("AUTH PLÄIN", "504"),
        ("AUTH PLAIN =", "501"),
    ],
)
def test_refused_auth(peer: NewPeer, line: str, code: str) -> None:
    assert ready(peer).codes(line) == [code]


def test_where_auth_is_not_offered(peer: NewPeer) -> None:
    assert ready(peer, tls=False).say("AUTH PLAIN")[0].startswith("538 5.7.11")
    assert ready(peer, offers=frozenset()).codes("AUTH PLAIN") == ["502"]
    assert ready(peer, auth_mechanisms=("PLAIN",)).codes("AUTH LOGIN") == ["504"]
    assert ready(peer, auth_mechanisms=("OTHER",)).codes("AUTH OTHER") == ["504"]


def test_the_input_ends_within_a_login(peer: NewPeer) -> None:
    one = ready(peer)
    one.say("AUTH PLAIN")
    one.dialogue.receive_eof()
    assert one.dialogue.next_event() is None
    assert one.dialogue.closing


def test_long_responses(peer: NewPeer) -> None:
    one = ready(peer)
    one.say("AUTH PLAIN")
    assert one.codes(b64("\0anne\0" + "x" * 1024)) == ["235"]
    assert ready(peer).codes("AUTH PLAIN " + b64("\0anne\0" + "x" * 1000)) == ["235"]


# SCRAM-SHA-256

NONCE = "0123456789abcdefghij"


def keys(password: str) -> tuple[ScramVerifier, bytes]:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    return ScramVerifier(b"salt", 4096, stored_key, hmac.digest(salted, b"Server Key", "sha256")), client_key


def start_scram(one: Any) -> str:
    one.will(ScramStarted, None)
    assert one.say(f"AUTH SCRAM-SHA-256 {b64('n,,n=anne,r=client')}") == []
    assert one.events[-1] == ScramStarted("anne")
    one.dialogue.provide_scram(keys("secret")[0], NONCE)
    [reply] = one.output()
    assert reply.startswith("334 ")
    return base64.b64decode(reply[4:]).decode()


def proof(server_first: str, password: str) -> str:
    verifier, client_key = keys(password)
    unproved = f"c=biws,r=client{NONCE}"
    message = f"n=anne,r=client,{server_first},{unproved}".encode()
    signature = hmac.digest(verifier.stored_key, message, "sha256")
    return b64(f"{unproved},p={b64(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))}")


def test_scram(peer: NewPeer) -> None:
    one = ready(peer)
    [reply] = one.say(proof(start_scram(one), "secret"))
    assert base64.b64decode(reply[4:]).startswith(b"v=")
    assert one.say("") == ["235 2.7.0 Welcome."]
    assert one.events[-1] == ScramFinished("anne")
    assert one.dialogue.login == "anne"


def test_scram_without_the_password(peer: NewPeer) -> None:
    one = ready(peer)
    assert one.codes(proof(start_scram(one), "other")) == ["535"]
    assert one.events[-1] == LoginRefused("anne")
    assert one.codes("NOOP") == ["250"]


def test_scram_without_a_verifier(peer: NewPeer) -> None:
    one = ready(peer)
    one.will(ScramStarted, LATER)
    assert one.codes(f"AUTH SCRAM-SHA-256 {b64('n,,n=anne,r=client')}", "NOOP") == ["454", "250"]
    one.will(ScramStarted, None)
    one.say(f"AUTH SCRAM-SHA-256 {b64('n,,n=anne,r=client')}")
    with pytest.raises(MisuseError):
        one.dialogue.reply(Reply(235, "2.7.0", "Welcome."))
    with pytest.raises(MisuseError):
        one.dialogue.provide_scram(keys("secret")[0], "short")
    one.dialogue.provide_scram(keys("secret")[0], NONCE)
    with pytest.raises(MisuseError):
        one.dialogue.provide_scram(keys("secret")[0], NONCE)


def test_a_verifier_nobody_asked_for(peer: NewPeer) -> None:
    one = ready(peer)
    with pytest.raises(MisuseError):
        one.dialogue.provide_scram(keys("secret")[0], NONCE)
    one.will(LoginAttempted, None)
    one.say(f"AUTH PLAIN {PLAIN}")
    with pytest.raises(MisuseError):
        one.dialogue.provide_scram(keys("secret")[0], NONCE)
