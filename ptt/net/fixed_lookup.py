"""A ``Lookup`` that reads a zone text in place of the DNS, for rehearsals and for units started by hand.

One record a line, ``NAME TYPE DATA`` (an optional TTL and ``IN`` before the type are skipped, ``;`` begins
a comment), types A, AAAA, MX, TXT, PTR and CNAME, all names absolute. A name that is not there does not
exist, one above a name that is has no data. Without any line nothing is known: every answer is a failure,
never a denial.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import A, Aaaa, Answer, Mx, Ptr, Question, Rcode, Record, RecordType, Txt
from ptt.protocol.dns.name import Name

MAX_ALIASES = 8  # CNAMEs followed in a row; longer chains are circles
TTL_S = 60

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s;"]+|;.*')


class FixedLookup:
    """See the module; made by ``read_zone``."""

    def __init__(self, records: dict[Name, list[Record]], aliases: dict[Name, Name]) -> None:
        self._records = records
        self._aliases = aliases
        owners = (*records, *aliases)
        self._names = {above for owner in owners for above in (owner, *owner.parents())}

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        """Answer one question."""
        if not self._names:
            return Answer(Rcode.SERVFAIL)
        for _ in range(MAX_ALIASES):
            if name not in self._aliases:
                break
            name = self._aliases[name]
        else:
            return Answer(Rcode.SERVFAIL)
        if name not in self._names:
            return Answer(Rcode.NXDOMAIN, canonical_name=name, ttl_s=TTL_S)
        found = tuple(record for record in self._records.get(name, ()) if _TYPES[type(record)] is record_type)
        return Answer(Rcode.NOERROR, found, name, ttl_s=TTL_S)

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer several."""
        return [await self.query(question.name, question.record_type) for question in questions]


def read_zone(text: str) -> FixedLookup | Malformed:
    """Read the text; the reason names the line."""
    records: dict[Name, list[Record]] = {}
    aliases: dict[Name, Name] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = [word for word in _WORD.findall(line) if not word.startswith(";")]
        if not words:
            continue
        read = _read_line(words)
        if isinstance(read, Malformed):
            return Malformed(f"line {number} of the zone: {read.reason}")
        owner, value = read
        if isinstance(value, Name):
            aliases[owner] = value
        else:
            records.setdefault(owner, []).append(value)
    return FixedLookup(records, aliases)


def _read_line(words: list[str]) -> "tuple[Name, Record | Name] | Malformed":
    owner = Name.parse(words[0])
    if isinstance(owner, Malformed):
        return owner
    rest = words[1:]
    while rest and (rest[0].isdecimal() or rest[0].upper() == "IN"):
        rest = rest[1:]
    if not rest or (read := _READERS.get(rest[0].upper())) is None:
        return Malformed("a type that is not A, AAAA, MX, TXT, PTR or CNAME")
    try:
        value = read(*rest[1:])
    except (ValueError, TypeError):
        return Malformed(f"not the data of {rest[0].upper()}")
    return value if isinstance(value, Malformed) else (owner, value)


def _mx(preference: str, exchange: str) -> Mx | Malformed:
    name = Name.parse(exchange)
    return name if isinstance(name, Malformed) else Mx(int(preference), name)


def _ptr(target: str) -> Ptr | Malformed:
    name = Name.parse(target)
    return name if isinstance(name, Malformed) else Ptr(name)


def _txt(first: str, *others: str) -> Txt:
    return Txt(tuple(_character_string(word) for word in (first, *others)))


def _character_string(word: str) -> bytes:
    """RFC 1035 §5.1, but for octets written as numbers."""
    inside = word[1:-1] if word.startswith('"') else word
    return re.sub(r"\\(.)", r"\1", inside).encode("utf-8", "surrogatepass")


_READERS: "dict[str, Callable[..., Record | Name | Malformed]]" = {
    "A": lambda address: A(IPv4Address(address)),
    "AAAA": lambda address: Aaaa(IPv6Address(address)),
    "MX": _mx,
    "TXT": _txt,
    "PTR": _ptr,
    "CNAME": Name.parse,
}
_TYPES: dict[type, RecordType] = {
    A: RecordType.A,
    Aaaa: RecordType.AAAA,
    Mx: RecordType.MX,
    Txt: RecordType.TXT,
    Ptr: RecordType.PTR,
}
