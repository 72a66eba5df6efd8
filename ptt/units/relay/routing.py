"""Where mail goes: to a recipient's own servers, or to the targets of a user of ours [R1, R2, R14].

A recipient in a domain of ours is mapped to its targets whichever hop it came by and never sent to our own
MX; targets in our domains are mapped again, and a circle is temporary until somebody mends it. What an alias
says of its mail (discard, put off, refuse, whose to take) holds on the way too [C6]. Recipients are
grouped into lanes: one remote transaction each, one for each destination domain (specs/receivers.md section
7). Mail may go in clear only if everybody concerned has the ``insecure`` right [R7], and clear and secure
mail never share a lane. A target behind several recipients is one target: it gets one copy. What strangers
send goes to domains of ours only, with a lane for each alias, since envelope sender and trace name it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox, make_mailbox
from ptt.protocol.smtp.grammar import is_bare_postmaster
from ptt.protocol.smtp.reply import Reply
from ptt.records.alias_book import AliasBook
from ptt.records.local_part import fold
from ptt.records.user_list import UserList
from ptt.records.users import Action, RelayUser
from ptt.units.relay.rights import NOT_OURS, Rights

POSTMASTER = "postmaster"  # RFC 5321 §4.5.1
ROLES = frozenset({POSTMASTER, "abuse"})  # RFC 2142 §4, §5: for whoever runs the service
MAX_CHAIN = 20  # aliases of ours one behind the other
MAX_TARGETS = 100  # of one recipient, aliases of aliases included; more is a list, and this is no list server

UNKNOWN_USER = Reply(550, "5.1.1", "There is no such user here.")
NO_TARGET = Reply(550, "5.1.1", "This address takes no mail.")
CIRCLE = Reply(451, "4.4.6", "The targets of this address lead back to itself. Please try again later.")
NOT_FROM_YOU = Reply(550, "5.7.1", "This address takes mail from certain senders only.")
REFUSED, REFUSED_TEXT = (550, "5.2.1"), "This address takes no mail any more."
DEFERRED, DEFERRED_TEXT = (
    (450, "4.2.1"),
    "This address takes no mail at this moment. Please try again later.",
)
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
    """A recipient and its targets. ``user``: whose address it is, None for a foreign one.

    ``dead``: targets that are ours and take no mail; they count as refused. There is at least one target,
    unless mail to the recipient ``is_discarded``: then there are none, nor dead ones.
    """

    recipient: Mailbox
    targets: tuple[Target, ...]
    user: RelayUser | None = None
    dead: tuple[Mailbox, ...] = ()
    is_discarded: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """Our domains and users.

    ``host_name``: mail for its postmaster is ours too (RFC 5321 §4.5.1). ``postmaster`` has the mail for
    ``ROLES`` that no user has, ``catch_all`` all other mail that no file is for.
    """

    domains: frozenset[Name]
    users: UserList[RelayUser]
    host_name: Name
    postmaster: RelayUser | None = None
    catch_all: RelayUser | None = None
    book: AliasBook = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "book", AliasBook(self.users, self.domains))

    def is_ours(self, mailbox: Mailbox) -> bool:
        """Whether the mailbox is in a domain of ours."""
        if mailbox.domain == self.host_name or is_bare_postmaster(mailbox):
            return fold(mailbox.local_part) in ROLES
        return mailbox.domain in self.domains

    def find(self, mailbox: Mailbox) -> RelayUser | None:
        """The user of a mailbox that is ours."""
        user = self.book.named(mailbox.local_part)
        if user is not None and self._is_in(user, mailbox):
            return user
        if fold(mailbox.local_part) in ROLES and self.postmaster is not None:
            return self.postmaster
        if isinstance(mailbox.domain, Name) and mailbox.domain in self.domains:
            other = self.book.other(mailbox.local_part, mailbox.domain)
            if other is not None and not self.is_in_doubt(mailbox):
                return other
        return None if self.is_in_doubt(mailbox) else self.catch_all

    def is_in_doubt(self, mailbox: Mailbox) -> bool:
        """Whether nobody knows if the mailbox has a user: no list, or a file that cannot be read."""
        return not self.users.users or self.book.is_in_doubt(mailbox.local_part)

    def alias_of(self, user: RelayUser, mailbox: Mailbox) -> Mailbox:
        """The one address that stands for all by which mail reaches a user in this domain."""
        domain = self.host_name if is_bare_postmaster(mailbox) else mailbox.domain
        made = make_mailbox(fold((mailbox if user.pattern else user).local_part), domain)
        return mailbox if isinstance(made, Malformed) else made

    def may_send_in_clear(self, login: str | None) -> bool:
        """The ``insecure`` right of who sends; without a login nobody has it."""
        user = None if login is None else self.users.find(login.partition("@")[0])
        return user is not None and user.insecure

    def _is_in(self, user: RelayUser, mailbox: Mailbox) -> bool:
        if mailbox.domain == self.host_name or is_bare_postmaster(mailbox):
            return True
        return isinstance(mailbox.domain, Name) and user.is_in(mailbox.domain)


def alarms_of(directory: Directory) -> tuple[str, ...]:
    """What is wrong with a list as a whole: circles, and files that are not looked at."""
    circles = (
        f"{name}: its targets lead back to itself ({' -> '.join((*way, name))}); mail to it is answered 451"
        for name, way in directory.book.circles().items()
    )
    surplus = (f"{name}: too many aliases with a pattern, it is not used" for name in directory.book.surplus)
    return (*circles, *surplus)


def _no_way_back(_mailbox: Mailbox) -> None:
    return None


@dataclass(slots=True)
class Router:
    """Routes the recipients of one transaction. ``sender_may_be_clear``: the right of who sends.

    ``reverse_path``: the envelope's sender, for aliases that do not take everybody's mail.
    """

    directory: Directory
    reverse_path: Mailbox | None = field(default=None, kw_only=True)
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
        expansion = _Expansion(self.directory, self.reverse_path)
        expansion.add(user, recipient, may_be_clear=self.sender_may_be_clear)
        if expansion.temporary is not None:
            return expansion.temporary
        if len(expansion.found) > MAX_TARGETS or expansion.is_too_long:
            return TOO_MANY_TARGETS
        if not expansion.found:
            is_discarded = expansion.refusal is None
            return expansion.refusal or Routed(recipient, (), user, is_discarded=is_discarded)
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
    """The final targets of a user, and how each is reached.

    ``temporary``: why it is not known now who gets the mail. ``refusal``: of the first that takes none.
    """

    def __init__(self, directory: Directory, reverse_path: Mailbox | None) -> None:
        self._directory = directory
        self._reverse_path = reverse_path
        self._seen: set[tuple[RelayUser, bool]] = set()
        self._way: list[str] = []
        self.found: dict[Mailbox, _Step] = {}
        self.dead: list[Mailbox] = []
        self.refusal: Reply | None = None
        self.temporary: Reply | None = None
        self.is_too_long = False

    def add(self, user: RelayUser, address: Mailbox, *, may_be_clear: bool) -> None:
        """Add the targets of a user who was addressed so, those of its aliases of ours too."""
        name = fold(user.local_part)
        if name in self._way:
            self.temporary = CIRCLE
            return
        if len(self._way) == MAX_CHAIN or len(self.found) > MAX_TARGETS:
            self.is_too_long = True
            return
        if (user, may_be_clear) in self._seen:
            return
        self._seen.add((user, may_be_clear))
        if not self._is_taken(user, address):
            return
        self._way.append(name)
        in_clear = may_be_clear and user.insecure
        alias = self._directory.alias_of(user, address)
        for mailbox in user.targets:
            self._add_target(mailbox, alias, in_clear=in_clear)
        self._way.pop()

    def _add_target(self, mailbox: Mailbox, alias: Mailbox, *, in_clear: bool) -> None:
        if not self._directory.is_ours(mailbox):
            step = self.found.get(mailbox, _Step(may_be_clear=True, alias=alias))
            self.found[mailbox] = replace(step, may_be_clear=step.may_be_clear and in_clear)
        elif (aliased := self._directory.find(mailbox)) is not None:
            self.add(aliased, mailbox, may_be_clear=in_clear)
        elif self._directory.is_in_doubt(mailbox):
            self.temporary = NO_LIST
        else:
            self._refuse(mailbox, UNKNOWN_USER)

    def _is_taken(self, user: RelayUser, address: Mailbox) -> bool:
        """Whether there are targets to go to, by what the user's file says."""
        if not user.takes_from(self._reverse_path):
            self._refuse(address, NOT_FROM_YOU)
            return False
        match user.action:
            case Action.FORWARD if user.targets:
                return True
            case Action.FORWARD:
                self._refuse(address, NO_TARGET)
            case Action.DROP:
                pass
            case Action.DEFER:
                self.temporary = Reply(*DEFERRED, user.text or DEFERRED_TEXT)
            case Action.REFUSE:
                self._refuse(address, Reply(*REFUSED, user.text or REFUSED_TEXT))
            case _:
                assert_never(user.action)
        return False

    def _refuse(self, address: Mailbox, reply: Reply) -> None:
        self.dead.append(address)
        self.refusal = self.refusal or reply
