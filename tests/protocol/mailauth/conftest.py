"""A DNS of a few names, held in a dict, for verifications that ask it."""

from collections.abc import Coroutine, Sequence
from ipaddress import ip_address
from typing import Any, TypeVar

import pytest

from ptt.protocol.dns.lookup import (
    A,
    Aaaa,
    Answer,
    Mx,
    Ptr,
    Question,
    Rcode,
    Record,
    RecordType,
    Security,
    Txt,
)
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, parse_header
from ptt.protocol.mailauth.arc.chain import parse_chain
from ptt.protocol.mailauth.arc.validation import ArcVerdict
from ptt.protocol.mailauth.results import ArcResult

T = TypeVar("T")


class Dns:
    """Names that were not added do not exist. ``asked`` keeps the questions in their order."""

    def __init__(self) -> None:
        self.answers: dict[tuple[Name, RecordType], Answer] = {}
        self.asked: list[tuple[str, RecordType]] = []

    def add(self, name: str, record_type: RecordType, *records: Record) -> None:
        key = (Name.of(name), record_type)
        before = self.answers[key].records if key in self.answers else ()
        self.answers[key] = Answer(Rcode.NOERROR, before + records, key[0])

    def txt(self, name: str, *texts: str | bytes) -> None:
        octets = [text.encode() if isinstance(text, str) else text for text in texts]
        self.add(name, RecordType.TXT, *(Txt((text,)) for text in octets))

    def address(self, name: str, *addresses: str) -> None:
        for text in addresses:
            address = ip_address(text)
            if address.version == 4:
                self.add(name, RecordType.A, A(address))
            else:
                self.add(name, RecordType.AAAA, Aaaa(address))

    def mx(self, name: str, *exchanges: str) -> None:
        self.add(
            name, RecordType.MX, *(Mx(10 * at, Name.of(exchange)) for at, exchange in enumerate(exchanges))
        )

    def ptr(self, address: str, *names: str) -> None:
        owner = ip_address(address).reverse_pointer
        self.add(owner, RecordType.PTR, *(Ptr(Name.of(name)) for name in names))

    def fail(self, name: str, record_type: RecordType, *, bogus: bool = False) -> None:
        failure = Answer(Rcode.NOERROR, security=Security.BOGUS) if bogus else Answer(Rcode.SERVFAIL)
        self.answers[Name.of(name), record_type] = failure

    async def query(self, name: Name, record_type: RecordType) -> Answer:
        self.asked.append((name.text, record_type))
        if (name, record_type) in self.answers:
            return self.answers[name, record_type]
        exists = any(known.is_at_or_below(name) for known, _ in self.answers)
        return Answer(Rcode.NOERROR if exists else Rcode.NXDOMAIN)

    async def many(self, questions: Sequence[Question]) -> list[Answer]:
        return [await self.query(each.name, each.record_type) for each in questions]

    def run(self, verification: Coroutine[Any, Any, T]) -> T:
        """Drive a verification to its end: no answer has to be waited for."""
        try:
            verification.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        raise AssertionError("it waits for something")


@pytest.fixture
def dns() -> Dns:
    """Give an empty DNS."""
    return Dns()


@pytest.fixture
def sealed_chain() -> ArcVerdict:
    """Give the verdict on a chain of one set, which parses but is signed by nobody."""
    header = parse_header(
        b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.org; s=s; b=AAAA\r\n"
        b"ARC-Message-Signature: i=1; a=rsa-sha256; d=example.org; s=s; h=from; bh=AAAA; b=AAAA\r\n"
        b"ARC-Authentication-Results: i=1; example.org; none\r\n"
    )
    assert isinstance(header, Header)
    sets = parse_chain(header)
    assert isinstance(sets, tuple)
    return ArcVerdict(ArcResult.PASS, "", sets, 1)
