"""What of a user's own Service, machine or disk has no effect is named (fault 16, fault 25)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.api import names
from virtualserver.api.support.data_volume import DATA_VOLUME, served_classes
from virtualserver.api.support.service import SERVICE
from virtualserver.api.support.virtual_machine import VIRTUAL_MACHINE
from virtualserver.node.objects import partly_applied

if TYPE_CHECKING:
    from virtualserver.api.support.field import Table

S = "spec.template.spec"
D = f"{S}.domain"
WISHES: list[tuple[Table, dict[str, Any], list[str]]] = [
    (SERVICE, {"sessionAffinity": "ClientIP", "ports": [{"port": 80, "name": "web", "nodePort": 30080}]}, []),
    (SERVICE, {"type": "LoadBalancer", "loadBalancerClass": "x"}, ["spec.loadBalancerClass"]),
    (SERVICE, {"ports": [{"port": 80, "appProtocol": "h2c"}]}, ["spec.ports[0].appProtocol"]),
    (SERVICE, {"type": "ExternalName", "externalName": "a.example"}, ["spec.externalName"]),
    (SERVICE, {"ports": [{"port": 9, "protocol": "SCTP"}]}, ["SCTP of spec.ports[].protocol"]),
    (
        SERVICE,
        {"clusterIP": "None", "ports": [{"port": 9, "name": "ldap"}]},
        ["SRV records of spec.ports[].name"],
    ),
    (
        DATA_VOLUME,
        {"source": {"pvc": {}}, "storage": {"storageClassName": "local", "accessModes": ["ReadWriteOnce"]}},
        [],
    ),
    (DATA_VOLUME, {"pvc": {"storageClassName": "fast"}}, ["spec.pvc.storageClassName"]),
    (DATA_VOLUME, {"storage": {"accessModes": ["ReadWriteMany"]}}, ["spec.storage.accessModes[0]"]),
    (DATA_VOLUME, {"preallocation": True}, ["spec.preallocation"]),
    (VIRTUAL_MACHINE, {"template": {"spec": {"domain": {"devices": {"rng": {}}}}}}, []),
    (VIRTUAL_MACHINE, {"template": {"spec": {"nodeSelector": {"a": "b"}}}}, [f"{S}.nodeSelector"]),
    (VIRTUAL_MACHINE, {"template": {"spec": {"subdomain": "mail"}}}, []),
    (VIRTUAL_MACHINE, {"running": False}, []),
    (
        VIRTUAL_MACHINE,
        {"running": False, "runStrategy": "Always"},
        ["spec.running beside spec.runStrategy"],
    ),
    (
        VIRTUAL_MACHINE,
        {"template": {"spec": {"volumes": [{"name": "a", "dataVolume": {"name": "a"}}]}}},
        [f"{S}.volumes without a disk of their name"],
    ),
    (
        VIRTUAL_MACHINE,
        {"template": {"spec": {"domain": {"features": {"acpi": {"enabled": True}, "smm": {"enabled": False}}}}}},
        [],
    ),
    (
        VIRTUAL_MACHINE,
        {"template": {"spec": {"domain": {"features": {"acpi": {"enabled": False}}}}}},
        [f"{D}.features.acpi"],
    ),
    (
        VIRTUAL_MACHINE,
        {
            "template": {
                "spec": {
                    "domain": {
                        "devices": {
                            "disks": [
                                {"name": "a", "disk": {"bus": "virtio"}},
                                {"name": "b", "disk": {"bus": "sata"}},
                                {"name": "c", "cdrom": {}},
                            ],
                            "interfaces": [
                                {"name": "default", "masquerade": {}, "model": "e1000", "ports": [{"port": 80}]}
                            ],
                        }
                    }
                }
            }
        },
        [
            f"{D}.devices.disks[2].cdrom",
            f"{D}.devices.disks[1].disk.bus",
            f"{D}.devices.interfaces[0].model",
            f"{D}.devices.interfaces[0].ports",
        ],
    ),
    (
        VIRTUAL_MACHINE,
        {"template": {"spec": {"domain": {"devices": {"disks": [{"serial": "a" * 20}, {"serial": "a" * 21}]}}}}},
        [f"what follows the first 20 bytes of {D}.devices.disks[].serial"],
    ),
    *(
        (VIRTUAL_MACHINE, {"template": {"spec": {"domain": {"resources": resources, **more}}}}, told)
        for resources, more, told in (
            ({"requests": {"memory": "1Gi", "cpu": 2}}, {}, []),
            ({"limits": {"memory": "1Gi"}}, {}, []),
            ({"requests": {"memory": "1Gi"}}, {"memory": {"guest": "2Gi"}}, [f"{D}.resources"]),
            ({"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}, {}, [f"{D}.resources"]),
            ({"requests": {"nvidia.com/gpu": 1}}, {}, [f"{D}.resources"]),
        )
    ),
    (
        VIRTUAL_MACHINE,
        {"template": {"spec": {"networks": [{"name": "a", "multus": {}}], "readinessProbe": {"tcpSocket": {}}}}},
        [f"{S}.readinessProbe"],
    ),
    (
        VIRTUAL_MACHINE,
        {"template": {"spec": {"dnsConfig": {"nameservers": ["2001:db8::1"], "options": [{"name": "edns0"}]}}}},
        [f"IPv6 addresses in {S}.dnsConfig.nameservers", f"{S}.dnsConfig.options"],
    ),
]


@pytest.mark.parametrize(("table", "spec", "told"), WISHES)
def test_what_has_no_effect_is_named_and_nothing_else(table: Table, spec: dict[str, Any], told: list[str]) -> None:
    manifest = {"metadata": {"name": "one"}, "spec": spec}
    found = partly_applied(table, manifest, served=served_classes({"local"}))
    if not told:
        assert found == []
        return
    (condition,) = found
    assert condition == {
        "type": names.FULLY_APPLIED,
        "status": "False",
        "reason": "PartlyApplied",
        "message": f"{', '.join(told)}: no effect here",
    }


def test_of_what_is_made_for_a_server_the_server_says_it() -> None:
    owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": "one", "uid": "u", "controller": True}
    manifest: dict[str, Any] = {"metadata": {"ownerReferences": [owner]}, "spec": {"preallocation": True}}
    assert partly_applied(DATA_VOLUME, manifest) == []
    owner["kind"] = "VirtualMachine"
    assert len(partly_applied(DATA_VOLUME, manifest)) == 1


def test_the_nodes_own_service_is_asked_as_it_is_so_nothing_is_said_of_it() -> None:
    spec = {"type": "ExternalName", "externalName": "127.0.0.1"}
    assert partly_applied(SERVICE, {"metadata": {"name": names.NODE_MANAGER}, "spec": spec}) == []
