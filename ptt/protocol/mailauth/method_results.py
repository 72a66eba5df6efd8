"""What each check writes into our Authentication-Results (RFC 8601 §2.7, RFC 9989 §9).

Which property tells what: ``smtp.mailfrom`` or ``smtp.helo`` for SPF, ``header.d`` and its kin for each
signature, ``header.from`` and ``policy.dmarc`` for DMARC. Reasons are ours and harmless.
"""

import base64
from collections.abc import Sequence

from ptt.protocol.mailauth.arc.validation import ArcVerdict
from ptt.protocol.mailauth.authentication_results import MethodResult
from ptt.protocol.mailauth.dkim.verifying import SignatureVerdict
from ptt.protocol.mailauth.dmarc.author import NoAuthor
from ptt.protocol.mailauth.dmarc.evaluation import DmarcVerdict
from ptt.protocol.mailauth.results import DkimResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, SpfVerdict

SIGNATURE_CHARS = 8  # RFC 8601 §2.7.1 and RFC 6008: the least of b= that tells signatures apart


def spf_result(query: SpfQuery, verdict: SpfVerdict, *, identity: str = "mailfrom") -> MethodResult:
    """SPF for MAIL FROM, or with ``identity`` helo for the HELO name (and the null reverse-path)."""
    sender = str(query.domain) if identity == "helo" else f"{query.local_part}@{query.domain}"
    return MethodResult("spf", verdict.result.value, verdict.reason, ((f"smtp.{identity}", sender),))


def dkim_results(verdicts: Sequence[SignatureVerdict]) -> list[MethodResult]:
    """One result a signature; ``none`` for a message without."""
    return [_signature_result(verdict) for verdict in verdicts] or [
        MethodResult("dkim", DkimResult.NONE.value)
    ]


def _signature_result(verdict: SignatureVerdict) -> MethodResult:
    signature = verdict.signature
    if signature is None:
        return MethodResult("dkim", verdict.result.value, verdict.reason)
    properties = (
        ("header.d", str(signature.domain)),
        ("header.i", signature.identity.decode("utf-8", "replace")),
        ("header.s", str(signature.selector)),
        ("header.a", signature.algorithm.value.decode()),
        ("header.b", base64.b64encode(signature.signature).decode()[:SIGNATURE_CHARS]),
    )
    note = "the key is being tested" if verdict.is_testing else ""
    return MethodResult("dkim", verdict.result.value, verdict.reason, properties, note)


def dmarc_result(verdict: DmarcVerdict | NoAuthor) -> MethodResult:
    """DMARC; ``policy.dmarc`` is what the owner asks for this message."""
    if isinstance(verdict, NoAuthor):
        return MethodResult("dmarc", verdict.result.value, verdict.reason)
    properties = [("header.from", str(verdict.author))]
    if verdict.policy is not None:
        properties.append(("policy.dmarc", verdict.policy.value))
    return MethodResult("dmarc", verdict.result.value, verdict.reason, tuple(properties))


def arc_result(verdict: ArcVerdict) -> MethodResult:
    """ARC, a hint (RFC 8617 §5.2): the newest sealer is named where there is a chain."""
    properties = (("header.d", str(verdict.sets[-1].seal.domain)),) if verdict.sets else ()
    note = f"i={verdict.instances}" if verdict.instances else ""
    return MethodResult("arc", verdict.result.value, verdict.reason, properties, note)
