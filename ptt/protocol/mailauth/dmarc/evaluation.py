"""What DMARC says of a message: which policy applies and whether an authenticated domain is the author's.

RFC 9989 §4.4 (alignment), §4.10.1 (policy), §5.3 (result). A look-up that failed where its answer could
have changed the result makes that ``temperror``: such mail neither passes nor fails. p=none, sp, np and t
change the policy, never the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ptt.protocol.dns.lookup import Rcode, RecordType
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dmarc.record import DmarcRecord, Policy
from ptt.protocol.mailauth.dmarc.tree_walk import Found, Missing, TreeWalks
from ptt.protocol.mailauth.results import DkimResult, DmarcResult, SpfResult


@dataclass(frozen=True, slots=True)
class DkimIdentifier:
    """What a signature came to: ``domain`` is d=, not the domain of i= (§4.4.1)."""

    domain: Name
    result: DkimResult


@dataclass(frozen=True, slots=True)
class SpfIdentifier:
    """What SPF came to for MAIL FROM; of a null reverse-path ``domain`` is the HELO name (§4.4.2)."""

    domain: Name
    result: SpfResult


@dataclass(frozen=True, slots=True)
class DmarcVerdict:
    """The result and what it rests on.

    ``policy`` is what the owner asks for this message, after sp, np and t; None where none applies.
    ``organizational_domain`` is the author's, None if nobody had to know. ``aligned_dkim`` and
    ``is_spf_aligned``: what passed and is aligned.
    """

    result: DmarcResult
    reason: str = ""
    author: Name | None = None
    policy_domain: Name | None = None
    record: DmarcRecord | None = None
    policy: Policy | None = None
    organizational_domain: Name | None = None
    aligned_dkim: tuple[Name, ...] = ()
    is_spf_aligned: bool = False


_WEAKER = {Policy.REJECT: Policy.QUARANTINE, Policy.QUARANTINE: Policy.NONE, Policy.NONE: Policy.NONE}


async def evaluate(
    author: Name, dkim: Sequence[DkimIdentifier], spf: SpfIdentifier | None, walks: TreeWalks
) -> DmarcVerdict:
    """Judge a message of ``author`` (see ``author_domain``) by what SPF and DKIM came to."""
    found = await _applicable(author, walks)
    if found is Missing.FAILED:
        return DmarcVerdict(DmarcResult.TEMPERROR, "the policy could not be looked up", author)
    if not isinstance(found, Found):
        return DmarcVerdict(DmarcResult.NONE, "no DMARC record", author)
    if found.record.policy is None:
        # §4.7: a record without a usable policy and without reports; nothing is looked for above it
        return DmarcVerdict(DmarcResult.NONE, "a DMARC record without a policy", author, found.name)
    alignment = _Alignment(author, found.record, walks)
    verdict = await alignment.judge(dkim, spf)
    verdict = replace(verdict, author=author, policy_domain=found.name, record=found.record)
    return await _with_policy(verdict, found, author, found.record.policy, walks)


async def _applicable(author: Name, walks: TreeWalks) -> Found | Missing:
    own = await walks.record_at(author)
    if own is Missing.FAILED:
        return Missing.FAILED
    if isinstance(own, DmarcRecord):
        return Found(author, own)
    walk = await walks.walk(author)
    if not walk.is_complete:
        return Missing.FAILED
    return walk.applicable or Missing.NONE


class _Alignment:
    def __init__(self, author: Name, record: DmarcRecord, walks: TreeWalks) -> None:
        self.author = author
        self.record = record
        self.walks = walks
        self.organizational_domain: Name | None = None

    async def judge(self, dkim: Sequence[DkimIdentifier], spf: SpfIdentifier | None) -> DmarcVerdict:
        is_doubtful = False
        aligned: list[Name] = []
        for each in dkim:
            if each.result in {DkimResult.PASS, DkimResult.TEMPERROR} and each.domain not in aligned:
                aligns = await self._aligns(each.domain, is_strict=self.record.is_dkim_strict)
                is_doubtful |= aligns is None or (aligns and each.result is DkimResult.TEMPERROR)
                if aligns and each.result is DkimResult.PASS:
                    aligned.append(each.domain)
        is_spf_aligned = False
        if spf is not None and spf.result in {SpfResult.PASS, SpfResult.TEMPERROR}:
            aligns = await self._aligns(spf.domain, is_strict=self.record.is_spf_strict)
            is_doubtful |= aligns is None or (aligns and spf.result is SpfResult.TEMPERROR)
            is_spf_aligned = bool(aligns) and spf.result is SpfResult.PASS
        if aligned or is_spf_aligned:
            result, reason = DmarcResult.PASS, ""
        elif is_doubtful:  # §5.3.6
            result, reason = DmarcResult.TEMPERROR, "a look-up failed that could have shown an aligned domain"
        else:
            result, reason = DmarcResult.FAIL, "no aligned domain passed"
        return DmarcVerdict(
            result,
            reason,
            organizational_domain=self.organizational_domain,
            aligned_dkim=tuple(aligned),
            is_spf_aligned=is_spf_aligned,
        )

    async def _aligns(self, domain: Name, *, is_strict: bool) -> bool | None:
        """Whether ``domain`` is aligned with the author's (§4.4); None if a failed look-up hides it."""
        if domain == self.author:
            return True
        if is_strict or domain.labels[-1:] != self.author.labels[-1:]:
            return False  # without a last label in common there is no organization in common
        organization = (await self.walks.walk(self.author)).organizational_domain
        self.organizational_domain = organization
        if organization is None:
            return None
        if not domain.is_at_or_below(organization):
            return False
        other = (await self.walks.walk(domain)).organizational_domain
        return None if other is None else other == organization


async def _with_policy(
    verdict: DmarcVerdict, found: Found, author: Name, own: Policy, walks: TreeWalks
) -> DmarcVerdict:
    """Add the policy for this message (§4.7, §4.10.1): p, or for a record above the author np or sp."""
    record, policy = found.record, own
    if found.name != author:
        policy = own if record.subdomain_policy is None else record.subdomain_policy
        nonexistent_policy = record.nonexistent_policy
        if nonexistent_policy is not None and nonexistent_policy is not policy:
            exists = await _exists(author, walks)
            if exists is None and verdict.result is not DmarcResult.PASS:
                reason = "it could not be found out whether the author domain exists"
                return replace(verdict, result=DmarcResult.TEMPERROR, reason=reason)
            if exists is False:
                policy = nonexistent_policy
    return replace(verdict, policy=_WEAKER[policy] if record.is_testing else policy)


async def _exists(name: Name, walks: TreeWalks) -> bool | None:
    """Whether a name exists (§3.2.13): only NXDOMAIN for itself, not for a CNAME's target, says no."""
    if walks.is_known_to_exist(name):
        return True
    answer = await walks.lookup.query(name, RecordType.A)
    if answer.is_failure:
        return None
    return answer.rcode is not Rcode.NXDOMAIN or answer.canonical_name not in {None, name}
