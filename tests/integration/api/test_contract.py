"""What existing clients and tools rely on, seen by the real kube-apiserver and kubectl."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness.manifests import a_virtual_server
from virtualserver.api.conditions import EPOCH, ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.api.virtualserver import decode

if TYPE_CHECKING:
    from harness.api_server import Server
    from harness.control_plane import ControlPlane

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


def test_a_status_is_there_right_after_the_post(server: Server) -> None:
    created = server.create(a_virtual_server(name="fresh"))
    for seen in (created, server.get("fresh")):
        conditions = seen["status"]["conditions"]
        assert [condition["type"] for condition in conditions] == list(ConditionType)
        assert {condition["status"] for condition in conditions} == {"Unknown"}
        assert {condition["reason"] for condition in conditions} == {Reason.INITIALIZING}
        assert {condition["message"] for condition in conditions} == {Reason.INITIALIZING.sentence}
        assert {condition["lastTransitionTime"] for condition in conditions} == {EPOCH}
        assert seen["status"]["network"] == {"internalIP": "", "externalIP": "", "serviceIP": ""}


def test_a_status_that_a_client_sends_is_ignored(server: Server) -> None:
    manifest = a_virtual_server(name="boast") | {"status": {"network": {"internalIP": "192.0.2.1"}}}
    assert server.create(manifest)["status"]["network"]["internalIP"] == ""


def test_the_table_has_its_cells_by_position(server: Server) -> None:
    server.create(a_virtual_server(name="table"))
    status = {
        "network": {"internalIP": "198.18.0.7", "externalIP": "203.0.113.7", "serviceIP": "10.96.0.7"},
        "conditions": [
            {"type": kind, "status": "True", "reason": f"reason{index}", "message": f"message{index}"}
            for index, kind in enumerate(ConditionType)
        ],
    }
    server.patch("table", {"status": status}, subresource="/status")
    table = server.call("GET", f"{server.servers}/table", accept=TABLE)
    names = [column["name"] for column in table["columnDefinitions"]]
    assert names == ["Name", "status", "reason", "started", "Internal IP", "External IP"]
    assert table["rows"][0]["cells"] == ["table", "reason0", "message0", "True", "198.18.0.7", "203.0.113.7"]


def test_defaults_are_those_of_the_contract(server: Server) -> None:
    spec = server.create(a_virtual_server({"resources": {"cpu": None, "memory": None}, "network": {}}), dry_run=True)[
        "spec"
    ]
    assert spec["os"] == {"type": "linux", "definition": "a"}
    assert spec["resources"] == {"definition": "a", "cpu": {"count": 2}, "memory": "8Gi"}
    assert spec["storage"]["root"] | {"volumeMode": "Block", "accessMode": "ReadWriteOnce"} == spec["storage"]["root"]
    assert spec["network"] == {"public": True, "headless": False, "dnsPolicy": "ClusterFirst"}
    assert spec["runStrategy"] == "RerunOnFailure"
    assert spec["useVirtioTransitional"] is False
    assert "initializeRunning" not in spec


def test_python_reads_the_defaults_that_the_server_writes(server: Server) -> None:
    sparse = a_virtual_server({"resources": {"cpu": None, "memory": None}, "users": [{"username": "a"}]})
    written = server.create(sparse, dry_run=True)
    assert decode(written).spec == decode(sparse).spec


def test_empty_lists_structs_and_nulls_count_as_absent(server: Server) -> None:
    network: dict[str, Any] = {
        "tcp": {},
        "udp": {"ports": []},
        "vpcs": [],
        "floatingIPs": [],
        "dnsConfig": {},
        "macAddress": "",
        "directAttachLoadBalancerIP": True,
        "disableK8sNetworking": None,
    }
    manifest = a_virtual_server({"network": network, "users": [], "cloudInit": "", "affinity": {}, "firmware": {}})
    manifest["metadata"]["creationTimestamp"] = None
    manifest["spec"]["network"]["headless"] = None
    created = server.create(manifest, dry_run=True)
    assert created["metadata"]["creationTimestamp"]
    assert created["spec"]["network"]["headless"] is False


def test_every_floating_form_is_kept_as_it_was_written(server: Server) -> None:
    items = [{"serviceName": "svc-a"}, "svc-b", "240.141.77.141", "2001:db8::7"]
    assert server.create(a_virtual_server({"network": {"floatingIPs": items}}), dry_run=True)["spec"]["network"][
        "floatingIPs"
    ] == items  # fmt: skip


# The seed document's examples, as printed; the last lacks what a server needs (os, resources, storage), which is added.
SEED = {
    "public": "network: {public: true, directAttachLoadBalancerIP: true}",
    "ports": """
network:
  public: true
  directAttachLoadBalancerIP: false
  tcp:
    ports:
      - 22
      - 443
      - 3389
  udp:
    ports:
      - 3389
      - 4172
""",
    "mac with dashes": "network: {macAddress: A2-1F-EE-09-06-5D}",
    "mac with colons": "network: {macAddress: 'a2:1f:ee:09:06:5d'}",
    "floating": "network: {floatingIPs: [240.141.77.141, 82.110.59.244]}",
    "vpcs": """
network:
  disableK8sNetworking: false
  vpcs:
  - name: your-vpc-name
  - name: optional-second-vc
""",
}


@pytest.mark.parametrize("example", SEED.values(), ids=list(SEED))
def test_the_seeds_examples_are_accepted_as_printed(server: Server, example: str) -> None:
    assert server.refusal_of(a_virtual_server(yaml.safe_load(example))) == ""


def test_the_seeds_server_in_vpcs_lacks_only_what_every_server_needs(server: Server) -> None:
    manifest = a_virtual_server(yaml.safe_load(SEED["vpcs"]), name="my-vs-in-a-vpc")
    for field in ("os", "resources", "storage"):
        del manifest["spec"][field]
    message = server.refusal_of(manifest)
    assert [f"spec.{field}: Required" in message for field in ("os", "resources", "storage")] == [True] * 3


def test_every_field_of_the_contract_survives(server: Server) -> None:
    probe: dict[str, Any] = {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "initialDelaySeconds": 1,
        "periodSeconds": 2,
        "timeoutSeconds": 3,
        "successThreshold": 1,
        "failureThreshold": 4,
    }
    expression = {"key": "k", "operator": "In", "values": ["v"]}
    terms = [{"matchExpressions": [expression]}]
    spec: dict[str, Any] = {
        "region": "ORD1",
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}},
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "h", "labelSelector": {"matchLabels": {"a": "b"}}}}
                ]
            },
        },
        "os": {"type": "linux", "definition": "b", "enableUEFIBoot": True},
        "resources": {
            "definition": "b",
            "cpu": {"count": 3},
            "gpu": {"type": "Quadro_RTX_4000", "count": 1},
            "memory": "16Gi",
        },
        "storage": {
            "root": {
                "size": "80Gi",
                "source": {"pvc": {"namespace": "vd-images", "name": "ubuntu"}},
                "storageClassName": "block-nvme-ord1",
                "volumeMode": "Filesystem",
                "accessMode": "ReadWriteMany",
                "ephemeral": True,
                "serial": "s1",
            },
            "additionalDisks": [
                {"name": "d", "spec": {"emptyDisk": {"capacity": "1Gi"}}, "readOnly": True, "serial": "s2"},
                {"name": "e", "spec": {"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}},
                {"name": "f", "spec": {"dataVolume": {"name": "dv"}}},
            ],
            "filesystems": [
                {"name": "g", "spec": {"persistentVolumeClaim": {"claimName": "c"}}, "mountPoint": "/mnt/g"}
            ],
            "swap": "4Gi",
        },
        "users": [
            {"username": "a", "password": "p", "sshpublickey": "k"},
            {
                "username": "b",
                "passwordSecretRef": {"name": "s", "key": "k"},
                "sshPublicKeysSecretRef": {"name": "s", "key": "k"},
            },
        ],
        "network": {
            "public": False,
            "directAttachLoadBalancerIP": False,
            "tcp": {"ports": [22]},
            "udp": {"ports": [53]},
            "floatingIPs": ["svc"],
            "macAddress": "A2-1F-EE-09-06-5D",
            "dnsPolicy": "None",
            "dnsConfig": {
                "nameservers": ["192.0.2.53"],
                "searches": ["example.com"],
                "options": [{"name": "ndots", "value": "2"}],
            },
            "headless": True,
            "vpcs": [{"name": "v"}],
            "disableK8sNetworking": False,
        },
        "initializeRunning": True,
        "cloudInit": "packages: [nginx]",
        "runStrategy": "Always",
        "firmware": {
            "uuid": "5d307ca9-b3ef-428c-8861-06e72d69f223",
            "serial": "e4686d2c-6e8d-4335-b8fd-81bee22f4815",
        },
        "useVirtioTransitional": True,
        "terminationGracePeriodSeconds": 30,
        "livenessProbe": {**probe, "httpGet": {"port": "http", "httpHeaders": [{"name": "a", "value": "b"}]}},
        "readinessProbe": {"tcpSocket": {"port": 22}},
    }
    assert server.create(a_virtual_server(spec), dry_run=True)["spec"] == spec


def test_status_fields_survive_and_watches_have_conditions(server: Server) -> None:
    server.create(a_virtual_server(name="status"))
    network = {"internalIP": "a", "externalIP": "b", "serviceIP": "c", "floatingIPs": {"svc": "192.0.2.1"}}
    patched = server.patch("status", {"status": {"network": network}}, subresource="/status")
    assert patched["status"]["network"] == network
    assert len(patched["status"]["conditions"]) == len(ConditionType)


def test_the_old_watch_path_reports_a_server(server: Server, control_plane: ControlPlane) -> None:
    server.create(a_virtual_server(name="watched"))
    path = server.servers.replace("/v1alpha1/", "/v1alpha1/watch/") + "/watched?timeoutSeconds=1"
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.extend(control_plane.kubectl("get", "--raw", path).splitlines()))
    thread.start()
    thread.join(timeout=60)
    event = json.loads(lines[0])
    assert event["type"] == "ADDED"
    assert event["object"]["status"]["conditions"][0]["type"] == "Ready"


class TestKubectl:
    """The same through kubectl, as a user meets it."""

    def test_short_names_and_explain(self, control_plane: ControlPlane) -> None:
        for name in ("vs", "vserver", "virtualserver", "virtualservers"):
            assert control_plane.kubectl("get", name, "-n", "default", "-o", "name") == ""
        explained = control_plane.kubectl("explain", "vs.spec.network")
        assert "directAttachLoadBalancerIP\t<boolean>" in explained
        assert "Make one load balancer address the server's own." in " ".join(explained.split())
        assert "FIELD: ports <[]integer>" in control_plane.kubectl("explain", "vs.spec.network.tcp.ports")

    @pytest.mark.parametrize("mode", [[], ["--server-side"]], ids=["client-side", "server-side"])
    def test_apply_get_change_delete(self, server: Server, control_plane: ControlPlane, mode: list[str]) -> None:
        manifest = a_virtual_server({"network": {"tcp": {"ports": [22]}}}, name="applied", namespace=server.namespace)
        applied = control_plane.kubectl("apply", *mode, "-f", "-", stdin=json.dumps(manifest))
        assert "virtualserver.virtualservers.coreweave.com/applied" in applied
        assert "Initializing" in control_plane.kubectl("get", "vs", "applied", "-n", server.namespace)
        manifest["spec"]["network"] = {"directAttachLoadBalancerIP": True, "tcp": {"ports": []}}
        control_plane.kubectl("apply", *mode, "-f", "-", stdin=json.dumps(manifest))
        assert server.get("applied")["spec"]["network"]["tcp"] == {"ports": []}
        refused = control_plane.kubectl(
            "apply",
            *mode,
            "-f",
            "-",
            stdin=json.dumps(manifest).replace('"ports": []', '"ports": [22]'),
            check=False,
        )
        assert "directAttachLoadBalancerIP lets" in refused or "direct attach lets every port in" in refused
        control_plane.kubectl("delete", "vs", "applied", "-n", server.namespace)

    def test_a_misspelt_field_is_named(self, server: Server, control_plane: ControlPlane) -> None:
        manifest = a_virtual_server({"network": {"publik": True}}, name="typo", namespace=server.namespace)
        refused = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(manifest), check=False)
        assert 'unknown field "spec.network.publik"' in refused

    def test_large_cloud_init_needs_server_side_apply(self, server: Server, control_plane: ControlPlane) -> None:
        manifest = a_virtual_server({"cloudInit": "#" * 800_000}, name="large", namespace=server.namespace)
        refused = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(manifest), check=False)
        assert "metadata.annotations" in refused
        assert "serverside-applied" in control_plane.kubectl(
            "apply", "--server-side", "-f", "-", stdin=json.dumps(manifest)
        )
