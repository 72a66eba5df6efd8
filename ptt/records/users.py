"""The user files of ``relay.git``: where mail to a user goes [T1].

One JSON file a user, named after the local part, in the original's form: ``targets``, ``password``,
``insecure``. The relay never looks at ``password``; ``logins`` does, until it has moved to
``passwords.git``. Ours besides, all optional: ``domains`` (the user is known in these only), ``need``
(``"all"``: a message must reach every target), ``reveal`` (a refusal is passed on in the target's own
words, which name the mailbox).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.records.json_file import change_file, decode_file, read_domains, read_list, read_mailbox
from ptt.records.local_part import local_part_of_file


@dataclass(frozen=True, slots=True)
class RelayUser:
    """A user as the relay knows them.

    ``targets`` may be empty: such a user only sends. ``insecure``: mail sent by or forwarded to them may go
    in clear [R7]. ``domains``: the domains of ours in which the local part holds, None for all.
    """

    local_part: str
    targets: tuple[Mailbox, ...]
    insecure: bool = False
    domains: tuple[Name, ...] | None = None
    needs_all: bool = False
    reveals: bool = False

    def is_in(self, domain: Name) -> bool:
        """Whether the user is known in ``domain``, which is one of ours."""
        return self.domains is None or domain in self.domains


class _RelayFile(msgspec.Struct):
    targets: list[str]
    insecure: bool = False  # the original demanded it until 2025
    domains: list[str] | None = None
    need: Literal["any", "all"] = "any"
    reveal: bool = False


def parse_relay_user(file_name: str, content: bytes) -> RelayUser | Malformed:
    """Read a file of ``relay.git``; the reason names what is wrong in it."""
    local_part = local_part_of_file(file_name)
    if isinstance(local_part, Malformed):
        return local_part
    file = decode_file(content, _RelayFile)
    if isinstance(file, Malformed):
        return file
    targets = read_list("targets", file.targets, read_mailbox)
    if isinstance(targets, Malformed):
        return targets
    domains = read_domains(file.domains)
    if isinstance(domains, Malformed):
        return domains
    return RelayUser(local_part, targets, file.insecure, domains, file.need == "all", file.reveal)


def relay_user_file(
    targets: Sequence[Mailbox], *, insecure: bool, password: str | None = None, previous: bytes = b""
) -> bytes | Malformed:
    """Write a file as the original does.

    ``password``: the text of a verifier to keep in it, for compatibility; None leaves what ``previous``
    has. Fields of ``previous`` that are not named here stay. Malformed where ``previous`` is no JSON
    object.
    """
    texts = [target.wire.decode("utf-8") for target in targets]
    changes: dict[str, object] = {"targets": texts}
    if password is not None:
        changes["password"] = password
    return change_file(previous, {**changes, "insecure": insecure})


def without_password(content: bytes) -> bytes | Malformed:
    """The file after the verifier has moved to ``passwords.git`` [T3]."""
    return change_file(content, {"password": None})
