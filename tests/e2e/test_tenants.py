"""Two tenants on one machine, each with the kubeconfig of ``vs user add``, on an address beyond loopback.

What one of them tries is in tables: a row each, with what is seen. Both have one server, for all tests of this module.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import pytest

from e2e.manifests import a_server
from harness.tenant import Tenant
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.internet import Internet
    from e2e.product import Product

PORTS = {"public": True, "tcp": {"ports": [22]}}
SERVERS = "/apis/virtualservers.coreweave.com/v1alpha1/namespaces/{}/virtualservers"
KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/{}"
SUBRESOURCES = "/apis/subresources.kubevirt.io/v1/namespaces/{}"
CDI = "/apis/cdi.kubevirt.io/v1beta1/namespaces/{}/datavolumes"
CORE = "/api/v1/namespaces/{}"


@dataclasses.dataclass(frozen=True)
class World:
    """The product with two tenants on it.

    Attributes:
        product: The product, whose API server listens on `address` too.
        address: The machine's address on the link to the client.
        victim: Who has a server that the other one wants.
        thief: Who tries.
    """

    product: Product
    address: str
    victim: Tenant
    thief: Tenant

    def path(self, template: str) -> str:
        """Return a path with the namespaces of both: ``{victim}``, ``{thief}``."""
        return template.format(victim=self.victim.namespace, thief=self.thief.namespace)


@pytest.fixture(scope="module")
def world(product: Product, client: Internet) -> Generator[World]:
    """The product, open to other machines, with a server of each of two tenants."""
    product.vs("up", "--no-hello", "--listen", client.gateway)
    word = secrets.token_hex(3)
    with contextlib.ExitStack() as stack:
        stack.callback(product.vs, "up", "--no-hello", "--listen", "none")
        tenants: list[Tenant] = []
        for name in ("victim", "thief"):
            namespace = f"{name}-{word}"
            stack.callback(product.kubectl, "delete", "namespace", namespace, "--ignore-not-found", "--timeout=90s")
            told = product.vs("user", "add", f"{name}-{word}", "--namespace", namespace, "-o", "json")
            stack.callback(product.vs, "user", "remove", f"{name}-{word}")
            tenants.append(stack.enter_context(contextlib.closing(Tenant(json.loads(told)["kubeconfig"]))))
        victim, thief = tenants
        for name, tenant in (("wanted", victim), ("mine", thief)):
            path = SERVERS.format(tenant.namespace)
            eventually(lambda tenant=tenant, path=path: tenant.status("GET", path) == 200, what="rights in force")
            assert tenant.status("POST", path, a_server(name, namespace=tenant.namespace, network=PORTS)) == 201
        for name, tenant in (("wanted", victim), ("mine", thief)):
            product.wait_ready(name, namespace=tenant.namespace, seconds=240)
        yield World(product, client.gateway, victim, thief)


def test_users_of_other_machines_come_by_the_address_and_the_certificate_says_it_and_the_hosts_name(
    world: World, client: Internet
) -> None:
    cluster = world.victim.kubeconfig["clusters"][0]["cluster"]
    port = int(cluster["server"].rpartition(":")[2])
    assert cluster["server"] == f"https://{world.address}:{port}"
    assert client.probe("tcp", world.address, port)["result"] == "open"
    asked = client.run(
        sys.executable, "-c", _ASK, json.dumps(world.victim.kubeconfig), SERVERS.format(world.victim.namespace)
    )
    assert asked.stdout == "200\n", asked.stderr
    authority = (world.product.folder / "pki/ca.crt").read_text()
    for name in (world.address, socket.gethostname().lower()):
        context = ssl.create_default_context(cadata=authority)
        with (
            socket.create_connection((world.address, port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            pass
    # etcd, kube-controller-manager and the node stay on loopback.
    for name, other in json.loads((world.product.folder / "instance.json").read_bytes())["ports"].items():
        if other != port:
            assert client.probe("tcp", world.address, other)["result"] == "refused", name


_ASK = r"""
import sys, json
sys.path[:0] = ["tests"]
from harness.tenant import Tenant
print(Tenant(json.loads(sys.argv[1])).status("GET", sys.argv[2]))
"""


def test_guests_reach_the_api_server_neither_there_nor_on_the_hosts_other_addresses(world: World) -> None:
    port = int(world.victim.kubeconfig["clusters"][0]["cluster"]["server"].rpartition(":")[2])
    guest = world.product.guest("wanted", namespace=world.victim.namespace)
    for address in (world.address, "127.0.0.1", "10.96.0.1"):
        assert guest.probe("tcp", address, port).result != "open", address


def test_it_is_shown_and_stays_over_a_start_that_does_not_name_it(world: World) -> None:
    product = world.product
    product.vs("up", "--no-hello")
    shown = json.loads(product.vs("status", "-o", "json"))["listen"]
    assert shown == {"url": world.victim.kubeconfig["clusters"][0]["cluster"]["server"], "fault": ""}
    assert f"listens on    {shown['url']}" in product.vs("status")
    assert f"reach the API server at {shown['url']}" in product.attempt("doctor").stdout
    assert world.victim.status("GET", SERVERS.format(world.victim.namespace)) == 200


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("192.0.2.77", "it is no address of this machine"), ("0.0.0.0", "every address"), ("127.0.0.1", "loopback")],
)
def test_an_address_that_others_cannot_reach_is_refused_with_those_that_there_are(
    world: World, wrong: str, words: str
) -> None:
    done = world.product.attempt("up", "--no-hello", "--listen", wrong)
    assert done.returncode == 1
    assert words in done.stderr and f"{world.address} (" in done.stderr


REFUSED: list[tuple[str, str, str, Any]] = [
    # What another namespace has, and what everybody has.
    *[
        (f"read {what}", "GET", path, None)
        for what, path in {
            "another's servers": SERVERS.format("{victim}"),
            "another's server": SERVERS.format("{victim}") + "/wanted",
            "another's machines": KUBEVIRT.format("{victim}") + "/virtualmachines",
            "another's instances": KUBEVIRT.format("{victim}") + "/virtualmachineinstances",
            "another's disks": CDI.format("{victim}"),
            "another's claims": CORE.format("{victim}") + "/persistentvolumeclaims",
            "another's Secrets": CORE.format("{victim}") + "/secrets",
            "another's Services": CORE.format("{victim}") + "/services",
            "another's events": CORE.format("{victim}") + "/events",
            "another's namespace": CORE.format("{victim}"),
            "the servers of all": "/apis/virtualservers.coreweave.com/v1alpha1/virtualservers",
            "the Services of all": "/api/v1/services",
            "the events of all": "/api/v1/events",
            "the namespaces": "/api/v1/namespaces",
            "the node": "/api/v1/nodes",
            "the users": CORE.format("vs-users") + "/serviceaccounts",
            "the users' Secrets": CORE.format("vs-users") + "/secrets",
            "our own objects": CORE.format("virtualserver-system") + "/configmaps",
            "the roles": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "the API server's metrics": "/metrics",
            "the API server's logs": "/logs/",
            "the API server's profile": "/debug/pprof/heap",
            "the API server's settings": "/configz",
        }.items()
    ],
    # The guest of another.
    *[
        (f"{verb} another's server", "PUT", SUBRESOURCES.format("{victim}") + f"/virtualmachines/wanted/{verb}", {})
        for verb in ("start", "stop", "restart")
    ],
    *[
        (
            f"open another's {what}",
            "GET",
            SUBRESOURCES.format("{victim}") + f"/virtualmachineinstances/wanted/{what}",
            None,
        )
        for what in ("console", "vnc")
    ],
    ("delete another's server", "DELETE", SERVERS.format("{victim}") + "/wanted", None),
    # What only the operator and the node write.
    *[
        (f"write the status of a {kind}", "PATCH", path + "/status", {"status": {}})
        for kind, path in {
            "server": SERVERS.format("{thief}") + "/mine",
            "machine": KUBEVIRT.format("{thief}") + "/virtualmachines/mine",
            "instance": KUBEVIRT.format("{thief}") + "/virtualmachineinstances/mine",
            "disk": CDI.format("{thief}") + "/mine",
            "Service": CORE.format("{thief}") + "/services/mine-tcp",
            "claim": CORE.format("{thief}") + "/persistentvolumeclaims/mine",
            "namespace": CORE.format("{thief}"),
        }.items()
    ],
    ("change the quota", "PATCH", CORE.format("{thief}"), {"metadata": {"annotations": {"a": "b"}}}),
    (
        "lead packets anywhere",
        "POST",
        "/apis/discovery.k8s.io/v1/namespaces/{thief}/endpointslices",
        {"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": []},
    ),
    ("lead packets anywhere, the old way", "POST", CORE.format("{thief}") + "/endpoints", {"metadata": {"name": "x"}}),
    # Rights.
    (
        "take the rights of another",
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{thief}/rolebindings",
        {
            "metadata": {"name": "x"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        },
    ),
    (
        "make another's token",
        "POST",
        CORE.format("vs-users") + "/serviceaccounts/{victim}/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
    (
        "make a token of ours",
        "POST",
        CORE.format("kube-system") + "/serviceaccounts/namespace-controller/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
    (
        "ask what another may",
        "POST",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {"spec": {"user": "admin", "resourceAttributes": {"verb": "get", "resource": "secrets"}}},
    ),
    ("make a namespace", "POST", "/api/v1/namespaces", {"metadata": {"name": "of-thief"}}),
    (
        "take the operator's Lease",
        "PATCH",
        "/apis/coordination.k8s.io/v1/namespaces/virtualserver-system/leases/virtualserver-operator",
        {"spec": {"holderIdentity": "me"}},
    ),
    ("register an API", "POST", "/apis/apiregistration.k8s.io/v1/apiservices", {"metadata": {"name": "v1.x"}}),
    ("define a kind", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"metadata": {"name": "x"}}),
    (
        "see every request",
        "POST",
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        {"metadata": {"name": "x"}},
    ),
]
"""What is tried, the request, and its body: each is refused with 403."""


@pytest.mark.parametrize(("method", "path", "body"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_user_of_one_namespace_cannot(world: World, method: str, path: str, body: Any) -> None:
    status, answer = world.thief.call(method, world.path(path), body)
    assert status == 403, answer


def test_a_user_cannot_be_another(world: World) -> None:
    account = f"system:serviceaccount:{world.victim.namespace}:default"
    for name, group in ((account, ""), ("admin", "system:masters"), ("virtualserver:operator", "")):
        headers = {"Impersonate-User": name, **({"Impersonate-Group": group} if group else {})}
        status, _ = world.thief.call("GET", SERVERS.format(world.victim.namespace), headers=headers)
        assert status == 403, name
