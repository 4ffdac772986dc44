"""Who has a component's key has that component's work, and nothing more: each way up is tried with the real keys.

Some attempts a role refuses, since it does not name the verb; the others a policy, since the role must.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import virtualservers
from harness.api_server import SERVERS, connected
from harness.waiting import eventually
from virtualserver.controlplane import components, pki
from virtualserver.controlplane.rest import Rest, RestError
from virtualserver.controlplane.supervisor import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.control_plane import ControlPlane

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KINDS = {
    "services": "/api/v1/namespaces/{namespace}/services",
    "secrets": "/api/v1/namespaces/{namespace}/secrets",
    "persistentvolumeclaims": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "virtualmachines": "/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines",
    "virtualmachineinstances": "/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances",
    "datavolumes": "/apis/cdi.kubevirt.io/v1beta1/namespaces/{namespace}/datavolumes",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "virtualservers": SERVERS,
}


@dataclasses.dataclass(frozen=True)
class Tenant:
    """A namespace with objects that a user made, and a server's.

    Attributes:
        admin: A connection as the administrator.
        namespace: Its name.
        uid: The UID of the VirtualServer ``web`` in it.
    """

    admin: Rest
    namespace: str
    uid: str

    def path(self, kind: str, name: str = "") -> str:
        """Return the path of a kind in the namespace, or of an object."""
        return KINDS[kind].format(namespace=self.namespace) + (f"/{name}" if name else "")

    def child(self, name: str, *, owner: str = "web", **fields: Any) -> dict[str, Any]:
        """Return an object as the operator makes one for the server ``web``, with fields changed."""
        labels = {"virtualservers.coreweave.com/name": "web", "virtualservers.coreweave.com/uid": self.uid}
        reference = {
            "apiVersion": "virtualservers.coreweave.com/v1alpha1",
            "kind": "VirtualServer",
            "name": owner,
            "uid": self.uid,
            "controller": True,
        }
        return {"metadata": {"name": name, "labels": labels, "ownerReferences": [reference]}, **fields}


SERVICE: dict[str, Any] = {"metadata": {"name": "theirs"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
CLAIM: dict[str, Any] = {
    "metadata": {"name": "theirs"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
MACHINE: dict[str, Any] = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "metadata": {"name": "theirs"},
    "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": {"devices": {}}}}},
}
VOLUME: dict[str, Any] = {
    "apiVersion": "cdi.kubevirt.io/v1beta1",
    "kind": "DataVolume",
    "metadata": {"name": "theirs"},
    "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
}
SLICE: dict[str, Any] = {
    "metadata": {"name": "theirs"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.9.9.9"]}],
    "ports": [],
}


@pytest.fixture(scope="module")
def tenant(control_plane: ControlPlane) -> Iterator[Tenant]:
    """A namespace with one object of each kind that a user made, and a server."""
    namespace = f"climb-{secrets.token_hex(3)}"
    with connected(control_plane) as admin:
        admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        server = virtualservers.a_manifest("web", namespace=namespace)
        made = admin.call("POST", SERVERS.format(namespace=namespace), server)
        found = Tenant(admin, namespace, made["metadata"]["uid"])
        for kind, manifest in (
            ("services", SERVICE),
            ("secrets", {"metadata": {"name": "theirs"}}),
            ("persistentvolumeclaims", CLAIM),
            ("virtualmachines", MACHINE),
            ("datavolumes", VOLUME),
            ("endpointslices", SLICE),
        ):
            admin.call("POST", found.path(kind), manifest)
        try:
            yield found
        finally:
            admin.call("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.fixture(scope="module")
def keys(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rest]]:
    """A connection with each key that a component or its like has, by its owner's name."""
    folder = tmp_path_factory.mktemp("keys")
    files: dict[str, Path] = {
        name: control_plane.installation.pki / "clients" / name for name in ("operator", "node", "supervisor")
    }
    authority = pki.Authority(control_plane.installation.pki, "ca", datetime.datetime.now(datetime.UTC))
    wanted = pki.Certificate("system:node:thief", "client", ("system:nodes",))
    authority.issue(wanted, folder / "kubelet.crt", folder / "kubelet.key", owner=0)
    files["kubelet"] = folder / "kubelet"
    found = {
        name: Rest(control_plane.url, authority=control_plane.installation.pki / "ca.crt", client=client)
        for name, client in files.items()
    }
    yield found
    for connection in found.values():
        connection.close()


def refused(key: Rest, method: str, path: str, body: Any = None, **options: Any) -> str:
    """Send a request that must be refused for want of a right, and return the words."""
    with pytest.raises(RestError) as caught:
        key.call(method, path, body, **options)
    assert caught.value.status == 403, f"{method} {path}: {caught.value}"
    return str(caught.value)


TOKEN = {
    "metadata": {
        "name": "stolen",
        "annotations": {"kubernetes.io/service-account.name": "clusterrole-aggregation-controller"},
    },
    "type": "kubernetes.io/service-account-token",
}
BINDING = {
    "metadata": {"name": "stolen"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "virtualserver:operator"}],
}
ROLE = {"metadata": {"name": "stolen"}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
GRANT = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
POD = {"metadata": {"name": "stolen"}, "spec": {"containers": [{"name": "it", "image": "it"}]}}
WAYS_UP: list[tuple[str, str, Any, str]] = [
    ("POST", "/api/v1/namespaces/kube-system/secrets", TOKEN, ""),
    ("POST", "/api/v1/namespaces/virtualserver-system/secrets", TOKEN, ""),
    ("GET", "/api/v1/namespaces/kube-system/configmaps", None, ""),
    ("POST", "/api/v1/namespaces/kube-system/serviceaccounts/generic-garbage-collector/token", {"spec": {}}, ""),
    ("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}}, ""),
    ("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "stolen"}}, ""),
    ("POST", f"{RBAC}/clusterrolebindings", BINDING, ""),
    ("POST", f"{RBAC}/namespaces/kube-system/rolebindings", BINDING, ""),
    ("POST", f"{RBAC}/clusterroles", ROLE, ""),
    ("PATCH", f"{RBAC}/clusterroles/virtualserver:operator", GRANT, MERGE),
    ("PATCH", f"{RBAC}/clusterroles/edit", GRANT, MERGE),
    ("DELETE", f"{RBAC}/clusterrolebindings/virtualserver:node", None, ""),
    ("POST", "/api/v1/namespaces/default/pods", POD, ""),
    ("POST", "/api/v1/namespaces/default/pods/any/exec?command=id", None, ""),
    ("GET", "/api/v1/nodes/any/proxy/run", None, ""),
    ("PATCH", "/api/v1/nodes/any", {"metadata": {"labels": {"stolen": "yes"}}}, MERGE),
    ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", {"metadata": {"name": "stolen"}}, ""),
    ("PATCH", "/apis/certificates.k8s.io/v1/certificatesigningrequests/any/approval", {}, MERGE),
    ("POST", f"{ADMISSION}/mutatingwebhookconfigurations", {"metadata": {"name": "stolen"}}, ""),
    ("POST", f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": "stolen"}}, ""),
    ("DELETE", f"{ADMISSION}/validatingadmissionpolicies/operator-writes.virtualservers.coreweave.com", None, ""),
    ("DELETE", f"{ADMISSION}/validatingadmissionpolicybindings/node-writes.virtualservers.coreweave.com", None, ""),
    (
        "PATCH",
        f"{ADMISSION}/validatingadmissionpolicies/operator-writes.virtualservers.coreweave.com",
        {"spec": {"failurePolicy": "Ignore"}},
        MERGE,
    ),
    (
        "PATCH",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/virtualmachines.kubevirt.io",
        {"metadata": {"labels": {"stolen": "yes"}}},
        MERGE,
    ),
    ("PATCH", "/apis/apiregistration.k8s.io/v1/apiservices/v1.rbac.authorization.k8s.io", {"spec": {}}, MERGE),
    ("POST", "/apis/apiregistration.k8s.io/v1/apiservices", {"metadata": {"name": "v1.stolen.example.com"}}, ""),
    ("DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.subresources.kubevirt.io", None, ""),
    ("DELETE", "/api/v1/namespaces/default/services/kubernetes", None, ""),
    ("PATCH", "/api/v1/namespaces/default/services/kubernetes", {"spec": {"externalIPs": ["10.0.0.1"]}}, MERGE),
    ("PATCH", "/api/v1/namespaces/default/services/kubernetes/status", {"metadata": {"labels": {"a": "b"}}}, MERGE),
    ("DELETE", "/api/v1/namespaces/default", None, ""),
    ("DELETE", "/api/v1/namespaces/kube-system/leases/any", None, ""),
    ("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", {"metadata": {"name": "stolen"}}, ""),
    ("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {"metadata": {"name": "stolen"}}, ""),
    (
        "PATCH",
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/another",
        {"spec": {"holderIdentity": "thief"}},
        MERGE,
    ),
    ("POST", "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/any/stop", {}, ""),
]


@pytest.mark.parametrize("who", ["operator", "node", "supervisor", "kubelet"])
@pytest.mark.parametrize(
    ("method", "path", "body", "content_type"), WAYS_UP, ids=[f"{way[0]}-{way[1]}" for way in WAYS_UP]
)
def test_no_key_leads_to_the_administrator(
    tenant: Tenant, keys: dict[str, Rest], who: str, method: str, path: str, body: Any, content_type: str
) -> None:
    """Fault 15: with the operator's kubeconfig a token of the system's ServiceAccounts was one Secret away."""
    del tenant
    options = {"content_type": content_type} if content_type else {}
    refused(keys[who], method, path, body, **options)


@pytest.mark.parametrize("who", ["operator", "node", "supervisor", "kubelet"])
def test_nobody_speaks_as_another(keys: dict[str, Rest], who: str) -> None:
    for user in ("admin", "system:serviceaccount:kube-system:namespace-controller", "virtualserver:operator"):
        said = refused(keys[who], "GET", "/api/v1/namespaces", user=user)
        assert "impersonate" in said


def test_no_secret_becomes_a_token(tenant: Tenant, control_plane: ControlPlane) -> None:
    """Fault 15: nobody writes tokens into Secrets, whoever makes them; tokens are asked for, and end."""
    running = processes.Records(control_plane.installation.processes).all()["kube-controller-manager"]
    line = (Path("/proc") / str(running.pid) / "cmdline").read_text()
    assert f"--controllers={','.join(components.CONTROLLERS)}\0" in line
    assert "token" not in " ".join(components.CONTROLLERS)
    assert not (control_plane.installation.pki / "kube-controller-manager/sa.key").exists()
    annotations = {"kubernetes.io/service-account.name": "default"}
    secret = {
        "metadata": {"name": "legacy", "annotations": annotations},
        "type": "kubernetes.io/service-account-token",
    }
    tenant.admin.call("POST", tenant.path("secrets"), secret)
    # The namespace's first root certificate shows that the controllers have seen it since.
    eventually(
        lambda: tenant.admin.call("GET", f"/api/v1/namespaces/{tenant.namespace}/configmaps/kube-root-ca.crt"),
        what="the controllers to work",
    )
    assert "token" not in tenant.admin.call("GET", tenant.path("secrets", "legacy")).get("data", {})
    account = f"/api/v1/namespaces/{tenant.namespace}/serviceaccounts/default/token"
    assert tenant.admin.call("POST", account, {"spec": {}})["status"]["token"].count(".") == 2


def opaque(tenant: Tenant, name: str = "web-cloud-init", **fields: Any) -> dict[str, Any]:
    """Return the Secret of the server ``web``, with fields changed."""
    content: dict[str, Any] = {"type": "Opaque", "data": {"userdata": base64.b64encode(b"x").decode()}}
    return tenant.child(name, **{**content, **fields})


def a_claim(tenant: Tenant, name: str, **fields: Any) -> dict[str, Any]:
    """Return the claim of the server ``web`` to the floating Service ``fip``, with fields changed."""
    claim: dict[str, Any] = {**tenant.child(name), "addressType": "IPv4", "endpoints": [], **fields}
    claim["metadata"]["labels"]["kubernetes.io/service-name"] = "fip"
    return claim


def test_the_operator_makes_what_a_server_needs(tenant: Tenant, keys: dict[str, Rest]) -> None:
    """What follows refuses for the right reason: without the fault in it, each is accepted."""
    operator = keys["operator"]
    balancer = {"type": "LoadBalancer", "ports": [{"port": 22}]}
    for kind, manifest in (
        ("secrets", opaque(tenant)),
        ("services", tenant.child("web-tcp", spec=balancer)),
        ("virtualmachines", {**MACHINE, **tenant.child("web")}),
        ("datavolumes", {**VOLUME, **tenant.child("web")}),
        ("endpointslices", a_claim(tenant, "fip-floating")),
    ):
        operator.call("POST", f"{tenant.path(kind)}?dryRun=All", manifest)
    kept = tenant.child("web")
    del kept["metadata"]["ownerReferences"]
    key = "virtualservers.coreweave.com/kept-for"
    for mark in (f"{tenant.namespace}/web", f"{tenant.namespace}/web/{tenant.uid}"):
        kept["metadata"]["annotations"] = {key: mark}
        operator.call("POST", f"{tenant.path('datavolumes')}?dryRun=All", {**VOLUME, **kept})
    for mark in (f"{tenant.namespace}/web2", f"{tenant.namespace}/db/{tenant.uid}", "other/web", "web"):
        kept["metadata"]["annotations"] = {key: mark}
        told = refused(operator, "POST", tenant.path("datavolumes"), {**VOLUME, **kept})
        assert "kept for servers of its own namespace and name" in told


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("secrets", {"type": "kubernetes.io/service-account-token"}, "Opaque Secrets only"),
        ("secrets", {"name": "web-other"}, "not the name of what a VirtualServer needs"),
        ("secrets", {"owner": "another"}, "its controller is not the VirtualServer"),
        ("services", {"name": "web-tcp", "selector": {"app": "theirs"}}, "selects that server only"),
        ("services", {"name": "web-tcp", "externalIPs": ["10.0.0.9"]}, "selects that server only"),
        ("services", {"name": "kubernetes2"}, "not the name of what a VirtualServer needs"),
        ("virtualmachines", {"name": "free"}, "not the name of what a VirtualServer needs"),
        ("datavolumes", {"name": "free"}, "not the name of what a VirtualServer needs"),
        ("endpointslices", {"name": "fip-ipv4"}, "not the name of what a VirtualServer needs"),
        ("endpointslices", {"endpoints": [{"addresses": ["10.9.9.9"]}]}, "leads to nobody"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_the_operator_makes_nothing_else(
    tenant: Tenant, keys: dict[str, Rest], kind: str, change: dict[str, Any], words: str
) -> None:
    given = dict(change)
    name = given.pop("name", "web-cloud-init")
    owner: dict[str, Any] = {"owner": given.pop("owner")} if "owner" in given else {}
    if kind == "secrets":
        annotations = {"kubernetes.io/service-account.name": "default"}
        manifest: dict[str, Any] = opaque(tenant, name, **given, **owner)
        manifest["metadata"]["annotations"] = annotations
    elif kind == "services":
        manifest = tenant.child(name, spec={"type": "LoadBalancer", "ports": [{"port": 22}], **given})
    elif kind == "endpointslices":
        manifest = a_claim(tenant, change.get("name", "fip-floating"), **{"endpoints": [], **given})
    else:
        manifest = {**(MACHINE if kind == "virtualmachines" else VOLUME), **tenant.child(name)}
    assert words in refused(keys["operator"], "POST", tenant.path(kind), manifest)


@pytest.mark.parametrize("kind", ["secrets", "services", "virtualmachines", "datavolumes", "endpointslices"])
def test_the_operator_touches_no_object_of_a_user(tenant: Tenant, keys: dict[str, Rest], kind: str) -> None:
    """Fault 15: update and delete only what bears our owner; claiming it first is an update too."""
    path = tenant.path(kind, "theirs")
    labels = {"metadata": {"labels": {"virtualservers.coreweave.com/uid": tenant.uid}}}
    assert "no VirtualServer controls it" in refused(keys["operator"], "DELETE", path)
    assert "no VirtualServer controls it" in refused(keys["operator"], "PATCH", path, labels, content_type=MERGE)
    claimed = tenant.child("theirs")
    assert "no VirtualServer controls it" in refused(keys["operator"], "PATCH", path, claimed, content_type=MERGE)


def node_refused(node: Rest, path: str, patch: dict[str, Any]) -> str:
    return refused(node, "PATCH", path, patch, content_type=MERGE)


def test_the_node_writes_only_the_status_of_a_service(tenant: Tenant, keys: dict[str, Rest]) -> None:
    """Fault 15: it could patch every Service; by the status' path it could have written owners and labels too."""
    node, path = keys["node"], tenant.path("services", "theirs")
    node_refused(node, path, {"spec": {"externalIPs": ["10.0.0.9"]}})
    owner = tenant.child("x")["metadata"]["ownerReferences"]
    for metadata in ({"labels": {"a": "b"}}, {"ownerReferences": owner}, {"finalizers": ["a.example.com/b"]}):
        assert "node changes no" in node_refused(node, f"{path}/status", {"metadata": metadata})
    assert "annotations" in node_refused(node, f"{path}/status", {"metadata": {"annotations": {"a": "b"}}})
    granted = {
        "metadata": {"annotations": {"metallb.io/ip-allocated-from-pool": "public"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}},
    }
    node.call("PATCH", f"{path}/status", granted, content_type=MERGE)


def test_the_node_makes_only_what_an_object_asks_for(tenant: Tenant, keys: dict[str, Rest]) -> None:
    node = keys["node"]
    instance: dict[str, Any] = {**MACHINE, "kind": "VirtualMachineInstance", "spec": {"domain": {"devices": {}}}}
    for kind, manifest in (
        ("persistentvolumeclaims", CLAIM),
        ("endpointslices", SLICE),
        ("datavolumes", VOLUME),
        ("virtualmachineinstances", instance),
    ):
        free = {**manifest, "metadata": {"name": "free"}}
        assert "the node makes it for a" in refused(node, "POST", tenant.path(kind), free)
    for kind, name in (("services", "mine"), ("secrets", "mine"), ("virtualmachines", "mine")):
        refused(
            node,
            "POST",
            tenant.path(kind),
            {**(MACHINE if kind == "virtualmachines" else SERVICE), "metadata": {"name": name}},
        )


def test_the_node_changes_no_object_of_a_user(tenant: Tenant, keys: dict[str, Rest]) -> None:
    node = keys["node"]
    template = {"spec": {"template": {"spec": {"domain": {"cpu": {"cores": 9}}}}}}
    assert "template" in node_refused(node, tenant.path("virtualmachines", "theirs"), template)
    node_refused(node, tenant.path("virtualmachines", "theirs"), {"metadata": {"labels": {"a": "b"}}})
    image = {"metadata": {"annotations": {"virtualservers.coreweave.com/image": "sha256:00"}}}
    assert "annotations" in node_refused(node, tenant.path("persistentvolumeclaims", "theirs"), image)
    assert "managed-by" in refused(node, "DELETE", tenant.path("endpointslices", "theirs"))
    assert "managed-by" in node_refused(node, tenant.path("endpointslices", "theirs"), {"endpoints": []})
    refused(node, "DELETE", tenant.path("persistentvolumeclaims", "theirs"))
    refused(node, "DELETE", tenant.path("services", "theirs"))
    refused(node, "GET", tenant.path("secrets"))


def test_the_nodes_apis_are_served_by_the_node(tenant: Tenant, keys: dict[str, Rest]) -> None:
    """Whoever has its key cannot send the users' requests to another server."""
    del tenant
    path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.subresources.kubevirt.io?fieldManager=thief&force=true"
    elsewhere = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.subresources.kubevirt.io"},
        "spec": {
            "group": "subresources.kubevirt.io",
            "version": "v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": "thief"},
        },
    }
    assert "spec.service" in refused(keys["node"], "PATCH", path, elsewhere, content_type=APPLY)


@pytest.mark.parametrize("who", ["operator", "node"])
def test_nobody_tells_events_in_anothers_name(tenant: Tenant, keys: dict[str, Rest], who: str) -> None:
    """People act on Events: a stolen key must not write those of other components, nor change them."""
    path = f"/api/v1/namespaces/{tenant.namespace}/events"

    def event(name: str, component: str) -> dict[str, Any]:
        return {
            "metadata": {"name": f"{name}-{who}"},
            "involvedObject": {"kind": "Service", "namespace": tenant.namespace, "name": "theirs"},
            "type": "Normal",
            "reason": "Told",
            "message": "said",
            "source": {"component": component},
        }

    assert "source.component" in refused(keys[who], "POST", path, event("false", "kubelet"))
    keys[who].call("POST", path, event("true", f"virtualserver-{who}"))
    keys[who].call("PATCH", f"{path}/true-{who}", {"count": 2}, content_type=MERGE)
    tenant.admin.call("POST", path, event("theirs", "kubelet"))
    told = refused(keys[who], "PATCH", f"{path}/theirs-{who}", {"message": "another"}, content_type=MERGE)
    assert "source.component" in told
