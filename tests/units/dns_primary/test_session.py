"""What the name server's session does about messages, beside answering them."""

import asyncio

import dns.message
import dns.opcode

from ptt.boot import GiveState, KeepState
from ptt.net.counters import Counters
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.tsig import sign
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.neighbour import unit_on
from ptt.rehearsal.simulation.network import Network
from ptt.units.dns_primary.session import FILES_KEY, PrimarySession
from ptt.units.dns_primary.settings import Told, read_told
from ptt.units.dns_primary.zone_files import pack_files, unpack_files

KEY = "hook._notify.example.org"
ZONE = "@ 60 SOA ns admin 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


def serial(session: PrimarySession, zone: str) -> int | None:
    """The serial that is served; None: the zone is not."""
    wire = session.datagram(dns.message.make_query(zone, "SOA").to_wire())
    assert wire is not None
    answer = dns.message.from_wire(wire).answer
    return answer[0][0].serial if answer else None


def test_a_push_and_what_an_earlier_generation_left_may_cross() -> None:
    async def story() -> None:
        unit, control, journal = unit_on(Network(1), "dns_primary", "10.0.0.5")
        told = read_told({}, "[]")
        assert isinstance(told, Told)
        session = PrimarySession(unit, told, Counters())
        pushing = asyncio.ensure_future(
            session.take_files({"example.org": b"broken", "example.net": ZONE.encode()})
        )
        await asyncio.sleep(0)
        session.take_over(GiveState(((FILES_KEY, pack_files({"example.org": ZONE.encode()})),), False))
        await pushing
        assert (serial(session, "example.org"), serial(session, "example.net")) == (1, 1)
        assert "the last good file stays in force" in journal.alarms[0]
        kept = [unpack_files(each.value) for each in control.heard if isinstance(each, KeepState)]
        assert kept == [{"example.org": ZONE.encode(), "example.net": ZONE.encode()}]
        await session.take_files({"readme": b"hello"})
        assert serial(session, "example.org") == 1
        assert len(kept) == len([each for each in control.heard if isinstance(each, KeepState)])
        await session.close()

    simulate(story)


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
