"""What a unit may still do: from its manifest, and nothing that the manifest does not name."""

from ptt import topology
from ptt.host.acquaintance import private_listens
from ptt.host.rights import rights_of
from ptt.manifest import INTERNET, Channel

BY_NAME = {manifest.name: manifest for manifest in topology.ALL}
PORTS = {
    (manifest.name, listen.name): 40_000 + number
    for number, (manifest, listen) in enumerate(
        (manifest, listen) for manifest in topology.ALL for listen in private_listens(manifest)
    )
}


def test_each_unit_may_connect_to_its_callees_and_to_declared_ports_alone() -> None:
    for manifest in topology.ALL:
        rights = rights_of(manifest, BY_NAME, PORTS, own_user=True)
        expected = {port for call in manifest.calls if call.callee == INTERNET for port in call.ports}
        for (unit, listener), port in PORTS.items():
            (listen,) = [each for each in BY_NAME[unit].listens if each.name == listener]
            if manifest.name in listen.callers:
                expected.add(port)
        assert set(rights.connect_ports) == expected
        assert rights.own_user
        calls_out = [call for call in manifest.calls if call.callee == INTERNET]
        assert rights.internet == bool(calls_out)
        assert rights.udp == any(call.channel in {Channel.DNS, Channel.NOTIFY} for call in calls_out)


def test_the_operators_own_ports_are_added_where_the_manifest_calls_out() -> None:
    for manifest in topology.ALL:
        plain, named = (
            set(rights_of(manifest, BY_NAME, PORTS, own_user=True, named_ports=ports).connect_ports)
            for ports in ((), (2222,))
        )
        calls_out = any(call.callee == INTERNET for call in manifest.calls)
        assert named - plain == ({2222} if calls_out else set())


def test_a_callee_that_does_not_run_gives_no_port() -> None:
    rights = rights_of(BY_NAME["signer"], {}, {}, own_user=False)
    assert (rights.connect_ports, rights.internet, rights.udp, rights.own_user) == ((), False, False, False)
