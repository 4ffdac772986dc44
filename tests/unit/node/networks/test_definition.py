"""What a NetworkAttachmentDefinition may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from virtualserver.node.networks.definition import DefinitionError, mtu_of


def a_definition(config: object) -> dict[str, Any]:
    text = config if isinstance(config, str) else json.dumps(config)
    return {"metadata": {"namespace": "team", "name": "blue"}, "spec": {"config": text}}


BRIDGE = {"cniVersion": "0.3.1", "name": "blue", "type": "bridge", "bridge": "br-blue"}


@pytest.mark.parametrize(
    ("config", "mtu"),
    [
        ({"type": "bridge"}, 1500),
        ({**BRIDGE, "mtu": 9000, "macspoofchk": True}, 9000),
        ({**BRIDGE, "ipam": {}, "vlan": 0, "isGateway": False, "ipMasq": False, "mtu": 0, "vlanTrunk": []}, 1500),
        ({"cniVersion": "1.0.0", "name": "blue", "plugins": [{"type": "bridge", "mtu": 1400}]}, 1400),
    ],
)
def test_a_bridge_is_a_layer_2_network_with_an_mtu(config: dict[str, Any], mtu: int) -> None:
    assert mtu_of(a_definition(config)) == mtu


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", "spec.config is empty"),
        ("{", "is no JSON object"),
        ("[]", "is no JSON object"),
        ('{"a":' * 20_000, "characters"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "is no JSON object"),
        ({**BRIDGE, "type": "macvlan"}, "type 'macvlan' is not carried out here: write \"bridge\""),
        ({"name": "blue"}, "type None"),
        ({**BRIDGE, "ipam": {"type": "host-local"}}, r"ipam \(a VPC has the addresses that its guests give it"),
        ({**BRIDGE, "vlan": 7, "isGateway": True, "ipMasq": True}, r"ipMasq .*; isGateway .*; vlan "),
        ({**BRIDGE, "promiscMode": True}, "promiscMode"),
        ({**BRIDGE, "macspoofchk": False}, "cannot be switched off"),
        ({**BRIDGE, "mtu": 67}, "mtu 67: write a number from 68 to 65521"),
        ({**BRIDGE, "mtu": "9000"}, "mtu '9000'"),
        ({**BRIDGE, "mtu": True}, "mtu True"),
        ({"plugins": [{"type": "bridge"}, {"type": "tuning"}]}, "name one plugin"),
        ({"plugins": "bridge"}, "name one plugin"),
        ({"plugins": [7]}, "name one plugin"),
    ],
)
def test_what_is_not_carried_out_is_named(config: object, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        mtu_of(a_definition(config))
