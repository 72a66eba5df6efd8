"""Validates the chain that hops before us have made (RFC 8617 §5.2).

The newest message signature must verify, and every seal. What the chain says is a hint about hops that
somebody trusts: it changes no result of DKIM, SPF or DMARC here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import Answer, Lookup, Question, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header
from ptt.protocol.mailauth.arc.chain import ArcSet, Seal, highest_instance, parse_chain, sealed_octets
from ptt.protocol.mailauth.dkim.canonicalization import Buffer
from ptt.protocol.mailauth.dkim.key_record import NoKey, is_signed, key_for
from ptt.protocol.mailauth.dkim.keys import MIN_RSA_BITS
from ptt.protocol.mailauth.dkim.signature import Algorithm
from ptt.protocol.mailauth.dkim.verifying import STRICT, Candidate, judge
from ptt.protocol.mailauth.results import ArcResult, DkimResult


@dataclass(frozen=True, slots=True)
class ArcVerdict:
    """The state of the chain.

    ``sets`` are those of a whole chain, the oldest first; ``instances`` is the highest number claimed, chain
    or not. ``is_closed``: the newest seal says ``fail``, nobody seals any more. ``is_doubtful``: a look-up
    failed, so the result may be another one later.
    """

    result: ArcResult
    reason: str = ""
    sets: tuple[ArcSet, ...] = ()
    instances: int = 0
    is_closed: bool = False
    is_doubtful: bool = False


async def validate(header: Header, body: Iterable[Buffer], lookup: Lookup) -> ArcVerdict:
    """Judge the chain of a message; ``body`` in buffers, read once if the chain has come so far."""
    sets = parse_chain(header)
    if isinstance(sets, Malformed):
        return ArcVerdict(ArcResult.FAIL, sets.reason, instances=highest_instance(header))
    if not sets:
        return ArcVerdict(ArcResult.NONE)
    words = [each.seal.chain_word for each in sets]
    if words[-1] == b"fail":
        return ArcVerdict(ArcResult.FAIL, "an earlier hop found it failed", sets, len(sets), is_closed=True)
    if words != [b"none", *[b"pass"] * (len(sets) - 1)]:
        return ArcVerdict(ArcResult.FAIL, "cv= contradicts the place in the chain", sets, len(sets))
    newest = Candidate(sets[-1].signature_field, sets[-1].signature)
    (signed,) = await judge([newest], header.fields, body, lookup, STRICT)
    if signed.result is not DkimResult.PASS:
        is_doubtful = signed.result is DkimResult.TEMPERROR
        reason = f"message signature {len(sets)}: {signed.reason}"
        return ArcVerdict(ArcResult.FAIL, reason, sets, len(sets), is_doubtful=is_doubtful)
    return await _sealed(sets, lookup)


async def _sealed(sets: Sequence[ArcSet], lookup: Lookup) -> ArcVerdict:
    owners = [_owner(each.seal) for each in sets]
    names = list(dict.fromkeys(owner for owner in owners if isinstance(owner, Name)))
    answers = dict(
        zip(names, await lookup.many([Question(name, RecordType.TXT) for name in names]), strict=True)
    )
    for at in reversed(range(len(sets))):
        owner = owners[at]
        problem = (
            NoKey(DkimResult.PERMERROR, owner.reason)
            if isinstance(owner, Malformed)
            else _problem(sets[: at + 1], answers[owner])
        )
        if problem is not None:
            return ArcVerdict(
                ArcResult.FAIL,
                f"seal {at + 1}: {problem.reason}",
                tuple(sets),
                len(sets),
                is_doubtful=problem.result is DkimResult.TEMPERROR,
            )
    return ArcVerdict(ArcResult.PASS, "", tuple(sets), len(sets))


def _owner(seal: Seal) -> Name | Malformed:
    return seal.domain.below(*seal.selector.labels, b"_domainkey")


def _problem(sets: Sequence[ArcSet], answer: Answer) -> NoKey | None:
    """What is wrong with the seal of the last of ``sets``."""
    newest = sets[-1]
    key = key_for(answer, newest.seal.algorithm)
    if isinstance(key, NoKey):
        return key
    if newest.seal.algorithm is Algorithm.RSA_SHA1 or (key.rsa_bits or MIN_RSA_BITS) < MIN_RSA_BITS:
        return NoKey(DkimResult.POLICY, "RFC 8301 forbids the algorithm or the key")
    fields = [*(each.fields for each in sets[:-1]), newest.fields[:2]]
    if not is_signed(
        key, newest.seal.algorithm, newest.seal.signature, sealed_octets(fields, newest.seal_field)
    ):
        return NoKey(DkimResult.FAIL, "the signature does not fit the chain")
    return None
