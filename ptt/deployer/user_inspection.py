"""What the users' repositories hold, for people: a row a user, and everything wrong or odd in a file."""

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from ptt.deployer.user_store import PASSWORDS, RELAY, Files, logins, relay_users
from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.records.address_rules import address_rule_text
from ptt.records.alias_book import AliasBook
from ptt.records.faults import Fault
from ptt.records.local_part import fold, local_part_of_file
from ptt.records.logins import Login, parse_compatible_login, parse_login
from ptt.records.passwords import (
    Argon2idVerifier,
    Blake2bVerifier,
    ScramVerifierRecord,
    Verifier,
    WrappedVerifier,
)
from ptt.records.user_list import UserList
from ptt.records.user_mistakes import line_of, mistake_in
from ptt.records.users import FIELDS, Action, RelayUser, parse_relay_user

LOGIN_FIELDS = frozenset({"verifier", "send_as", "domains"})
ROLES = frozenset({"postmaster", "abuse"})  # whoever ptt.toml names has them
SIMILAR = 0.8  # of an unknown field and one of ours: a slip of the pen


@dataclass(frozen=True, slots=True)
class Row:
    """A user as ``ptt user list`` shows one. ``password``: the kind of its verifier, empty: none."""

    name: str
    targets: tuple[str, ...]
    password: str
    insecure: bool
    says: tuple[str, ...]
    """What else its files say."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a file; ``is_mistake`` False: it works, and somebody may want to know."""

    file: str
    fault: Fault
    is_mistake: bool

    @property
    def text(self) -> str:
        """For people."""
        return self.fault.at(self.file)


def rows_of(relay: Files, passwords: Files) -> tuple[Row, ...]:
    """All users of both repositories, by name."""
    users, known = relay_users(relay), logins(passwords)
    contents = _by_user(relay)
    rows = []
    for name in sorted({*users.users, *known.users}):
        user, login = users.users.get(name), known.users.get(name)
        kind = kind_of(login.verifier) if login else _old_kind(contents.get(name))
        targets = () if user is None else tuple(map(str, user.targets)) or _templates(user, contents[name])
        rows.append(
            Row(
                (user or login or _nobody()).local_part,
                targets,
                kind,
                user is not None and user.insecure,
                (*_words(user), *_login_words(login)),
            )
        )
    return tuple(rows)


def kind_of(verifier: Verifier) -> str:
    """What a verifier is called."""
    match verifier:
        case Argon2idVerifier():
            return "argon2id"
        case WrappedVerifier():
            return "blake2b+argon2id"
        case ScramVerifierRecord():
            return "scram-sha-256"
        case Blake2bVerifier():
            return "blake2b"


def findings(relay: Files, passwords: Files | None, domains: frozenset[Name]) -> tuple[Finding, ...]:
    """Everything that is wrong, then everything that is odd; ``domains`` empty: not known."""
    users = relay_users(relay)
    found = [*_faults(RELAY, relay, users), *_list_faults(relay, users, domains)]
    for file_name, content in relay.items():
        fault = mistake_in(file_name, content, parse_compatible_login)
        if fault is not None and fault.what.startswith("password"):
            found.append(Finding(f"{RELAY}/{file_name}", fault, is_mistake=True))
    found += _unknown_fields(RELAY, relay, FIELDS)
    if passwords is not None:
        known = logins(passwords)
        found += [*_faults(PASSWORDS, passwords, known), *_unknown_fields(PASSWORDS, passwords, LOGIN_FIELDS)]
        found += _old_verifiers(relay)
        for name, login in known.users.items():
            if name not in users.users and name not in map(fold, users.faults):
                fault = Fault(
                    0, "may log in and has no file in relay.git: gets no mail", "ptt user add, or remove"
                )
                found.append(Finding(f"{PASSWORDS}/{login.local_part}", fault, is_mistake=False))
    return tuple(sorted(found, key=lambda each: (not each.is_mistake, each.file, each.fault)))


def _faults(
    repository: str, files: Files, listed: UserList[RelayUser] | UserList[Login]
) -> Iterator[Finding]:
    parse = parse_relay_user if repository == RELAY else parse_login
    for file_name, reason in listed.faults.items():
        fault = mistake_in(file_name, files[file_name], parse)
        if fault is None:
            fault = Fault(0, reason.reason, "remove one of the two files")
        yield Finding(f"{repository}/{file_name}", fault, is_mistake=True)


def _list_faults(relay: Files, users: UserList[RelayUser], domains: frozenset[Name]) -> Iterator[Finding]:
    """Circles, and targets of ours that nobody has."""
    if not domains:
        return
    book = AliasBook(users, domains)
    contents = _by_user(relay)
    for name, way in book.circles().items():
        what = f"its targets lead back to itself: {' -> '.join((*way, name))}"
        fault = Fault(line_of(contents[name], "targets"), what, "a target must be somewhere else in the end")
        yield Finding(f"{RELAY}/{users.users[name].local_part}", fault, is_mistake=True)
    for name, user in users.users.items():
        for index, target in enumerate(user.targets):
            if _is_dead(target, book):
                line = line_of(contents[name], f"targets[{index}]")
                fault = Fault(
                    line, f"targets[{index}]: {target}: there is no such user", "ptt user list names them"
                )
                yield Finding(f"{RELAY}/{user.local_part}", fault, is_mistake=True)
    for name in book.surplus:
        fault = Fault(0, "too many aliases with a pattern, it is not used", "put some into one: (a|b)")
        yield Finding(f"{RELAY}/{name}", fault, is_mistake=True)


def _is_dead(target: Mailbox, book: AliasBook) -> bool:
    is_ours = target.domain in book.domains and fold(target.local_part) not in ROLES
    return is_ours and book.find(target) is None and not book.is_in_doubt(target.local_part)


def _unknown_fields(repository: str, files: Files, known: frozenset[str]) -> Iterator[Finding]:
    for file_name, content in files.items():
        for name in _names_in(content) - known:
            similar = difflib.get_close_matches(name, known, 1, SIMILAR)
            mend = f"did you mean {similar[0]}?" if similar else "it is kept, and nothing comes of it"
            fault = Fault(line_of(content, name), f"{name} is no field that PTT knows", mend)
            yield Finding(f"{repository}/{file_name}", fault, is_mistake=False)


def _old_verifiers(relay: Files) -> Iterator[Finding]:
    for file_name, content in relay.items():
        if isinstance(parse_compatible_login(file_name, content), Login):
            fault = Fault(
                line_of(content, "password"),
                "a password that the relay can read",
                "ptt user upgrade moves all",
            )
            yield Finding(f"{RELAY}/{file_name}", fault, is_mistake=False)


def _names_in(content: bytes) -> frozenset[str]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(fields) if isinstance(fields, dict) else frozenset()


def _by_user(files: Files) -> dict[str, bytes]:
    """Contents by folded local part; the first of two files that differ by case only."""
    contents: dict[str, bytes] = {}
    for file_name in sorted(files):
        local_part = local_part_of_file(file_name)
        if not isinstance(local_part, Malformed):
            contents.setdefault(fold(local_part), files[file_name])
    return contents


def _templates(user: RelayUser, content: bytes) -> tuple[str, ...]:
    """The targets of an alias with an expression, as they are written."""
    if user.pattern is None:
        return ()
    return tuple(json.loads(content)["targets"])


def _old_kind(content: bytes | None) -> str:
    login = None if content is None else parse_compatible_login("x", content)
    return "" if login is None or isinstance(login, Malformed) else kind_of(login.verifier)


def _words(user: RelayUser | None) -> Iterator[str]:
    if user is None:
        yield "no file in relay.git"
        return
    if user.action is not Action.FORWARD:
        yield f"{user.action}: {user.text}" if user.text else str(user.action)
    if user.pattern is not None:
        yield f"for {user.pattern.text}"
    if user.catches_all:
        yield "catch-all"
    if user.senders is not None:
        yield f"from {', '.join(map(address_rule_text, user.senders))}"
    if user.domains is not None:
        yield f"in {', '.join(domain.text for domain in user.domains)}"
    if user.needs_all:
        yield "need all"
    if user.reveals:
        yield "reveal"


def _login_words(login: Login | None) -> Iterator[str]:
    if login is not None and login.send_as:
        yield f"sends as {', '.join(map(address_rule_text, login.send_as))}"


def _nobody() -> RelayUser:
    return RelayUser("", ())
