"""The verbs of site.yaml, asked of a real user at the API: who has them not gets nothing new, by whichever way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from harness import virtualservers
from harness.api_server import SERVERS
from harness.edit_user import EditUser, an_edit_user
from harness.waiting import eventually
from virtualserver.controlplane.rest import Rest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.control_plane import ControlPlane
    from virtualserver.kube.objects import Manifest

VERBS = ("use-public", "direct-attach", "request-address")
PORTS = {"tcp": {"ports": [22]}}
ATTACH = "virtualservers.coreweave.com/attach-load-balancer"
POOL = "metallb.io/address-pool"


def a_server(**network: Any) -> Manifest:
    manifest = virtualservers.a_manifest("web", network=network)
    manifest["spec"]["storage"]["root"]["source"] = {"blank": {}}
    del manifest["metadata"]["namespace"]
    return manifest


def a_service(annotations: dict[str, str] | None = None, **spec: Any) -> Manifest:
    return {
        "metadata": {"name": "web", "annotations": annotations or {}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], **spec},
    }


def a_machine(annotations: dict[str, str]) -> Manifest:
    template: dict[str, Any] = {"metadata": {"annotations": annotations}, "spec": {"domain": {"devices": {}}}}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "web"},
        "spec": {"runStrategy": "Halted", "template": template},
    }


def an_instance(annotations: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {"domain": {"devices": {}}},
    }


class Doors:
    """A user of a site with all verbs, who has none of them."""

    def __init__(self, who: EditUser) -> None:
        self.who = who
        self.paths = {
            "VirtualServer": SERVERS.format(namespace=who.own),
            "Service": f"/api/v1/namespaces/{who.own}/services",
            "VirtualMachine": f"/apis/kubevirt.io/v1/namespaces/{who.own}/virtualmachines",
            "VirtualMachineInstance": f"/apis/kubevirt.io/v1/namespaces/{who.own}/virtualmachineinstances",
        }

    def path(self, manifest: Manifest) -> str:
        """Return the path of a kind."""
        return self.paths[manifest.get("kind", "Service")]

    def refusal(self, manifest: Manifest) -> str:
        """Return why the user may not make it."""
        return self.who.refusal("POST", self.path(manifest), manifest)

    def refusal_of(self, manifest: Manifest, patch: Manifest) -> str:
        """Return why the user may not change what the administrator made."""
        path = f"{self.path(manifest)}/web"
        self.who.admin.call("POST", self.path(manifest), manifest)
        try:
            return self.who.refusal("PATCH", path, patch)
        finally:
            self.who.admin.call("DELETE", path)


@pytest.fixture(scope="module")
def doors(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """The site asks for them only now, while the API server runs; at the end it asks for none."""
    file = control_plane.installation.site_file
    with an_edit_user(control_plane, tmp_path_factory.mktemp("user")) as who:
        found = Doors(who)
        public = a_server(public=True, **PORTS)
        assert not found.refusal(public), "no verb is asked for by default"
        file.write_text(f"verbs: [{', '.join(VERBS)}]\n")
        eventually(lambda: found.refusal(public), seconds=300, what="the verbs to be asked for")
        try:
            yield found
        finally:
            file.unlink()
            eventually(lambda: not found.refusal(public), seconds=300, what="no verb to be asked for any more")


@pytest.mark.parametrize(
    ("manifest", "verb", "field"),
    [
        (a_server(public=True, **PORTS), "use-public", "spec.network.public: true"),
        (a_server(**PORTS), "use-public", "spec.network.public: true"),
        (a_server(public=True, udp={"ports": [53]}), "use-public", "spec.network.public: true"),
        (a_server(directAttachLoadBalancerIP=True), "use-public", "spec.network.public: true"),
        (a_service(), "use-public", f"metadata.annotations[{POOL}]"),
        (a_service({POOL: "public-ord1"}), "use-public", f"metadata.annotations[{POOL}]"),
        (
            a_server(public=False, directAttachLoadBalancerIP=True),
            "direct-attach",
            "spec.network.directAttachLoadBalancerIP",
        ),
        (a_machine({ATTACH: "web"}), "direct-attach", f"annotation {ATTACH}"),
        (an_instance({ATTACH: "web"}), "direct-attach", f"annotation {ATTACH}"),
        (a_server(floatingIPs=["203.0.113.9"]), "request-address", "spec.network.floatingIPs"),
        (
            a_service({POOL: "private"}, loadBalancerIP="198.18.0.9"),
            "request-address",
            "spec.loadBalancerIP",
        ),
        (
            a_service({POOL: "private", "metallb.io/loadBalancerIPs": "198.18.0.9"}),
            "request-address",
            "metadata.annotations[metallb.io/loadBalancerIPs]",
        ),
        (
            a_service({"metallb.universe.tf/address-pool": "private", "metallb.universe.tf/loadBalancerIPs": "::1"}),
            "request-address",
            "metadata.annotations[metallb.io/loadBalancerIPs]",
        ),
    ],
)
def test_who_lacks_a_verb_is_told_the_field_and_who_gives_it(
    doors: Doors, manifest: Manifest, verb: str, field: str
) -> None:
    refusal, who = doors.refusal(manifest), doors.who
    remedy = f"kubectl create rolebinding {verb}:{who.name} -n {who.own} --clusterrole=virtualserver:{verb} --user="
    for words in (field, f"the verb {verb} on virtualservers in namespace {who.own}", f"{remedy}{who.name};"):
        assert words in refusal


@pytest.mark.parametrize(
    "manifest",
    [
        a_server(),
        a_server(public=True),
        a_server(public=False, **PORTS),
        a_server(public=False, headless=True, floatingIPs=["web", {"serviceName": "other"}]),
        a_service({POOL: "private"}),
        a_service({"metallb.universe.tf/address-pool": "private-ord1"}),
        a_service(type="ClusterIP"),
        a_service(loadBalancerClass="example.com/other"),
        a_machine({}),
        an_instance({}),
    ],
)
def test_what_no_verb_is_for_is_taken(doors: Doors, manifest: Manifest) -> None:
    assert doors.refusal(manifest) == ""


def network(**fields: Any) -> Manifest:
    return {"spec": {"network": fields}}


PINNED = a_service({POOL: "private"}, loadBalancerIP="198.18.0.9")


@pytest.mark.parametrize(
    ("manifest", "patch", "verb"),
    [
        (a_server(**PORTS), {"metadata": {"labels": {"a": "b"}}, "spec": {"runStrategy": "Always"}}, ""),
        (a_server(tcp={"ports": [22, 80]}), network(tcp={"ports": [80]}), ""),
        (a_server(**PORTS), network(tcp={"ports": [22, 80]}), "use-public"),
        (a_server(**PORTS), {"spec": {"region": "ORD1"}}, "use-public"),
        (a_server(**PORTS), network(public=False), ""),
        (a_server(public=False, **PORTS), network(public=None), "use-public"),
        (a_server(public=False, **PORTS), network(tcp=None, directAttachLoadBalancerIP=True), "direct-attach"),
        (a_server(directAttachLoadBalancerIP=True), network(directAttachLoadBalancerIP=False, tcp={"ports": [1]}), ""),
        (a_server(floatingIPs=["203.0.113.9", "::1"]), network(floatingIPs=["203.0.113.9"]), ""),
        (a_server(floatingIPs=["203.0.113.9"]), network(floatingIPs=["203.0.113.8"]), "request-address"),
        (a_service(), {"metadata": {"labels": {"a": "b"}}, "spec": {"selector": {"a": "b"}}}, ""),
        (a_service(), {"spec": {"ports": [{"port": 81}]}}, "use-public"),
        (a_service(), {"metadata": {"annotations": {POOL: "private"}}}, ""),
        (a_service({POOL: "private"}), {"metadata": {"annotations": {POOL: None}}}, "use-public"),
        (a_service(type="ClusterIP"), {"spec": {"type": "LoadBalancer"}}, "use-public"),
        (PINNED, {"spec": {"loadBalancerIP": None}}, ""),
        (PINNED, {"spec": {"loadBalancerIP": "198.18.0.8"}}, "request-address"),
        (a_machine({ATTACH: "web"}), {"spec": {"runStrategy": "Always"}}, ""),
        (an_instance({ATTACH: "web"}), {"metadata": {"annotations": {ATTACH: "other"}}}, "direct-attach"),
    ],
)
def test_what_is_there_goes_on_and_a_verb_is_asked_for_what_is_new(
    doors: Doors, manifest: Manifest, patch: Manifest, verb: str
) -> None:
    refusal = doors.refusal_of(manifest, patch)
    assert (f"needs the verb {verb} " in refusal) if verb else refusal == ""


def test_who_has_the_verb_in_the_namespace_may_and_in_another_one_may_not(doors: Doors) -> None:
    public, who = a_server(**PORTS), doors.who
    elsewhere = who.bind(who.other, "ClusterRole", "virtualserver:use-public")
    path = who.bind(who.own, "ClusterRole", "virtualserver:use-public")
    eventually(lambda: not doors.refusal(public), what="the right to hold")
    assert "needs the verb direct-attach" in doors.refusal(a_server(directAttachLoadBalancerIP=True))
    who.admin.call("DELETE", path)
    eventually(lambda: doors.refusal(public), what="the right to be taken")
    who.admin.call("DELETE", elsewhere)


def test_an_address_by_its_number_is_no_way_around_the_right_to_public_ones(doors: Doors) -> None:
    floating, who = a_server(public=False, floatingIPs=["203.0.113.9"]), doors.who
    path = who.bind(who.own, "ClusterRole", "virtualserver:request-address")
    eventually(lambda: "the verb use-public" in doors.refusal(floating), what="the right to hold")
    who.admin.call("DELETE", path)
    eventually(lambda: "the verb request-address" in doors.refusal(floating), what="the right to be taken")


@pytest.mark.parametrize("key", ["operator", "node"])
def test_our_own_components_are_no_users(doors: Doors, control_plane: ControlPlane, key: str) -> None:
    """The operator may not make a Service of nobody's, which another policy says; of verbs it hears nothing."""
    pki = control_plane.installation.pki
    server = Rest(control_plane.url, authority=pki / "ca.crt", client=pki / f"clients/{key}")
    with contextlib.closing(server):
        refusal = EditUser(doors.who.admin, server, key).refusal("POST", doors.paths["Service"], a_service())
    assert "verbs.virtualservers" not in refusal
