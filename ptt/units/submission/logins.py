"""Who may log in, and who may send as whom [S4, S6, S8]. Pure: passwords come in, answers go out.

A login is named by its local part, alone or with one of our domains; users are the same in all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, parse_mailbox
from ptt.protocol.smtp.sasl import ScramVerifier
from ptt.records.local_part import fold
from ptt.records.logins import Login, may_send_as, parse_login
from ptt.records.passwords import (
    ScramVerifierRecord,
    check_login,
    stand_in_scram,
    unknown_user_verifier,
)
from ptt.records.scram import MIN_ITERATIONS
from ptt.records.user_list import UserList


@dataclass(frozen=True, slots=True)
class Doubts:
    """Whom a repository should tell of and does not: everybody, or whose file cannot be read (folded)."""

    about_all: bool = False
    names: frozenset[str] = frozenset()


NO_DOUBTS = Doubts()


class Directory:
    """All logins of the unit, by local part in lower case."""

    def __init__(
        self,
        logins: Mapping[str, Login],
        domains: Sequence[Name],
        stand_in_key: bytes,
        doubts: Doubts = NO_DOUBTS,
    ) -> None:
        self._doubts = doubts
        self._logins = {name.lower(): login for name, login in logins.items()}
        self._domains = tuple(domains)
        self._stand_in_key = stand_in_key
        self._stand_in = unknown_user_verifier(login.verifier for login in logins.values())
        self._scram_iterations = (
            self._stand_in.iterations if isinstance(self._stand_in, ScramVerifierRecord) else MIN_ITERATIONS
        )

    @property
    def offers_scram(self) -> bool:
        """SCRAM is offered only when every user has a verifier for it (DESIGN section 5)."""
        if self._doubts != NO_DOUBTS:
            return False
        return bool(self._logins) and all(
            isinstance(login.verifier, ScramVerifierRecord) for login in self._logins.values()
        )

    def is_in_doubt(self, login: str) -> bool:
        """Whether nobody knows if there is such a user, or what their password is: then it is not wrong."""
        if self._find(login) is not None:
            return False
        return self._doubts.about_all or fold(login.partition("@")[0]) in self._doubts.names

    def canonical(self, login: str) -> str:
        """The one form of a login's name: the local part in lower case; as it is where nobody has it."""
        user = self._find(login)
        return user.local_part.lower() if user else login

    def check(self, login: str, password: str, authorization: str | None) -> bool:
        """Whether this is the login's password; takes as long for an unknown one. For a worker."""
        user = self._find(login)
        if authorization is not None and self.canonical(authorization) != self.canonical(login):
            user = None  # RFC 4616 §2: nobody may act as somebody else here
        return check_login(user.verifier if user else None, password, self._stand_in)

    def scram(self, login: str) -> ScramVerifier:
        """What SCRAM needs; an unknown user gets a stable stand-in (RFC 5802 §9)."""
        user = self._find(login)
        record = user.verifier if user else None
        if not isinstance(record, ScramVerifierRecord):
            record = stand_in_scram(self._stand_in_key, login, self._scram_iterations)
        return ScramVerifier(record.salt, record.iterations, record.stored_key, record.server_key)

    def may_use(self, login: str, mailbox: Mailbox) -> bool:
        """Whether the login may send with this address in MAIL FROM, From or Sender."""
        user = self._find(login)
        return user is not None and may_send_as(user, self._domains, mailbox)

    def _find(self, login: str) -> Login | None:
        if "@" not in login:
            return self._logins.get(login.lower())
        mailbox = parse_mailbox(login.encode(), allow_utf8=True)
        if isinstance(mailbox, Malformed) or mailbox.domain not in self._domains:
            return None
        return self._logins.get(mailbox.local_part.lower())


@dataclass(frozen=True, slots=True)
class Source:
    """A repository that logins come from; ``users`` None: its list is not known yet."""

    users: UserList[Login] | None


def merged(sources: Sequence[Source]) -> tuple[dict[str, Login], Doubts]:
    """All logins of several repositories, the first of which counts most.

    Whoever may stand in one whose list is not known, or in a file that cannot be read, is in doubt: an old
    password in a later one must not let them in.
    """
    logins: dict[str, Login] = {}
    doubtful: set[str] = set()
    for source in sources:
        if source.users is None:
            return logins, Doubts(about_all=True, names=frozenset(doubtful))
        found = source.users.users
        logins |= {name: found[name] for name in found if name not in logins and name not in doubtful}
        doubtful |= {fold(name) for name in source.users.faults} - logins.keys()
    return logins, Doubts(names=frozenset(doubtful))


def read_directory(
    secret: str, domains: Sequence[Name], stand_in_key: bytes
) -> "tuple[Directory, tuple[str, ...]] | Malformed":
    """Read the secret ``verifiers``: a JSON object, login -> the text of its file in ``passwords.git``.

    A login whose file is broken is left out; the second value names each with its fault.
    """
    try:
        files = msgspec.json.decode(secret, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        return Malformed(str(error))
    logins, faults = {}, []
    for name, content in files.items():
        login = parse_login(name, bytes(content))
        if isinstance(login, Malformed):
            faults.append(f"{name}: {login.reason}")
        else:
            logins[name] = login
    return Directory(logins, domains, stand_in_key), tuple(faults)
