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
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.attacks import CLAIMS, Claim, Wanted, a_service, an_endpoint_slice
from e2e.manifests import a_server
from harness.pages import commands
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
NETWORK = "/apis/network.virtualservers.coreweave.com/v1alpha1"
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


def test_the_page_says_how_somebody_on_another_computer_gets_a_part(
    world: World, client: Internet, tmp_path: Path
) -> None:
    """Fault 52: no page said how one gets there from another computer."""
    ours, theirs, _ = commands("another-computer.md")["Give somebody a part of it"]
    namespace, file = f"page-{secrets.token_hex(3)}", str(tmp_path / "kubeconfig")
    replaced = {
        "192.0.2.7": world.address,
        "team-a": namespace,
        "$PWD/": "",
        "ada.kubeconfig": file,
        " ada ": f" {namespace} ",
    }
    for word, real in replaced.items():
        ours, theirs = ours.replace(word, real), theirs.replace(word, real)
    try:
        for line in ours.splitlines():
            world.product.vs(*line.split()[1:], *(["--no-hello"] if line.startswith("vs up") else []))
        program = str(world.product.programs)
        seen = client.run("sh", "-ec", f"PATH={program}:$PATH; {theirs}")
        assert seen.returncode == 0 and f"No resources found in {namespace} namespace" in seen.stderr, seen.stderr
    finally:
        world.product.vs("user", "remove", namespace)
        world.product.kubectl("delete", "namespace", namespace, "--wait=false")


def test_the_page_says_how_vs_comes_to_another_computer_that_has_only_python(
    world: World, client: Internet, tmp_path: Path
) -> None:
    _, _, program = commands("another-computer.md")["Give somebody a part of it"]
    clone, install, show = program.splitlines()
    assert clone == "git clone THIS-REPOSITORY virtualserver"
    (tmp_path / "virtualserver").symlink_to(Path(__file__).parents[2])
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(world.victim.kubeconfig))
    told = [f"HOME={tmp_path}", f"KUBECONFIG={kubeconfig}"]
    subprocess.run(["env", *told, "sh", "-ec", install], cwd=tmp_path, check=True, capture_output=True)
    seen = client.run("env", *told, "sh", "-ec", show.replace("NAME", "wanted"), timeout=90)
    assert f"wanted in namespace {world.victim.namespace}" in seen.stdout, seen.stdout + seen.stderr


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
        for what in ("console", "console/log", "vnc")
    ],
    ("read who has which address", "GET", f"{NETWORK}/pools", None),
    ("look at the way to another's server", "GET", NETWORK + "/namespaces/{victim}/virtualservers/wanted/path", None),
    ("read what another has", "GET", NETWORK + "/namespaces/{victim}/namespacepools", None),
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


def test_attack_a_path_that_goes_on_after_what_is_judged_of_it_leads_nowhere(world: World) -> None:
    """kube-apiserver judges the first words of a path, and hands the node all of it."""
    own, others = (SUBRESOURCES.format(one.namespace) for one in (world.thief, world.victim))
    _, _, rest = others.partition("/namespaces/")
    machine, instance = f"{own}/virtualmachines/mine", f"{own}/virtualmachineinstances/mine"
    assert world.thief.call("GET", f"{instance}/console/log")[0] != 403
    for up in ("../../../..", "..%2f..%2f..%2f..", "%2e%2e/%2e%2e/%2e%2e/%2e%2e"):
        for what in ("virtualmachineinstances/wanted/console/log", "virtualmachines/wanted/portforward/22/tcp"):
            for way in (f"{instance}/console/{up}", f"{machine}/portforward/{up}", f"{machine}/portforward/22/{up}/.."):
                status, answer = world.thief.call("GET", f"{way}/{rest}/{what}")
                assert status in (403, 404, 405), (way, what, answer)
    pools = f"{NETWORK}/namespaces/{world.thief.namespace}/namespacepools"
    assert world.thief.status("GET", f"{pools}/public") == 200
    for up in ("../../..", "public/../../../..", "public%2f..%2f..%2f..%2f..", "..%2f..%2f.."):
        status, answer = world.thief.call("GET", f"{pools}/{up}/pools")
        assert status in (403, 404, 405), (up, answer)


def test_the_api_server_itself_goes_nowhere_for_a_user(world: World) -> None:
    core = CORE.format(world.thief.namespace)
    node = world.product.objects("node")[0]["metadata"]["name"]
    pod: dict[str, Any] = {
        "metadata": {"name": "ladder"},
        "spec": {"hostNetwork": True, "containers": [{"name": "c", "image": "none"}]},
        "status": {"podIP": "127.0.0.1", "phase": "Running"},
    }
    outside = a_service("ladder", type="ExternalName", externalName="127.0.0.1")
    bound = {**pod, "spec": {**pod["spec"], "nodeName": node}}
    assert world.thief.status("POST", f"{core}/pods", bound) == 422
    assert world.thief.status("POST", f"{core}/pods", pod) == 201
    assert world.thief.status("POST", f"{core}/services", outside) == 201
    try:
        ways = [f"pods/ladder/{way}" for way in ("log", "proxy/", "exec?command=id&stdout=1", "attach", "portforward")]
        for way in (*ways, "services/http:ladder:22/proxy/", "services/ladder:22/proxy/"):
            status, answer = world.thief.call("GET", f"{core}/{way}")
            # The log of a pod that has no node is empty.
            assert status >= 400 or (status, answer) == (204, {}), f"{way}: {answer}"
    finally:
        world.thief.call("DELETE", f"{core}/pods/ladder")
        world.thief.call("DELETE", f"{core}/services/ladder")


@pytest.fixture(scope="module")
def wanted(world: World) -> Wanted:
    """What the victim's server has."""
    product, namespace = world.product, world.victim.namespace

    def uid(kind: str, name: str = "wanted") -> str:
        return product.get(kind, name, namespace=namespace)["metadata"]["uid"]

    nic = product.get("vmi", "wanted", namespace=namespace)["status"]["interfaces"][0]
    return Wanted(
        namespace=namespace,
        server=uid("vs"),
        machine=uid("vm"),
        instance=uid("vmi"),
        service=uid("service", "wanted-tcp"),
        disk=uid("dv"),
        address=product.get("vs", "wanted", namespace=namespace)["status"]["network"]["externalIP"],
        guest=nic["ipAddress"],
        mac=nic["mac"],
    )


_PATHS = {
    "VirtualServer": SERVERS,
    "VirtualMachine": KUBEVIRT + "/virtualmachines",
    "VirtualMachineInstance": KUBEVIRT + "/virtualmachineinstances",
    "DataVolume": CDI,
    "Service": CORE + "/services",
    "Secret": CORE + "/secrets",
    "PersistentVolumeClaim": CORE + "/persistentvolumeclaims",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
}


def _path(manifest: dict[str, Any], namespace: str, *, named: bool = False) -> str:
    path = _PATHS[manifest["kind"]].format(namespace)
    return f"{path}/{manifest['metadata']['name']}" if named else path


def _looked_at(world: World, made: dict[str, Any]) -> dict[str, Any]:
    """Return an object once the node or the operator has said something about it, ``{}`` before."""
    status, live = world.thief.call("GET", _path(made, world.thief.namespace, named=True))
    if status == 404:  # its owner is in no namespace that it could be in: collected as such
        return {**made, "status": {}}
    told = live.get("status", {})
    if live["kind"] in ("Secret", "EndpointSlice", "PersistentVolumeClaim"):
        return live
    if live["kind"] == "Service" and live["spec"]["type"] == "LoadBalancer":
        return live if told.get("conditions") or told["loadBalancer"] else {}
    is_told = told.get("conditions") or told.get("phase") or told.get("printableStatus")
    return live if is_told or live["kind"] == "Service" or "deletionTimestamp" in live["metadata"] else {}


@pytest.fixture(scope="module")
def claimed(world: World, wanted: Wanted) -> Generator[dict[str, tuple[int, dict[str, Any]]]]:
    """What came of each claim: the API server's status, and the object once it was looked at, or the refusal."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    namespace = world.thief.namespace
    try:
        for claim in CLAIMS:
            manifest = claim.manifest(wanted)
            manifest["metadata"]["namespace"] = namespace
            found[claim.what] = world.thief.call("POST", _path(manifest, namespace), manifest)
        for what, (status, made) in found.items():
            if status == 201:
                found[what] = status, eventually(lambda made=made: _looked_at(world, made), what=what)
        yield found
    finally:
        for status, made in found.values():
            if status == 201:
                path = _path(made, namespace, named=True)
                world.thief.call("PATCH", path, {"metadata": {"finalizers": None}})
                world.thief.call("DELETE", path)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.what)
def test_who_claims_what_is_anothers_gets_none_of_it(
    claimed: dict[str, tuple[int, dict[str, Any]]], wanted: Wanted, claim: Claim
) -> None:
    status, answer = claimed[claim.what]
    assert status in ((403, 422) if claim.refused else (201,)), answer
    state = answer.get("status", {})
    told = json.dumps(state)
    assert not claim.waits or "Running" not in (state.get("phase"), state.get("printableStatus")), told
    for mine in (wanted.address, wanted.guest, wanted.mac):
        assert f'"{mine}"' not in told, told
    if wanted.namespace not in json.dumps(claim.manifest(wanted)):
        assert wanted.namespace not in json.dumps(answer), "whose it is, is not told"


def test_events_tell_nobody_what_another_has(
    claimed: dict[str, tuple[int, dict[str, Any]]], world: World, wanted: Wanted
) -> None:
    del claimed
    _, answer = world.thief.call("GET", CORE.format(world.thief.namespace) + "/events")
    told = [event["message"] for event in answer["items"]]
    assert told
    # A refusal repeats the value of the field, which is what the thief wrote itself.
    others = [message.replace(f"{wanted.namespace}/vpc", "") for message in told]
    assert [message for message in others if wanted.namespace in message] == []


def test_what_was_claimed_is_its_owners_as_before(
    claimed: dict[str, tuple[int, dict[str, Any]]], world: World, wanted: Wanted, client: Internet
) -> None:
    product = world.product
    server = product.wait_ready("wanted", namespace=wanted.namespace)
    nic = product.get("vmi", "wanted", namespace=wanted.namespace)["status"]["interfaces"][0]
    assert server["status"]["network"]["externalIP"] == wanted.address
    assert (nic["ipAddress"], nic["mac"]) == (wanted.guest, wanted.mac)
    product.one_owner()
    assert _greeting(client, wanted.address).endswith(" host=wanted\n")
    others = [
        ingress["ip"]
        for status, live in claimed.values()
        if status == 201 and live["kind"] == "Service"
        for ingress in live["status"].get("loadBalancer", {}).get("ingress", ())
    ]
    assert wanted.address not in others
    assert [address for address in others if _greeting(client, address).endswith(" host=wanted\n")] == []


def test_who_may_write_endpoint_slices_besides_leads_nobody_to_anothers_guest_or_to_the_machine(
    world: World, wanted: Wanted, client: Internet
) -> None:
    product, namespace = world.product, world.thief.namespace
    account = world.thief.kubeconfig["current-context"].partition("@")[0]
    product.kubectl(
        "create", "role", "slices", "-n", namespace, "--verb=*", "--resource=endpointslices.discovery.k8s.io"
    )
    product.kubectl(
        "create", "rolebinding", "slices", "-n", namespace, "--role=slices", f"--serviceaccount=vs-users:{account}"
    )
    targets = {"guest": wanted.guest, "published": wanted.address, "machine": world.address, "api": "10.96.0.1"}
    slices = _PATHS["EndpointSlice"].format(namespace)
    tried = an_endpoint_slice("tried", "mine-tcp", "192.0.2.1")
    eventually(lambda: world.thief.status("POST", f"{slices}?dryRun=All", tried) == 201, what="the right in force")
    # What is of the machine by its kind, the API server itself refuses.
    for number, target in enumerate(("127.0.0.1", "169.254.1.1")):
        assert world.thief.status("POST", slices, an_endpoint_slice(f"own-{number}", "mine-tcp", target)) == 422
    for name, target in targets.items():
        for manifest in (a_service(f"to-{name}"), an_endpoint_slice(f"to-{name}", f"to-{name}", target)):
            assert world.thief.status("POST", _path(manifest, namespace), manifest) == 201, name
    try:
        for name in targets:

            def address(name: str = name) -> str:
                _, live = world.thief.call("GET", CORE.format(namespace) + f"/services/to-{name}")
                return next((one["ip"] for one in live["status"]["loadBalancer"].get("ingress", ())), "")

            granted = eventually(address, what="an address", seconds=60)
            assert client.probe("tcp", granted, 22)["result"] != "open", name
    finally:
        for name in targets:
            world.thief.call("DELETE", CORE.format(namespace) + f"/services/to-{name}")


def _greeting(client: Internet, address: str) -> str:
    """Return what a guest of the tests' image says on port 22, its name last; ``""`` where nothing answers."""
    return str(client.probe("tcp", address, 22).get("answer", ""))
