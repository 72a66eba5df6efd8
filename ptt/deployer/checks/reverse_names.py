"""Whether each of our addresses leads to our name and back again (forward-confirmed, RFC 8601 §2.7.3).

Large receivers refuse or throttle mail from others. IPv6 without such a name is not used outward [C13].
"""

from dataclasses import dataclass
from ipaddress import ip_address

from ptt.deployer.checks.expected import Expected
from ptt.deployer.checks.finding import Finding, fail, ok, wait, warn
from ptt.deployer.first_zone import reverse_record
from ptt.protocol.dns.lookup import A, Aaaa, Lookup, Ptr, RecordType
from ptt.protocol.dns.name import Name

MAX_NAMES = 10  # of one address that are followed


@dataclass(frozen=True, slots=True)
class ReverseNames:
    """``sends_by_ipv6``: the setting ``relay.ipv6``."""

    expected: Expected
    lookup: Lookup
    sends_by_ipv6: bool

    async def finding(self, address: str) -> Finding:
        """About one of our addresses."""
        what = _what(address)
        answer = await self.lookup.query(Name.of(ip_address(address).reverse_pointer), RecordType.PTR)
        asked = f"asked from the root down for PTR of {address}:"
        if answer.is_failure:
            return wait(what, f"{asked} no answer", "try again in some minutes")
        names = [each.target for each in answer.of(Ptr)][:MAX_NAMES]
        if not names:
            return self._trouble(address, f"{address} has no reverse name")
        confirmed = [name for name in names if await self._leads_to(name, address)]
        told = ", ".join(name.text for name in names)
        if not confirmed:
            return self._trouble(address, f"{address} -> {told}, which does not lead back to {address}")
        if self.expected.host not in confirmed:
            sentence = f"{address} -> {confirmed[0]} -> {address}; the server greets as {self.expected.host}"
            return warn(what, sentence, self._mend(address))
        note = "" if what == "reverse name" or self.sends_by_ipv6 else "; relay.ipv6 = true sends by it too"
        return ok(what, f"{address} -> {self.expected.host} -> {address}{note}")

    async def _leads_to(self, name: Name, address: str) -> bool:
        if ":" in address:
            answer = await self.lookup.query(name, RecordType.AAAA)
            return any(each.address == ip_address(address) for each in answer.of(Aaaa))
        answer = await self.lookup.query(name, RecordType.A)
        return any(each.address == ip_address(address) for each in answer.of(A))

    def _trouble(self, address: str, sentence: str) -> Finding:
        """Where IPv6 has no reverse name IPv4 does it all; there has to be an IPv4 address for that."""
        what, mend = _what(address), self._mend(address)
        has_ipv4 = any(":" not in each for each in self.expected.addresses)
        if ":" not in address or not has_ipv4:
            return fail(what, sentence, mend)
        if self.sends_by_ipv6:
            return fail(
                what, f"{sentence}, and relay.ipv6 = true sends by it", f"{mend}; or take relay.ipv6 away"
            )
        return warn(what, f"{sentence}: mail goes out by IPv4 only", mend)

    def _mend(self, address: str) -> str:
        record = reverse_record(address, self.expected.naming)
        return f"Where the server is rented set the reverse name: {record}"


def _what(address: str) -> str:
    return "IPv6" if ":" in address else "reverse name"
