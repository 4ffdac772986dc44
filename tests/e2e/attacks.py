"""What a user of one namespace writes into its own objects to get what another's server has: a row each."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING, Any

from e2e.manifests import a_server

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CLAIMS", "Claim", "Wanted", "an_endpoint_slice"]

DOMAIN = "virtualservers.coreweave.com"
VICTIM, THIEF = "{victim}", "{thief}"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the other one's server, `wanted`, has.

    Attributes:
        namespace: Its namespace.
        server: Its own UID.
        machine: The UID of its VirtualMachine.
        instance: The UID of its VirtualMachineInstance.
        service: The UID of its Service ``wanted-tcp``.
        disk: The UID of its DataVolume.
        address: Its published address.
        guest: The address of its network card.
        mac: The hardware address of its network card.
    """

    namespace: str
    server: str
    machine: str
    instance: str
    service: str
    disk: str
    address: str
    guest: str
    mac: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """One attempt: an object in the thief's own namespace.

    Attributes:
        what: What is claimed, in words: the test's id.
        manifest: The object.
        refused: The API server itself refuses it; else it is accepted, and comes to nothing of the other's.
        waits: Its guest does not run for it: what is claimed is all that it could have.
    """

    what: str
    manifest: Callable[[Wanted], dict[str, Any]]
    refused: bool | None = False
    waits: bool = False


def owner(kind: str, uid: str, *, name: str = "wanted", version: str = "") -> dict[str, Any]:
    """Return a controller reference."""
    versions = {"VirtualServer": f"{DOMAIN}/v1alpha1", "Service": "v1", "DataVolume": "cdi.kubevirt.io/v1beta1"}
    api = version or versions.get(kind, "kubevirt.io/v1")
    return {"apiVersion": api, "kind": kind, "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True}


def an_instance(
    name: str, *, mac: str = "", volumes: tuple[dict[str, Any], ...] = (), **metadata: Any
) -> dict[str, Any]:
    """Return a VirtualMachineInstance made by hand; without volumes its guest finds nothing to boot."""
    disks = [{"name": one["name"], "disk": {"bus": "virtio"}} for one in volumes]
    nic: dict[str, Any] = {"name": "default", "bridge": {}, **({"macAddress": mac} if mac else {})}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": name, **metadata},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "domain": {
                "cpu": {"cores": 1},
                "memory": {"guest": "48Mi"},
                "devices": {"disks": disks, "interfaces": [nic]},
            },
            "networks": [{"name": "default", "pod": {}}],
            "volumes": list(volumes),
        },
    }


def a_machine(name: str, *, references: tuple[dict[str, Any], ...] = (), **template: Any) -> dict[str, Any]:
    """Return a VirtualMachine that always runs; what is given besides goes into the metadata of its template."""
    instance = an_instance(name, **template)
    del instance["metadata"]["name"]
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "ownerReferences": list(references)},
        "spec": {"runStrategy": "Always", "template": {"metadata": instance["metadata"], "spec": instance["spec"]}},
    }


def a_service(
    name: str,
    *,
    selector: dict[str, str] | None = None,
    references: tuple[dict[str, Any], ...] = (),
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a Service that asks for an address."""
    metadata = {"name": name, "annotations": annotations or {}, "ownerReferences": list(references)}
    wanted: dict[str, Any] = {"type": "LoadBalancer", "ports": [{"port": 22, "targetPort": 22}], **spec}
    if selector:
        wanted["selector"] = selector
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": wanted}


def a_disk(name: str, source: dict[str, Any], *references: dict[str, Any]) -> dict[str, Any]:
    """Return a DataVolume."""
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": name, "ownerReferences": list(references)},
        "spec": {"source": source, "storage": {"resources": {"requests": {"storage": "128Mi"}}}},
    }


def a_claim(name: str, **annotations: str) -> dict[str, Any]:
    """Return a PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "annotations": {f"{DOMAIN}/{key}": value for key, value in annotations.items()}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "128Mi"}}},
    }


def cloned(wanted: Wanted) -> dict[str, Any]:
    """Return the other one's disk as a source."""
    return {"pvc": {"namespace": wanted.namespace, "name": "wanted"}}


def a_templated(wanted: Wanted) -> dict[str, Any]:
    """Return a VirtualMachine that has the other one's disk cloned by a template."""
    machine = a_machine("templated")
    template = a_disk("templated", cloned(wanted))
    machine["spec"]["dataVolumeTemplates"] = [{"metadata": {"name": "templated"}, "spec": template["spec"]}]
    return machine


def an_injection(_wanted: Wanted) -> dict[str, Any]:
    """Return an instance whose serial number would be options of QEMU's, were it not quoted."""
    instance = an_instance("i6")
    instance["spec"]["domain"]["firmware"] = {"serial": "x,uuid=y -drive file=/etc/shadow,format=raw"}
    return instance


def a_foreign_network(wanted: Wanted) -> dict[str, Any]:
    """Return an instance on a network that another namespace defines."""
    instance = an_instance("i7")
    instance["spec"]["networks"] = [{"name": "default", "multus": {"networkName": f"{wanted.namespace}/vpc"}}]
    return instance


def an_endpoint_slice(name: str, service: str, address: str) -> dict[str, Any]:
    """Return a slice that leads a Service's port 22 to any address."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "", "port": 22, "protocol": "TCP"}],
    }


CLAIMS: list[Claim] = [
    # Whose one is.
    Claim("a machine of the other's server", lambda w: a_machine("m1", references=(owner("VirtualServer", w.server),))),
    Claim(
        "a machine of the other's server, by a kind that is none",
        lambda w: a_machine("m2", references=(owner("VirtualServer", w.server, version="example.test/v1"),)),
    ),
    Claim(
        "an instance of the other's machine",
        lambda w: an_instance("i1", ownerReferences=[owner("VirtualMachine", w.machine)]),
    ),
    Claim(
        "an instance of the other's server",
        lambda w: an_instance("i2", ownerReferences=[owner("VirtualServer", w.server)]),
    ),
    Claim(
        "an instance with the other's labels and finalizers",
        lambda w: an_instance(
            "i3",
            labels={f"{DOMAIN}/uid": w.server, f"{DOMAIN}/name": "wanted"},
            finalizers=["example.test/mine"],
        ),
    ),
    Claim("a Service of the other's server", lambda w: a_service("s1", references=(owner("VirtualServer", w.server),))),
    Claim("a disk of the other's server", lambda w: a_disk("d1", {"blank": {}}, owner("VirtualServer", w.server))),
    # The address.
    Claim(
        "the address, by an annotation",
        lambda w: a_service("s2", annotations={"metallb.io/loadBalancerIPs": w.address}),
    ),
    Claim("the address, by the field", lambda w: a_service("s3", loadBalancerIP=w.address)),
    Claim(
        "the address, by the sharing key",
        lambda w: a_service(
            "s4", annotations={"metallb.io/allow-shared-ip": w.server, "metallb.io/loadBalancerIPs": w.address}
        ),
    ),
    Claim(
        "the address, as if it had been granted",
        lambda w: a_service(
            "s5", annotations={"metallb.io/ip-allocated-from-pool": "public", "metallb.io/loadBalancerIPs": w.address}
        ),
    ),
    Claim(
        "the address, as a floating one",
        lambda w: a_server("v5", running=False, network={"public": False, "floatingIPs": [w.address, "wanted-tcp"]}),
    ),
    Claim(
        "the address, as one from outside",
        lambda w: a_service("s10", externalIPs=[w.address, "10.96.0.1"]),
        refused=True,
    ),
    Claim("the guest's own address", lambda w: a_service("s6", annotations={"metallb.io/loadBalancerIPs": w.guest})),
    Claim(
        "the address of the node", lambda w: a_service("s7", annotations={"metallb.io/loadBalancerIPs": "127.0.0.1"})
    ),
    Claim(
        "the address on its own card",
        lambda w: a_machine("m3", annotations={f"{DOMAIN}/attach-load-balancer": "wanted-tcp"}),
        waits=True,
    ),
    Claim(
        "the address on its own card, by a path",
        lambda w: a_machine("m4", annotations={f"{DOMAIN}/attach-load-balancer": f"{w.namespace}/wanted-tcp"}),
        waits=True,
    ),
    # The guest.
    Claim("the guest, by its label", lambda w: a_service("s8", selector={f"{DOMAIN}/uid": w.server})),
    Claim(
        "the guest, by its name",
        lambda w: a_service("s9", type="ExternalName", externalName=f"wanted.{w.namespace}.svc"),
    ),
    # The MAC.
    Claim("the MAC", lambda w: an_instance("i4", mac=w.mac), waits=True),
    Claim(
        "the MAC, by a server",
        lambda w: a_server("v1", network={"public": False, "macAddress": w.mac}),
    ),
    # The disk, the keys.
    Claim("the disk, by a disk", lambda w: a_disk("d2", cloned(w)), refused=True),
    Claim(
        "the disk, by a server",
        lambda w: a_server("v2", storage={"root": {"size": "128Mi", "storageClassName": "local", "source": cloned(w)}}),
        refused=True,
    ),
    Claim("the disk, by a template", a_templated, refused=True),
    Claim(
        "the disk, by its name",
        lambda w: a_machine("m5", volumes=({"name": "root", "dataVolume": {"name": "wanted"}},)),
        waits=True,
    ),
    Claim(
        "the keys, by their name",
        lambda w: a_machine(
            "m6", volumes=({"name": "seed", "cloudInitNoCloud": {"secretRef": {"name": "wanted-cloud-init"}}},)
        ),
        waits=True,
    ),
    Claim(
        "a file of the machine",
        lambda w: an_instance(
            "i5", volumes=({"name": "root", "hostDisk": {"path": "/etc/shadow", "type": "Disk", "capacity": "1Mi"}},)
        ),
        waits=True,
    ),
    Claim("options of QEMU", an_injection),
    Claim("a network of the other's namespace", a_foreign_network, waits=True),
    Claim("the disk, as if its own claim were it", lambda w: a_claim("p1", image=f"sha256:{'0' * 64}"), refused=True),
    Claim("an image's name", lambda w: a_claim("p2", **{"alias-of": "vd-images/tiny"}), refused=True),
    # Before us.
    Claim(
        "the name of a Secret of ours",
        lambda w: {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "v3-cloud-init", "labels": {f"{DOMAIN}/uid": w.server}},
            "data": {"userdata": base64.b64encode(b"#cloud-config\n").decode()},
        },
    ),
    Claim("a server whose Secret is there before", lambda w: a_server("v3", network={"public": False})),
    Claim(
        "our own words on its server",
        lambda w: {
            **a_server("v4", running=False, network={"public": False}),
            "metadata": {
                "name": "v4",
                "annotations": {
                    f"{DOMAIN}/applied": "x",
                    f"{DOMAIN}/attach-load-balancer": "wanted-tcp",
                    f"{DOMAIN}/run-strategy": "Always",
                    f"{DOMAIN}/base-image": f"sha256:{'0' * 64}",
                },
                "labels": {f"{DOMAIN}/uid": w.server, f"{DOMAIN}/name": "wanted"},
                "finalizers": [f"{DOMAIN}/node"],
                "ownerReferences": [owner("VirtualServer", w.server)],
            },
        },
    ),
]
"""What is claimed, one object each."""
