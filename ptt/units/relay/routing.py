"""Where mail goes: to a recipient's own servers, or to the targets of a user of ours [R1, R2, R14].

A recipient in a domain of ours is mapped to its targets whichever hop it came by and never sent to our own
MX; targets in our domains are mapped again, each once, so that no circle turns twice. Recipients are
grouped into lanes: one remote transaction each, one for each destination domain (specs/receivers.md section
7). Mail may go in clear only if everybody concerned has the ``insecure`` right [R7], and clear and secure
mail never share a lane. A target behind several recipients is one target: it gets one copy.
"""

from dataclasses import dataclass

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox
from ptt.protocol.smtp.reply import Reply
from ptt.records.local_part import fold
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser

POSTMASTER = "postmaster"  # RFC 5321 §4.5.1
MAX_TARGETS = 100  # of one recipient, aliases of aliases included; more is a list, and this is no list server

UNKNOWN_USER = Reply(550, "5.1.1", "There is no such user here.")
NO_TARGET = Reply(550, "5.1.1", "This address takes no mail.")
CIRCLE = Reply(550, "5.4.6", "The targets of this address lead back to itself.")
TOO_MANY_TARGETS = Reply(550, "5.4.6", "This address has too many targets.")


@dataclass(frozen=True, slots=True)
class Lane:
    """One remote transaction: who serves it, and whether it may be in clear.

    ``destination`` None: the smarthost.
    """

    destination: Name | AddressLiteral | None
    may_be_clear: bool

    def __str__(self) -> str:
        return f"{self.destination or 'smarthost'}{'' if self.may_be_clear else ' (TLS)'}"


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox that gets a copy, and by which lane."""

    mailbox: Mailbox
    lane: Lane


@dataclass(frozen=True, slots=True)
class Routed:
    """A recipient and its targets, at least one. ``user``: whose address it is, None for a foreign one.

    ``dead``: targets that are ours and unknown; they count as refused.
    """

    recipient: Mailbox
    targets: tuple[Target, ...]
    user: RelayUser | None = None
    dead: tuple[Mailbox, ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """Our domains and users. ``host_name``: mail for its postmaster is ours too (RFC 5321 §4.5.1)."""

    domains: frozenset[Name]
    users: UserList[RelayUser]
    host_name: Name

    def is_ours(self, mailbox: Mailbox) -> bool:
        """Whether the mailbox is in a domain of ours."""
        if mailbox.domain == self.host_name:
            return fold(mailbox.local_part) == POSTMASTER
        return mailbox.domain in self.domains

    def find(self, mailbox: Mailbox) -> RelayUser | None:
        """The user of a mailbox that is ours."""
        user = self.users.find_recipient(mailbox.local_part)
        if user is None or mailbox.domain == self.host_name:
            return user
        return user if isinstance(mailbox.domain, Name) and user.is_in(mailbox.domain) else None

    def may_send_in_clear(self, login: str | None) -> bool:
        """The ``insecure`` right of who sends; without a login nobody has it."""
        user = None if login is None else self.users.find(login.partition("@")[0])
        return user is not None and user.insecure


class Router:
    """Routes the recipients of one transaction. ``sender_may_be_clear``: the right of who sends."""

    def __init__(self, directory: Directory, *, sender_may_be_clear: bool, to_smarthost: bool) -> None:
        self._directory = directory
        self._sender_may_be_clear = sender_may_be_clear
        self._to_smarthost = to_smarthost
        self._targets: dict[Mailbox, Target] = {}

    def route(self, recipient: Mailbox) -> Routed | Reply:
        """Find the targets of a recipient; a reply refuses it."""
        if not self._directory.is_ours(recipient):
            return Routed(recipient, (self._target(recipient, may_be_clear=self._sender_may_be_clear),))
        user = self._directory.find(recipient)
        if user is None:
            return UNKNOWN_USER
        if not user.targets:
            return NO_TARGET
        expansion = _Expansion(self._directory)
        expansion.add(user, may_be_clear=self._sender_may_be_clear)
        if len(expansion.found) > MAX_TARGETS:
            return TOO_MANY_TARGETS
        if not expansion.found:
            return UNKNOWN_USER if expansion.dead else CIRCLE
        targets = (self._target(mailbox, may_be_clear=clear) for mailbox, clear in expansion.found.items())
        return Routed(recipient, tuple(dict.fromkeys(targets)), user, tuple(expansion.dead))

    def _target(self, mailbox: Mailbox, *, may_be_clear: bool) -> Target:
        """The target of this transaction for the mailbox.

        The one that is there already if it is as strict.
        """
        known = self._targets.get(mailbox)
        if known is not None and (may_be_clear or not known.lane.may_be_clear):
            return known
        destination = None if self._to_smarthost else mailbox.domain
        target = Target(mailbox, Lane(destination, may_be_clear and not self._to_smarthost))
        self._targets[mailbox] = target
        return target


class _Expansion:
    """The final targets of a user, and whether each may be reached in clear."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._seen: set[str] = set()
        self.found: dict[Mailbox, bool] = {}
        self.dead: list[Mailbox] = []

    def add(self, user: RelayUser, *, may_be_clear: bool) -> None:
        """Add the targets of a user, those of its aliases of ours too."""
        if fold(user.local_part) in self._seen or len(self.found) > MAX_TARGETS:
            return
        self._seen.add(fold(user.local_part))
        in_clear = may_be_clear and user.insecure
        for mailbox in user.targets:
            if not self._directory.is_ours(mailbox):
                self.found[mailbox] = self.found.get(mailbox, True) and in_clear
            elif (aliased := self._directory.find(mailbox)) is None:
                self.dead.append(mailbox)
            else:
                self.add(aliased, may_be_clear=in_clear)
