"""What follows from who a message is from: handed on with our stamps, or refused.

The order of doubt: no answer from the DNS is temporary, 451, and is never taken for "no policy". We do not
launder: mail that claims to be from a domain of ours must pass DMARC here, else it would pass at the target
by our own envelope (docs/how-it-works.md); lists that the operator named are exempt.
"""

from dataclasses import dataclass
from typing import assert_never

from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.authentication import Authentication, Client, authenticate
from ptt.protocol.mailauth.authentication_results import claims_authserv_id
from ptt.protocol.mailauth.dmarc.evaluation import DmarcVerdict
from ptt.protocol.mailauth.dmarc.record import Policy
from ptt.protocol.mailauth.results import DmarcResult
from ptt.protocol.smtp.reply import Reply
from ptt.units.receiver.reading import Reading

FORGED = Reply(
    550, "5.7.1", "The message claims to be from a domain of ours, and neither SPF nor DKIM bear that out."
)
REJECTED = Reply(550, "5.7.1", "The policy (DMARC) of the author's domain asks to refuse this message.")
DOUBT = Reply(451, "4.4.3", "The author's domain could not be checked right now. Please try again later.")


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
    """The words of the checks, for the journal."""


async def judge(reading: Reading, client: Client, rules: Rules, lookup: Lookup, now: int) -> Judgement:
    """Check a whole message; ``now`` in seconds since 1970."""
    found = await authenticate(reading.header, reading.body, client, rules.authserv_id, lookup, now)
    kept = reading.header.without(lambda field: claims_authserv_id(field, rules.authserv_id))
    return Judgement((*found.fields(), *kept, *reading.body), _refusal(reading, found, rules), found.summary)


def _refusal(reading: Reading, found: Authentication, rules: Rules) -> Reply | None:
    dmarc = found.dmarc
    if _claims_ours(reading, rules) and dmarc.result is not DmarcResult.PASS:
        if any(domain.is_at_or_below(known) for domain in found.passed_domains for known in rules.lists):
            return None
        return DOUBT if found.is_in_doubt else FORGED
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


def _claims_ours(reading: Reading, rules: Rules) -> bool:
    return any(claim.is_at_or_below(ours) for claim in reading.claimed_authors for ours in rules.domains)
