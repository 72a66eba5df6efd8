"""The user files of ``relay.git``: where mail to a user or an alias goes [T1, C6].

One JSON file a user, named after the local part, in the original's form: ``targets``, ``password``,
``insecure``. The relay never looks at ``password``; ``logins`` does, until it has moved to
``passwords.git``. Ours besides, all optional: ``domains`` (known in these only), ``need`` (``"all"``: a
message must reach every target), ``reveal`` (a refusal is passed on in the target's own words, which name
the mailbox), ``action`` with ``text`` (mail is discarded, put off or refused), ``senders`` (whose mail is
taken), ``pattern`` (the file is for each local part that an expression matches), ``catch_all`` (for
everything that is nobody's). ``docs/aliases.md`` has examples of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.records.address_rules import AddressRule, covers, read_address_rule
from ptt.records.alias_pattern import AliasPattern, TargetTemplate, parse_pattern, parse_template
from ptt.records.json_file import change_file, decode_file, read_domains, read_list, read_mailbox
from ptt.records.local_part import local_part_of_file

MAX_TEXT_CHARACTERS = 200  # of an alias's own words: one line of a reply
BOUNCES = "<>"  # in ``senders``: mail that comes with no sender


class Action(StrEnum):
    """What becomes of an alias's mail. All but the first leave its targets unused."""

    FORWARD = "forward"
    DROP = "drop"
    DEFER = "defer"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class RelayUser:
    """A user or an alias as the relay knows it.

    ``targets`` may be empty: such a user only sends. ``insecure``: mail sent by or forwarded to them may go
    in clear [R7]. ``domains``: the domains of ours in which the local part holds, None for all. ``text``: the
    operator's words when mail is put off or refused. ``senders``: whose mail is taken, None for everybody's;
    ``takes_bounces``: bounces beside them. With a ``pattern`` the ``local_part`` is the file's name only, and
    targets come of ``templates``, by ``matched``.
    """

    local_part: str
    targets: tuple[Mailbox, ...]
    insecure: bool = False
    domains: tuple[Name, ...] | None = None
    needs_all: bool = False
    reveals: bool = False
    action: Action = Action.FORWARD
    text: str = ""
    senders: tuple[AddressRule, ...] | None = None
    takes_bounces: bool = False
    catches_all: bool = False
    pattern: AliasPattern | None = None
    templates: tuple[TargetTemplate, ...] = ()

    def is_in(self, domain: Name) -> bool:
        """Whether the user is known in ``domain``, which is one of ours."""
        return self.domains is None or domain in self.domains

    def takes_from(self, reverse_path: Mailbox | None) -> bool:
        """Whether mail with this envelope sender is taken; None is a bounce."""
        if self.senders is None:
            return True
        if reverse_path is None:
            return self.takes_bounces
        return any(covers(rule, reverse_path) for rule in self.senders)

    def matched(self, folded_local_part: str) -> "RelayUser | None":
        """Give the alias the targets that its pattern makes of a local part; None: it is not for it."""
        groups = None if self.pattern is None else self.pattern.match(folded_local_part)
        if groups is None:
            return None
        filled = [template.fill(groups) for template in self.templates]
        targets = tuple(dict.fromkeys(target for target in filled if target is not None))
        return None if None in filled else replace(self, targets=targets)


class RelayFile(msgspec.Struct, frozen=True):
    """The fields of a file; ``user_of`` reads what is in them."""

    targets: list[str]
    insecure: bool = False  # the original demanded it until 2025
    domains: list[str] | None = None
    need: Literal["any", "all"] = "any"
    reveal: bool = False
    action: Action = Action.FORWARD
    text: str = ""
    senders: list[str] | None = None
    pattern: str | None = None
    catch_all: bool = False


FIELDS = frozenset({*RelayFile.__struct_fields__, "password"})
"""What may stand in a file; anything else is ignored and kept."""


def parse_relay_user(file_name: str, content: bytes) -> RelayUser | Malformed:
    """Read a file of ``relay.git``; the reason names what is wrong in it."""
    local_part = local_part_of_file(file_name)
    if isinstance(local_part, Malformed):
        return local_part
    file = decode_file(content, RelayFile)
    return file if isinstance(file, Malformed) else user_of(local_part, file)


def user_of(local_part: str, file: RelayFile) -> RelayUser | Malformed:
    """Read the texts of a file."""
    pattern = None if file.pattern is None else parse_pattern(file.pattern)
    if isinstance(pattern, Malformed):
        return Malformed(f"{pattern.reason} - at `pattern`")
    user = RelayUser(
        local_part,
        (),
        file.insecure,
        needs_all=file.need == "all",
        reveals=file.reveal,
        action=file.action,
        text=file.text,
        catches_all=file.catch_all,
        pattern=pattern,
    )
    if (fault := _fault(user)) is not None:
        return fault
    read = _with_targets(user, file.targets)
    return read if isinstance(read, Malformed) else _with_lists(read, file)


def without_password(content: bytes) -> bytes | Malformed:
    """The file after the verifier has moved to ``passwords.git`` [T3]."""
    return change_file(content, {"password": None})


def _fault(user: RelayUser) -> Malformed | None:
    """What does not go together."""
    if len(user.text) > MAX_TEXT_CHARACTERS or not (user.text.isascii() and user.text.isprintable()):
        return Malformed(f"more than {MAX_TEXT_CHARACTERS} characters, or not printable ASCII - at `text`")
    if user.text and user.action not in {Action.DEFER, Action.REFUSE}:
        return Malformed('a text that nobody sees: it goes with "action": "defer" or "refuse" - at `text`')
    if user.catches_all and user.pattern is not None:
        return Malformed("a catch-all with an expression: one of them is too much - at `catch_all`")
    return None


def _with_targets(user: RelayUser, texts: Sequence[str]) -> RelayUser | Malformed:
    if user.pattern is None:
        targets = read_list("targets", texts, read_mailbox)
        return targets if isinstance(targets, Malformed) else replace(user, targets=targets)
    groups = user.pattern.groups
    templates = read_list("targets", texts, lambda text: parse_template(text, groups))
    return templates if isinstance(templates, Malformed) else replace(user, templates=templates)


def _with_lists(user: RelayUser, file: RelayFile) -> RelayUser | Malformed:
    domains = read_domains(file.domains)
    if isinstance(domains, Malformed):
        return domains
    if file.senders is None:
        return replace(user, domains=domains)
    if not file.senders:
        return Malformed("nobody could write: leave it out, or let the alias refuse - at `senders`")
    others = [text for text in file.senders if text != BOUNCES]
    senders: tuple[AddressRule, ...] | Malformed = read_list("senders", others, read_address_rule)
    if isinstance(senders, Malformed):
        return senders
    return replace(user, domains=domains, senders=senders, takes_bounces=len(others) < len(file.senders))
