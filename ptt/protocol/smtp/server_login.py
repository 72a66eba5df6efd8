"""AUTH (RFC 4954): the lines between the command and its verdict.

Passwords are compared by the caller, SCRAM's proof is checked here. A login that fails counts, whatever the
reason; at ``max_auth_attempts`` the answer is 421. One that was cancelled, or failed for the time being,
does not.
"""

from functools import partial
from typing import assert_never

from ptt.errors import Malformed, MisuseError
from ptt.protocol.smtp import wording
from ptt.protocol.smtp.events import LoginAttempted, LoginRefused, ScramFinished, ScramStarted
from ptt.protocol.smtp.extensions import Keyword
from ptt.protocol.smtp.lines import MAX_AUTH_OCTETS, Input, LineFault
from ptt.protocol.smtp.reply import Reply
from ptt.protocol.smtp.sasl import (
    MECHANISMS,
    Challenge,
    Credentials,
    Disproved,
    Mechanism,
    Proved,
    Scram,
    ScramVerifier,
    Step,
    VerifierWanted,
    decode_base64,
    encode_base64,
)
from ptt.protocol.smtp.server_session import (
    LOGGED_IN_CODE,
    Replies,
    ServerSession,
    is_failure,
    is_login_verdict,
)

_CANCEL = b"*"  # RFC 4954 §4
_EMPTY = b"="  # RFC 4954 §4: an initial response without octets


class LoginDialogue:
    """One login at a time; while it ``is_active`` lines are responses and no commands."""

    def __init__(self, session: ServerSession, incoming: Input) -> None:
        self._session = session
        self._input = incoming
        self._name = ""
        self._mechanism: Mechanism | None = None

    @property
    def is_active(self) -> bool:
        """Whether a login is under way."""
        return self._mechanism is not None

    def refusal(self) -> Reply | None:
        """Why AUTH cannot be at this moment, if so."""
        if Keyword.AUTH not in self._session.settings.offers:
            return wording.NOT_IMPLEMENTED
        if not self._session.tls:
            return wording.LOGIN_NEEDS_TLS
        return wording.LOGGED_IN_ALREADY if self._session.login is not None else None

    def begin(self, argument: bytes) -> Reply | None:
        """Run AUTH; gives the reply if the mechanism is refused."""
        name, _, initial = argument.partition(b" ")
        self._name = name.decode().upper()
        if self._name not in self._session.settings.auth_mechanisms or self._name not in MECHANISMS:
            return wording.UNKNOWN_MECHANISM
        mechanism = self._mechanism = MECHANISMS[self._name]()
        initial = initial.strip()
        self._respond(mechanism, decode_base64(b"" if initial == _EMPTY else initial) if initial else None)
        return None

    def advance(self) -> bool:
        """Read the response to a challenge; False when it has not come."""
        line = self._input.take_line(MAX_AUTH_OCTETS)
        if line is None or self._mechanism is None:
            return False
        if isinstance(line, LineFault):
            self._fail(wording.BAD_RESPONSE)
        elif line == _CANCEL:
            self._end(self._session.count_idle(wording.LOGIN_CANCELLED))
        else:
            self._respond(self._mechanism, decode_base64(line))
        return True

    def provide_scram(self, verifier: ScramVerifier, nonce: str) -> None:
        """Answer ``ScramStarted``."""
        waits = self._session.waiting is not None
        if not waits or not isinstance(self._mechanism, Scram) or not self._mechanism.is_waiting:
            raise MisuseError("no SCRAM waits for a verifier")
        challenge = self._mechanism.provide(verifier, nonce)
        self._session.question = None
        self._follow(challenge)

    def _respond(self, mechanism: Mechanism, response: bytes | Malformed | None) -> None:
        self._follow(response if isinstance(response, Malformed) else mechanism.respond(response))

    def _follow(self, step: Step) -> None:
        session = self._session
        match step:
            case Challenge(text):
                session.say(wording.challenge(encode_base64(text)))
            case Credentials(login, password, authorization):
                attempt = LoginAttempted(self._name, login, password, authorization)
                session.ask(attempt, partial(self._judged, login), is_login_verdict)
            case VerifierWanted(login):
                session.ask(ScramStarted(login), partial(self._judged, login), is_failure)
            case Proved(login):
                session.ask(ScramFinished(login), partial(self._judged, login), is_login_verdict)
            case Disproved(login):
                self._fail(wording.WRONG_CREDENTIALS, login)
            case Malformed():
                self._fail(wording.BAD_RESPONSE)
            case _:
                assert_never(step)

    def _judged(self, login: str, replies: Replies) -> None:
        (reply,) = replies
        if reply.code == LOGGED_IN_CODE:
            self._session.login = login
            self._session.renew_offer()
            self._end(reply)
        elif reply.is_temporary:
            self._end(self._session.count_idle(reply))
        else:
            self._end(self._session.count_failed_login(reply))

    def _fail(self, reply: Reply, login: str | None = None) -> None:
        self._session.tell(LoginRefused(login))
        self._end(self._session.count_failed_login(reply))

    def _end(self, reply: Reply) -> None:
        self._mechanism = None
        self._session.say_verdict(reply)
