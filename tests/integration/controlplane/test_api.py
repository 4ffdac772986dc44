"""The API as a user meets it: kubectl against the real thing, with the controllers that matter without pods."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from harness.api_server import connected
from harness.waiting import eventually
from virtualserver.api import names
from virtualserver.controlplane import bootstrap, storage_classes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.control_plane import ControlPlane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own."""
    name = f"controlplane-{secrets.token_hex(3)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def test_kubectl_works_as_administrator(control_plane: ControlPlane) -> None:
    assert control_plane.kubectl("auth", "can-i", "*", "*") == "yes\n"
    assert "vd-images" in control_plane.kubectl("get", "namespaces")


def test_its_version_is_the_pinned_release(control_plane: ControlPlane) -> None:
    from virtualserver import controlplane

    version = json.loads(control_plane.kubectl("version", "-o", "json"))
    assert version["serverVersion"]["gitVersion"] == controlplane.KUBERNETES_VERSION
    assert version["clientVersion"]["gitVersion"] == controlplane.KUBERNETES_VERSION


def test_a_claim_and_its_namespace_can_be_deleted(control_plane: ControlPlane, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "disk", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    control_plane.kubectl("delete", "-n", namespace, "pvc", "disk", "--timeout=30s")
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    control_plane.kubectl("delete", "namespace", namespace, "--timeout=90s")
    assert "NotFound" in control_plane.kubectl("get", "namespace", namespace, check=False)


def test_no_pod_waits_for_a_node_that_nobody_is_and_holds_its_namespace(
    control_plane: ControlPlane, namespace: str
) -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ladder", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }
    bound = {**pod, "spec": {**pod["spec"], "nodeName": "here"}}
    refused = control_plane.kubectl("create", "-f", "-", stdin=json.dumps(bound), check=False)
    assert "spec.nodeName: here: no pods run here" in refused

    def created() -> bool:  # once the namespace has its ServiceAccount
        answer = control_plane.kubectl("create", "-f", "-", stdin=json.dumps(pod), check=False)
        return "created" in answer or "AlreadyExists" in answer

    eventually(created, what="the pod to be an object like others")
    control_plane.kubectl("delete", "namespace", namespace, "--timeout=90s")


def test_attack_an_object_of_so_many_keys_that_each_write_to_it_takes_seconds_is_refused(
    control_plane: ControlPlane, namespace: str
) -> None:
    """For one of 16,000 annotations kube-apiserver took 6 s a write, the operator's among them."""

    def keys(number: int) -> dict[str, str]:
        return {f"key-{one}": "x" for one in range(number)}

    def written(verb: str, kind: dict[str, Any], annotations: int, *user: str) -> str:
        metadata = {"name": "many", "namespace": namespace, "annotations": keys(annotations), "labels": labels}
        stdin = json.dumps({**kind, "metadata": metadata})
        return control_plane.kubectl(*user, verb, "-f", "-", stdin=stdin, check=False)

    labels = {names.NAME: "many", names.UID: "0"}
    selecting = {**A_SERVICE, "spec": {**A_SERVICE["spec"], "selector": keys(300)}}
    disk: dict[str, Any] = {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "spec": {"source": {"blank": {}}},
    }
    assert "metadata.annotations: 257 keys, 256 are allowed" in written("create", A_SERVICE, 257)
    assert "spec.selector: 300 keys, 256 are allowed" in written("create", selecting, 1)
    # Lists whose items have keys are the same to kube-apiserver.
    ports = {**A_SERVICE, "spec": {"ports": [{"port": port, "name": f"p{port}"} for port in range(1, 258)]}}
    assert "spec.ports: 257 items, 256 are allowed" in written("create", ports, 1)
    run: dict[str, Any] = {"domain": {"devices": {"disks": [{"name": f"d{one}", "disk": {}} for one in range(257)]}}}
    instance = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "spec": run}
    machine = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "spec": {"template": {"spec": run}}}
    assert "spec.domain.devices.disks: 257 items, 256 are allowed" in written("create", instance, 1)
    assert "spec.template.spec.domain.devices.disks: 257 items" in written("create", machine, 1)
    # A server's machine has a few more than the server. Whatever has more already may have others, and fewer.
    assert "created" in written("create", disk, 300, "--as=virtualserver:operator")
    assert "metadata.annotations: 301 keys, 256 are allowed" in written("replace", disk, 301)
    assert "replaced" in written("replace", disk, 299)


A_SERVICE: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}}
A_POLICY: dict[str, Any] = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}}
IPS = ["203.0.113.9"]


@pytest.mark.parametrize(
    ("manifest", "asked", "refusal"),
    [
        (A_SERVICE, {"type": "NodePort"}, "spec.type: NodePort: no port of the machine itself leads to guests"),
        (A_SERVICE, {"externalIPs": IPS}, "spec.externalIPs: 203.0.113.9: nobody answers for them"),
        (A_SERVICE, {"type": "LoadBalancer", "externalIPs": IPS}, "spec.externalIPs: 203.0.113.9: nobody answers"),
        (A_POLICY, {"policyTypes": ["Ingress"]}, "a NetworkPolicy is not carried out here"),
    ],
)
def test_fault_16_what_nobody_carries_out_is_refused_with_the_reason_and_what_is_there_stays(
    control_plane: ControlPlane, namespace: str, manifest: dict[str, Any], asked: dict[str, Any], refusal: str
) -> None:
    """A binding without the action, for a moment, makes the old object: earlier versions refused nothing."""
    named = {**manifest, "metadata": {"name": "old", "namespace": namespace}, "spec": {**manifest["spec"], **asked}}
    text = json.dumps(named)
    assert refusal in control_plane.kubectl("apply", "-f", "-", stdin=text, check=False)
    binding = "validatingadmissionpolicybinding/not-carried-out.virtualservers.coreweave.com"

    def acts(action: str) -> None:
        patch = json.dumps({"spec": {"validationActions": [action]}})
        control_plane.kubectl("patch", binding, "--type=merge", "-p", patch)

    def is_made() -> bool:
        return "/old created" in control_plane.kubectl("apply", "-f", "-", stdin=text, check=False)

    acts("Audit")
    try:
        eventually(is_made, what="the old object to be made")
    finally:
        acts("Deny")
    fresh = json.dumps({**named, "metadata": {"name": "new", "namespace": namespace}})
    eventually(
        lambda: refusal in control_plane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=fresh, check=False),
        what="the policy to be in force again",
    )
    kind = manifest["kind"].lower()
    control_plane.kubectl("label", kind, "old", "-n", namespace, "a=b")
    control_plane.kubectl("delete", kind, "old", "-n", namespace, "--wait=false")


def test_a_quota_refuses_the_second_object(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "quota", "one", "-n", namespace, "--hard=count/secrets=1,services=1")

    def is_counted() -> bool:
        return "count/secrets" in control_plane.kubectl(
            "get", "quota", "one", "-n", namespace, "-o", "jsonpath={.status.used}"
        )

    eventually(is_counted, what="the quota is counted")
    control_plane.kubectl("create", "secret", "generic", "first", "-n", namespace)
    refused = control_plane.kubectl("create", "secret", "generic", "second", "-n", namespace, check=False)
    assert "exceeded quota: one" in refused


def may(
    plane: ControlPlane, verb: str, what: str, *, namespace: str = "", kubeconfig: Path | None = None, user: str = ""
) -> bool:
    """Return whether a user may do something to GROUP/RESOURCE[/SUBRESOURCE]; the core group is empty."""
    group, resource, *subresource = what.split("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**attributes, "subresource": "".join(subresource)}},
    }
    identity = [f"--as={user}"] if user else []
    answer = plane.kubectl(
        "create",
        "--validate=false",
        "-f",
        "-",
        "-o",
        "json",
        *identity,
        stdin=json.dumps(review),
        kubeconfig=kubeconfig,
    )
    return bool(json.loads(answer)["status"]["allowed"])


def test_the_aggregated_roles_hold_for_servers(control_plane: ControlPlane, namespace: str) -> None:
    for role in ("view", "edit", "admin"):
        control_plane.kubectl(
            "create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}er", "-n", namespace
        )
    servers = "virtualservers.coreweave.com/virtualservers"
    start = "subresources.kubevirt.io/virtualmachines/start"
    console = "subresources.kubevirt.io/virtualmachineinstances/console"
    of_guests = [
        *(("update", f"virtualmachineinstances/{verb}") for verb in ("pause", "unpause", "softreboot", "reset")),
        *(("get", f"{kind}/portforward") for kind in ("virtualmachines", "virtualmachineinstances")),
        ("get", "virtualmachineinstances/vnc"),
    ]
    eventually(
        lambda: may(control_plane, "list", servers, namespace=namespace, user="viewer"), what="view may list servers"
    )
    eventually(
        lambda: may(control_plane, "create", servers, namespace=namespace, user="editer"),
        what="edit may create servers",
    )
    assert may(control_plane, "create", servers, namespace=namespace, user="adminer")
    assert may(control_plane, "update", start, namespace=namespace, user="editer")
    assert may(control_plane, "get", console, namespace=namespace, user="editer")
    for verb, resource in of_guests:
        for user, allowed in (("editer", True), ("viewer", False)):
            found = may(control_plane, verb, f"subresources.kubevirt.io/{resource}", namespace=namespace, user=user)
            assert found is allowed, f"{user}: {verb} {resource}"
    assert not may(control_plane, "create", servers, namespace=namespace, user="viewer")
    assert not may(control_plane, "update", start, namespace=namespace, user="viewer")
    assert not may(control_plane, "get", console, namespace=namespace, user="viewer")
    assert not may(control_plane, "list", servers, namespace=namespace, user="stranger")
    vpcs = "k8s.cni.cncf.io/network-attachment-definitions"
    for verb, user, allowed in (("list", "viewer", True), ("create", "viewer", False), ("create", "editer", True)):
        assert may(control_plane, verb, vpcs, namespace=namespace, user=user) is allowed, f"{user}: {verb} {vpcs}"


def test_dependents_go_with_their_owner(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "owner", "-n", namespace)
    uid = control_plane.kubectl("get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    dependent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dependent", "namespace": namespace, "ownerReferences": [reference]},
    }
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(dependent))
    control_plane.kubectl("delete", "configmap", "owner", "-n", namespace)
    control_plane.kubectl("wait", "--for=delete", "configmap/dependent", "-n", namespace, "--timeout=60s")


def test_service_accounts_get_tokens(control_plane: ControlPlane, namespace: str) -> None:
    eventually(
        lambda: "default" in control_plane.kubectl("get", "serviceaccount", "-n", namespace, check=False),
        what="the default service account",
    )
    assert control_plane.kubectl("create", "token", "default", "-n", namespace).count(".") == 2


@pytest.mark.parametrize(
    ("who", "verb", "what", "allowed"),
    [
        ("operator", "create", "kubevirt.io/virtualmachines", True),
        ("operator", "patch", "virtualservers.coreweave.com/virtualservers/status", True),
        ("operator", "patch", "virtualservers.coreweave.com/virtualserverwaits/status", True),
        ("operator", "create", "virtualservers.coreweave.com/virtualserverwaits", False),
        ("operator", "create", "rbac.authorization.k8s.io/clusterroles", False),
        ("operator", "update", "kubevirt.io/virtualmachines/status", False),
        ("node", "patch", "/services/status", True),
        ("node", "delete", "virtualservers.coreweave.com/virtualservers", False),
        ("node", "create", "/secrets", False),
        ("supervisor", "list", "/secrets", False),
        ("operator", "delete", "/persistentvolumeclaims", False),
        ("operator", "delete", "virtualservers.coreweave.com/virtualservers", False),
        ("operator", "update", "subresources.kubevirt.io/virtualmachines/stop", False),
        ("operator", "patch", "/services/status", False),
        ("node", "list", "/secrets", False),
        ("node", "delete", "/services", False),
        ("node", "delete", "/persistentvolumeclaims", False),
        ("node", "create", "kubevirt.io/virtualmachines", False),
        ("node", "patch", "apiextensions.k8s.io/customresourcedefinitions", False),
    ],
)
def test_our_components_may_do_their_work_and_no_more(
    control_plane: ControlPlane, who: str, verb: str, what: str, allowed: bool
) -> None:
    kubeconfig = control_plane.state / "kubeconfigs" / who
    assert may(control_plane, verb, what, kubeconfig=kubeconfig) is allowed


def test_every_user_lists_the_storage_classes_of_the_site(control_plane: ControlPlane) -> None:
    """Fault 54: `kubectl get storageclass` failed."""
    as_a_user = ("--as=ada", "--as-group=system:authenticated")
    assert "local (default)" in control_plane.kubectl("get", "storageclass", *as_a_user)
    foreign = {**storage_classes.manifests({"foreign"})[0], "metadata": {"name": "foreign"}}
    with connected(control_plane) as rest:
        bootstrap.write(rest, foreign)
        try:
            storage_classes.offer(rest, {"fast", "local"})
            offered = control_plane.kubectl("get", "storageclass", "-o", "name").split()
            assert offered == [f"storageclass.storage.k8s.io/{name}" for name in ("fast", "foreign", "local")]
            storage_classes.offer(rest, {"local"})
            left = control_plane.kubectl("get", "storageclass", "-o", "name").split()
            assert left == [f"storageclass.storage.k8s.io/{name}" for name in ("foreign", "local")]
        finally:
            rest.call("DELETE", bootstrap.path_of(foreign))
