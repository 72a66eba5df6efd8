"""Which ports a unit may connect to beside its manifest's: those in the operator's own addresses."""

from typing import Any

import pytest

from ptt.deployer.specs import named_ports


@pytest.mark.parametrize(
    ("told", "ports"),
    [
        ({}, ()),
        ({"repository": None, "smarthost": None, "directory": ""}, ()),
        ({"repository": {"url": "ssh://git@host.example:2222/srv/passwords.git"}}, (2222,)),
        ({"repository": {"url": "git@host.example:passwords.git"}}, ()),
        ({"repository": {"url": "https://host.example/zone.git#main"}}, ()),
        ({"repository": {"url": "ssh://git@host.example:65536/x.git"}}, ()),
        (
            {
                "repository": {"url": "local:relay"},
                "relay_repository": {"url": "https://[2001:db8::1]:8443/x"},
            },
            (8443,),
        ),
        ({"smarthost": {"host": "smart.example", "port": 2525}, "port": 25}, (25, 2525)),
        ({"directory": "https://ca.example:14000/dir"}, (14000,)),
    ],
)
def test_the_ports_of_the_operators_own_addresses(told: dict[str, Any], ports: tuple[int, ...]) -> None:
    assert named_ports(told) == ports
