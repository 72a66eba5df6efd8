"""What manifests say is usable by those who derive isolation from it."""

import pytest

from ptt import topology
from ptt.manifest import INTERNET, Channel, Manifest, Secret

everybody = pytest.mark.parametrize("manifest", topology.ALL, ids=lambda manifest: manifest.name)


@everybody
def test_names_are_unique_words(manifest: Manifest) -> None:
    names = [listen.name for listen in manifest.listens]
    assert len(set(names)) == len(names)
    assert manifest.name.replace("_", "").isalnum()
    assert sum(other.name == manifest.name for other in topology.ALL) == 1


@everybody
def test_a_listener_is_public_or_private_and_has_callers(manifest: Manifest) -> None:
    for listen in manifest.listens:
        assert listen.callers
        assert INTERNET not in listen.callers or listen.callers == (INTERNET,)


@everybody
def test_who_calls_the_internet_says_the_ports(manifest: Manifest) -> None:
    for call in manifest.calls:
        assert bool(call.ports) == (call.callee == INTERNET)


@everybody
def test_whoever_the_internet_sees_has_a_key_and_no_way_out(manifest: Manifest) -> None:
    seen = any(INTERNET in listen.callers for listen in manifest.listens)
    way_out = any(call.callee == INTERNET and call.channel is not Channel.GIT for call in manifest.calls)
    serves_tls = any(
        listen.channel not in {Channel.LMTP, Channel.DNS} and INTERNET in listen.callers
        for listen in manifest.listens
    )
    assert (Secret.TLS_KEY in manifest.secrets) == serves_tls
    if manifest in topology.OUTBOUND:
        assert not (seen and way_out)


def test_a_secret_of_the_domain_is_in_one_unit_alone() -> None:
    for secret in (Secret.DKIM_KEYS, Secret.VERIFIERS, Secret.LEDGER_KEY):
        assert sum(secret in manifest.secrets for manifest in topology.ALL) == 1
