"""The aggregated API as clients of kube-apiserver see it, and that nobody else is let in."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from harness.node_world import a_machine, a_volume

if TYPE_CHECKING:
    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("version", ["v1", "v1alpha3"])
def test_both_versions_are_discovered(node: NodeWorld, version: str) -> None:
    text = node.api.kubectl("get", "--raw", f"/apis/subresources.kubevirt.io/{version}")
    resources = {resource["name"] for resource in json.loads(text)["resources"]}
    assert {"virtualmachines/start", "virtualmachines/stop", "virtualmachineinstances/console"} <= resources


def test_every_api_service_is_available_and_discovery_has_no_error(node: NodeWorld) -> None:
    services = json.loads(node.api.kubectl("get", "apiservices", "-o", "json"))["items"]
    verdicts = {
        service["metadata"]["name"]: condition["status"]
        for service in services
        for condition in service["status"]["conditions"]
        if condition["type"] == "Available"
    }
    versions = {"v1.subresources.kubevirt.io", "v1alpha3.subresources.kubevirt.io"}
    assert versions | {"v1alpha1.network.virtualservers.coreweave.com"} <= verdicts.keys()
    assert {name for name, verdict in verdicts.items() if verdict != "True"} == set()
    text = node.api.kubectl("api-resources", "--no-headers", check=False)
    assert "virtualmachines" in text
    assert "error" not in text.lower() and "unable" not in text.lower()


def test_a_definition_is_read_in_the_version_that_old_clients_ask_for(node: NodeWorld) -> None:
    path = "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions"
    old = json.loads(node.api.kubectl("get", "--raw", f"{path}/virtualservers.virtualservers.coreweave.com"))
    assert old["apiVersion"] == "apiextensions.k8s.io/v1beta1"
    assert old["spec"]["version"] == "v1alpha1"
    assert old["spec"]["additionalPrinterColumns"][0]["JSONPath"] == ".status.conditions[0].reason"
    assert "NotFound" in node.api.kubectl("get", "--raw", f"{path}/nothings.example.com", check=False)
    assert "apiextensions.k8s.io/v1" in node.api.kubectl("get", "crds", "-o", "jsonpath={.items[0].apiVersion}")
    discovered = json.loads(node.api.kubectl("get", "--raw", "/apis/apiextensions.k8s.io/v1beta1"))
    assert discovered["resources"] == [], "a client that lists definitions in every version it discovers would fail"


def test_the_version_that_virtctl_asks_for(node: NodeWorld) -> None:
    text = node.api.kubectl("get", "--raw", "/apis/subresources.kubevirt.io/v1/version")
    assert json.loads(text)["gitVersion"].startswith("v1.")


def test_a_machine_that_does_not_exist_is_not_found(node: NodeWorld) -> None:
    assert 'virtualmachine.kubevirt.io "nobody" not found' in node.ask("nobody", "start")


def test_a_body_that_is_no_object_is_refused(node: NodeWorld) -> None:
    node.apply(a_machine("one", strategy="Halted"))
    assert "BadRequest" in node.ask("one", "start", body="[1]")


def test_a_start_of_a_halted_machine_makes_it_always(node: NodeWorld) -> None:
    node.apply(a_volume("one"), a_machine("one", strategy="Halted"))
    node.wait_printable("one", "Stopped")
    answer = json.loads(node.ask("one", "start"))
    assert (answer["kind"], answer["code"]) == ("Status", 202)
    node.wait_printable("one", "Running")
    assert node.get("vm", "one")["spec"]["runStrategy"] == "Always"
    assert json.loads(node.ask("one", "stop"))["code"] == 202
    node.wait_printable("one", "Stopped")
    assert node.get("vm", "one")["spec"]["runStrategy"] == "Halted"


def test_only_the_api_servers_front_proxy_is_answered(node: NodeWorld) -> None:
    service = node.get("service", "virtualserver-node", namespace="virtualserver-system")
    port = service["spec"]["ports"][0]["port"]
    pki = node.installation.state / "pki"
    for certificate in (None, "clients/admin"):
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        if certificate:
            context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
        request = urllib.request.Request(f"https://127.0.0.1:{port}/apis", headers={"X-Remote-User": "admin"})
        with pytest.raises((urllib.error.HTTPError, OSError)) as failure:
            urllib.request.urlopen(request, context=context, timeout=10)
        if isinstance(failure.value, urllib.error.HTTPError):
            assert failure.value.code == 401
            failure.value.close()


@pytest.mark.parametrize("verb", ["migrate", "addvolume", "memorydump", "evacuate/cancel", "start/again"])
def test_what_is_not_offered_is_told_so(node: NodeWorld, verb: str) -> None:
    answer = node.ask("one", verb)
    assert "not offered on one machine" in answer and "MethodNotAllowed" in answer


@pytest.mark.parametrize("path", ["guestosinfo", "vnc/screenshot"])
def test_what_is_read_and_not_offered_is_told_so(node: NodeWorld, path: str) -> None:
    root = f"/apis/subresources.kubevirt.io/v1/namespaces/{node.namespace}/virtualmachineinstances/one"
    assert "not offered on one machine" in node.api.kubectl("get", "--raw", f"{root}/{path}", check=False)


@pytest.mark.parametrize("period", ["-1", '"0"', "true"])
def test_a_grace_period_that_is_none_is_refused(node: NodeWorld, period: str) -> None:
    node.apply(a_machine("one", strategy="Halted"))
    assert "gracePeriod" in node.ask("one", "stop", f'{{"gracePeriod": {period}}}')
