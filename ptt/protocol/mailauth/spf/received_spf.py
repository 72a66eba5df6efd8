"""The Received-SPF field (RFC 7208 §9.1): what SPF came to, in words and in pairs."""

from typing import assert_never

from ptt.protocol.mailauth.field_text import comment, folded_field, quoted, value
from ptt.protocol.mailauth.results import SpfResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict


def received_spf(query: SpfQuery, verdict: SpfVerdict, *, identity: str = "mailfrom") -> bytes:
    """One field, CRLF at the end. ``identity`` is ``mailfrom`` or ``helo``; our own name is in ``query``."""
    sender = f"{query.local_part}@{query.domain}"
    pairs = [
        f"client-ip={query.address}",
        f"envelope-from={quoted(sender)}",
        f"helo={value(query.helo)}",
        f"identity={identity}",
        f"receiver={value(query.receiver)}",
    ]
    if verdict.mechanism is not None:
        pairs.append(f"mechanism={quoted(verdict.mechanism)}")
    if verdict.result in {SpfResult.TEMPERROR, SpfResult.PERMERROR}:
        pairs.append(f"problem={quoted(verdict.reason)}")
    words = _in_words(verdict.result, sender, str(query.address))
    return folded_field(
        "Received-SPF",
        [verdict.result.value, comment(f"{query.receiver}: {words}"), *(f"{pair};" for pair in pairs)],
    )


def _in_words(result: SpfResult, sender: str, address: str) -> str:
    match result:
        case SpfResult.PASS:
            return f"domain of {sender} designates {address} as permitted sender"
        case SpfResult.FAIL | SpfResult.SOFTFAIL:
            return f"domain of {sender} does not designate {address} as permitted sender"
        case SpfResult.NEUTRAL:
            return f"{address} is neither permitted nor denied by domain of {sender}"
        case SpfResult.NONE:
            return f"domain of {sender} does not designate permitted sender hosts"
        case SpfResult.TEMPERROR | SpfResult.PERMERROR:
            return f"error in processing the policy of domain of {sender}"
        case _:
            assert_never(result)
