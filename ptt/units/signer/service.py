"""The signer's life: keys in, one private listener, one hop to the relay, drained at the end."""

from functools import partial

from ptt.net.between import serve_between
from ptt.net.transactions import Way
from ptt.net.unit import Unit, wanted
from ptt.units.signer.session import SignerSession
from ptt.units.signer.settings import policy_of, read_keys, read_settings


async def serve(unit: Unit) -> None:
    """Run one generation of the signer until it is drained."""
    settings = wanted(read_settings(unit.boot.settings), unit)
    policy = wanted(policy_of(settings), unit)
    read = read_keys(unit.boot.secrets["dkim_keys"])
    keys = wanted(read, unit, "dkim_keys", "a JSON list of selector, domain and key")
    way = Way.to("relay", unit, settings.memory_octets)
    await serve_between(way, settings.size_limit, partial(SignerSession, keys=keys, policy=policy))
