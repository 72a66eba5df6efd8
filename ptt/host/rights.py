"""What a unit may still do once it is closed, from its manifest and the ports of those that it calls.

Each private listener has a port of its own, which all its generations share at addresses of their own: so
that a unit's right to connect, which is given once, holds for those who come later, and for no other unit.
"""

from collections.abc import Collection, Mapping

from ptt.boot import Rights
from ptt.manifest import INTERNET, Channel, Manifest

UDP_CHANNELS = frozenset({Channel.DNS, Channel.NOTIFY})  # RFC 1035 §4.2.1, RFC 1996 §3.3: datagrams first

Ports = Mapping[tuple[str, str], int]
"""The port of each private listener: by unit and the listener's name."""


def rights_of(
    manifest: Manifest,
    callees: Mapping[str, Manifest],
    ports: Ports,
    *,
    own_user: bool,
    named_ports: Collection[int] = (),
) -> Rights:
    """The rights of one unit. ``callees``: all units that run, by name.

    ``named_ports`` are those in the operator's own addresses; a unit that calls nobody out there gets none.
    """
    outward = [call for call in manifest.calls if call.callee == INTERNET]
    allowed = {port for call in outward for port in call.ports}
    if outward:
        allowed.update(named_ports)
    for call in manifest.calls:
        callee = callees.get(call.callee)
        if callee is not None:
            allowed |= {
                ports[callee.name, listen.name]
                for listen in callee.listens
                if manifest.name in listen.callers and listen.channel is call.channel
            }
    return Rights(
        connect_ports=tuple(sorted(allowed)),
        internet=bool(outward),
        udp=any(call.channel in UDP_CHANNELS for call in outward),
        own_user=own_user,
    )
