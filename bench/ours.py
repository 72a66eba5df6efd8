"""Our own contender: submission, signer and relay as real processes under a host, in a process of its own.

``python -m bench.ours JSON`` starts everything, prints what it started as one line of JSON, and ends when its
standard input does.
"""

import asyncio
import json
import os
import sys
import time

import msgspec

from ptt.rehearsal.certificates import Authority
from ptt.rehearsal.our_service import Domain, OurService
from ptt.topology import OUTBOUND

STARTS = 3  # replacements of each unit, to take the median of


class Wanted(msgspec.Struct, frozen=True):
    """How to run. ``selectors``: the DKIM keys to sign with, of ``rsa1`` and ``ed1``."""

    address: str
    zone: str
    login: str
    password: str
    selectors: tuple[str, ...]
    connections: int
    """Towards the one destination."""


UNBOUNDED = 10**9  # what a login may send in a day is not what is measured


class Started(msgspec.Struct, frozen=True):
    """What runs. Seconds from exec to published, one for each replacement."""

    units: dict[str, int]
    host: int
    start_s: dict[str, list[float]]


class OutboundService(OurService):
    """Our service with nothing but the outbound line, and some of its DKIM keys."""

    def __init__(self, wanted: Wanted) -> None:
        self._selectors = wanted.selectors
        super().__init__(
            Domain(users={wanted.login: wanted.password}, addresses=(wanted.address,)),
            Authority(),
            {
                "submission": {"messages_a_day": UNBOUNDED, "new_recipients_a_day": UNBOUNDED},
                "relay": {"zone": wanted.zone, "limits": {"connections": wanted.connections}},
            },
            units=OUTBOUND,
        )

    def _secrets(self) -> dict[str, str]:
        known = super()._secrets()
        keys = [key for key in json.loads(known["dkim_keys"]) if key["selector"] in self._selectors]
        return {**known, "dkim_keys": json.dumps(keys)}


async def run(wanted: Wanted) -> None:
    """Start, tell, wait for the end of standard input, stop."""
    service = OutboundService(wanted)
    await service.start()
    try:
        start_s = {
            manifest.name: [await _replace(service, manifest.name) for _ in range(STARTS)]
            for manifest in OUTBOUND
        }
        units = {manifest.name: service.host.pid(manifest.name) for manifest in OUTBOUND}
        await asyncio.sleep(0.5)  # the replaced generations end
        sys.stdout.buffer.write(msgspec.json.encode(Started(units, os.getpid(), start_s)) + b"\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        for entry in service.host.journal:
            if '"alarm"' in entry.text or '"bug"' in entry.text:
                sys.stderr.write(f"{entry.unit}: {entry.text}\n")
    finally:
        await service.stop()


async def _replace(service: OutboundService, unit: str) -> float:
    began = time.monotonic()
    if not await service.host.replace(unit):
        raise SystemExit(f"{unit} could not be replaced")
    return time.monotonic() - began


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Wanted)))
