"""The relay's life.

One private listener, connections to mail servers, the ledger taken over and handed on.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ptt.boot import GiveState, KeepState, Peers, PutQuestion
from ptt.errors import Malformed
from ptt.net.budget import MemoryBudget
from ptt.net.counters import Counters
from ptt.net.deadlines import DATA_TAKEN_S, LATE_VERDICT_S, RELAY_ANSWER_S, STREAM_ABOVE_OCTETS
from ptt.net.lifecycle import Life, Orders
from ptt.net.link import Link
from ptt.net.names import names_of
from ptt.net.outbound import Limits, MailServer, Outbound, Way
from ptt.net.questions import Questions
from ptt.net.remote_transaction import RemoteTransaction
from ptt.net.repository_watch import Watches
from ptt.net.smtp_server import ServerConnection
from ptt.net.tls import opportunistic_client_context, verifying_client_context
from ptt.net.transactions import new_trace_id
from ptt.net.unit import Unit, wanted
from ptt.net.watched_users import WatchedUsers
from ptt.net.world import Endpoint, TlsRole
from ptt.protocol.dns.lookup import Lookup
from ptt.protocol.dns.name import Name
from ptt.protocol.smtp.attempt import NotAsked
from ptt.protocol.smtp.commands import Login
from ptt.protocol.smtp.reply import Reply
from ptt.records.user_list import UserList
from ptt.records.users import RelayUser, parse_relay_user
from ptt.units.relay.bounces import Bounces
from ptt.units.relay.brakes import Brakes, held_back
from ptt.units.relay.delivery import Deadlines
from ptt.units.relay.destination import find_servers, find_smarthost
from ptt.units.relay.entry import Entry, outcome_of
from ptt.units.relay.exchanges import Exchange
from ptt.units.relay.inbound import Memory
from ptt.units.relay.ledger import Decision, Keys, Ledger
from ptt.units.relay.opening import Opening
from ptt.units.relay.outcome import Outcome
from ptt.units.relay.ownership import (
    Answered,
    answer,
    ask_begin,
    ask_look,
    read_decided,
    read_seen,
    say_gave_up,
    say_taken,
)
from ptt.units.relay.routing import Lane, alarms_of
from ptt.units.relay.session import RelaySession, Surroundings
from ptt.units.relay.settings import Configured, RelaySettings, read_settings, read_srs_keys

LOOK_EVERY_S = 1.0  # what has become of an entry that runs with the ledger's owner
RECIPIENTS_S = 55.0  # who asks us waits 60 s (``ptt.net.deadlines.RECIPIENT_TIMEOUT_S``)


async def serve(unit: Unit) -> None:
    """Run one generation of the relay until it is drained."""
    configured = wanted(read_settings(unit.boot.settings, unit.boot.host_name), unit)
    settings = configured.settings
    counters = Counters()
    names = names_of(unit, settings.zone)
    means = RelayMeans(unit, settings, names.lookup)
    watches = Watches(unit, names.lookup)
    opening = Opening(
        means,
        configured.directory,
        _memory(unit, configured, means.brakes),
        unit.journal.alarm,
        has_smarthost=settings.smarthost is not None,
    )
    users = _watched(unit, configured, opening, watches)

    async def session(connection: ServerConnection) -> None:
        await RelaySession(connection, around).serve()

    link = Link(unit, session, settings.size_limit, counters.count)
    around = Surroundings(
        unit=unit,
        means=means,
        budget=MemoryBudget(settings.memory_octets),
        counters=counters,
        open=opening.open,
        caller=link.caller,
    )

    counters.watch("held_octets", lambda: around.budget.held)

    async def drain(deadline_s: float) -> None:
        """Open sessions end, then what is under way without one.

        What is still open then the host keeps as running.
        """
        await link.service.drain(deadline_s)
        while around.background:
            await asyncio.wait(around.background)
        await watches.close()
        await means.outbound.close()
        names.close()

    def on_peers(peers: Peers) -> None:
        link.peers_changed(peers)
        names.peers_changed(peers)

    def on_state(state: GiveState) -> None:
        restored = means.ledger.restore(
            state.entries, means.unix_time(), predecessor_runs=state.predecessor_runs
        )
        means.keep(restored.frames)
        means.tell_settled(restored.settled)
        if users is not None:
            users.take_over(state.entries)

    watches.start()
    orders = Orders(
        on_peers=on_peers,
        on_state=on_state,
        on_stream=watches.stream,
        on_changed=watches.changed,
        on_question=means.answer,
        on_superseded=means.superseded,
        drain=drain,
    )
    await Life(unit, {"hop": link.service.acceptor}, orders, counters, means.questions).run()


def _watched(
    unit: Unit, configured: Configured, opening: Opening, watches: Watches
) -> WatchedUsers[RelayUser] | None:
    """The users of ``relay.git``, as they are; None where they stand in the settings."""

    def hold(users: UserList[RelayUser]) -> None:
        opening.directory = configured.with_users(users)
        for role in configured.unknown_roles(users):
            unit.journal.alarm(f"{role} is to have mail for postmaster or for nobody, and is no user")
        for alarm in alarms_of(opening.directory):
            unit.journal.alarm(alarm)

    repository = configured.settings.repository
    if repository is None:
        hold(configured.directory.users)
        return None
    return WatchedUsers(unit, watches, repository, parse_relay_user, hold)


class RelayMeans:
    """What a delivery needs from the world; see ``delivery.Means``."""

    def __init__(self, unit: Unit, settings: RelaySettings, lookup: Lookup) -> None:
        limits = Limits(settings.limits.connections, settings.limits.messages_per_connection)
        self.ledger = Ledger()
        self.ledger_key = _secret(unit, "ledger_key").encode()
        self.deadlines = _deadlines(settings)
        self.brakes = Brakes()
        self.outbound = Outbound(unit.world, unit.boot.host_name, limits, settings.source_addresses)
        self._unit = unit
        self._settings = settings
        self._lookup = lookup
        self._role = _client_role(settings)
        self._login = _login(unit, settings)
        self._joined: dict[Entry, list[asyncio.Future[Outcome]]] = {}
        self.questions = Questions(unit.control)
        self._is_owner = True

    def now(self) -> float:
        """The loop's time."""
        return self._unit.world.now()

    def unix_time(self) -> float:
        """Seconds since 1970."""
        return self._unit.world.wall_time().timestamp()

    def new_trace_id(self) -> str:
        """For mail that came without one."""
        return new_trace_id(self._unit.world)

    async def find_way(self, lane: Lane) -> RemoteTransaction | NotAsked:
        """A remote transaction with the servers of a lane, not open yet; or our own reply."""
        smarthost = self._settings.smarthost
        found = await self._find_servers(lane)
        if isinstance(found, Reply):
            return NotAsked(found)
        if lane.alias is not None and (left_s := self.brakes.left_s(found[0].text, self.unix_time())) > 0:
            return NotAsked(held_back(left_s))
        port = self._settings.port if smarthost is None else smarthost.port
        servers = tuple(
            MailServer(server.text, tuple(Endpoint(str(address), port) for address in server.addresses))
            for server in found
        )
        way = Way(
            key=lane.destination,
            servers=servers,
            tls_role=self._role,
            may_be_clear=lane.may_be_clear,
            implicit_tls=smarthost is not None and smarthost.has_implicit_tls,
            login=self._login,
        )
        return RemoteTransaction(self.outbound, way)

    async def _find_servers(self, lane: Lane) -> tuple[Exchange, ...] | Reply:
        settings, ipv6 = self._settings, self._settings.ipv6
        if lane.destination is None or settings.smarthost is not None:
            host = settings.smarthost.host if settings.smarthost is not None else ""
            return await find_smarthost(self._lookup, Name.of(host), ipv6=ipv6)
        return await find_servers(
            self._lookup,
            lane.destination,
            ipv6=ipv6,
            own_name=Name.of(self._unit.boot.host_name),
            seed=int.from_bytes(self._unit.world.random_bytes(4), "big"),
        )

    def keep(self, frames: Sequence[KeepState]) -> None:
        """Send the ledger's frames to the host."""
        for frame in frames:
            self._unit.control.send(frame)

    def settled(self, entry: Entry, outcome: Outcome) -> None:
        """Tell those who have joined."""
        for waiter in self._joined.pop(entry, ()):
            if not waiter.done():
                waiter.set_result(outcome)

    def tell_settled(self, entries: Sequence[Entry]) -> None:
        """Tell those who have joined entries that ran in an earlier generation."""
        for entry in entries:
            if (outcome := outcome_of(entry)) is not None:
                self.settled(entry, outcome)

    # The ledger's owner, and who asks it

    def superseded(self) -> None:
        """A newer generation owns the ledger from now on."""
        self._is_owner = False

    def answer(self, question: PutQuestion) -> bytes | None:
        """Answer an earlier generation; None for what none of them would ask."""
        answered: Answered | Malformed = Malformed(f"{question.asker} has no business here")
        if question.asker == self._unit.boot.unit:
            answered = answer(self.ledger, question.payload, self.unix_time())
        if isinstance(answered, Malformed):
            self._unit.journal.alarm(f"a question about the ledger: {answered.reason}")
            return None
        self.keep(answered.frames)
        self.tell_settled(answered.settled)
        return answered.reply

    async def consult(self, trace_id: str, keys: Sequence[Keys]) -> Sequence[Decision] | None:
        """Ask the ledger, or its owner, before the end of the data; None: nobody could say."""
        if self._is_owner or not keys:
            begun = self.ledger.begin(trace_id, keys, self.unix_time())
            self.keep(begun.frames)
            return begun.decisions
        reply = await self._ask_owner(ask_begin(trace_id, keys))
        decided = read_decided(reply, len(keys)) if reply is not None else None
        adopted = None
        if isinstance(decided, Malformed):
            self._unit.journal.alarm(f"an answer about the ledger: {decided.reason}")
        elif decided is not None:
            adopted = self.ledger.adopt(trace_id, decided)
        if adopted is None:
            self.questions.tell(self._unit.boot.unit, say_gave_up(trace_id))
        return adopted

    def taken(self, trace_ids: Sequence[str]) -> None:
        """Forget what these transactions carried: the edge says that their 250 was taken."""
        self.keep(self.ledger.taken(trace_ids))
        if not self._is_owner:
            self.questions.tell(self._unit.boot.unit, say_taken(trace_ids))

    async def _ask_owner(self, question: bytes) -> bytes | None:
        return await self.questions.ask(self._unit.boot.unit, question)

    async def _wait_elsewhere(self, entry: Entry, deadline: float) -> Outcome | None:
        """Look again and again what has become of an entry that runs with the owner."""
        while self.now() < deadline and (outcome := outcome_of(entry)) is None:
            reply = await self._ask_owner(ask_look(entry.exact))
            seen = read_seen(reply) if reply is not None else None
            if isinstance(seen, Malformed):
                self._unit.journal.alarm(f"an answer about the ledger: {seen.reason}")
                return None
            if seen is not None:
                outcome = self.ledger.learn(entry, seen.entry)
                if outcome is not None:
                    return outcome
            await asyncio.sleep(min(LOOK_EVERY_S, max(deadline - self.now(), 0.0)))
        return outcome_of(entry)

    async def wait_settled(self, entry: Entry, deadline: float) -> Outcome | None:
        """Wait for another transaction's outcome; None: not in time."""
        if (outcome := outcome_of(entry)) is not None:
            return outcome
        if entry.is_elsewhere and not self._is_owner:
            return await self._wait_elsewhere(entry, deadline)
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._joined.setdefault(entry, []).append(waiter)
        try:
            async with asyncio.timeout(max(deadline - self.now(), 0.0)):
                return await waiter
        except TimeoutError:
            return None

    async def together(self, *work: Coroutine[Any, Any, None]) -> None:
        """Do all of it at the same time; the first bug of one ends the others."""
        if len(work) == 1:  # nearly all mail has one target
            await work[0]
        elif work:
            async with asyncio.TaskGroup() as group:
                for each in work:
                    group.create_task(each)


def _memory(unit: Unit, configured: Configured, brakes: Brakes) -> Memory | None:
    """What inbound mail needs; None without its keys, which a service that only sends has not."""
    secret = unit.boot.secrets.get("srs_keys", "")
    if not secret:
        return None
    keys = wanted(read_srs_keys(secret), unit, "secrets, srs_keys", 'give {"keys": ["hex", ...]}')
    return Memory(Bounces(keys, configured.srs_domains), brakes=brakes)


def _secret(unit: Unit, name: str) -> str:
    secret = unit.boot.secrets.get(name) or Malformed(f"there is no {name}")
    return wanted(secret, unit, "secrets", f"give {name}")


def _login(unit: Unit, settings: RelaySettings) -> Login | None:
    if settings.smarthost is None:
        return None
    return Login(settings.smarthost.login, _secret(unit, "smarthost_password"))


def _deadlines(settings: RelaySettings) -> Deadlines:
    given = settings.deadlines
    return Deadlines(
        recipients_s=RECIPIENTS_S if given.recipients_s is None else given.recipients_s,
        taken_s=DATA_TAKEN_S if given.taken_s is None else given.taken_s,
        answer_s=RELAY_ANSWER_S if given.answer_s is None else given.answer_s,
        late_s=LATE_VERDICT_S if given.late_s is None else given.late_s,
        stream_above_octets=STREAM_ABOVE_OCTETS,
    )


def _client_role(settings: RelaySettings) -> Callable[[str], TlsRole]:
    """Our side of TLS.

    With a smarthost name and chain are verified, on the Internet the server is anybody.
    """
    if settings.smarthost is None:
        context = opportunistic_client_context()
    else:
        context = verifying_client_context(settings.smarthost.trust_anchors_pem)
    return lambda host: TlsRole(server_side=False, context=context, server_name=host)
