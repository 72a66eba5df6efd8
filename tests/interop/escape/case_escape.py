"""Who owns a unit gets what its manifest names, and nothing else [U3 U7 B3].

Every unit is taken by somebody who tries some two hundred ways out, from inside, in a process that closed
itself as the unit does. What only the unit's own network can refuse is listed, and seen to be so.
"""

import sys
from typing import Any

import msgspec
import pytest

from ptt import topology
from ptt.host.daemon import FIRST_USER_ID, MAX_UNITS
from ptt.host.user_ids import can_have_own
from ptt.manifest import INTERNET, Manifest
from ptt.net.closing.breaches import BREACH
from ptt.net.closing.landlock import ABI_WITH_PORTS
from ptt.net.closing.level import reachable

UNITS = {manifest.name: manifest for manifest in topology.ALL}
REFUSED = {
    "program: fork by clone3": {"ENOSYS"},  # the C library then takes clone, whose flags can be seen
    "library: module": {"ImportError"},
    "socket: the host's, by path": {"EISCONN"},
    "socket: the host's, abstract": {"EISCONN"},
}


def tcp_ports(prison: Any, unit: str) -> set[int]:
    """By the manifests themselves, not by what the host made of them."""
    manifest = UNITS[unit]
    outward = {port for call in manifest.calls if call.callee == INTERNET for port in call.ports}
    inward = {prison.private_ports[call.callee] for call in manifest.calls if call.callee in UNITS}
    return outward | inward | set(prison.operators_ports.get(unit, ()))


def has_udp(manifest: Manifest) -> bool:
    return any(call.callee == INTERNET and call.channel in {"dns", "notify"} for call in manifest.calls)


def by_the_network_alone(prison: Any, unit: str) -> set[str]:
    """What nothing but a network of the unit's own refuses: hosts at ports allowed, any datagram."""
    ports = tcp_ports(prison, unit)
    found = set()
    for name in prison.tried[unit]:
        kind, _, where = name.partition(": ")
        port = _port_of(prison, where) if kind == "tcp" else None
        if port is not None and (port in ports or prison.closed[unit].landlock_abi < ABI_WITH_PORTS):
            if ports and not _is_named(prison, unit, where):
                found.add(name)
        elif (kind == "udp" and has_udp(UNITS[unit])) or name == "by a listener: datagrams":
            found.add(name)
    return found


def _port_of(prison: Any, where: str) -> int | None:
    if where.startswith("internet port "):
        return int(where.removeprefix("internet port ").removesuffix(", v6"))
    unit, _, listener = where.partition(".")
    for listen in UNITS[unit].listens if unit in UNITS else ():
        if listen.name == listener:
            return listen.port if INTERNET in listen.callers else prison.private_ports[unit]
    return None


def named(prison: Any, unit: str) -> set[str]:
    """What manifest and operator name: callees, ports, a source address where it calls the Internet."""
    calls_out = any(call.callee == INTERNET for call in UNITS[unit].calls)
    return {
        name
        for name in prison.tried[unit]
        for kind, _, where in [name.partition(": ")]
        if (name == "tcp: bind any" and calls_out)
        or (
            kind == "tcp"
            and (where.startswith("internet port ") or "." in where)
            and _is_named(prison, unit, where)
        )
    }


def _is_named(prison: Any, unit: str, where: str) -> bool:
    """Whether the manifest names this callee."""
    calls = UNITS[unit].calls
    if where.startswith("internet port "):
        port = int(where.removeprefix("internet port ").removesuffix(", v6"))
        of_the_operator = port in prison.operators_ports.get(unit, ())
        return of_the_operator or any(call.callee == INTERNET and port in call.ports for call in calls)
    callee, _, listener = where.partition(".")
    listens = [each for each in UNITS[callee].listens if each.name == listener]
    return any(
        call.callee == callee and call.channel is listen.channel and unit in listen.callers
        for call in calls
        for listen in listens
    )


@pytest.mark.parametrize("unit", UNITS)
def test_every_way_out_is_refused(prison: Any, unit: str) -> None:
    tried = prison.tried[unit]
    assert len(tried) > 150
    left_to_the_network = by_the_network_alone(prison, unit)
    out = {
        name: outcome
        for name, outcome in tried.items()
        if not name.startswith("stays: ")
        and name not in left_to_the_network
        and name not in named(prison, unit)
        and outcome not in REFUSED.get(name, {"EPERM", "EACCES"})
    }
    assert out == {}


@pytest.mark.parametrize("unit", UNITS)
def test_what_the_manifest_names_works(prison: Any, unit: str) -> None:
    tried = prison.tried[unit]
    works = {*named(prison, unit), *(name for name in tried if name.startswith("stays: "))}
    assert {name: tried[name] for name in works if tried[name] != "done"} == {}
    assert len(works) > 4


def test_a_port_of_the_operators_is_open_to_the_unit_that_is_told_it_alone(prison: Any) -> None:
    for unit in UNITS:
        done = prison.tried[unit]["tcp: internet port 2222"] == "done"
        has_ports = prison.closed[unit].landlock_abi >= ABI_WITH_PORTS
        assert done == (unit == "submission" or not has_ports), unit


@pytest.mark.parametrize("unit", UNITS)
def test_what_only_a_network_of_its_own_can_refuse(prison: Any, unit: str) -> None:
    """Listed, so that nobody takes it for refused; a host that is root will refuse it by the network."""
    found = by_the_network_alone(prison, unit)
    print(f"{unit}: {sorted(found)}")
    outcomes = {name: prison.tried[unit][name] for name in found}
    assert set(outcomes.values()) <= {"done"}, outcomes


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_loaded_at_closing_lies_in_the_image(prison: Any, unit: str) -> None:
    own = {name for name in prison.loaded[unit] if name.partition(".")[0] == "ptt"}
    folder = prison.images[unit].folder
    listed = {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        for path in (folder / "ptt").rglob("*.py")
    }
    assert own <= listed
    assert listed - own == set(), "in the image, but loaded only after closing, which would fail"
    compiled = folder.rglob("*.so")  # some of which name themselves as if they lay at the top
    packages = {path.name.partition(".")[0] for path in (*folder.iterdir(), *compiled)}
    loaded = {name.partition(".")[0] for name in prison.loaded[unit]}
    from_nowhere = loaded - packages - sys.stdlib_module_names - {"__main__"}
    assert from_nowhere == set()


def test_who_tries_stands_in_the_journal(prison: Any) -> None:
    for unit in UNITS:
        assert any(line.startswith(f"{BREACH}: open /etc/passwd") for line in prison.breaches[unit])
        assert len(prison.breaches[unit]) <= 16


def test_how_far_each_unit_is_closed(prison: Any) -> None:
    """What the units report is what this kernel has, for all alike."""
    (closed,) = set(map(tuple, map(msgspec.structs.astuple, prison.closed.values())))
    best = reachable(own_user=can_have_own(FIRST_USER_ID, MAX_UNITS), memory_locked=closed[-1])
    assert closed == msgspec.structs.astuple(best)
