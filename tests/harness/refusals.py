"""What must be refused at apply, as changes to a sound VirtualServer, each with the nearest thing that is accepted.

Source: "Refused at apply" in the agreements on this API.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["RULES", "Refusal"]


class Refusal(NamedTuple):
    """One thing that is refused: why, the spec's change, parts of the message, and the accepted neighbour.

    Attributes:
        is_validated: False where the operator judges it later, so that servers that are older than the rule run on.
    """

    why: str
    refused: dict[str, Any]
    says: list[str]
    accepted: dict[str, Any]
    is_validated: bool = True


_ELEVEN = list(range(1, 12))
_BLANK: dict[str, Any] = {"root": {"source": {"pvc": None, "blank": {}}}}
_SERIAL = "5d307ca9-b3ef-428c-8861-06e72d69f223"
_KIB_900 = 900 * 1024


def _network(**fields: Any) -> dict[str, Any]:
    return {"network": fields}


RULES = [
    Refusal(
        "direct attach with TCP ports",
        _network(directAttachLoadBalancerIP=True, tcp={"ports": [22]}),
        ["spec.network", "tcp.ports [22]", "directAttachLoadBalancerIP", "remove"],
        _network(directAttachLoadBalancerIP=True, tcp={"ports": []}, udp={}),
    ),
    Refusal(
        "direct attach with UDP ports",
        _network(directAttachLoadBalancerIP=True, udp={"ports": [53]}),
        ["spec.network", "udp.ports [53]", "directAttachLoadBalancerIP", "remove"],
        _network(directAttachLoadBalancerIP=False, udp={"ports": [53]}),
    ),
    Refusal(
        "port 0",
        _network(tcp={"ports": [0]}),
        ["spec.network.tcp.ports[0]", "0 is no port", "use 1 to 65535"],
        _network(tcp={"ports": [1]}),
    ),
    Refusal(
        "port 65536",
        _network(udp={"ports": [22, 65536]}),
        ["spec.network.udp.ports[1]", "65536 is no port", "use 1 to 65535"],
        _network(udp={"ports": [22, 65535]}),
    ),
    Refusal(
        "a repeated port",
        _network(tcp={"ports": [22, 80, 22]}),
        ["spec.network.tcp.ports", "[22, 80, 22]", "repeats a port", "once"],
        _network(tcp={"ports": [22, 80]}, udp={"ports": [22]}),
    ),
    Refusal(
        "eleven ports",
        _network(tcp={"ports": _ELEVEN}),
        ["spec.network.tcp.ports", "11 are given, 10 are allowed", "remove some"],
        _network(tcp={"ports": _ELEVEN[:10]}),
    ),
    Refusal(
        "a MAC address that mixes its forms",
        _network(macAddress="A2-1F-EE-09:06:5D"),
        ["spec.network.macAddress", "A2-1F-EE-09:06:5D", "no MAC address", "leave it out"],
        _network(macAddress="A2-1F-EE-09-06-5D"),
    ),
    Refusal(
        "a MAC address with something behind it",
        _network(macAddress="a2:1f:ee:09:06:5d:00"),
        ["spec.network.macAddress", "no MAC address"],
        _network(macAddress="a2:1f:ee:09:06:5d"),
    ),
    Refusal(
        "a multicast MAC address",
        _network(macAddress="a3:1f:ee:09:06:5d"),
        ["spec.network.macAddress", "a3:1f:ee:09:06:5d", "not local unicast", "second digit"],
        _network(macAddress="AE:1f:ee:09:06:5d"),
    ),
    Refusal(
        "a manufacturer's MAC address",
        _network(macAddress="A0-1F-EE-09-06-5D"),
        ["spec.network.macAddress", "not local unicast"],
        _network(macAddress="06-1f-ee-09-06-5d"),
    ),
    Refusal(
        "a floating number",
        _network(floatingIPs=[5]),
        ["spec.network.floatingIPs", "[5]", "write each as {serviceName: NAME}"],
        _network(floatingIPs=["5"]),
    ),
    Refusal(
        "a floating null",
        _network(floatingIPs=[None]),
        ["spec.network.floatingIPs", "[null]", "serviceName", "address"],
        _network(floatingIPs=[]),
    ),
    Refusal(
        "a floating list",
        _network(floatingIPs=[["svc"]]),
        ["spec.network.floatingIPs", '[["svc"]]', "serviceName"],
        _network(floatingIPs=["svc"]),
    ),
    Refusal(
        "a floating boolean",
        _network(floatingIPs=[True]),
        ["spec.network.floatingIPs", "[true]", "serviceName"],
        _network(floatingIPs=["true"]),
    ),
    Refusal(
        "a floating address with a part missing",
        _network(floatingIPs=["240.141.77"]),
        ["spec.network.floatingIPs", '["240.141.77"]', "IPv4 or IPv6"],
        _network(floatingIPs=["240.141.77.141", "82.110.59.244"]),
    ),
    Refusal(
        "a floating IPv6 address with a part too many",
        _network(floatingIPs=["2001:db8:0:0:0:0:0:0:1"]),
        ["spec.network.floatingIPs", '["2001:db8:0:0:0:0:0:0:1"]', "IPv4 or IPv6"],
        _network(floatingIPs=["2001:db8::1", "2001:DB8:0:0:0:0:0:2"]),
    ),
    Refusal(
        "a floating name that no Service can have",
        _network(floatingIPs=["My_Service"]),
        ["spec.network.floatingIPs[0]", "My_Service", "NAME_of_a_Service", "IPv4", "IPv6"],
        _network(floatingIPs=["my-service"]),
    ),
    Refusal(
        "a floating object without a Service's name",
        _network(floatingIPs=[{"name": "svc"}]),
        ["spec.network.floatingIPs", '[{"name":"svc"}]', "write each as {serviceName: NAME}"],
        _network(floatingIPs=[{"serviceName": "svc"}]),
    ),
    Refusal(
        "a floating object with a number for a name",
        _network(floatingIPs=[{"serviceName": 5}]),
        ["spec.network.floatingIPs", '[{"serviceName":5}]', "serviceName"],
        _network(floatingIPs=[{"serviceName": "svc-5"}, "svc", "240.141.77.141"]),
    ),
    Refusal(
        "eleven VPCs",
        _network(vpcs=[{"name": f"vpc{index}"} for index in _ELEVEN]),
        ["spec.network.vpcs", "11 are given, 10 are allowed", "remove some"],
        _network(vpcs=[{"name": f"vpc{index}"} for index in _ELEVEN[:10]]),
    ),
    Refusal(
        "a repeated VPC",
        _network(vpcs=[{"name": "vpc0"}, {"name": "vpc1"}, {"name": "vpc0"}]),
        ["spec.network.vpcs", "vpc0", "repeats a VPC", "once"],
        _network(vpcs=[{"name": "vpc0"}, {"name": "vpc1"}]),
    ),
    Refusal(
        "no cluster NIC with TCP ports",
        _network(disableK8sNetworking=True, tcp={"ports": [22]}),
        ["spec.network", "disableK8sNetworking", "tcp.ports", "remove one"],
        _network(disableK8sNetworking=True, tcp={"ports": []}, vpcs=[{"name": "vpc0"}]),
    ),
    Refusal(
        "no cluster NIC with UDP ports",
        _network(disableK8sNetworking=True, udp={"ports": [53]}),
        ["spec.network", "disableK8sNetworking", "udp.ports"],
        _network(disableK8sNetworking=True, udp={}),
    ),
    Refusal(
        "no cluster NIC with direct attach",
        _network(disableK8sNetworking=True, directAttachLoadBalancerIP=True),
        ["spec.network", "disableK8sNetworking", "directAttachLoadBalancerIP"],
        _network(disableK8sNetworking=True, directAttachLoadBalancerIP=False),
    ),
    Refusal(
        "no cluster NIC with a headless Service",
        _network(disableK8sNetworking=True, headless=True),
        ["spec.network", "disableK8sNetworking", "headless"],
        _network(disableK8sNetworking=True, headless=False),
    ),
    Refusal(
        "no cluster NIC with floating addresses",
        _network(disableK8sNetworking=True, floatingIPs=["svc"]),
        ["spec.network.floatingIPs", "disableK8sNetworking"],
        _network(disableK8sNetworking=True, floatingIPs=[]),
    ),
    Refusal(
        "dnsPolicy None without name servers",
        _network(dnsPolicy="None", dnsConfig={"searches": ["example.com"], "nameservers": []}),
        ["spec.network.dnsPolicy", "dnsConfig.nameservers", "add"],
        _network(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.53"]}),
    ),
    Refusal(
        "an unknown dnsPolicy",
        _network(dnsPolicy="ClustrFirst"),
        ["spec.network.dnsPolicy", '"ClustrFirst" is not known', "write one of ClusterFirst, "],
        _network(dnsPolicy="ClusterFirst"),
    ),
    Refusal(
        "a GPU type with a CPU type",
        {"resources": {"cpu": {"type": "amd-epyc-rome"}, "gpu": {"type": "A40", "count": 1}}},
        ["spec.resources", "amd-epyc-rome", "A40", "remove one"],
        {"resources": {"cpu": {"type": ""}, "gpu": {"type": "A40", "count": 1}}},
    ),
    Refusal(
        "no processor",
        {"resources": {"cpu": {"count": 0}}},
        ["spec.resources.cpu.count", "0 is less than 1", "at least one"],
        {"resources": {"cpu": {"count": 1}}},
    ),
    Refusal(
        "memory that is no quantity",
        {"resources": {"memory": "8GB"}},
        ["spec.resources.memory", "8GB", "8Gi"],
        {"resources": {"memory": "8G"}},
    ),
    Refusal(
        "an ephemeral disk without a claim under it",
        {"storage": {"root": {"ephemeral": True, "source": {"pvc": None, "blank": {}}}}},
        ["spec.storage.root.ephemeral", "pvc", "remove"],
        {"storage": {"root": {"ephemeral": True}}},
    ),
    Refusal(
        "two sources",
        {"storage": {"root": {"source": {"blank": {}}}}},
        ["spec.storage.root.source", "exactly one"],
        {"storage": _BLANK},
    ),
    Refusal(
        "a UUID in upper case",
        {"firmware": {"uuid": _SERIAL.upper()}},
        ["spec.firmware.uuid", _SERIAL.upper(), "lower-case"],
        {"firmware": {"uuid": _SERIAL}},
    ),
    Refusal(
        "a firmware serial number that is no UUID",
        {"firmware": {"serial": "42"}},
        ["spec.firmware.serial", "42", "lower-case UUID"],
        {"firmware": {"serial": _SERIAL}},
    ),
    Refusal(
        "cloudInit that is too large in bytes but not in characters",
        {"cloudInit": "#" + "ä" * (_KIB_900 // 2)},
        ["spec.cloudInit", "921601 bytes", "921600"],
        {"cloudInit": "#" + "ä" * (_KIB_900 // 2 - 1)},
    ),
    Refusal(
        "cloudInit that is too large in characters",
        {"cloudInit": "#" * (_KIB_900 + 1)},
        ["spec.cloudInit", "921601 bytes", "921600"],
        {"cloudInit": "#" * _KIB_900},
    ),
    Refusal(
        "cloudInit twice",
        {"cloudInit": "packages: [nginx]", "cloudInitSecretRef": {"name": "ci"}},
        ["spec.cloudInitSecretRef", "exclude each other"],
        {"cloudInit": "", "cloudInitSecretRef": {"name": "ci"}},
    ),
    Refusal(
        "a password twice",
        {"users": [{"username": "a", "password": "p", "passwordSecretRef": {"name": "s"}}]},
        ["spec.users[0].passwordSecretRef", "exclude each other"],
        {"users": [{"username": "a", "sshpublickey": "k", "sshPublicKeysSecretRef": {"name": "s"}}]},
    ),
    Refusal(
        "a name that no account can have (fault 21)",
        {"users": [{"username": "ada"}, {"username": "a b"}]},
        ["spec.users", "a b", "an account of a Linux guest cannot have this name"],
        {"users": [{"username": "ada"}, {"username": "a.b"}]},
        is_validated=False,
    ),
    Refusal(
        "a name of a system account (fault 21)",
        {"users": [{"username": "backup"}]},
        ["spec.users", "backup", "no name of a system account"],
        {"users": [{"username": "operator"}]},
        is_validated=False,
    ),
    Refusal(
        "a name that is too long for an account (fault 21)",
        {"users": [{"username": "ä" * 17}]},
        ["spec.users", "an account of a Linux guest cannot have this name"],
        {"users": [{"username": "ä" * 16}]},
        is_validated=False,
    ),
    Refusal(
        "an unknown run strategy",
        {"runStrategy": "Once"},
        ["spec.runStrategy", '"Once" is not known', "Always, RerunOnFailure"],
        {"runStrategy": "Manual"},
    ),
    Refusal(
        "an unknown operating system",
        {"os": {"type": "plan9"}},
        ["spec.os.type", '"plan9" is not known', "write one of windows, linux"],
        {"os": {"type": "windows"}},
    ),
    Refusal(
        "an image whose name means something to a shell (fault 14)",
        {"storage": {"root": {"source": {"pvc": {"namespace": "vd-images", "name": "$(id)"}}}}},
        ["spec.storage.root.source.pvc.name", "$(id)", "no name that an object can have"],
        {"storage": {"root": {"source": {"pvc": {"namespace": "vd-images", "name": "a.b-c"}}}}},
    ),
    Refusal(
        "an image of a namespace that cannot be (fault 14)",
        {"storage": {"root": {"source": {"pvc": {"namespace": "$(id)/x", "name": "tiny"}}}}},
        ["spec.storage.root.source.pvc.namespace", "$(id)/x", "no name that a namespace can have"],
        {"storage": {"root": {"source": {"pvc": {"namespace": "x", "name": "tiny"}}}}},
    ),
    Refusal(
        "an unknown access mode (fault 14)",
        {"storage": {"root": {"accessMode": "Everybody"}}},
        ["spec.storage.root.accessMode", '"Everybody" is not known', "write one of ReadWriteOnce"],
        {"storage": {"root": {"accessMode": "ReadWriteMany"}}},
    ),
    Refusal(
        "an unknown volume mode (fault 14)",
        {"storage": {"root": {"volumeMode": "Tape"}}},
        ["spec.storage.root.volumeMode", '"Tape" is not known', "write one of Block"],
        {"storage": {"root": {"volumeMode": "Filesystem"}}},
    ),
    Refusal(
        "a Secret of a name that cannot be (fault 14)",
        {"cloudInitSecretRef": {"name": "../x"}},
        ["spec.cloudInitSecretRef.name", "../x", "no name that an object can have"],
        {"cloudInitSecretRef": {"name": "x"}},
    ),
    Refusal(
        "a key of a Secret that cannot be (fault 14)",
        {"users": [{"username": "a", "passwordSecretRef": {"name": "s", "key": "a b"}}]},
        ["spec.users[0].passwordSecretRef.key", "a b", "no key that a Secret can have"],
        {"users": [{"username": "a", "passwordSecretRef": {"name": "s", "key": "a_b.c-D"}}]},
    ),
    Refusal(
        "an operating system that is not said",
        {"os": {"type": None}},
        ["spec.os.type", "Required", "add it", "kubectl explain vs.spec.os.type"],
        {"os": {"type": "linux"}},
    ),
    Refusal(
        "a claim without its namespace",
        {"storage": {"root": {"source": {"pvc": {"namespace": None}}}}},
        ["spec.storage.root.source.pvc.namespace", "Required", "add it"],
        {"storage": {"root": {"source": {"pvc": {"namespace": "x"}}}}},
    ),
    Refusal(
        "a user without a name",
        {"users": [{"password": "p"}]},
        ["spec.users[0].username", "Required", "add it"],
        {"users": [{"username": "a", "password": "p"}]},
    ),
    Refusal(
        "a user with an empty name",
        {"users": [{"username": ""}]},
        ["spec.users[0].username", "is empty", "name the user"],
        {"users": [{"username": "a"}]},
    ),
    Refusal(
        "a negative time to shut down",
        {"terminationGracePeriodSeconds": -1},
        ["spec.terminationGracePeriodSeconds", "-1 is negative", "use 0 or more seconds"],
        {"terminationGracePeriodSeconds": 0},
    ),
    Refusal(
        "a VPC with an empty name",
        _network(vpcs=[{"name": ""}]),
        ["spec.network.vpcs[0].name", "no name of a VPC", "write 1 to 253 characters"],
        _network(vpcs=[{"name": "v"}]),
    ),
]
