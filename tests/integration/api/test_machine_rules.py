"""What a VirtualMachine says twice is refused at apply, as KubeVirt refuses it; one that is there may go on saying it.

The old machine is made under a definition without the rule, in a group of its own, before the real one takes its place.
"""

from __future__ import annotations

import time
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from virtualserver.controlplane.rest import RestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.api_server import Server

GROUP = "old-machines.example.dev"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
BOTH = {"running": True, "runStrategy": "Halted"}


def a_machine(group: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "one"},
        "spec": {"template": {"spec": {"domain": {"devices": {}}}}, **spec},
    }


def refusal(server: Server, method: str, path: str, body: dict[str, Any]) -> str:
    """Return why the server would refuse a request, ``""`` where it would not."""
    try:
        server.call(method, f"{path}?dryRun=All", body, **({"content_type": MERGE} if method == "PATCH" else {}))
    except RestError as error:
        return str(error)
    return ""


def poll(check: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.mark.parametrize("spec", [{"running": True}, {"runStrategy": "Always"}, {}, BOTH])
def test_a_new_machine_has_one_run_strategy(server: Server, spec: dict[str, Any]) -> None:
    path = f"/apis/kubevirt.io/v1/namespaces/{server.namespace}/virtualmachines"
    assert ("exclude each other" in refusal(server, "POST", path, a_machine("kubevirt.io", **spec))) is (spec == BOTH)


@pytest.fixture
def old(server: Server) -> Iterator[str]:
    """A machine that has both, under the rule, and its path."""
    text = resources.files("virtualserver").joinpath("node/manifests/virtualmachine.yaml").read_text()
    crd = cast("dict[str, Any]", yaml.load(text, yaml.CSafeLoader))
    crd["metadata"]["name"], crd["spec"]["group"] = f"virtualmachines.{GROUP}", GROUP
    crd["spec"]["names"] = {**crd["spec"]["names"], "shortNames": [], "categories": []}
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rules = spec.pop("x-kubernetes-validations")
    path = f"/apis/{GROUP}/v1/namespaces/{server.namespace}/virtualmachines"
    server.call("POST", CRDS, crd)
    try:
        poll(lambda: not refusal(server, "POST", path, a_machine(GROUP, **BOTH)), "the definition is not served")
        server.call("POST", path, a_machine(GROUP, **BOTH))
        spec["x-kubernetes-validations"] = rules
        server.call("PATCH", f"{CRDS}/virtualmachines.{GROUP}", {"spec": crd["spec"]}, content_type=MERGE)
        other = {**a_machine(GROUP, **BOTH), "metadata": {"name": "two"}}
        poll(lambda: bool(refusal(server, "POST", path, other)), "the rule is not in force")
        yield f"{path}/one"
    finally:
        server.call("DELETE", f"{CRDS}/virtualmachines.{GROUP}")


def test_an_old_machine_with_both_goes_on_and_gets_rid_of_one(server: Server, old: str) -> None:
    for change in ({"metadata": {"labels": {"a": "b"}}}, {"spec": {"runStrategy": "Always"}}, {"spec": BOTH}):
        assert refusal(server, "PATCH", old, change) == ""
    status = {"status": {"printableStatus": "Stopped"}}
    assert server.call("PATCH", f"{old}/status", status, content_type=MERGE)["status"] == status["status"]
    server.call("PATCH", old, {"spec": {"running": None}}, content_type=MERGE)
    assert "running and runStrategy exclude each other: remove running" in refusal(server, "PATCH", old, {"spec": BOTH})
