"""Where mail goes: to a recipient's own servers, or to the targets of a user of ours [R1, R2, R14].

A recipient in a domain of ours is mapped to its targets whichever hop it came by and never sent to our own
MX; targets in our domains are mapped again, each once, so that no circle turns twice. Recipients are
grouped into lanes: one remote transaction each, one for each destination domain (specs/receivers.md section
7). Mail may go in clear only if everybody concerned has the ``insecure`` right [R7], and clear and secure
mail never share a lane. A target behind several recipients is one target: it gets one copy. What strangers
send goes to domains of ours only, with a lane for each alias, since envelope sender and trace name it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox, make_mailbox
from ptt.protocol.smtp.grammar import is_bare_postmaster
from ptt.protocol.smtp.reply import Reply
from ptt.records.local_part import fold, without_tag
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser
from ptt.units.relay.rights import NOT_OURS, Rights

POSTMASTER = "postmaster"  # RFC 5321 §4.5.1
ROLES = frozenset({POSTMASTER, "abuse"})  # RFC 2142 §4, §5: for whoever runs the service
MAX_TARGETS = 100  # of one recipient, aliases of aliases included; more is a list, and this is no list server

UNKNOWN_USER = Reply(550, "5.1.1", "There is no such user here.")
NO_TARGET = Reply(550, "5.1.1", "This address takes no mail.")
CIRCLE = Reply(550, "5.4.6", "The targets of this address lead back to itself.")
TOO_MANY_TARGETS = Reply(550, "5.4.6", "This address has too many targets.")
NO_LIST = Reply(
    451, "4.3.0", "It is not known at this moment who has a mailbox here. Please try again later."
)

WayBack = Callable[[Mailbox], Mailbox | Reply | None]
"""Whom mail to an envelope sender of our own making goes to; None: the mailbox is nothing of the kind."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One remote transaction: who serves it, and whether it may be in clear.

    ``destination`` None: the smarthost. ``alias``: the address of ours that mail from strangers goes through.
    """

    destination: Name | AddressLiteral | None
    may_be_clear: bool
    alias: Mailbox | None = None

    def __str__(self) -> str:
        return f"{self.destination or 'smarthost'}{'' if self.may_be_clear else ' (TLS)'}"


@dataclass(frozen=True, slots=True)
class Target:
    """A mailbox that gets a copy, and by which lane."""

    mailbox: Mailbox
    lane: Lane
    _hash: int = field(init=False, repr=False, compare=False)
    """Kept: a transaction looks its targets up some hundred times."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.mailbox, self.lane)))

    def __hash__(self) -> int:
        return self._hash


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
    """Our domains and users.

    ``host_name``: mail for its postmaster is ours too (RFC 5321 §4.5.1). ``postmaster`` has the mail for
    ``ROLES`` that no user has, ``catch_all`` all other mail for nobody.
    """

    domains: frozenset[Name]
    users: UserList[RelayUser]
    host_name: Name
    postmaster: RelayUser | None = None
    catch_all: RelayUser | None = None

    def is_ours(self, mailbox: Mailbox) -> bool:
        """Whether the mailbox is in a domain of ours."""
        if mailbox.domain == self.host_name or is_bare_postmaster(mailbox):
            return fold(mailbox.local_part) in ROLES
        return mailbox.domain in self.domains

    def find(self, mailbox: Mailbox) -> RelayUser | None:
        """The user of a mailbox that is ours."""
        user = self.users.find_recipient(mailbox.local_part)
        if user is not None and self._is_in(user, mailbox):
            return user
        if fold(mailbox.local_part) in ROLES and self.postmaster is not None:
            return self.postmaster
        return None if self.is_in_doubt(mailbox) else self.catch_all

    def is_in_doubt(self, mailbox: Mailbox) -> bool:
        """Whether nobody knows if the mailbox has a user: no list, or a file that cannot be read."""
        folded = fold(mailbox.local_part)
        names = {folded, without_tag(folded)}
        return not self.users.users or any(fold(name) in names for name in self.users.faults)

    def alias_of(self, user: RelayUser, mailbox: Mailbox) -> Mailbox:
        """The one address that stands for all by which mail reaches a user in this domain."""
        domain = self.host_name if is_bare_postmaster(mailbox) else mailbox.domain
        made = make_mailbox(fold(user.local_part), domain)
        return mailbox if isinstance(made, Malformed) else made

    def may_send_in_clear(self, login: str | None) -> bool:
        """The ``insecure`` right of who sends; without a login nobody has it."""
        user = None if login is None else self.users.find(login.partition("@")[0])
        return user is not None and user.insecure

    def _is_in(self, user: RelayUser, mailbox: Mailbox) -> bool:
        if mailbox.domain == self.host_name or is_bare_postmaster(mailbox):
            return True
        return isinstance(mailbox.domain, Name) and user.is_in(mailbox.domain)


def _no_way_back(_mailbox: Mailbox) -> None:
    return None


@dataclass(slots=True)
class Router:
    """Routes the recipients of one transaction. ``sender_may_be_clear``: the right of who sends."""

    directory: Directory
    sender_may_be_clear: bool = field(kw_only=True)
    to_smarthost: bool = field(kw_only=True)
    rights: Rights = field(default=Rights.ANYBODY, kw_only=True)
    way_back: WayBack = field(default=_no_way_back, kw_only=True)
    _targets: dict[Mailbox, Target] = field(default_factory=dict)

    def route(self, recipient: Mailbox) -> Routed | Reply:
        """Find the targets of a recipient; a reply refuses it."""
        bounced_to = self.way_back(recipient)
        if isinstance(bounced_to, Reply):
            return bounced_to
        if bounced_to is not None:
            routed = self._route(bounced_to, Rights.ANYBODY)
            return replace(routed, recipient=recipient) if isinstance(routed, Routed) else routed
        return self._route(recipient, self.rights)

    def _route(self, recipient: Mailbox, rights: Rights) -> Routed | Reply:
        if self.directory.is_ours(recipient):
            return self._route_ours(recipient)
        if rights is not Rights.ANYBODY:
            return NOT_OURS
        target = self._target(recipient, _Step(self.sender_may_be_clear, None))
        return Routed(recipient, (target,))

    def _route_ours(self, recipient: Mailbox) -> Routed | Reply:
        user = self.directory.find(recipient)
        if user is None:
            return NO_LIST if self.directory.is_in_doubt(recipient) else UNKNOWN_USER
        if not user.targets:
            return NO_TARGET
        expansion = _Expansion(self.directory)
        expansion.add(user, recipient, may_be_clear=self.sender_may_be_clear)
        if len(expansion.found) > MAX_TARGETS:
            return TOO_MANY_TARGETS
        if expansion.is_in_doubt:
            return NO_LIST
        if not expansion.found:
            return UNKNOWN_USER if expansion.dead else CIRCLE
        targets = (self._target(mailbox, step) for mailbox, step in expansion.found.items())
        return Routed(recipient, tuple(dict.fromkeys(targets)), user, tuple(expansion.dead))

    def _target(self, mailbox: Mailbox, step: "_Step") -> Target:
        """The target of this transaction for the mailbox.

        The one that is there already if it is as strict.
        """
        known = self._targets.get(mailbox)
        if known is not None and (step.may_be_clear or not known.lane.may_be_clear):
            return known
        destination = None if self.to_smarthost else mailbox.domain
        alias = step.alias if self.rights is Rights.OURS else None
        target = Target(mailbox, Lane(destination, step.may_be_clear and not self.to_smarthost, alias))
        self._targets[mailbox] = target
        return target


@dataclass(frozen=True, slots=True)
class _Step:
    """How a target is reached: whether in clear, and through which alias of ours."""

    may_be_clear: bool
    alias: Mailbox | None


class _Expansion:
    """The final targets of a user, and how each is reached."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._seen: set[str] = set()
        self.found: dict[Mailbox, _Step] = {}
        self.dead: list[Mailbox] = []
        self.is_in_doubt = False

    def add(self, user: RelayUser, address: Mailbox, *, may_be_clear: bool) -> None:
        """Add the targets of a user who was addressed so, those of its aliases of ours too."""
        if fold(user.local_part) in self._seen or len(self.found) > MAX_TARGETS:
            return
        self._seen.add(fold(user.local_part))
        in_clear = may_be_clear and user.insecure
        alias = self._directory.alias_of(user, address)
        for mailbox in user.targets:
            if not self._directory.is_ours(mailbox):
                step = self.found.get(mailbox, _Step(may_be_clear=True, alias=alias))
                self.found[mailbox] = replace(step, may_be_clear=step.may_be_clear and in_clear)
            elif (aliased := self._directory.find(mailbox)) is not None:
                self.add(aliased, mailbox, may_be_clear=in_clear)
            elif self._directory.is_in_doubt(mailbox):
                self.is_in_doubt = True
            else:
                self.dead.append(mailbox)
