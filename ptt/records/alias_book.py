"""Whom an address of ours belongs to, and aliases whose targets lead back to themselves [C6].

In this order: the file of the whole local part, the file of what stands before the tag, the first alias by
file name whose expression matches (the whole, then without the tag), a catch-all. Where a file cannot be
read, it is not known whose the addresses are that no other file is for. An alias in a circle is known when
the list is read, and named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.records.knots import knots, way_round
from ptt.records.local_part import fold, without_tag
from ptt.records.user_list import UserList
from ptt.records.users import Action, RelayUser

MAX_WAYS = 20  # round one tangle of aliases: enough to find the mistake
MAX_PATTERNS = 100  # of a list: all are tried for an unknown recipient, each for at most some 2 ms


@dataclass(frozen=True, slots=True)
class AliasBook:
    """``domains``: ours. ``surplus``: files with a pattern that are not looked at, being too many."""

    users: UserList[RelayUser]
    domains: frozenset[Name]
    patterns: tuple[RelayUser, ...] = field(init=False, compare=False)
    surplus: tuple[str, ...] = field(init=False, compare=False)
    catch_alls: tuple[RelayUser, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        users = [self.users.users[name] for name in sorted(self.users.users)]
        patterns = [user for user in users if user.pattern is not None]
        object.__setattr__(self, "patterns", tuple(patterns[:MAX_PATTERNS]))
        object.__setattr__(self, "surplus", tuple(user.local_part for user in patterns[MAX_PATTERNS:]))
        object.__setattr__(self, "catch_alls", tuple(user for user in users if user.catches_all))

    def named(self, local_part: str) -> RelayUser | None:
        """The user whose file has the name: of the whole local part, else of what is before the tag."""
        folded = fold(local_part)
        for name in (folded, without_tag(folded)):
            user = self.users.users.get(name)
            if user is not None and user.pattern is None:
                return user
        return None

    def other(self, local_part: str, domain: Name) -> RelayUser | None:
        """Who has mail for what is no file's name: an alias with an expression, else a catch-all."""
        folded = fold(local_part)
        for name in dict.fromkeys((folded, without_tag(folded))):
            for alias in self.patterns:
                if alias.is_in(domain) and (matched := alias.matched(name)) is not None:
                    return matched
        return next((user for user in self.catch_alls if user.is_in(domain)), None)

    def is_in_doubt(self, local_part: str) -> bool:
        """Whether a file that cannot be read, or is not looked at, may be for the local part."""
        if self.surplus or self.users.wide_faults:
            return True
        folded = fold(local_part)
        names = {folded, without_tag(folded)}
        return any(fold(name) in names for name in self.users.faults)

    def find(self, mailbox: Mailbox) -> RelayUser | None:
        """The user of an address in a domain of ours."""
        if not isinstance(mailbox.domain, Name) or mailbox.domain not in self.domains:
            return None
        user = self.named(mailbox.local_part)
        if user is not None and user.is_in(mailbox.domain):
            return user
        return self.other(mailbox.local_part, mailbox.domain)

    def circles(self) -> Mapping[str, tuple[str, ...]]:
        """The aliases whose targets lead back to themselves: name -> the names on the way round.

        In a large tangle only so many ways are looked for; the other names have one that is not their own.
        """
        edges = {name: tuple(self._next(user)) for name, user in self.users.users.items()}
        found: dict[str, tuple[str, ...]] = {}
        for knot in knots(edges):
            way: tuple[str, ...] = ()
            for count, name in enumerate(sorted(knot)):
                if name in way:
                    way = way[way.index(name) :] + way[: way.index(name)]
                elif count < MAX_WAYS:
                    way = way_round(name, knot, edges)
                found[name] = way
        return found

    def _next(self, user: RelayUser) -> Iterator[str]:
        """The files that a user's targets lead to; what depends on who writes is seen when it comes."""
        if user.action is not Action.FORWARD:
            return
        fixed = (template.fill(("",)) for template in user.templates if template.is_fixed)
        for target in (*user.targets, *fixed):
            found = None if target is None else self.find(target)
            if found is not None:
                yield fold(found.local_part)
