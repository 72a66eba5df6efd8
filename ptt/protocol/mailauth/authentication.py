"""Who a message is from: SPF, DKIM, DMARC and ARC (RFC 7208, 6376, 9989, 8617), as results of RFC 8601.

A verification over ``Lookup``. It says what was found and judges nothing: what follows is the caller's. A
chain of ARC is a hint for whoever trusts a hop in it, and changes no other result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox, parse_domain
from ptt.protocol.mail.header import Header
from ptt.protocol.mailauth.arc.validation import ArcVerdict, validate
from ptt.protocol.mailauth.authentication_results import MethodResult, authentication_results
from ptt.protocol.mailauth.dkim.verifying import SignatureVerdict, verify
from ptt.protocol.mailauth.dmarc.author import NoAuthor, author_domain
from ptt.protocol.mailauth.dmarc.evaluation import (
    DkimIdentifier,
    DmarcVerdict,
    SpfIdentifier,
    evaluate,
)
from ptt.protocol.mailauth.dmarc.tree_walk import TreeWalks
from ptt.protocol.mailauth.method_results import arc_result, dkim_results, dmarc_result, spf_result
from ptt.protocol.mailauth.results import ArcResult, DkimResult, DmarcResult, SpfResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict, check_host
from ptt.protocol.mailauth.spf.received_spf import received_spf


@dataclass(frozen=True, slots=True)
class Client:
    """Who hands the message over."""

    address: IPv4Address | IPv6Address
    helo: str
    reverse_path: Mailbox | None


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the checks came to. ``query`` is None where SPF had no name to ask."""

    authserv_id: str
    query: SpfQuery | None
    spf: SpfVerdict
    signatures: tuple[SignatureVerdict, ...]
    dmarc: DmarcVerdict | NoAuthor
    arc: ArcVerdict

    @property
    def is_in_doubt(self) -> bool:
        """Whether a check had no answer, so that another try may come to something else."""
        return (
            self.dmarc.result is DmarcResult.TEMPERROR
            or self.spf.result is SpfResult.TEMPERROR
            or any(each.result is DkimResult.TEMPERROR for each in self.signatures)
        )

    @property
    def passed_domains(self) -> tuple[Name, ...]:
        """The domains that stand behind the message, by DKIM or SPF."""
        signed = tuple(
            each.signature.domain
            for each in self.signatures
            if each.signature is not None and each.result is DkimResult.PASS
        )
        sent = self.query is not None and self.spf.result is SpfResult.PASS
        return (*signed, self.query.domain) if sent and self.query is not None else signed

    @property
    def summary(self) -> str:
        """The words alone, such as ``spf=pass dkim=pass dmarc=pass``."""
        return " ".join(f"{result.method}={result.result}" for result in self._results())

    def fields(self) -> tuple[bytes, ...]:
        """Authentication-Results and, where there was a name to ask, Received-SPF."""
        stamps = (authentication_results(self.authserv_id, self._results()),)
        if self.query is None:
            return stamps
        return (*stamps, received_spf(self.query, self.spf, identity=self._identity))

    @property
    def _identity(self) -> str:
        return "helo" if self.query is not None and self.query.is_for_helo else "mailfrom"

    def _results(self) -> list[MethodResult]:
        results = [*dkim_results(self.signatures), dmarc_result(self.dmarc)]
        if self.query is not None:
            results.insert(0, spf_result(self.query, self.spf, identity=self._identity))
        if self.arc.result is not ArcResult.NONE:
            results.append(arc_result(self.arc))
        return results


async def authenticate(
    header: Header, body: Sequence[bytes], client: Client, authserv_id: str, lookup: Lookup, now: int
) -> Authentication:
    """Check a whole message; ``authserv_id`` is our name in results (RFC 8601 §2.5), ``now`` since 1970."""
    query = _spf_query(client, authserv_id, now)
    spf = await check_host(query, lookup) if query else SpfVerdict(SpfResult.NONE, "no domain to ask")
    signatures = await verify(header, body, lookup, now)
    arc = await validate(header, body, lookup)
    author = author_domain(header)
    if isinstance(author, NoAuthor):
        return Authentication(authserv_id, query, spf, tuple(signatures), author, arc)
    identifiers = [
        DkimIdentifier(each.signature.domain, each.result)
        for each in signatures
        if each.signature is not None
    ]
    identifier = SpfIdentifier(query.domain, spf.result) if query is not None else None
    dmarc = await evaluate(author, identifiers, identifier, TreeWalks(lookup))
    return Authentication(authserv_id, query, spf, tuple(signatures), dmarc, arc)


def _spf_query(client: Client, receiver: str, now: int) -> SpfQuery | None:
    """RFC 7208 §2.4: MAIL FROM, or postmaster at the HELO name; None where there is no name to ask."""
    if client.reverse_path is not None:
        local_part, domain = client.reverse_path.local_part, client.reverse_path.domain
        if isinstance(domain, AddressLiteral):
            return None
        return SpfQuery(client.address, local_part, domain, client.helo, receiver, now)
    parsed = parse_domain(client.helo)
    if isinstance(parsed, Malformed) or len(parsed.labels) < 2:  # noqa: PLR2004 - §4.3: a single label
        return None
    return SpfQuery(client.address, "postmaster", parsed, client.helo, receiver, now, is_for_helo=True)
