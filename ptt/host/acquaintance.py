"""Who is told of whom: from the manifests of all units and the generations that live.

A listener of a unit learns the certificates of everybody who may call it and lives, also of callers that
drain; a caller learns where the published generations of its callees listen. Calls to and from the Internet
are not between units and appear nowhere here.
"""

from collections.abc import Iterator

from ptt.boot import Peer, Peers
from ptt.host.supervision import Generation, HostState, Phase, UnitState
from ptt.manifest import INTERNET, CallKind, Listen, Manifest


def private_listens(manifest: Manifest) -> tuple[Listen, ...]:
    """The listeners that only units may call; each generation has its own."""
    return tuple(listen for listen in manifest.listens if INTERNET not in listen.callers)


def public_listens(manifest: Manifest) -> tuple[Listen, ...]:
    """The listeners that the Internet may call; they are the host's, and generations share them."""
    return tuple(listen for listen in manifest.listens if INTERNET in listen.callers)


def peers_of(state: HostState, unit: UnitState) -> Peers:
    """What a generation of this unit must know now."""
    return Peers(tuple(_callers(state, unit.manifest)), tuple(_callees(state, unit.manifest)))


def needed_callees(state: HostState, unit: UnitState) -> list[UnitState]:
    """The units of this host that this one cannot work without: it hands them mail or asks them names."""
    names = (call.callee for call in unit.manifest.calls if call.kind is not CallKind.NOTICE)
    return [state.units[name] for name in names if name in state.units]


def needing_callers(state: HostState, unit: UnitState) -> list[UnitState]:
    """The units of this host that cannot work without this one."""
    name = unit.manifest.name
    return [
        other
        for other in state.units.values()
        if any(call.callee == name and call.kind is not CallKind.NOTICE for call in other.manifest.calls)
    ]


def _callers(state: HostState, manifest: Manifest) -> Iterator[Peer]:
    names = {name for listen in private_listens(manifest) for name in listen.callers}
    for name in sorted(names & state.units.keys()):
        for generation in state.units[name].generations:
            if generation.certificate:
                yield Peer(name, generation.number, "", 0, generation.certificate)


def _callees(state: HostState, manifest: Manifest) -> Iterator[Peer]:
    for call in manifest.calls:
        callee = state.units.get(call.callee)
        if callee is None:
            continue
        for listen in private_listens(callee.manifest):
            if manifest.name in listen.callers and listen.channel is call.channel:
                yield from _listening(callee, listen.name)


def _listening(unit: UnitState, listener: str) -> Iterator[Peer]:
    reachable = {Phase.PUBLISHED, Phase.WITHDRAWN}  # the latter reads from the public listeners no more
    for generation in unit.generations:
        if generation.phase in reachable and listener in generation.private:
            yield _peer(unit.manifest.name, generation, listener)


def _peer(name: str, generation: Generation, listener: str) -> Peer:
    address = generation.private[listener]
    return Peer(name, generation.number, address.host, address.port, generation.certificate)
