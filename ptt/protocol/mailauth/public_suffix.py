"""Names under which anybody can register: the Public Suffix List (publicsuffix.org/list).

DMARC asks the DNS instead since RFC 9989; this is for what counts strangers by organization, such as limits
per sender, where a wrong guess costs little. The text of the list is given by the caller.
"""

from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name


@dataclass(frozen=True, slots=True)
class PublicSuffixes:
    """The rules of a list: plain ones, ``*.NAME`` and ``!NAME``, each as the labels without the mark."""

    names: frozenset[tuple[bytes, ...]]
    wildcards: frozenset[tuple[bytes, ...]]
    exceptions: frozenset[tuple[bytes, ...]]

    def registrable_domain(self, name: Name) -> Name | None:
        """What somebody registered: one label below the suffix. None for a suffix itself."""
        labels = name.labels
        length = self._suffix_labels(labels) + 1
        return Name(labels[-length:]) if len(labels) >= length else None

    def _suffix_labels(self, labels: tuple[bytes, ...]) -> int:
        for start in range(len(labels)):
            tail = labels[start:]
            if tail in self.exceptions:
                return len(tail) - 1
            if tail in self.names or tail[1:] in self.wildcards:
                return len(tail)
        return 1  # no rule: "*"


def parse_public_suffixes(text: str) -> PublicSuffixes:
    """Read the list; lines that hold no name are left out."""
    names: set[tuple[bytes, ...]] = set()
    wildcards: set[tuple[bytes, ...]] = set()
    exceptions: set[tuple[bytes, ...]] = set()
    for line in text.splitlines():
        rule = line.split(maxsplit=1)[0] if line.strip() else "//"
        if rule.startswith("//"):
            continue
        rules = exceptions if rule.startswith("!") else wildcards if rule.startswith("*.") else names
        name = Name.parse(rule.removeprefix("!").removeprefix("*."))
        if not isinstance(name, Malformed):
            rules.add(name.labels)
    return PublicSuffixes(frozenset(names), frozenset(wildcards), frozenset(exceptions))
