"""What the name server's session does about messages, beside answering them."""

import dns.message
import dns.opcode

from ptt.net.counters import Counters
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.tsig import sign
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.neighbour import unit_on
from ptt.rehearsal.simulation.network import Network
from ptt.units.dns_primary.session import PrimarySession
from ptt.units.dns_primary.settings import Told, read_told

KEY = "hook._notify.example.org"
ZONE = "@ 60 SOA ns admin 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


def test_a_notice_leads_to_git_only_when_it_is_signed() -> None:
    async def story() -> None:
        unit, _, _ = unit_on(Network(1), "dns_primary", "10.0.0.5")
        told = read_told({"zones": {"example.org": ZONE}}, f'["{KEY}:SHA256:c2VjcmV0c2VjcmV0"]')
        assert isinstance(told, Told)
        session = PrimarySession(unit, told, Counters())
        heard: list[str] = []
        session.on_notice = lambda: heard.append("look")
        notice = dns.message.make_query("example.org", "SOA")
        notice.set_opcode(dns.opcode.NOTIFY)
        assert session.datagram(notice.to_wire())
        assert heard == []
        now = int(unit.world.wall_time().timestamp())
        assert session.datagram(sign(notice.to_wire(), told.keys[Name.of(KEY)], now))
        assert heard == ["look"]

    simulate(story)
