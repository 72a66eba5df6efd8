"""Between zones, authority and host on one side and the rules about requests and orders on the other."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, assert_never

from ptt.boot import GiveState, KeepState, Peers
from ptt.errors import Malformed
from ptt.net.counters import Counters
from ptt.net.dns_requests import DnsRequests
from ptt.net.dns_streams import Caller
from ptt.net.https_client import HttpFailed, HttpsClient
from ptt.net.unit import Unit
from ptt.protocol.acme.dialogue import OrderDialogue
from ptt.protocol.acme.http import Request, Response, Unreachable
from ptt.protocol.acme.renewal import NoSuggestion, RenewalDialogue, Suggested, certificate_id
from ptt.protocol.acme.signing_request import Certificate
from ptt.protocol.acme.steps import Acquaintance, ChallengeRecord, Failed, Issued, Present, Send, Wait
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.requesting import Add, Progress, Remove
from ptt.protocol.dns.zone import Zone
from ptt.units.letsencrypt.challenges import challenge_rrset
from ptt.units.letsencrypt.demands import Demand, Fault, answer_edits, demands_of
from ptt.units.letsencrypt.notices import answer_notice
from ptt.units.letsencrypt.orders import Orders
from ptt.units.letsencrypt.settings import Told
from ptt.units.letsencrypt.suggestions import Suggestions

RUNS_KEY = ""  # an entry that is always kept: so a successor hears whether we still run
TRANSFER_WAIT_S = 1.0  # doubled up to an hour
MAX_DOUBLINGS = 12
MAX_TRANSFER_WAIT_S = 3600.0
CLEANING_S = 5.0  # of a drain's time: for the challenges to be taken away


class LetsencryptSession:
    """All zones and all orders of this generation."""

    def __init__(self, unit: Unit, told: Told, https: HttpsClient, counters: Counters) -> None:
        self._unit = unit
        self._told = told
        self._https = https
        self._counters = counters
        self._primary = DnsRequests(unit, told.tsig_key)
        self._zones: dict[Name, Zone] = {}
        self._doubtful: set[Name] = set()
        self._orders = Orders(told.settings.retry_s)
        self._unwritten: dict[Name, tuple[bytes, tuple[bytes, ...]]] = {}
        self._authority = Acquaintance(told.directory, told.account_key, told.contact)
        self._ended_orders: list[Demand] = []
        self._told_faults: set[str] = set()
        self._news = asyncio.Event()
        self._suggestions = Suggestions()
        self._predecessor_runs = self._closing = self._is_asking = False
        self._failed_transfers = 0
        self._running: set[asyncio.Task[None]] = set()
        counters.watch("orders_open", lambda: len(self._running))

    # What the host and the name server say

    def peers_changed(self, peers: Peers) -> None:
        """Take the live callees from the host."""
        self._primary.peers_changed(peers)
        self._news.set()

    def take_over(self, state: GiveState) -> None:
        """Take what earlier generations wait for; while one still runs, order nothing."""
        self._orders.take_over(entry for entry in state.entries if entry[0] != RUNS_KEY)
        self._predecessor_runs = state.predecessor_runs
        self._news.set()

    def notified(self, wire: bytes, _caller: Caller, answer: Callable[[list[bytes]], None]) -> None:
        """A notice of the name server: a zone has changed."""
        said = answer_notice(wire, self._told.zones)
        answer(said.messages)
        if said.is_news:
            self._counters.count("notices")
            self._news.set()

    # The work

    async def work(self) -> None:
        """Look at the zones when there is news, once a day, and when something is due; order what is."""
        self._unit.control.send(KeepState(RUNS_KEY, b"1"))
        try:
            await self._work()
        except asyncio.CancelledError:
            for task in self._running:  # a drain that ends the work lets them finish
                task.cancel()
            raise

    async def _work(self) -> None:
        while not self._closing:
            self._news.clear()
            ended, self._ended_orders = self._ended_orders, []
            fresh = await self._refresh()
            for demand in ended:
                if demand.zone in fresh:  # what it came to is in the zone that was read just now
                    self._orders.end(demand)
                else:
                    self._ended_orders.append(demand)
            wait_s = self._start_due(fresh)
            if len(fresh) < len(self._told.zones):
                wait_s = min(wait_s, self._transfer_wait_s())
            await self._wait_for_news(wait_s)

    async def drain(self, deadline_s: float) -> None:
        """Order nothing more; what is under way may end, its challenges go in any case."""
        self._closing = True
        self._news.set()
        if self._running:
            await asyncio.wait(self._running, timeout=max(deadline_s - CLEANING_S, 0.0))
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _wait_for_news(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        except TimeoutError:
            pass

    def _start_due(self, fresh: Collection[Name]) -> float:
        """Start the orders of these zones that are due; gives the seconds until the next look."""
        now = self._now()
        found = [each for zone in self._zones.values() for each in demands_of(zone, now)]
        self._tell([each for each in found if isinstance(each, Fault)])
        wanted = (each for each in found if isinstance(each, Demand) and each.zone in fresh)
        demands = self._suggestions.applied(wanted)
        look_s = self._told.settings.look_every_s
        if self._predecessor_runs or self._closing:
            return look_s
        for demand in self._orders.due(demands, now):
            self._orders.begin(demand)
            self._run(self._serve(demand))
        questions = [] if self._is_asking else self._suggestions.to_ask(demands, now)
        if questions:
            self._is_asking = True
            self._run(self._ask_about(questions))
        times = (self._orders.next_start(demands), self._suggestions.next_question())
        due = min((time for time in times if time is not None), default=now + look_s)
        return min(max(due - now, 0.1), look_s)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._news.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._unit.journal.failure("order", error)

    def _tell(self, faults: Iterable[Fault]) -> None:
        """Each fault once, for as long as it lasts."""
        texts = {fault.text for fault in faults}
        for text in sorted(texts - self._told_faults):
            self._unit.journal.alarm(text)
        self._told_faults = texts

    def _now(self) -> float:
        return self._unit.world.wall_time().timestamp()

    # Zones

    async def _refresh(self) -> Collection[Name]:
        """Get what is newer of each zone; gives those that are as the name server has them."""
        if not self._primary.has_primary:
            return ()
        reasons = {zone: await self._transfer(zone) for zone in self._told.zones}
        failed = [reason for reason in reasons.values() if reason]
        self._failed_transfers = self._failed_transfers + 1 if failed else 0
        if self._failed_transfers == 2:  # noqa: PLR2004 - the first is a name server that is replaced
            self._unit.journal.alarm(f"a zone cannot be read: {failed[0]}")
        return [zone for zone, reason in reasons.items() if not reason]

    def _transfer_wait_s(self) -> float:
        doublings = min(self._failed_transfers, MAX_DOUBLINGS)
        return min(TRANSFER_WAIT_S * float(1 << doublings), MAX_TRANSFER_WAIT_S)

    async def _transfer(self, origin: Name) -> str:
        """Get a zone; gives why not, empty: it is there."""
        known = self._zones.get(origin) if origin not in self._doubtful else None
        self._doubtful.discard(origin)
        match await self._primary.transfer(origin, known):
            case Zone() as zone:
                self._zones[origin] = zone
                self._counters.count("transfers")
            case Malformed(reason):
                self._doubtful.add(origin)  # the next time it is read whole
                return f"{origin}: {reason}"
            case Progress():
                pass
            case _ as never:
                assert_never(never)
        return ""

    # Orders

    async def _ask_about(self, certificates: Iterable[Certificate]) -> None:
        """Ask the authority when it would have these renewed."""
        try:
            for certificate in certificates:
                said: Suggested | NoSuggestion = NoSuggestion(
                    "it was not heard out"
                )  # should something fail here: not at once again
                try:
                    said = await self._suggestion(certificate)
                finally:
                    self._suggestions.note(certificate, said, self._now())
        finally:
            self._is_asking = False

    async def _suggestion(self, certificate: Certificate) -> Suggested | NoSuggestion:
        dialogue = RenewalDialogue(self._authority, certificate)
        while isinstance(step := dialogue.next_step(), Send):
            answer = await self._ask(step.request)
            dialogue.receive_response(answer, self._unit.world.wall_time())
        return step

    async def _serve(self, demand: Demand) -> None:
        """One order, and its outcome."""
        failed: Failed | None
        try:
            failed = await self._order_and_write(demand)
        except Exception as error:  # noqa: BLE001 - a bug waits as long as any failure, else it orders for ever
            self._unit.journal.failure("order", error)
            failed = Failed("something failed here")
        finally:
            self._ended_orders.append(demand)
        if failed is None:
            self._counters.count("certificates")
            self._orders.succeed(demand)
        else:
            self._counters.count("failures")
            now = self._now()
            wait_s = self._orders.fail(demand, now, failed.retry_after_s, limited=failed.limited)
            again = f"tried again in {wait_s:.0f} s"
            self._unit.journal.alarm(f"no certificate for {demand.host}: {failed.reason}; {again}")
        for key, value in self._orders.entries(demand):
            self._unit.control.send(KeepState(key, value))

    async def _order_and_write(self, demand: Demand) -> Failed | None:
        der, chain = self._unwritten.pop(demand.host, (b"", ()))
        if der != demand.request.der:
            outcome = await self._order(demand)
            if isinstance(outcome, Failed):
                return outcome
            chain = outcome.chain
        reason = await self._primary.update(
            demand.zone, answer_edits(self._zones[demand.zone], demand.host, chain)
        )
        if reason:  # kept for the next time: it was dear
            self._unwritten[demand.host] = (demand.request.der, chain)
            return Failed(f"it was issued, but cannot be written into the zone: {reason}")
        return None

    async def _order(self, demand: Demand) -> Issued | Failed:
        """Talk to the authority until there is a certificate or none."""
        self._counters.count("orders")
        replaces = certificate_id(demand.served.der) if demand.served is not None else None
        dialogue = OrderDialogue(self._authority, demand.request, replaces or "")
        shown: tuple[ChallengeRecord, ...] = ()
        try:
            while True:
                match dialogue.next_step():
                    case Send(request):
                        dialogue.receive_response(await self._ask(request), self._unit.world.wall_time())
                    case Wait(seconds):
                        await asyncio.sleep(seconds)
                        dialogue.waited()
                    case Present(records):
                        shown = records
                        reason = await self._show(demand.zone, records)
                        dialogue.give_up(reason) if reason else dialogue.presented()
                    case (Issued() | Failed()) as outcome:
                        return outcome
                    case _ as never:
                        assert_never(never)
        finally:
            if shown:
                await self._hide(demand.zone, shown)

    async def _ask(self, request: Request) -> Response | Unreachable:
        answer = await self._https.request(request.method, request.url, request.body, request.content_type)
        if isinstance(answer, HttpFailed):
            return Unreachable(answer.reason)
        return Response(answer.status, answer.headers, answer.body)

    async def _show(self, zone: Name, records: tuple[ChallengeRecord, ...]) -> str:
        reason = await self._primary.update(zone, (Add(challenge_rrset(record)) for record in records))
        if reason:
            return f"the challenges cannot be shown: {reason}"
        await asyncio.sleep(self._told.settings.settle_s)
        return ""

    async def _hide(self, zone: Name, records: tuple[ChallengeRecord, ...]) -> None:
        reason = await self._primary.update(zone, (Remove(challenge_rrset(record)) for record in records))
        if reason:
            names = ", ".join(sorted({record.name.text for record in records}))
            self._unit.journal.alarm(f"challenges stay in the zone, at {names}: {reason}")
