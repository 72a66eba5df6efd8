"""The spam filter's life: its model in, one private listener, one hop to the relay, drained at the end."""

from functools import partial

from ptt.net.between import serve_between
from ptt.net.transactions import Way
from ptt.net.unit import Unit, wanted
from ptt.units.spam_filter.session import Labelling, SpamFilterSession
from ptt.units.spam_filter.settings import read_model, read_settings


async def serve(unit: Unit) -> None:
    """Run one generation of the spam filter until it is drained."""
    settings = wanted(read_settings(unit.boot.settings), unit)
    model = wanted(read_model(settings), unit, mend="train the model anew, or leave it empty")
    labelling = Labelling(model, settings.x_spam_status)
    way = Way.to("relay", unit, settings.memory_octets)
    await serve_between(way, settings.size_limit, partial(SpamFilterSession, labelling=labelling))
