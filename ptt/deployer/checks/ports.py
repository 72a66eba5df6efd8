"""Ports: those that we serve, free before ``ptt up`` and ours behind it; those that we need outward.

Pure: what was tried is in the facts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ptt.deployer.checks.finding import Finding, fail, ok, wait, warn

HERE, OUTWARD, RELAY = "ports here", "port 25 outward", "open relay"
WELL_KNOWN = (
    "gmail-smtp-in.l.google.com",
    "mta5.am0.yahoodns.net",
    "mx01.mail.icloud.com",
    "in1-smtp.messagingengine.com",
    "mx1.mail.ovh.net",
)
"""Mail servers of large providers: if none of them takes a connection, port 25 is blocked on our side."""
REFUSED, ACCEPTED = 500, 200


class Port(Enum):
    """What is on a port of ours."""

    FREE = "free"
    OURS = "ours"
    TAKEN = "taken"  # another program listens
    ABSENT = "absent"  # the address is not on this machine
    DENIED = "denied"  # this user may not listen there
    SILENT = "silent"  # the service runs and the port does not answer
    STRANGE = "strange"  # somebody else answers in our place
    NO_CERTIFICATE = "no certificate"


@dataclass(frozen=True, slots=True)
class PortFact:
    """``said``: the system's or the peer's words."""

    address: str
    port: int
    protocol: str
    state: Port
    said: str = ""


@dataclass(frozen=True, slots=True)
class Outward:
    """A server that was tried; ``trouble`` is empty where it took the connection."""

    name: str
    trouble: str


def judge_ports(facts: Sequence[PortFact], host_name: str) -> Iterator[Finding]:
    """One line for each port with trouble, else one for all."""
    troubles = 0
    for fact in facts:
        finding = _of_port(fact, host_name)
        troubles += finding is not None
        if finding is not None:
            yield finding
    good = [fact for fact in facts if fact.state in {Port.FREE, Port.OURS}]
    if good and not troubles:
        numbers = ", ".join(str(port) for port in dict.fromkeys(fact.port for fact in good))
        addresses = " and ".join(dict.fromkeys(fact.address for fact in good))
        verb = "are served by us" if good[0].state is Port.OURS else "are free for ptt up"
        yield ok(HERE, f"{numbers} at {addresses} {verb}")


def _of_port(fact: PortFact, host_name: str) -> Finding | None:
    where = f"{fact.protocol} port {fact.port} at {fact.address}"
    match fact.state:
        case Port.FREE | Port.OURS:
            return None
        case Port.TAKEN:
            mend = f"end it; `ss -lnp 'sport = :{fact.port}'` names it"
            return fail(HERE, f"{where} is in use by another program", mend)
        case Port.ABSENT:
            mend = "add the address to this machine, or behind NAT name this machine's own in `listen`"
            return fail(HERE, f"{fact.address} is no address of this machine", mend)
        case Port.DENIED:
            mend = "run ptt up as root, or with CAP_NET_BIND_SERVICE"
            return fail(HERE, f"this user may not listen on {where}", mend)
        case Port.SILENT:
            return fail(HERE, f"{where} does not answer though the service runs: {fact.said}", "ptt status")
        case Port.STRANGE:
            mend = f"another program serves this port; `ss -lnp 'sport = :{fact.port}'` names it"
            return fail(HERE, f"{where} greets with {fact.said!r}, expected {host_name}", mend)
        case Port.NO_CERTIFICATE:
            mend = "letsencrypt is at it: ptt logs letsencrypt; or name your own in tls.certificate"
            return wait(HERE, f"{where} has no certificate yet: {fact.said}", mend)


def judge_outward(tried: Sequence[Outward], addresses: Sequence[str], *, smarthost: str) -> Iterator[Finding]:
    """Whether we reach other mail servers; with a smarthost only that one matters."""
    reached = [each.name for each in tried if not each.trouble]
    if smarthost:
        what = "smarthost"
        if reached:
            yield ok(what, f"{smarthost} takes connections")
        else:
            trouble = tried[0].trouble if tried else "not tried"
            yield fail(what, f"no connection to {smarthost}: {trouble}", "see relay.smarthost in ptt.toml")
        return
    if reached:
        yield ok(OUTWARD, f"{', '.join(reached[:2])} took a connection")
        return
    if not tried:
        yield wait(OUTWARD, "no well-known server has an address: nobody to try", "see port 53 outward")
        return
    what = f"no connection to {len(tried)} well-known servers ({tried[0].name}: {tried[0].trouble})"
    mend = f"Ask the provider to open port 25 for {addresses[0]}, or set relay.smarthost"
    yield fail(OUTWARD, f"{what}: your provider blocks it", mend)


def judge_port_53(answering: int, asked: int, trouble: str) -> Finding:
    """Whether servers of the root answer us."""
    if answering:
        return ok("port 53 outward", f"{answering} of {asked} servers of the root answer")
    what = f"asked {asked} servers of the root for the root's NS: {trouble or 'no answer'}"
    return fail("port 53 outward", what, "let UDP and TCP port 53 out: without it no name is found")


def judge_relay(code: int, text: str, address: str) -> Finding:
    """What our port 25 said to a stranger's mail for another stranger; code 0: it could not be asked."""
    asked = f"asked {address}:25 as a stranger to take mail for somebody at example.com: {code} {text}"
    if code == 0:
        return wait(RELAY, f"could not ask {address}:25: {text}", "ptt up, then ask again")
    if code >= REFUSED:
        return ok(RELAY, f"{address}:25 refuses mail from strangers to strangers ({code})")
    if ACCEPTED <= code < 300:  # noqa: PLR2004
        mend = "stop the service, and see who listens there: it is not a receiver of PTT's"
        return fail(RELAY, f"{asked}; expected 550: it is an open relay", mend)
    return warn(RELAY, f"{asked}; expected 550", "ask again in a minute; ptt logs receiver")
