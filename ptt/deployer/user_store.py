"""What a change of users comes to: from the files as they are to one commit, or why not [T1, T2].

Two repositories: ``relay.git`` (targets and rights of users, aliases) and ``passwords.git`` (verifiers).
Nothing is overwritten that was not meant to be, no list loses more than half of its users by accident, no
alias is put in a circle. Contents that are not named stay as they are, other people's fields too.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ptt.deployer.operator_git import Edit
from ptt.errors import ConfigError, Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import quote_local_part
from ptt.records.address_rules import AddressRule
from ptt.records.alias_book import AliasBook
from ptt.records.json_file import change_file
from ptt.records.local_part import fold, local_part_of_file
from ptt.records.logins import Login, login_file, parse_login
from ptt.records.passwords import Verifier
from ptt.records.user_list import REMOVAL_TRAILER, UserList, may_succeed, read_user_list
from ptt.records.user_mistakes import mistake_in
from ptt.records.users import RelayUser, parse_relay_user

RELAY, PASSWORDS = "relay.git", "passwords.git"
SIMILAR = 0.6  # of two names: then one is proposed for the other

R = TypeVar("R", RelayUser, Login)
Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a user's file. ``fields``: new values; None removes a field."""

    name: str
    fields: Mapping[str, object] = field(default_factory=dict)
    domains: frozenset[Name] = frozenset()
    """Ours; empty: not known, and circles are not looked for."""


def relay_users(files: Files) -> UserList[RelayUser]:
    """The users of ``relay.git``."""
    return read_user_list(files, parse_relay_user)


def logins(files: Files) -> UserList[Login]:
    """The users of ``passwords.git``."""
    return read_user_list(files, parse_login)


def file_of(name: str, files: Files) -> str | None:
    """The file of a user, whatever the case of the name; None: there is none."""
    wanted = fold(_local_part(name))
    for file_name in sorted(files):
        local_part = local_part_of_file(file_name)
        if not isinstance(local_part, Malformed) and fold(local_part) == wanted:
            return file_name
    return None


def added(files: Files, wanted: Wanted, *, overwrites: bool) -> Edit:
    """A new user; ``overwrites``: in place of another of that name, of which nothing stays."""
    there = file_of(wanted.name, files)
    if there is not None and not overwrites:
        mend = f"ptt user change {wanted.name} changes it, --overwrite puts a new one in its place"
        raise ConfigError(f"{RELAY}/{there}", "there is such a user already", mend)
    file_name = there or quote_local_part(_local_part(wanted.name))
    return _checked(files, file_name, b"", wanted, f"New user {file_name} added")


def changed(files: Files, wanted: Wanted) -> Edit:
    """Some fields of a user's file."""
    file_name = existing(wanted.name, files, RELAY)
    return _checked(files, file_name, files[file_name], wanted, f"User {file_name} changed")


def removed(files: Files, names: Sequence[str], *, is_meant: bool, repository: str = RELAY) -> Edit:
    """Without these users. ``is_meant``: that more than half goes is no accident, and the commit says so."""
    parse: Callable[[Files], UserList[RelayUser] | UserList[Login]]
    parse = relay_users if repository == RELAY else logins
    gone = [existing(name, files, repository) for name in names]
    rest = {name: content for name, content in files.items() if name not in gone}
    before, after = len(parse(files).users), len(parse(rest).users)
    if before and not after:
        what = "nobody would be left, and units take no empty list: what was there would hold on"
        raise ConfigError(repository, what, "add somebody else first")
    message = f"User {', '.join(gone)} removed" if len(gone) == 1 else f"Users {', '.join(gone)} removed"
    if may_succeed(after, before, removal_is_meant=False) or not before:
        return Edit(dict.fromkeys(gone), message)
    if not is_meant:
        what = f"{before - after} of {before} users would go, more than half"
        raise ConfigError(repository, what, "if that is meant: --yes")
    return Edit(dict.fromkeys(gone), f"{message}\n\n{REMOVAL_TRAILER}")


def with_verifier(
    files: Files,
    name: str,
    verifier: Verifier,
    *,
    send_as: Sequence[AddressRule] | None = None,
    domains: Sequence[str] | None = None,
    is_new: bool = False,
) -> Edit:
    """The file of ``passwords.git`` with a new verifier; ``is_new``: whatever else was in it goes."""
    there = file_of(name, files)
    previous = b"" if there is None or is_new else files[there]
    content = login_file(verifier, send_as, previous)
    if not isinstance(content, Malformed) and domains is not None:
        content = change_file(content, {"domains": list(domains) or None})
    if isinstance(content, Malformed):
        raise ConfigError(
            f"{PASSWORDS}/{there}", content.reason, f"ptt user remove {name}, then add it again"
        )
    file_name = there or quote_local_part(_local_part(name))
    message = f"New user {file_name} added" if there is None else f"Password of {file_name} changed"
    return Edit({file_name: content}, message)


def with_fields(files: Files, name: str, fields: Mapping[str, object]) -> Edit:
    """Other fields of a file of ``passwords.git``."""
    file_name = existing(name, files, PASSWORDS)
    content = change_file(files[file_name], fields)
    if isinstance(content, Malformed):
        raise ConfigError(f"{PASSWORDS}/{file_name}", content.reason, f"ptt user passwd {name} makes it anew")
    _refuse_mistake(PASSWORDS, file_name, content, parse_login)
    return Edit({file_name: content}, f"User {file_name} changed")


def existing(name: str, files: Files, repository: str) -> str:
    """The file of a user who must be there."""
    there = file_of(name, files)
    if there is not None:
        return there
    similar = difflib.get_close_matches(fold(name), [fold(each) for each in files], 1, SIMILAR)
    mend = f"did you mean {similar[0]}?" if similar else "ptt user list names them"
    raise ConfigError(f"{repository}/{name}", "there is no such user", mend)


def circle_through(files: Files, names: Iterable[str], domains: frozenset[Name]) -> tuple[str, ...] | None:
    """The way round on which one of these names is; None: there is none."""
    circles = AliasBook(relay_users(files), domains).circles()
    return next((circles[fold(name)] for name in names if fold(name) in circles), None)


def _checked(files: Files, file_name: str, previous: bytes, wanted: Wanted, message: str) -> Edit:
    content = change_file(previous, wanted.fields)
    if isinstance(content, Malformed):
        mend = "mend the file, or ptt user add --overwrite"
        raise ConfigError(f"{RELAY}/{file_name}", content.reason, mend)
    _refuse_mistake(RELAY, file_name, content, parse_relay_user)
    local_part = _local_part(wanted.name)
    way = circle_through({**files, file_name: content}, [local_part], wanted.domains)
    if way is not None:
        what = f"its targets would lead back to itself: {' -> '.join((*way, way[0]))}"
        raise ConfigError(f"{RELAY}/{file_name}", what, "a target must be somewhere else in the end")
    return Edit({file_name: content}, message)


def _refuse_mistake(
    repository: str, file_name: str, content: bytes, parse: Callable[[str, bytes], R | Malformed]
) -> None:
    mistake = mistake_in(file_name, content, parse)
    if mistake is not None:
        raise ConfigError(f"{repository}/{file_name}", mistake.what, mistake.mend)


def _local_part(name: str) -> str:
    """A user as people name one: the local part, without quotes; the file's form is taken too."""
    if "@" in name and not name.startswith('"'):
        local_part, _, domain = name.rpartition("@")
        mend = f"{local_part}, in all of your domains; in this one only: --domains {domain}"
        raise ConfigError(name, "users are named without their domain", mend)
    for file_name in (name, quote_local_part(name)):
        read = local_part_of_file(file_name)
        if not isinstance(read, Malformed):
            return read
    mend = "the part before the @: users are known in all of your domains, --domains says which"
    raise ConfigError(name, "is no name of a user", mend)
