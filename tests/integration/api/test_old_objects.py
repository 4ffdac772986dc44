"""Objects that are older than a rule stay usable: only new and changed values are held to it.

The objects are made under a definition without rules, in a group of its own, before the real one takes its place.
"""

from __future__ import annotations

import time
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from harness.api_server import Server, connected
from harness.manifests import a_virtual_server
from harness.refusals import RULES
from virtualserver.controlplane.rest import RestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.control_plane import ControlPlane
    from virtualserver.controlplane.rest import Rest

GROUP = "old-virtualservers.example.dev"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RULE_KEYS = {"x-kubernetes-validations", "pattern", "minimum", "maximum", "minLength", "maxLength", "maxItems", "enum"}
NAMES = [f"old-{index}" for index in range(len(RULES))]
CASES = [pytest.param(name, rule, id=rule.why) for name, rule in zip(NAMES, RULES, strict=True)]


class OldServer(Server):
    """The API server's other group."""

    def __init__(self, rest: Rest) -> None:
        super().__init__(rest, "default")
        self.servers = f"/apis/{GROUP}/v1alpha1/namespaces/default/virtualservers"

    def create(self, manifest: Any, *, dry_run: bool = False) -> Any:
        """Create an object of the other group."""
        return super().create({**manifest, "apiVersion": f"{GROUP}/v1alpha1"}, dry_run=dry_run)


def our_manifests() -> dict[str, dict[str, Any]]:
    """Return the CRD, the policy and its binding, for the other group."""
    folder = resources.files("virtualserver").joinpath("api/manifests")
    texts = [folder.joinpath(name).read_text() for name in ("virtualserver.yaml", "virtualserver-policy.yaml")]
    documents = [document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader)]
    crd, policy, binding = cast("list[dict[str, Any]]", documents)
    crd["metadata"]["name"], crd["spec"]["group"] = f"virtualservers.{GROUP}", GROUP
    crd["spec"]["names"]["shortNames"] = []
    policy["metadata"] = {"name": f"floating-ips.{GROUP}"}
    policy["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = [GROUP]
    binding["metadata"]["name"] = binding["spec"]["policyName"] = f"floating-ips.{GROUP}"
    return {"crd": crd, "policy": policy, "binding": binding}


def without_rules(schema: Any) -> Any:
    """Return a schema that only types fields."""
    if isinstance(schema, list):
        return [without_rules(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: without_rules(field) for name, field in value.items()}
        if key == "properties"
        else without_rules(value)
        for key, value in cast("dict[str, Any]", schema).items()
        if key not in RULE_KEYS and key != "required"
    }


def poll(check: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def old(control_plane: ControlPlane) -> Iterator[OldServer]:
    """The server with one old object for every rule, each breaking it, and the rules in force since then."""
    with connected(control_plane) as rest:
        server = OldServer(rest)
        try:
            put_old_objects(server)
            yield server
        finally:
            for path in (
                f"{CRDS}/virtualservers.{GROUP}",
                f"{ADMISSION}/validatingadmissionpolicybindings/floating-ips.{GROUP}",
                f"{ADMISSION}/validatingadmissionpolicies/floating-ips.{GROUP}",
            ):
                remove(rest, path)


def put_old_objects(server: OldServer) -> None:
    manifests = our_manifests()
    version = manifests["crd"]["spec"]["versions"][0]
    real = version["schema"]
    version["schema"] = without_rules(real)
    server.call("POST", CRDS, manifests["crd"])
    poll(lambda: is_served(server), "the relaxed definition is not served")
    for name, rule in zip(NAMES, RULES, strict=True):
        server.create(a_virtual_server(rule.refused, name=name))
    server.call("POST", f"{ADMISSION}/validatingadmissionpolicies", manifests["policy"])
    server.call("POST", f"{ADMISSION}/validatingadmissionpolicybindings", manifests["binding"])
    patch = {"spec": {"versions": [version | {"schema": real}]}}
    path = f"{CRDS}/virtualservers.{GROUP}"
    server.call("PATCH", path, patch, content_type="application/merge-patch+json")
    poll(lambda: all(server.refusal_of(a_virtual_server(rule.refused)) for rule in RULES), "not in force")


def is_served(server: OldServer) -> bool:
    try:
        server.call("GET", server.servers)
    except RestError:
        return False
    return True


def remove(rest: Rest, path: str) -> None:
    try:
        rest.call("DELETE", path)
    except RestError as error:
        if error.status != 404:
            raise


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_updates_that_leave_the_value_alone_pass(old: OldServer, name: str, rule: Any) -> None:
    changes: list[dict[str, Any]] = [
        {"metadata": {"labels": {"touched": "yes"}}},
        {"spec": {"region": "LAS1"}},
        {"spec": {"network": {"public": False}, "resources": {"definition": "b"}, "initializeRunning": True}},
        {"spec": {"storage": {"root": {"size": "3Gi"}}}},
    ]
    for change in changes:
        assert old.refusal_of_patch(name, change) == ""
    status = {"status": {"network": {"internalIP": "192.0.2.1"}}}
    assert old.patch(name, status, subresource="/status")["status"]["network"]["internalIP"] == "192.0.2.1"


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_a_new_fault_in_an_old_object_is_refused(old: OldServer, name: str, rule: Any) -> None:
    assert "vpcs" in old.refusal_of_patch(name, {"spec": {"network": {"vpcs": [{"name": "a"}] * 2}}})


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("direct attach with TCP ports", {"network": {"tcp": {"ports": [23]}}}),
        ("direct attach with TCP ports", {"network": {"udp": {"ports": [23]}}}),
        ("a multicast MAC address", {"network": {"macAddress": "a5:1f:ee:09:06:5d"}}),
        ("eleven ports", {"network": {"tcp": {"ports": list(range(2, 13))}}}),
        ("no cluster NIC with TCP ports", {"network": {"headless": True}}),
        ("a floating null", {"network": {"floatingIPs": [None, None]}}),
        ("no cluster NIC with floating addresses", {"network": {"floatingIPs": ["other"]}}),
        ("a GPU type with a CPU type", {"resources": {"cpu": {"type": "other"}}}),
        ("a UUID in upper case", {"firmware": {"uuid": "X"}}),
        ("a name of a system account (fault 21)", {"users": [{"username": "backup"}, {"username": "daemon"}]}),
    ],
)
def test_another_fault_in_its_place_is_refused(old: OldServer, why: str, change: dict[str, Any]) -> None:
    name = NAMES[[rule.why for rule in RULES].index(why)]
    assert old.refusal_of_patch(name, {"spec": change}) != ""


def test_less_of_what_breaks_a_rule_is_not_more(old: OldServer) -> None:
    name = NAMES[[rule.why for rule in RULES].index("direct attach with TCP ports")]
    assert old.refusal_of_patch(name, {"spec": {"network": {"tcp": {"ports": []}}}}) == ""
    assert old.refusal_of_patch(name, {"spec": {"network": {"directAttachLoadBalancerIP": False}}}) == ""


def test_a_user_beside_one_that_is_older_than_the_rule_is_accepted(old: OldServer) -> None:
    name = NAMES[[rule.why for rule in RULES].index("a name of a system account (fault 21)")]
    assert old.refusal_of_patch(name, {"spec": {"users": [{"username": "ada"}, {"username": "backup"}]}}) == ""
