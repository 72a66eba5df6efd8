"""Asks every authoritative server of a name, from the root down: what an authority sees that validates.

No cache and no recursion by others: the servers of each delegation are asked in turn until one answers, those
of the last zone are asked all (RFC 8555 §11.2 recommends to look from several places).
"""

import asyncio
import secrets
import socket
from collections.abc import Sequence

import dns.flags
import dns.message
import dns.rdataclass
import dns.rdatatype

from ptt.errors import Malformed
from ptt.protocol.dns.lookup import RecordType
from ptt.protocol.dns.message import read_message
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.records import RRset, codec_name, name_of, rrsets_of

TIMEOUT_S = 3.0
MAX_DELEGATIONS = 12
EDNS_OCTETS = 1232
DNS_PORT = 53


async def ask_everywhere(root: str, name: Name, record_type: RecordType) -> list[RRset | None]:
    """What each server of the name's zone answers; None: no such records. Empty: no server was found."""
    servers: Sequence[str] = (root,)
    for _ in range(MAX_DELEGATIONS):
        answers = [answer for server in servers if (answer := await _ask(server, name, record_type))]
        if not answers:
            return []
        if answers[0].flags & dns.flags.AA:
            sections = [rrsets_of(answer.answer) for answer in answers]
            missing: list[RRset | None] = [None] * (len(servers) - len(answers))
            return missing + [
                next((each for each in one if each.rdtype == record_type), None) for one in sections
            ]
        servers = await _next_servers(root, answers[0])
    return []


async def _next_servers(root: str, referral: dns.message.Message) -> list[str]:
    """The addresses of the servers that a delegation names; those without glue are looked up."""
    glue = {each.name: each for each in rrsets_of(referral.additional) if each.rdtype == RecordType.A}
    addresses = []
    for servers in rrsets_of(referral.authority):
        if servers.rdtype != RecordType.NS:
            continue
        for rdata in servers.rdatas:
            target = name_of(rdata.target)  # type: ignore[attr-defined] # of every NS
            found = glue.get(target)
            if found is None:
                found = next(iter(await ask_everywhere(root, target, RecordType.A)), None)
            addresses += [each.address for each in found.rdatas] if found else []  # type: ignore[attr-defined]
    return addresses


async def _ask(server: str, name: Name, record_type: RecordType) -> dns.message.Message | None:
    """One question by UDP; None: no answer."""
    query = dns.message.QueryMessage(id=secrets.randbelow(1 << 16))
    rdtype = dns.rdatatype.RdataType.make(record_type)
    query.find_rrset(
        query.question, codec_name(name), dns.rdataclass.IN, rdtype, create=True, force_unique=True
    )
    query.use_edns(0, 0, EDNS_OCTETS)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        try:
            await loop.sock_connect(asking, (server, DNS_PORT))
            async with asyncio.timeout(TIMEOUT_S):
                await loop.sock_sendall(asking, query.to_wire())
                answer = read_message(await loop.sock_recv(asking, 65_535))
        except OSError:  # TimeoutError is one
            return None
    return None if isinstance(answer, Malformed) or answer.id != query.id else answer
