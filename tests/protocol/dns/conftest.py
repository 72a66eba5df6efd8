"""A pretend DNS in memory: servers by address, authorities with zones or functions that misbehave."""

from collections.abc import Callable, Mapping

import pytest

from ptt.protocol.dns.authority import Authority
from ptt.protocol.dns.delegation import Delegation
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.outcome import Resolved
from ptt.protocol.dns.resolver import Answer, Asked, Effect, Received, Resolver, SendQuery, Tick, Unreachable
from ptt.protocol.dns.work import Transport
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import read_zone

Server = Callable[[SendQuery], "bytes | str | None"]
"""Answers a query; None: silence; a text: cannot be reached."""

ROOT = "198.41.0.4"


def make_zone(origin: str, records: str) -> Zone:
    head = "@ 600 SOA ns.invalid. admin.invalid. 1 3600 600 86400 60\n"
    zone = read_zone(head + records, Name.of(origin) if origin != "." else Name(()), origin)
    assert isinstance(zone, Zone), zone
    return zone


def serving(*zones: Zone) -> Server:
    authority = Authority(zones, {})

    def answer(query: SendQuery) -> bytes:
        stream = query.transport is Transport.TCP
        return authority.handle(0, query.wire, stream=stream).messages[0]

    return answer


class PretendDns:
    """A resolver and the servers that it can reach."""

    def __init__(self, servers: Mapping[str, Server], **settings: object) -> None:
        self.servers = servers
        self.now = 0.0
        self.sent: list[SendQuery] = []
        root = Name.of("a.root")
        delegation = Delegation(Name(()), (root,), {root: (ROOT,)})
        options: dict[str, object] = {"private_servers": True, **settings}
        lots = iter(range(1, 10**9))
        self.resolver = Resolver(
            ResolverSettings(root=delegation, **options),  # type: ignore[arg-type]
            lambda count: bytes((next(lots) * 37 + n * 11) % 256 for n in range(count)),
        )
        self.answers: dict[int, Resolved] = {}
        self._asker = 0

    def ask(self, name: str, rdtype: int = 1) -> Resolved:
        """Ask and wait for the answer, whatever time it takes."""
        self._asker += 1
        asker = self._asker
        self.play(self.resolver.handle(self.now, Asked(asker, Name.of(name), rdtype)))
        while asker not in self.answers:
            assert self.resolver.next_wakeup is not None
            self.now = max(self.now, self.resolver.next_wakeup)
            self.play(self.resolver.handle(self.now, Tick()))
        return self.answers[asker]

    def play(self, effects: list[Effect]) -> None:
        """Do what the resolver wants."""
        waiting = list(effects)
        while waiting:
            effect = waiting.pop(0)
            match effect:
                case Answer(asker, resolved):
                    self.answers[asker] = resolved
                case SendQuery():
                    self.sent.append(effect)
                    server = self.servers.get(effect.address)
                    said = server(effect) if server is not None else None
                    if isinstance(said, bytes):
                        waiting += self.resolver.handle(self.now, Received(effect.number, said))
                    elif said is not None:
                        waiting += self.resolver.handle(self.now, Unreachable(effect.number, said))
                case _:
                    pass

    def texts(self, name: str, rdtype: int = 1) -> list[str]:
        """The records of the last RRset of an answer."""
        answer = self.ask(name, rdtype).answer
        return [str(rdata) for rdata in answer[-1].rdatas] if answer else []


ROOT_ZONE = make_zone(
    ".", "@ 600 NS a.root.\na.root. 600 A 198.41.0.4\norg. 600 NS ns.org.\nns.org. 600 A 10.0.0.1\n"
)
ORG_ZONE = make_zone(
    "org", "@ 600 NS ns\nns 600 A 10.0.0.1\nexample 600 NS ns.example\nns.example 600 A 10.0.0.2\n"
)
EXAMPLE = """@ 600 NS ns
ns 600 A 10.0.0.2
www 300 A 192.0.2.1
www 300 AAAA 2001:db8::1
alias 200 CNAME www
far 200 CNAME www.nowhere.org.
round1 60 CNAME round2
round2 60 CNAME round1
a.b.c 60 TXT "deep"
zero 0 A 192.0.2.9
old 60 DNAME new
x.new 60 A 192.0.2.8
private 60 CNAME 1.0.0.10.in-addr.arpa.
"""
EXAMPLE += "".join(f'long 60 TXT "{n} {"x" * 200}"\n' for n in range(20))
EXAMPLE += "".join(f"c{n} 60 CNAME c{n + 1}\n" for n in range(20))


MakeDns = Callable[..., PretendDns]


@pytest.fixture
def make_dns() -> MakeDns:
    """Give a pretend DNS with a root, ``org`` and ``example.org``, and what else is asked for."""

    def make(
        servers: Mapping[str, Server] | None = None, example: str = "", **settings: object
    ) -> PretendDns:
        good = {
            ROOT: serving(ROOT_ZONE),
            "10.0.0.1": serving(ORG_ZONE),
            "10.0.0.2": serving(make_zone("example.org", EXAMPLE + example)),
        }
        return PretendDns({**good, **(servers or {})}, **settings)

    return make


@pytest.fixture
def zone_of() -> Callable[[str, str], Zone]:
    """Make a zone of records."""
    return make_zone


@pytest.fixture
def serve() -> Callable[..., Server]:
    """Make a server of zones."""
    return serving
