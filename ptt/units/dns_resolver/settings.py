"""What the resolver is told in its boot record; nothing at all on the Internet as it is."""

from collections.abc import Mapping

import msgspec

from ptt.errors import Malformed
from ptt.protocol.dns.addresses import is_address
from ptt.protocol.dns.delegation import ROOT_HINTS, root_delegation
from ptt.protocol.dns.knowledge import ResolverSettings
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.reserved import RESERVED_ZONES


class RootServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server of the root, with one address of each family or one alone."""

    name: str
    ipv4: str = ""
    ipv6: str = ""


class DnsResolverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``roots`` empty: those of the Internet. The last two are for a pretend Internet.

    ``unreserved`` are zones of private networks that are resolved all the same, ``private_servers`` allows
    servers with addresses of such networks.
    """

    roots: tuple[RootServer, ...] = ()
    ipv6: bool = True
    unreserved: tuple[str, ...] = ()
    private_servers: bool = False


def read_settings(values: Mapping[str, object]) -> ResolverSettings | Malformed:
    """Read the boot record's settings; the reason names the field."""
    try:
        told = msgspec.convert(values, DnsResolverSettings)
    except msgspec.ValidationError as error:
        return Malformed(str(error))
    fault = _fault(told.roots)
    if fault is not None:
        return fault
    names = [Name.parse(text) for text in told.unreserved]
    unreserved = {name for name in names if isinstance(name, Name)}
    if len(unreserved) != len(told.unreserved):
        return Malformed("unreserved: not a list of different names")
    hints = tuple((root.name, root.ipv4, root.ipv6) for root in told.roots) or ROOT_HINTS
    return ResolverSettings(
        root=root_delegation(hints),
        ipv6=told.ipv6,
        private_servers=told.private_servers,
        reserved=RESERVED_ZONES - unreserved,
    )


def _fault(roots: tuple[RootServer, ...]) -> Malformed | None:
    for root in roots:
        if isinstance(Name.parse(root.name), Malformed):
            return Malformed(f"roots: {root.name!r} is no name")
        addresses = [each for each in (root.ipv4, root.ipv6) if each]
        if not addresses or not all(map(is_address, addresses)):
            return Malformed(f"roots: {root.name} needs an address")
    return None
