"""What the CRD and its policy refuse, each beside the nearest thing that they accept; no process of ours runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from manifests import a_virtual_server

if TYPE_CHECKING:
    from conftest import Server

ELEVEN = list(range(1, 12))
BLANK = {"root": {"source": {"pvc": None, "blank": {}}}}
SERIAL = "5d307ca9-b3ef-428c-8861-06e72d69f223"
KIB_900 = 900 * 1024


def network(**fields: Any) -> dict[str, Any]:
    return {"network": fields}


# (why, refused, what the message must say, the accepted neighbour)
RULES: list[tuple[str, dict[str, Any], list[str], dict[str, Any]]] = [
    (
        "direct attach with TCP ports",
        network(directAttachLoadBalancerIP=True, tcp={"ports": [22]}),
        ["spec.network", "tcp.ports [22]", "directAttachLoadBalancerIP", "remove"],
        network(directAttachLoadBalancerIP=True, tcp={"ports": []}, udp={}),
    ),
    (
        "direct attach with UDP ports",
        network(directAttachLoadBalancerIP=True, udp={"ports": [53]}),
        ["spec.network", "udp.ports [53]", "directAttachLoadBalancerIP", "remove"],
        network(directAttachLoadBalancerIP=False, udp={"ports": [53]}),
    ),
    (
        "port 0",
        network(tcp={"ports": [0]}),
        ["spec.network.tcp.ports[0]", "Invalid value: 0", "greater than or equal to 1"],
        network(tcp={"ports": [1]}),
    ),
    (
        "port 65536",
        network(udp={"ports": [22, 65536]}),
        ["spec.network.udp.ports[1]", "65536", "less than or equal to 65535"],
        network(udp={"ports": [22, 65535]}),
    ),
    (
        "a repeated port",
        network(tcp={"ports": [22, 80, 22]}),
        ["spec.network.tcp.ports", "[22, 80, 22]", "repeats a port", "once"],
        network(tcp={"ports": [22, 80]}, udp={"ports": [22]}),
    ),
    (
        "eleven ports",
        network(tcp={"ports": ELEVEN}),
        ["spec.network.tcp.ports", "Too many: 11", "at most 10"],
        network(tcp={"ports": ELEVEN[:10]}),
    ),
    (
        "a MAC address that mixes its forms",
        network(macAddress="A2-1F-EE-09:06:5D"),
        ["spec.network.macAddress", "A2-1F-EE-09:06:5D", "no MAC address", "leave it out"],
        network(macAddress="A2-1F-EE-09-06-5D"),
    ),
    (
        "a MAC address with something behind it",
        network(macAddress="a2:1f:ee:09:06:5d:00"),
        ["spec.network.macAddress", "no MAC address"],
        network(macAddress="a2:1f:ee:09:06:5d"),
    ),
    (
        "a multicast MAC address",
        network(macAddress="a3:1f:ee:09:06:5d"),
        ["spec.network.macAddress", "a3:1f:ee:09:06:5d", "not local unicast", "second digit"],
        network(macAddress="AE:1f:ee:09:06:5d"),
    ),
    (
        "a manufacturer's MAC address",
        network(macAddress="A0-1F-EE-09-06-5D"),
        ["spec.network.macAddress", "not local unicast"],
        network(macAddress="06-1f-ee-09-06-5d"),
    ),
    (
        "a floating number",
        network(floatingIPs=[5]),
        ["spec.network.floatingIPs[0]", "5"],
        network(floatingIPs=["5"]),
    ),
    (
        "a floating null",
        network(floatingIPs=[None]),
        ["spec.network.floatingIPs", "[null]", "serviceName", "address"],
        network(floatingIPs=[]),
    ),
    (
        "a floating list",
        network(floatingIPs=[["svc"]]),
        ["spec.network.floatingIPs", '[["svc"]]', "serviceName"],
        network(floatingIPs=["svc"]),
    ),
    (
        "a floating boolean",
        network(floatingIPs=[True]),
        ["spec.network.floatingIPs", "[true]", "serviceName"],
        network(floatingIPs=["true"]),
    ),
    (
        "a floating address with a part missing",
        network(floatingIPs=["240.141.77"]),
        ["spec.network.floatingIPs", '["240.141.77"]', "IPv4 or IPv6"],
        network(floatingIPs=["240.141.77.141", "82.110.59.244"]),
    ),
    (
        "a floating IPv6 address with a part too many",
        network(floatingIPs=["2001:db8:0:0:0:0:0:0:1"]),
        ["spec.network.floatingIPs", '["2001:db8:0:0:0:0:0:0:1"]', "IPv4 or IPv6"],
        network(floatingIPs=["2001:db8::1", "2001:DB8:0:0:0:0:0:2"]),
    ),
    (
        "a floating name that no Service can have",
        network(floatingIPs=["My_Service"]),
        ["spec.network.floatingIPs[0]", "My_Service", "should match"],
        network(floatingIPs=["my-service"]),
    ),
    (
        "a floating object without a Service's name",
        network(floatingIPs=[{"name": "svc"}]),
        ["spec.network.floatingIPs[0].serviceName", "Required"],
        network(floatingIPs=[{"serviceName": "svc"}]),
    ),
    (
        "a floating object with a number for a name",
        network(floatingIPs=[{"serviceName": 5}]),
        ["spec.network.floatingIPs", '[{"serviceName":5}]', "serviceName"],
        network(floatingIPs=[{"serviceName": "svc-5"}, "svc", "240.141.77.141"]),
    ),
    (
        "eleven VPCs",
        network(vpcs=[{"name": f"vpc{index}"} for index in ELEVEN]),
        ["spec.network.vpcs", "Too many: 11", "at most 10"],
        network(vpcs=[{"name": f"vpc{index}"} for index in ELEVEN[:10]]),
    ),
    (
        "a repeated VPC",
        network(vpcs=[{"name": "vpc0"}, {"name": "vpc1"}, {"name": "vpc0"}]),
        ["spec.network.vpcs", "vpc0", "repeats a VPC", "once"],
        network(vpcs=[{"name": "vpc0"}, {"name": "vpc1"}]),
    ),
    (
        "no cluster NIC with TCP ports",
        network(disableK8sNetworking=True, tcp={"ports": [22]}),
        ["spec.network", "disableK8sNetworking", "tcp.ports", "remove one"],
        network(disableK8sNetworking=True, tcp={"ports": []}, vpcs=[{"name": "vpc0"}]),
    ),
    (
        "no cluster NIC with UDP ports",
        network(disableK8sNetworking=True, udp={"ports": [53]}),
        ["spec.network", "disableK8sNetworking", "udp.ports"],
        network(disableK8sNetworking=True, udp={}),
    ),
    (
        "no cluster NIC with direct attach",
        network(disableK8sNetworking=True, directAttachLoadBalancerIP=True),
        ["spec.network", "disableK8sNetworking", "directAttachLoadBalancerIP"],
        network(disableK8sNetworking=True, directAttachLoadBalancerIP=False),
    ),
    (
        "no cluster NIC with a headless Service",
        network(disableK8sNetworking=True, headless=True),
        ["spec.network", "disableK8sNetworking", "headless"],
        network(disableK8sNetworking=True, headless=False),
    ),
    (
        "no cluster NIC with floating addresses",
        network(disableK8sNetworking=True, floatingIPs=["svc"]),
        ["spec.network.floatingIPs", "disableK8sNetworking"],
        network(disableK8sNetworking=True, floatingIPs=[]),
    ),
    (
        "dnsPolicy None without name servers",
        network(dnsPolicy="None", dnsConfig={"searches": ["example.com"], "nameservers": []}),
        ["spec.network.dnsPolicy", "dnsConfig.nameservers", "add"],
        network(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.53"]}),
    ),
    (
        "an unknown dnsPolicy",
        network(dnsPolicy="ClustrFirst"),
        ["spec.network.dnsPolicy", "ClustrFirst", '"ClusterFirst"'],
        network(dnsPolicy="ClusterFirst"),
    ),
    (
        "a GPU type with a CPU type",
        {"resources": {"cpu": {"type": "amd-epyc-rome"}, "gpu": {"type": "A40", "count": 1}}},
        ["spec.resources", "amd-epyc-rome", "A40", "remove one"],
        {"resources": {"cpu": {"type": ""}, "gpu": {"type": "A40", "count": 1}}},
    ),
    (
        "no processor",
        {"resources": {"cpu": {"count": 0}}},
        ["spec.resources.cpu.count", "greater than or equal to 1"],
        {"resources": {"cpu": {"count": 1}}},
    ),
    (
        "memory that is no quantity",
        {"resources": {"memory": "8GB"}},
        ["spec.resources.memory", "8GB", "8Gi"],
        {"resources": {"memory": "8G"}},
    ),
    (
        "an ephemeral disk without a claim under it",
        {"storage": {"root": {"ephemeral": True, "source": {"pvc": None, "blank": {}}}}},
        ["spec.storage.root.ephemeral", "pvc", "remove"],
        {"storage": {"root": {"ephemeral": True}}},
    ),
    (
        "two sources",
        {"storage": {"root": {"source": {"blank": {}}}}},
        ["spec.storage.root.source", "exactly one"],
        {"storage": BLANK},
    ),
    (
        "a UUID in upper case",
        {"firmware": {"uuid": SERIAL.upper()}},
        ["spec.firmware.uuid", SERIAL.upper(), "lower-case"],
        {"firmware": {"uuid": SERIAL}},
    ),
    (
        "a firmware serial number that is no UUID",
        {"firmware": {"serial": "42"}},
        ["spec.firmware.serial", "42", "lower-case UUID"],
        {"firmware": {"serial": SERIAL}},
    ),
    (
        "cloudInit that is too large in bytes but not in characters",
        {"cloudInit": "#" + "ä" * (KIB_900 // 2)},
        ["spec.cloudInit", "921601 bytes", "921600"],
        {"cloudInit": "#" + "ä" * (KIB_900 // 2 - 1)},
    ),
    (
        "cloudInit that is too large in characters",
        {"cloudInit": "#" * (KIB_900 + 1)},
        ["spec.cloudInit", "921600"],
        {"cloudInit": "#" * KIB_900},
    ),
    (
        "cloudInit twice",
        {"cloudInit": "packages: [nginx]", "cloudInitSecretRef": {"name": "ci"}},
        ["spec.cloudInitSecretRef", "exclude each other"],
        {"cloudInit": "", "cloudInitSecretRef": {"name": "ci"}},
    ),
    (
        "a password twice",
        {"users": [{"username": "a", "password": "p", "passwordSecretRef": {"name": "s"}}]},
        ["spec.users[0].passwordSecretRef", "exclude each other"],
        {"users": [{"username": "a", "sshpublickey": "k", "sshPublicKeysSecretRef": {"name": "s"}}]},
    ),
    (
        "an unknown run strategy",
        {"runStrategy": "Once"},
        ["spec.runStrategy", "Once", '"RerunOnFailure"'],
        {"runStrategy": "Manual"},
    ),
    (
        "an unknown operating system",
        {"os": {"type": "plan9"}},
        ["spec.os.type", "plan9", '"linux"'],
        {"os": {"type": "windows"}},
    ),
]


@pytest.mark.parametrize(("refused", "says"), [rule[1:3] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_what_breaks_a_rule_is_refused_with_field_value_reason_and_remedy(
    server: Server, refused: dict[str, Any], says: list[str]
) -> None:
    message = server.refusal_of(a_virtual_server(refused))
    assert message, "it was accepted"
    assert [part for part in says if part not in message] == [], message


@pytest.mark.parametrize("accepted", [rule[3] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_the_neighbour_of_what_breaks_a_rule_is_accepted(server: Server, accepted: dict[str, Any]) -> None:
    assert server.refusal_of(a_virtual_server(accepted)) == ""


@pytest.mark.parametrize("field", ["os", "resources", "storage"])
def test_a_required_field_that_is_missing_is_named(server: Server, field: str) -> None:
    message = server.refusal_of(a_virtual_server({field: None}))
    assert f"spec.{field}: Required value" in message


def test_a_name_of_60_characters_is_refused_and_one_of_59_accepted(server: Server) -> None:
    assert server.refusal_of(a_virtual_server(name="a" * 59)) == ""
    message = server.refusal_of(a_virtual_server(name="a" * 60))
    assert "metadata.name" in message
    assert "60 characters" in message
    assert "59" in message


def test_a_name_with_a_dot_is_refused(server: Server) -> None:
    assert "no dots" in server.refusal_of(a_virtual_server(name="web.team"))


def test_all_faults_are_reported_at_once(server: Server) -> None:
    message = server.refusal_of(
        a_virtual_server(
            {
                "network": {"macAddress": "zz", "dnsPolicy": "None", "vpcs": [{"name": "a"}, {"name": "a"}]},
                "firmware": {"uuid": "x"},
                "resources": {"memory": "much"},
            }
        )
    )
    for field in (
        "spec.network.macAddress",
        "spec.network.dnsPolicy",
        "spec.network.vpcs",
        "spec.firmware.uuid",
        "spec.resources.memory",
    ):
        assert field in message


def test_the_root_disk_grows_and_never_shrinks(server: Server) -> None:
    server.create(a_virtual_server({"storage": {"root": {"size": "2Gi"}}}, name="disk"))
    message = server.refusal_of_patch("disk", {"spec": {"storage": {"root": {"size": "2047Mi"}}}})
    assert "spec.storage.root.size" in message
    assert '"2047Mi" is less than the disk has, and a disk cannot shrink: keep the size' in message
    for size in ("2048Mi", 2 * 1024**3, "3Gi", "1T"):
        assert server.refusal_of_patch("disk", {"spec": {"storage": {"root": {"size": size}}}}) == ""


def test_ports_give_way_to_direct_attach_in_one_merge_patch(server: Server) -> None:
    server.create(a_virtual_server({"network": {"tcp": {"ports": [22]}}}, name="ports"))
    attach = {"spec": {"network": {"directAttachLoadBalancerIP": True}}}
    assert "remove the ports" in server.refusal_of_patch("ports", attach)
    attach["spec"]["network"] |= {"tcp": {"ports": []}, "udp": {"ports": []}}
    assert server.patch("ports", attach)["spec"]["network"]["directAttachLoadBalancerIP"] is True
