"""A scenario plays the host: frames both ways, listeners, the end; and the journal."""

import asyncio
from datetime import UTC, datetime

import pytest

from ptt.boot import Counters, Drain, Drained, Peers, Publish, Ready
from ptt.errors import MisuseError
from ptt.net.world import ControlStream, Endpoint
from ptt.records.journal import JournalLine
from ptt.rehearsal.simulation.clock import simulate
from ptt.rehearsal.simulation.control import SimulatedControl, SimulatedJournal
from ptt.rehearsal.simulation.network import Network


def test_frames_both_ways() -> None:
    async def main() -> None:
        control = SimulatedControl()
        units_end: ControlStream = control
        control.say(Peers((), ()))
        said = await units_end.receive()
        assert said is not None
        assert said.frame == Peers((), ())
        units_end.send(Ready(b"certificate"))
        units_end.send(Drained())
        assert control.heard == [Ready(b"certificate"), Drained()]

    simulate(main)


def test_listeners_come_with_their_frame() -> None:
    async def main() -> None:
        control = SimulatedControl()
        listener = Network(1).bind(Endpoint("10.0.0.4", 2525))
        control.publish({"hop": listener})
        said = await control.receive()
        assert said is not None
        assert isinstance(said.frame, Publish)
        (published,) = said.published
        assert (published.listener.name, published.listener.host, published.listener.port) == (
            "hop",
            "10.0.0.4",
            2525,
        )
        assert published.handle is listener
        assert said.frame.listeners == (published.listener,)

    simulate(main)


def test_a_host_that_is_gone_stays_gone() -> None:
    async def main() -> None:
        control = SimulatedControl()
        control.hang_up()
        assert await control.receive() is None
        assert await control.receive() is None

    simulate(main)


def test_waiting_for_what_the_unit_says() -> None:
    async def main() -> None:
        control = SimulatedControl()

        async def unit() -> None:
            for number in range(3):
                await asyncio.sleep(1)
                control.send(Counters({"mails": float(number)}))
            control.send(Drained())

        async with asyncio.TaskGroup() as group:
            group.create_task(unit())
            assert await control.wait_for(Counters, 2) == Counters({"mails": 1.0})
            assert asyncio.get_running_loop().time() == pytest.approx(2)
            assert await control.wait_for(Drained) == Drained()

    simulate(main)


def test_what_no_wire_can_carry_is_our_mistake() -> None:
    async def main() -> None:
        control = SimulatedControl()
        with pytest.raises(MisuseError):
            control.send(Ready("no bytes"))  # type: ignore[arg-type]
        with pytest.raises(MisuseError):
            control.say(Drain("soon"))  # type: ignore[arg-type]

    simulate(main)


def test_the_journal() -> None:
    journal = SimulatedJournal()
    line = JournalLine(at=datetime(2026, 3, 1, tzinfo=UTC), event="transaction", unit="relay")
    journal.write(line)
    assert journal.lines == [line]
    journal.alarm("disk full")
    assert journal.alarms == ["disk full"]
    journal.failure("session", ValueError("a bug"))
    assert journal.failures == ["session: ValueError: a bug\n"]
