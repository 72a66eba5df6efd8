"""Takes the place of a unit: closes like it, answers nothing, and tries every way out when it is told to."""

import asyncio
import errno
import json
import sys
from typing import cast

from prison.attempts import Attempt, attempts  # type: ignore[import-not-found]
from ptt.boot import Peers, Probe
from ptt.net.lifecycle import Life, Orders
from ptt.net.unit import Unit
from ptt.net.world import Server, World

SAID = "escape "
LOADED = "loaded "
NAMES_A_LINE = 50  # a line of the journal holds 4,096 characters


async def serve(unit: Unit) -> None:
    """Live as a unit does, with nothing to serve."""
    names = sorted(name for name, module in sys.modules.items() if getattr(module, "__file__", None))
    for first in range(0, len(names), NAMES_A_LINE):
        unit.journal.alarm(LOADED + " ".join(names[first : first + NAMES_A_LINE]))
    world = unit.world
    listeners: list[object] = []

    class Keeping:
        """The world, that remembers the listeners that came."""

        def __getattr__(self, name: str) -> object:
            return getattr(world, name)

        async def serve(self, handle: object, factory: object, tls_first: object = None) -> Server:
            listeners.append(handle)
            return Nothing()

    def on_probe(probe: Probe) -> None:
        for name, attempt in attempts(json.loads(probe.payload), listeners):
            unit.journal.alarm(SAID + json.dumps([name, _outcome(attempt)]))
        unit.journal.alarm(SAID + json.dumps(["end", ""]))

    def on_peers(_peers: Peers) -> None:
        pass

    kept = Unit(unit.boot, cast("World", Keeping()), unit.control, unit.journal, unit.identity, unit.closed)
    services = dict.fromkeys(unit.boot.settings["listeners"], asyncio.Protocol)
    await Life(kept, services, Orders(on_peers=on_peers, on_probe=on_probe)).run()


class Nothing:
    """A listener that nobody serves: the backlog takes connections."""

    def close(self) -> None:
        pass


def _outcome(attempt: Attempt) -> str:
    try:
        attempt()
    except OSError as error:
        if error.errno is None and "ermission denied" in str(error):  # the loader's words, no number
            return "EACCES"
        return errno.errorcode.get(error.errno or 0, str(error))
    except ImportError:
        return "ImportError"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no way out that was meant
        return repr(error)
    return "done"
