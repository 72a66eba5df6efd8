"""Whether the world finds our mail server and believes our mail: MX, SPF, DKIM, DMARC, the way back.

RFC 5321 §5.1, RFC 2181 §10.3 (no alias behind an MX), RFC 7208, RFC 6376 §3.6, RFC 9989 §4.7. Each
question goes through a ``Lookup``; ``asked`` says in words whom that asks.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ptt.deployer.checks.expected import Expected
from ptt.deployer.checks.finding import Finding, fail, ok, wait, warn
from ptt.deployer.first_zone import (
    DMARC,
    HELO_SPF,
    SPF,
    SRS_DMARC,
    address_records,
    mx_record,
    text_record,
)
from ptt.errors import Malformed
from ptt.protocol.dns.lookup import A, Aaaa, Answer, Lookup, Mx, Question, RecordType, Soa, Txt
from ptt.protocol.dns.name import Name
from ptt.protocol.mailauth.dkim.key_record import KeyRecord, parse_key_record
from ptt.protocol.mailauth.dmarc.record import (
    DmarcRecord,
    Policy,
    Psd,
    is_dmarc_record,
    parse_dmarc_record,
)
from ptt.protocol.mailauth.results import SpfResult
from ptt.protocol.mailauth.spf.evaluation import SpfQuery, check_host
from ptt.protocol.mailauth.spf.record import is_spf_record, parse_spf_record


@dataclass(frozen=True, slots=True)
class MailRecords:
    """See the module."""

    expected: Expected
    lookup: Lookup
    asked: str

    async def findings(self) -> AsyncIterator[Finding]:
        """All of them, domain by domain."""
        for domain in self.expected.domains:
            yield await self.mx(domain, "MX")
            yield await self.spf(domain, "SPF", SPF)
            async for finding in self.dkim(domain):
                yield finding
            yield await self.dmarc(domain)
        yield await self.host_addresses()
        yield await self.spf(self.expected.host, "SPF of HELO", HELO_SPF)
        yield await self.way_back()

    async def mx(self, domain: Name, what: str) -> Finding:
        """Where mail for a domain goes."""
        host, mend = self.expected.host, self._record(mx_record(domain.text, self.expected.naming.host_name))
        answer = await self.lookup.query(domain, RecordType.MX)
        if answer.is_failure:
            return self._unknown(what, "MX", domain)
        found = answer.of(Mx)
        if not found:
            return fail(what, self._said("MX", domain, f"none, expected {host}"), mend)
        names = ", ".join(f"{each.preference} {each.exchange}" for each in found)
        if all(each.exchange != host for each in found):
            via = await self.lookup.query(found[0].exchange, RecordType.A)
            is_alias = via.canonical_name is not None and via.canonical_name != found[0].exchange
            alias = f", an alias of {via.canonical_name} (RFC 2181 §10.3)" if is_alias else ""
            return fail(what, self._said("MX", domain, f"{names}{alias}; expected {host}"), mend)
        if len({each.exchange for each in found}) > 1:
            sentence = self._said("MX", domain, f"{names}; only {host} is ours")
            return warn(what, sentence, "one name is enough: what others take is out of our sight")
        return ok(what, f"{domain} -> {host}")

    async def host_addresses(self) -> Finding:
        """Where the server's name leads."""
        host, what = self.expected.host, "address"
        kinds = (RecordType.A, RecordType.AAAA)
        four, six = await self.lookup.many([Question(host, kind) for kind in kinds])
        if four.is_failure or six.is_failure:
            return self._unknown(what, "addresses", host)
        mend = self._record("; ".join(address_records(host.text, self.expected.naming)))
        if four.canonical_name not in (None, host):
            said = f"an alias of {four.canonical_name}, and an MX must name no alias (RFC 2181 §10.3)"
            return fail(what, self._said("addresses", host, said), mend)
        found = {*(str(each.address) for each in four.of(A)), *(str(each.address) for each in six.of(Aaaa))}
        wanted = set(self.expected.addresses)
        told = ", ".join(sorted(found)) or "none"
        if found != wanted:
            expected = ", ".join(self.expected.addresses)
            return fail(what, self._said("addresses", host, f"{told}; expected {expected}"), mend)
        return ok(what, f"{host} -> {told}")

    async def spf(self, domain: Name, what: str, wanted: str) -> Finding:
        """Whether our addresses may send for a domain."""
        answer = await self.lookup.query(domain, RecordType.TXT)
        if answer.is_failure:
            return self._unknown(what, "TXT", domain)
        texts = [each.joined for each in answer.of(Txt) if is_spf_record(each.joined)]
        mend = self._record(text_record(domain.text, wanted))
        if len(texts) != 1:
            count = f"{len(texts)} SPF records, which is an error for everybody" if texts else "no SPF record"
            return fail(what, self._said("TXT", domain, f"{count}; expected one"), mend)
        record = parse_spf_record(texts[0])
        if isinstance(record, Malformed):
            return fail(what, self._said("TXT", domain, f"a broken SPF record: {record.reason}"), mend)
        for address in self.expected.addresses:
            query = SpfQuery(
                ip_address(address), "postmaster", domain, self.expected.host.text, domain.text, now=0
            )
            verdict = await check_host(query, self.lookup)
            if verdict.result is not SpfResult.PASS:
                said = f'"{_text(texts[0])}" says {verdict.result.value} to {address}'
                return fail(what, self._said("TXT", domain, f"{said}; expected pass"), mend)
        return ok(what, f"{domain} lets {' and '.join(self.expected.addresses)} send")

    async def dkim(self, domain: Name) -> AsyncIterator[Finding]:
        """Whether the keys that sign are published, each as it is."""
        keys = {
            Name.of(owner): text
            for owner, text in self.expected.naming.keys.items()
            if Name.of(owner.partition("._domainkey.")[2]) == domain
        }
        if not self.expected.are_keys_known:
            yield wait("DKIM", "which keys sign is not known: see secrets", "mend the file of secrets first")
        elif not keys:
            what = f"there is no DKIM key for {domain}: what our users send is not signed"
            yield fail("DKIM", what, "make one: ptt key dkim make rsa1")
        answers = await self.lookup.many([Question(owner, RecordType.TXT) for owner in keys])
        for (owner, text), answer in zip(keys.items(), answers, strict=True):
            yield self._judge_key(owner, text, answer)

    def _judge_key(self, owner: Name, text: str, answer: Answer) -> Finding:
        if answer.is_failure:
            return self._unknown("DKIM", "TXT", owner)
        mend = f"put what `ptt key dkim show {owner.labels[0].decode()}` prints into zone.git"
        read = [parse_key_record(each.joined) for each in answer.of(Txt)]
        if not read:
            return fail("DKIM", self._said("TXT", owner, "no record; expected our public key"), mend)
        usable = [each for each in read if isinstance(each, KeyRecord)]
        if not usable:
            reasons = ", ".join(each.reason for each in read if isinstance(each, Malformed))
            return fail("DKIM", self._said("TXT", owner, f"a broken record: {reasons}"), mend)
        ours = parse_key_record(text.encode())
        if isinstance(ours, KeyRecord) and _octets(ours) not in map(_octets, usable):
            return fail("DKIM", self._said("TXT", owner, "another key than the one that signs here"), mend)
        return ok("DKIM", f"{owner} has the key that signs")

    async def dmarc(self, domain: Name) -> Finding:
        """What others are to do with forged mail of ours."""
        owner = Name.of(f"_dmarc.{domain}")
        record = await self._dmarc_record(owner)
        mend = self._record(text_record(owner.text, DMARC))
        if isinstance(record, Finding):
            return record
        if isinstance(record, Malformed):
            return fail("DMARC", self._said("TXT", owner, record.reason), mend)
        if record.policy is None:
            said = f'"{record.text}", which has no valid p= and applies to no mail'
            return fail("DMARC", self._said("TXT", owner, said), mend)
        if record.policy is Policy.NONE or not (record.is_spf_strict and record.is_dkim_strict):
            lack = (
                "p=none refuses nothing" if record.policy is Policy.NONE else "aspf=s and adkim=s are missing"
            )
            return warn("DMARC", self._said("TXT", owner, f'"{record.text}": {lack}'), mend)
        return ok("DMARC", f"{owner} says {record.policy.value}")

    async def way_back(self) -> Finding:
        """The zone of rewritten envelope senders: bounces of forwarded mail come back by it."""
        srs, what = self.expected.srs, "way back"
        soa = await self.lookup.query(srs, RecordType.SOA)
        if soa.is_failure:
            return self._unknown(what, "SOA", srs)
        if not soa.of(Soa):
            mend = f"add the file {srs} to zone.git; a fresh `ptt init --folder NEW` shows how it looks"
            return fail(
                what, self._said("SOA", srs, "no such zone, but forwarded mail comes back to it"), mend
            )
        for finding in (await self.mx(srs, what), await self.spf(srs, what, SPF)):
            if finding.level != "ok":
                return finding
        owner = Name.of(f"_dmarc.{srs}")
        record = await self._dmarc_record(owner)
        if isinstance(record, Finding):
            return record
        if isinstance(record, Malformed) or record.psd is not Psd.NO:
            said = record.reason if isinstance(record, Malformed) else f'"{record.text}" without psd=n'
            mend = self._record(text_record(owner.text, SRS_DMARC))
            sentence = self._said(
                "TXT", owner, f"{said}; forged mail of ours might pass by our own forwarding"
            )
            return fail(what, sentence, mend)
        return ok(what, f"{srs} has its own zone, MX, SPF and DMARC")

    async def _dmarc_record(self, owner: Name) -> DmarcRecord | Malformed | Finding:
        answer = await self.lookup.query(owner, RecordType.TXT)
        if answer.is_failure:
            return self._unknown("DMARC", "TXT", owner)
        texts = [each.joined for each in answer.of(Txt)]
        records = [each for each in texts if is_dmarc_record(each)]
        if len(records) > 1:
            return Malformed(f"{len(records)} DMARC records, which is as good as none")
        if not records:
            broken = f': "{_text(texts[0])}" is none' if texts else ""
            return Malformed(f"no DMARC record{broken}")
        return parse_dmarc_record(records[0])

    def _said(self, kind: str, name: Name, what: str) -> str:
        return f"asked {self.asked} for {kind} of {name}: {what}"

    def _unknown(self, what: str, kind: str, name: Name) -> Finding:
        return wait(what, self._said(kind, name, "no answer"), "see what stands above first")

    def _record(self, line: str) -> str:
        return f"Put into zone.git: {line}"


def _octets(record: KeyRecord) -> bytes:
    return record.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace")
