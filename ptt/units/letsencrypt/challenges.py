"""The TXT records of dns-01 (RFC 8555 §8.4): several may stand at one name, each order removes its own."""

import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT

from ptt.protocol.acme.steps import ChallengeRecord
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.records import RRset

TTL_S = 60  # it lives for seconds; resolvers of the authority may have asked too early


def challenge_rrset(record: ChallengeRecord) -> RRset:
    """One challenge's record."""
    rdata = dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, [record.text.encode("ascii")])
    return RRset(record.name, int(RecordType.TXT), TTL_S, (rdata,))
