"""Where a message goes: the chains of units, checked to be closed.

A call is written at both ends, in the caller's ``calls`` and in the callee's ``listens``; hops (mail) have no
cycle, so a message cannot run round. Manifests only: this file knows no protocol and no network.
"""

from collections.abc import Iterable

from ptt.errors import MisuseError
from ptt.manifest import INTERNET, CallKind, Manifest
from ptt.units.dns_primary.manifest import MANIFEST as DNS_PRIMARY
from ptt.units.dns_resolver.manifest import MANIFEST as DNS_RESOLVER
from ptt.units.letsencrypt.manifest import MANIFEST as LETSENCRYPT
from ptt.units.receiver.manifest import MANIFEST as RECEIVER
from ptt.units.relay.manifest import MANIFEST as RELAY
from ptt.units.signer.manifest import MANIFEST as SIGNER
from ptt.units.spam_filter.manifest import MANIFEST as SPAM_FILTER
from ptt.units.submission.manifest import MANIFEST as SUBMISSION

OUTBOUND = (SUBMISSION, SIGNER, RELAY)
INBOUND = (RECEIVER, SPAM_FILTER, RELAY)
DNS = (DNS_RESOLVER, DNS_PRIMARY)
ALL: tuple[Manifest, ...] = (
    SUBMISSION,
    SIGNER,
    RECEIVER,
    SPAM_FILTER,
    RELAY,
    DNS_RESOLVER,
    DNS_PRIMARY,
    LETSENCRYPT,
)


def faults(manifests: Iterable[Manifest]) -> list[str]:
    """Everything that is wrong between these manifests, each as a sentence; empty when they fit."""
    by_name = {manifest.name: manifest for manifest in manifests}
    return [*_one_sided_calls(by_name), *_hop_cycles(by_name)]


def check(manifests: Iterable[Manifest] = ALL) -> None:
    """Refuse manifests that do not fit together."""
    found = faults(manifests)
    if found:
        raise MisuseError("; ".join(found))


def start_order(manifests: Iterable[Manifest] = ALL) -> tuple[Manifest, ...]:
    """Callees before callers along the hops, so that nobody starts with nowhere to go; first those of DNS.

    Whoever asks for names or for a certificate then waits the least.
    """
    by_name = {manifest.name: manifest for manifest in manifests}
    ordered: dict[str, Manifest] = {}

    def visit(manifest: Manifest) -> None:
        for callee in _hops(manifest):
            if callee in by_name and callee not in ordered:
                visit(by_name[callee])
        ordered.setdefault(manifest.name, manifest)

    for manifest in sorted(by_name.values(), key=lambda each: each not in DNS):
        visit(manifest)
    return tuple(ordered.values())


def _one_sided_calls(by_name: dict[str, Manifest]) -> list[str]:
    calls = {
        (manifest.name, call.callee, call.channel)
        for manifest in by_name.values()
        for call in manifest.calls
        if call.callee != INTERNET
    }
    listens = {
        (caller, manifest.name, listen.channel)
        for manifest in by_name.values()
        for listen in manifest.listens
        for caller in listen.callers
        if caller != INTERNET
    }
    return [
        *(f"{a} calls {b} by {c}, but {b} does not listen for it" for a, b, c in sorted(calls - listens)),
        *(f"{b} listens for {a} by {c}, but {a} does not call" for a, b, c in sorted(listens - calls)),
    ]


def _hop_cycles(by_name: dict[str, Manifest]) -> list[str]:
    found: list[str] = []

    def walk(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            found.append("mail can run round: " + " -> ".join([*way[way.index(name) :], name]))
        elif name in by_name:
            for callee in _hops(by_name[name]):
                walk(callee, (*way, name))

    for name in by_name:
        walk(name, ())
    return sorted(set(found))


def _hops(manifest: Manifest) -> list[str]:
    return [call.callee for call in manifest.calls if call.kind is CallKind.HOP and call.callee != INTERNET]
