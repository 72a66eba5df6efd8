"""Verifiers move from ``relay.git``, where the relay reads them, to ``passwords.git`` [T3].

An unsalted BLAKE2b hash does not say the password, so argon2id of the hash is stored: the password still
logs in, and whoever reads the file guesses as slowly as with a new one. First the verifier is pushed to where
it goes, then it is taken from where it was: at no moment a login fails. What cannot be undone is told: older
commits of ``relay.git`` still hold the hashes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ptt.deployer.operator_git import Edit
from ptt.deployer.user_store import Files, file_of, logins
from ptt.errors import Malformed, MisuseError
from ptt.records.faults import Fault
from ptt.records.json_file import change_file
from ptt.records.local_part import fold
from ptt.records.logins import Login, login_file, parse_compatible_login
from ptt.records.passwords import Blake2bVerifier, wrap
from ptt.records.user_mistakes import mistake_in
from ptt.records.users import without_password


@dataclass(frozen=True, slots=True)
class Moving:
    """``moved``: file names whose verifier goes over; ``kept``: whose password is over there already.

    ``mistakes``: files that stay as they are, by name.
    """

    edit: Edit | None
    moved: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    mistakes: Mapping[str, Fault] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The verifiers' texts in ``relay.git``, by file name."""


def move_in(relay: Files, passwords: Files, new_salt: Callable[[], bytes]) -> Moving:
    """What ``passwords.git`` gets."""
    known = logins(passwords).users
    changes: dict[str, bytes | None] = {}
    moved, kept = [], []
    mistakes: dict[str, Fault] = {}
    sources: dict[str, str] = {}
    for file_name in sorted(name for name in relay if not name.startswith(".")):
        login = parse_compatible_login(file_name, relay[file_name])
        if login is None:
            continue
        if isinstance(login, Malformed):
            fault = mistake_in(file_name, relay[file_name], parse_compatible_login)
            mistakes[file_name] = fault or Fault(0, login.reason, "mend the file")
            continue
        sources[file_name] = login.verifier.text
        if fold(login.local_part) in known:
            kept.append(file_name)
            continue
        there = file_of(file_name, passwords)
        changes[there or file_name] = _new_file(login, new_salt)
        moved.append(file_name)
    edit = Edit(changes, f"Verifiers of {_users(len(changes))} moved here") if changes else None
    return Moving(edit, tuple(moved), tuple(kept), mistakes, sources)


def move_out(relay: Files, passwords: Files, sources: Mapping[str, str]) -> Edit | None:
    """What ``relay.git`` loses: the verifiers that have arrived and are still the ones that were read."""
    known = logins(passwords).users
    changes: dict[str, bytes | None] = {}
    for file_name, text in sources.items():
        login = parse_compatible_login(file_name, relay.get(file_name, b""))
        if not isinstance(login, Login) or login.verifier.text != text or fold(login.local_part) not in known:
            continue
        content = without_password(relay[file_name])
        if not isinstance(content, Malformed):
            changes[file_name] = content
    return Edit(changes, f"Verifiers of {_users(len(changes))} moved to passwords.git") if changes else None


def _new_file(login: Login, new_salt: Callable[[], bytes]) -> bytes:
    verifier = login.verifier
    content = login_file(wrap(verifier, new_salt()) if isinstance(verifier, Blake2bVerifier) else verifier)
    domains = None if login.domains is None else [domain.text for domain in login.domains]
    made = content if isinstance(content, Malformed) else change_file(content, {"domains": domains})
    if isinstance(made, Malformed):  # pragma: no cover - what we have just written can be read
        raise MisuseError(made.reason)
    return made


def _users(count: int) -> str:
    return "1 user" if count == 1 else f"{count} users"
