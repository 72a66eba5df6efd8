"""A unit that reaches for what it has given up fails the run of its rehearsal."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ptt import topology
from ptt.errors import ConfigError
from ptt.host.unit_spec import JournalEntry
from ptt.net.closing.breaches import BREACH
from ptt.rehearsal.our_service import Domain
from ptt.rehearsal.site import Site


def test_a_breach_in_the_journal_fails_the_run(tmp_path: Path) -> None:
    site = Site(tmp_path, Domain(), {}, units=topology.OUTBOUND)
    breach = JournalEntry(datetime.now(UTC), "signer", 1, f'{{"detail":"{BREACH}: import antigravity"}}')

    async def hear() -> None:
        site._service._heard(breach)

    site.background.call(hear())
    site._service.host.stop = lambda _deadline_s: asyncio.sleep(0)  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ConfigError, match="import antigravity"):
        site.__exit__()
