"""The files of ``passwords.git``: who may log in, and as whom they may send [S8, T3].

One JSON file a user, named after the local part: ``verifier`` (``passwords``), ``send_as`` and ``domains``,
both optional. Submission alone reads them. While ``compatible = true`` it also takes the field ``password``
of the user files in ``relay.git``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.records.address_rules import AddressRule, address_rule_text, covers, read_address_rule
from ptt.records.json_file import change_file, decode_file, read_domains, read_list
from ptt.records.local_part import fold, local_part_of_file, without_tag
from ptt.records.passwords import Verifier, parse_verifier

SendAs = AddressRule


@dataclass(frozen=True, slots=True)
class Login:
    """A user as submission knows them. ``send_as`` adds to the user's own addresses, it replaces none."""

    local_part: str
    verifier: Verifier
    send_as: tuple[SendAs, ...] = ()
    domains: tuple[Name, ...] | None = None

    def is_in(self, domain: Name) -> bool:
        """Whether the user is known in ``domain``, which is one of ours."""
        return self.domains is None or domain in self.domains


class _LoginFile(msgspec.Struct):
    verifier: str
    send_as: list[str] = msgspec.field(default_factory=list)
    domains: list[str] | None = None


class _RelayFilePassword(msgspec.Struct):
    password: str | None = None
    domains: list[str] | None = None


def parse_login(file_name: str, content: bytes) -> Login | Malformed:
    """Read a file of ``passwords.git``; the reason names what is wrong in it and shows no verifier."""
    local_part = local_part_of_file(file_name)
    if isinstance(local_part, Malformed):
        return local_part
    file = decode_file(content, _LoginFile)
    if isinstance(file, Malformed):
        return file
    send_as: tuple[SendAs, ...] | Malformed = read_list("send_as", file.send_as, read_address_rule)
    if isinstance(send_as, Malformed):
        return send_as
    return _login(local_part, "verifier", file.verifier, send_as, file.domains)


def parse_compatible_login(file_name: str, content: bytes) -> Login | Malformed | None:
    """Read the password of a file of ``relay.git``; None where it has none, because it has moved [S6]."""
    local_part = local_part_of_file(file_name)
    if isinstance(local_part, Malformed):
        return local_part
    file = decode_file(content, _RelayFilePassword)
    if isinstance(file, Malformed):
        return file
    if file.password is None:
        return None
    return _login(local_part, "password", file.password, (), file.domains)


def login_file(
    verifier: Verifier, send_as: Sequence[SendAs] | None = None, previous: bytes = b""
) -> bytes | Malformed:
    """Write a file of ``passwords.git``. None for ``send_as`` leaves what ``previous`` has."""
    changes: dict[str, object] = {"verifier": verifier.text}
    if send_as is not None:
        changes["send_as"] = [address_rule_text(entry) for entry in send_as]
    return change_file(previous, changes)


def may_send_as(login: Login, our_domains: Collection[Name], mailbox: Mailbox) -> bool:
    """Whether MAIL FROM or From may be ``mailbox`` [S8].

    A user's own are their local part, with any tag, in each domain of ours in which they are known; the
    others stand in ``send_as``. Local parts are compared as ``local_part.fold`` does, in ``send_as`` too.
    """
    if not isinstance(mailbox.domain, Name):
        return False
    theirs = fold(mailbox.local_part)
    own = fold(login.local_part)
    if mailbox.domain in our_domains and login.is_in(mailbox.domain) and own in {theirs, without_tag(theirs)}:
        return True
    return any(covers(entry, mailbox) for entry in login.send_as)


def _login(
    local_part: str, field: str, text: str, send_as: tuple[SendAs, ...], domains: list[str] | None
) -> Login | Malformed:
    verifier = parse_verifier(text)
    if isinstance(verifier, Malformed):
        return Malformed(f"{verifier.reason} - at `{field}`")
    names = read_domains(domains)
    return names if isinstance(names, Malformed) else Login(local_part, verifier, send_as, names)
