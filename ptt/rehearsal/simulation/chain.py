"""Our own units in the simulation: each real, with a control stream whose host is scripted here.

The host does what ``ptt.host`` does for processes: it makes peers known, publishes listeners, keeps what
units leave for their successors and gives it to these, replaces a unit by a new generation, and starts one
anew that was killed. A generation has a private address of its own, so a killed one leaves nothing behind
(``SimulatedWorld.die``). Keys are made once for all scenarios of a process.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from argon2.low_level import Type, hash_secret
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ptt import topology
from ptt.boot import (
    Answer,
    Ask,
    BootRecord,
    Counters,
    Drain,
    GiveAnswer,
    GiveState,
    KeepState,
    Peer,
    Peers,
    PutQuestion,
    Ready,
    Superseded,
    UnitFrame,
    Withdraw,
)
from ptt.errors import MisuseError
from ptt.host.kept import Kept
from ptt.manifest import INTERNET, Manifest, Overlap
from ptt.net.tls import LinkIdentity, make_link_identity
from ptt.net.unit import Unit
from ptt.net.world import Endpoint
from ptt.protocol.mailauth.dkim.keys import PrivateKey
from ptt.rehearsal.certificates import Authority, ServerCertificate
from ptt.rehearsal.simulation.chronicle import Chronicle
from ptt.rehearsal.simulation.control import SimulatedControl, SimulatedJournal
from ptt.rehearsal.simulation.datagrams import DatagramListener
from ptt.rehearsal.simulation.network import Listener, Network
from ptt.rehearsal.simulation.world import BEGINNING, SimulatedWorld
from ptt.rehearsal.simulation.zones import OUR_ZONE, ROOTS, our_zone

DOMAIN = "example.org"
HOST_NAME = "mail.example.org"
PUBLIC_HOST = "192.0.2.10"
SUBMISSIONS = Endpoint(PUBLIC_HOST, 465)
SMTP = Endpoint(PUBLIC_HOST, 25)
PASSWORD = "correct horse"  # noqa: S105 - of the pretend users
DRAIN_S = 900.0  # DESIGN section 9: the cap
UPDATE_KEY = "operator._update.example.org:SHA256:c2ltdWxhdGVkIGtleSBvZiAzMiBvY3RldHMgLi4uLi4="
BETWEEN_S = 0.02  # DESIGN section 10: so long nobody reads what waits at an exclusive unit's listeners
SRS_KEYS = {"keys": ["0123456789abcdef" * 2]}

AnyListener = Listener | DatagramListener


@dataclass(frozen=True, slots=True)
class Site:
    """What is particular about a scenario's service. ``zone`` is all that its units know of the DNS."""

    zone: str
    users: tuple[str, ...] = ("alice", "bert")
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Added to what each unit is told, by unit."""
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Added to its secrets, by unit."""
    selectors: tuple[str, ...] = ("rsa1", "ed1")
    """The DKIM keys. Reading an RSA key takes 50 ms, more than all the rest of a short scenario."""
    line: tuple[Manifest, ...] = topology.OUTBOUND
    """The units that run: those of the outbound or of the inbound line, or of both."""
    has_dns: bool = False
    """Names come by our resolver from pretend name servers, and our own zone from our name server; else by
    ``zone`` as it is, which is quicker."""

    @property
    def units(self) -> tuple[Manifest, ...]:
        """All units that run; those that answer questions start first and end last."""
        return (*topology.DNS, *self.line) if self.has_dns else self.line


class _HostedControl(SimulatedControl):
    """A control stream that ends with its process, and a host that hears at once what is to be kept."""

    def __init__(self, kept: "Keeper", number: int) -> None:
        super().__init__()
        self._kept = kept
        self._number = number
        self.is_cut = False

    def send(self, frame: UnitFrame) -> None:
        """Pass on to the host, unless the process is dead."""
        if self.is_cut:
            return
        super().send(frame)
        match frame:
            case KeepState():
                self._kept.keep(frame, self._number)
            case Ask():
                self._kept.pass_on(frame, self._number)
            case Answer():
                self._kept.pass_back(frame)
            case _:
                pass


@dataclass(slots=True)
class Generation:
    """One running generation of a unit."""

    number: int
    world: SimulatedWorld
    control: _HostedControl
    journal: SimulatedJournal
    identity: LinkIdentity
    listeners: dict[str, AnyListener]
    task: "asyncio.Task[None]"
    is_draining: bool = False

    @property
    def gauges(self) -> dict[str, float]:
        """What it last told of itself."""
        return next(
            (frame.values for frame in reversed(self.control.heard) if isinstance(frame, Counters)), {}
        )


class Keeper:
    """The host's memory of one unit: its generations and what they left for their successors.

    Units ask their own kind alone here. ``is_deaf``: questions are lost, as in a host that is stuck.
    """

    def __init__(self) -> None:
        self.kept = Kept()
        self.generations: list[Generation] = []
        self.started = 0
        self.is_deaf = False
        self.answer_after_s = 0.0
        self.asked = 0
        self._asking: dict[int, tuple[_HostedControl, int, Generation]] = {}

    def pass_on(self, frame: Ask, number: int) -> None:
        """Put a question to the generation that is published; None, where none is, is the answer."""
        self.asked += 1
        asker = next(each for each in self.generations if each.number == number).control
        owner = self.generations[-1]
        if self.is_deaf:
            return
        if owner.is_draining:
            asker.say(GiveAnswer(frame.number, None))
            return
        self._asking[self.asked] = (asker, frame.number, owner)
        owner.control.say(PutQuestion(self.asked, frame.to, frame.payload))

    def pass_back(self, frame: Answer) -> None:
        """Give an answer to who asked."""
        asked = self._asking.pop(frame.number, None)
        if asked is not None:
            answer = GiveAnswer(asked[1], frame.payload)
            asyncio.get_running_loop().call_later(self.answer_after_s, asked[0].say, answer)

    def answers_no_more(self, generation: Generation) -> None:
        """A generation is gone: what it was asked is answered with nothing."""
        for number, (asker, asked, owner) in list(self._asking.items()):
            if owner is generation:
                del self._asking[number]
                asker.say(GiveAnswer(asked, None))

    def keep(self, frame: KeepState, number: int) -> None:
        """Keep a frame; what an old generation still says goes on to the newest."""
        self.kept.put(frame)
        if self.generations and self.generations[-1].number != number:
            news = GiveState(((frame.key, frame.value),), predecessor_runs=True)
            self.generations[-1].control.say(news)

    def ended(self) -> None:
        """A generation is gone; the last that is left has no predecessor any more."""
        if len(self.generations) == 1:
            self.generations[0].control.say(GiveState(()))


class SimulatedChain:
    """See the module."""

    def __init__(self, network: Network, site: Site, chronicle: Chronicle, seed: int | str = 0) -> None:
        self.journals: list[tuple[str, SimulatedJournal]] = []
        """Of every generation that ever ran."""
        self.ended: list[tuple[str, Generation]] = []
        """Generations that have ended in order."""
        self._network = network
        self.site = site
        self._chronicle = chronicle
        self._seed = seed
        self._secrets = {
            "tls_key": _certificate().key_pem,
            "dkim_keys": json.dumps([_dkim_key(selector) for selector in site.selectors]),
            "verifiers": json.dumps({user: {"verifier": _verifier()} for user in site.users}),
            "ledger_key": "the ledger's key",
            "srs_keys": json.dumps(SRS_KEYS),
            "tsig_keys": json.dumps([UPDATE_KEY]),
        }
        self._line = site.units
        self._units = {manifest.name: Keeper() for manifest in self._line}
        self._public: dict[str, AnyListener] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all units, callees first."""
        for manifest in topology.start_order(self._line):
            await self.begin(manifest.name)

    def newest(self, name: str) -> Generation:
        """The generation that gets what begins now."""
        return self._units[name].generations[-1]

    def hosts(self, name: str) -> list[str]:
        """The private addresses of all generations of a unit; none of one that is not here."""
        unit = self._units.get(name)
        return [] if unit is None else [each.world.host for each in unit.generations]

    def keeper(self, name: str) -> Keeper:
        """What the host has of a unit."""
        return self._units[name]

    async def begin(self, name: str) -> Generation:
        """Start a new generation, give it what its predecessors left, publish it, tell everybody."""
        manifest = self._manifest(name)
        unit = self._units[name]
        unit.started += 1
        generation = self._launch(manifest, unit, unit.started)
        await generation.control.wait_for(Ready)
        for frame in unit.kept.frames():
            generation.control.say(GiveState(frame.entries, predecessor_runs=bool(unit.generations)))
        unit.generations.append(generation)
        self._tell_peers()
        for former in unit.generations[:-1]:
            former.control.say(Superseded())
        if manifest.overlap is Overlap.EXCLUSIVE and len(unit.generations) > 1:
            for former in unit.generations[:-1]:
                former.control.say(Withdraw(tuple(former.listeners)))
            await asyncio.sleep(BETWEEN_S)
        generation.control.publish(generation.listeners)
        self._chronicle.tell(name, f"generation {generation.number} serves")
        return generation

    def kill(self, name: str) -> None:
        """End the newest generation at once, as SIGKILL does; nobody is started in its place."""
        generation = self._units[name].generations.pop()
        self._units[name].answers_no_more(generation)
        self._units[name].ended()
        self._chronicle.tell(name, f"generation {generation.number} is killed")
        generation.control.is_cut = True
        generation.world.die()
        generation.task.cancel()
        self._close_listeners(generation)
        self._tell_peers()

    async def restart(self, name: str) -> None:
        """Start a unit that was killed."""
        await self.begin(name)

    async def replace(self, name: str, drain_s: float = DRAIN_S) -> None:
        """Start a new generation and let the old one finish by itself."""
        former = self.newest(name)
        await self.begin(name)
        self._retire(name, former, drain_s)

    async def stop(self) -> None:
        """Drain all units, callers first, and wait until they have ended."""
        for manifest in reversed(topology.start_order(self._line)):
            for generation in list(self._units[manifest.name].generations):
                if not generation.is_draining:
                    self._retire(manifest.name, generation, DRAIN_S)
            while self._retiring:
                await asyncio.wait(self._retiring)
        for listener in self._public.values():
            listener.close()

    @property
    def failures(self) -> list[str]:
        """Bugs that any generation has met."""
        return [f"{name}: {failure}" for name, journal in self.journals for failure in journal.failures]

    # Within

    def _launch(self, manifest: Manifest, unit: Keeper, number: int) -> Generation:
        place = [each.name for each in self._line].index(manifest.name) + 1
        host = f"10.0.{place}.{number}"
        journal = SimulatedJournal()
        self.journals.append((f"{manifest.name}.{number}", journal))
        identity = _identity(manifest.name, number)
        world = SimulatedWorld(self._network, host, self._seed)
        control = _HostedControl(unit, number)
        boot = BootRecord(
            unit=manifest.name,
            generation=number,
            host_name=HOST_NAME,
            digest="simulated",
            settings=self._settings(manifest.name),
            secrets={
                **{kind: secret for kind, secret in self._secrets.items() if kind in manifest.secrets},
                **self.site.secrets.get(manifest.name, {}),
            },
        )
        serve = import_module(f"ptt.units.{manifest.name}.service").serve  # as an image does
        task = asyncio.ensure_future(serve(Unit(boot, world, control, journal, identity)))
        task.add_done_callback(_show)
        return Generation(number, world, control, journal, identity, self._bind(manifest, host), task)

    def _bind(self, manifest: Manifest, host: str) -> dict[str, AnyListener]:
        """Private listeners are this generation's, public ones stay with the host."""
        listeners: dict[str, AnyListener] = {}
        for listen in manifest.listens:
            bind = self._network.bind_datagrams if listen.transport == "udp" else self._network.bind
            if INTERNET not in listen.callers:
                listeners[listen.name] = bind(Endpoint(host, listen.port))
                continue
            name = f"{manifest.name} {listen.name}"
            if name not in self._public:
                self._public[name] = bind(Endpoint(PUBLIC_HOST, listen.port))
            listeners[listen.name] = self._public[name]
        return listeners

    def _close_listeners(self, generation: Generation) -> None:
        for listener in generation.listeners.values():
            if listener.endpoint.host != PUBLIC_HOST:
                listener.close()

    def _retire(self, name: str, generation: Generation, drain_s: float) -> None:
        generation.is_draining = True
        task = asyncio.ensure_future(self._drain(name, generation, drain_s))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _drain(self, name: str, generation: Generation, drain_s: float) -> None:
        self._chronicle.tell(name, f"generation {generation.number} drains")
        generation.control.say(Drain(drain_s))
        await asyncio.wait([generation.task])
        if generation in self._units[name].generations:
            self._units[name].generations.remove(generation)
            self._units[name].ended()
            self.ended.append((name, generation))
            self._chronicle.tell(name, f"generation {generation.number} has ended")
        self._close_listeners(generation)
        self._tell_peers()

    def _tell_peers(self) -> None:
        for name, unit in self._units.items():
            callers = self._peers((caller, 0) for caller in self._units if name in self._callees(caller))
            callees = self._peers(self._callees(name).items())
            for generation in unit.generations:
                generation.control.say(Peers(callers, callees))

    def _peers(self, ports: Iterable[tuple[str, int]]) -> tuple[Peer, ...]:
        """All generations of these units, with the port that they are called on."""
        return tuple(
            Peer(name, each.number, each.world.host, port, each.identity.certificate)
            for name, port in ports
            for each in self._units[name].generations
        )

    def _manifest(self, name: str) -> Manifest:
        return next(manifest for manifest in self._line if manifest.name == name)

    def _callees(self, name: str) -> dict[str, int]:
        """The units here that it calls, and where they listen for it."""
        calls = [call for call in self._manifest(name).calls if call.callee in self._units]
        return {
            call.callee: listen.port
            for call in calls
            for listen in self._manifest(call.callee).listens
            if name in listen.callers and listen.channel is call.channel
        }

    def _settings(self, name: str) -> dict[str, Any]:
        own: dict[str, Any] = {}
        fixed = "" if self.site.has_dns else self.site.zone
        if name == "submission":
            own = {"domains": [DOMAIN], "certificate_pem": _certificate().chain_pem}
        elif name == "receiver":
            certificate = _certificate().chain_pem
            own = {"domains": [DOMAIN], "certificate_pem": certificate, "zone": fixed}
        elif name == "relay":
            own = {"domains": [DOMAIN], "zone": fixed}
        elif name == "dns_resolver":
            roots = [
                {"name": f"{letter}.roots", "ipv4": host} for letter, host in zip("ab", ROOTS, strict=True)
            ]
            own = {"roots": roots, "ipv6": False, "private_servers": True}
        elif name == "dns_primary":
            own = {"zones": {OUR_ZONE: our_zone(self.site.zone)}}
        return {**own, **self.site.settings.get(name, {})}


def _show(task: "asyncio.Task[None]") -> None:
    """A unit that ends by an exception is a failure of the scenario."""
    if not task.cancelled() and (error := task.exception()) is not None:
        raise MisuseError("a unit ended by an exception") from error


@cache
def _identity(name: str, number: int) -> LinkIdentity:
    return make_link_identity(name, number, BEGINNING)


@cache
def _certificate() -> ServerCertificate:
    return Authority().issue(HOST_NAME)


@cache
def _dkim_key(selector: str) -> dict[str, str]:
    if selector.startswith("rsa"):
        key: PrivateKey = rsa.generate_private_key(65537, 2048)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    return {"selector": selector, "domain": DOMAIN, "key": pem}


@cache
def _verifier() -> str:
    """Of the cheapest cost there is: what a login takes is simulated time."""
    encoded = hash_secret(
        PASSWORD.encode(), b"16 octets of it.", 1, memory_cost=8, parallelism=1, hash_len=16, type=Type.ID
    )
    return encoded.decode("ascii")
