"""Who a message is from: SPF, DKIM and DMARC together, and what follows from them (RFC 7208, 6376, 9989).

A verification over ``Lookup``; without sockets and clock. The order of doubt: no answer from the DNS is
temporary, 451, and is never taken for "no policy". We do not launder: mail that claims to be from a domain of
ours must pass DMARC here, else it would pass at the target by our own envelope (docs/how-it-works.md); known
lists are exempt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import AddressLiteral, Mailbox, parse_domain
from ptt.protocol.mailauth.authentication_results import authentication_results, claims_authserv_id
from ptt.protocol.mailauth.dkim.verifying import SignatureVerdict, verify
from ptt.protocol.mailauth.dmarc.author import NoAuthor, author_domain
from ptt.protocol.mailauth.dmarc.evaluation import (
    DkimIdentifier,
    DmarcVerdict,
    SpfIdentifier,
    evaluate,
)
from ptt.protocol.mailauth.dmarc.record import Policy
from ptt.protocol.mailauth.dmarc.tree_walk import TreeWalks
from ptt.protocol.mailauth.method_results import dkim_results, dmarc_result, spf_result
from ptt.protocol.mailauth.results import DkimResult, DmarcResult, SpfResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict, check_host
from ptt.protocol.mailauth.spf.received_spf import received_spf
from ptt.protocol.smtp.reply import Reply
from ptt.units.receiver.reading import Reading

FORGED = Reply(
    550, "5.7.1", "The message claims to be from a domain of ours, and neither SPF nor DKIM bear that out."
)
REJECTED = Reply(550, "5.7.1", "The policy (DMARC) of the author's domain asks to refuse this message.")
DOUBT = Reply(451, "4.4.3", "The author's domain could not be checked right now. Please try again later.")


@dataclass(frozen=True, slots=True)
class Client:
    """Who hands the message over."""

    address: IPv4Address | IPv6Address
    helo: str
    reverse_path: Mailbox | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides. ``authserv_id`` is our name in results (RFC 8601 §2.5)."""

    authserv_id: str
    domains: tuple[Name, ...]
    lists: tuple[Name, ...] = ()
    enforces: bool = True


@dataclass(frozen=True, slots=True)
class Judgement:
    """``message``: what is handed on, our stamps in front and forged ones gone; ``refusal``: it is not."""

    message: tuple[bytes, ...]
    refusal: Reply | None
    summary: str
    """The words of the three checks, for the journal."""


async def judge(reading: Reading, client: Client, rules: Rules, lookup: Lookup, now: int) -> Judgement:
    """Check a whole message; ``now`` in seconds since 1970."""
    query = _spf_query(client, rules, now)
    spf = await check_host(query, lookup) if query else SpfVerdict(SpfResult.NONE, "no domain to ask")
    signatures = await verify(reading.header, reading.body, lookup, now)
    dmarc = await _dmarc(reading, query, spf, signatures, lookup)
    identity = "helo" if client.reverse_path is None else "mailfrom"
    stamps, results = [], [*dkim_results(signatures), dmarc_result(dmarc)]
    if query is not None:
        stamps.append(received_spf(query, spf, identity=identity))
        results.insert(0, spf_result(query, spf, identity=identity))
    stamps.insert(0, authentication_results(rules.authserv_id, results))
    return Judgement(
        (*stamps, *_without_forged(reading, rules), *reading.body),
        _refusal(reading, query, spf, signatures, dmarc, rules),
        " ".join(f"{result.method}={result.result}" for result in results),
    )


def _spf_query(client: Client, rules: Rules, now: int) -> SpfQuery | None:
    """RFC 7208 §2.4: MAIL FROM, or postmaster at the HELO name; None where there is no name to ask."""
    if client.reverse_path is not None:
        local_part, domain = client.reverse_path.local_part, client.reverse_path.domain
        if isinstance(domain, AddressLiteral):
            return None
    else:
        parsed = parse_domain(client.helo)
        if isinstance(parsed, Malformed) or len(parsed.labels) < 2:  # noqa: PLR2004 - §4.3: a single label
            return None
        local_part, domain = "postmaster", parsed
    return SpfQuery(client.address, local_part, domain, client.helo, rules.authserv_id, now)


async def _dmarc(
    reading: Reading,
    query: SpfQuery | None,
    spf: SpfVerdict,
    signatures: Sequence[SignatureVerdict],
    lookup: Lookup,
) -> DmarcVerdict | NoAuthor:
    author = author_domain(reading.header)
    if isinstance(author, NoAuthor):
        return author
    identifiers = [
        DkimIdentifier(each.signature.domain, each.result)
        for each in signatures
        if each.signature is not None
    ]
    identifier = SpfIdentifier(query.domain, spf.result) if query is not None else None
    return await evaluate(author, identifiers, identifier, TreeWalks(lookup))


def _refusal(
    reading: Reading,
    query: SpfQuery | None,
    spf: SpfVerdict,
    signatures: Sequence[SignatureVerdict],
    dmarc: DmarcVerdict | NoAuthor,
    rules: Rules,
) -> Reply | None:
    claims_ours = any(
        claim.is_at_or_below(ours) for claim in reading.claimed_authors for ours in rules.domains
    )
    if claims_ours and dmarc.result is not DmarcResult.PASS:
        if _is_from_list(query, spf, signatures, rules):
            return None
        return DOUBT if _is_in_doubt(spf, signatures, dmarc) else FORGED
    match dmarc.result:
        case DmarcResult.TEMPERROR:
            return DOUBT
        case DmarcResult.FAIL:
            asks_to_reject = isinstance(dmarc, DmarcVerdict) and dmarc.policy is Policy.REJECT
            return REJECTED if rules.enforces and asks_to_reject else None
        case DmarcResult.NONE | DmarcResult.PASS | DmarcResult.PERMERROR:
            return None
        case _:
            assert_never(dmarc.result)


def _is_in_doubt(
    spf: SpfVerdict, signatures: Sequence[SignatureVerdict], dmarc: DmarcVerdict | NoAuthor
) -> bool:
    return (
        dmarc.result is DmarcResult.TEMPERROR
        or spf.result is SpfResult.TEMPERROR
        or any(each.result is DkimResult.TEMPERROR for each in signatures)
    )


def _is_from_list(
    query: SpfQuery | None, spf: SpfVerdict, signatures: Sequence[SignatureVerdict], rules: Rules
) -> bool:
    """Whether a list that the operator named stands behind it, by SPF or DKIM."""
    passed = [
        each.signature.domain
        for each in signatures
        if each.signature is not None and each.result is DkimResult.PASS
    ]
    if query is not None and spf.result is SpfResult.PASS:
        passed.append(query.domain)
    return any(domain.is_at_or_below(known) for domain in passed for known in rules.lists)


def _without_forged(reading: Reading, rules: Rules) -> list[bytes]:
    return reading.header.without(lambda field: claims_authserv_id(field, rules.authserv_id))
