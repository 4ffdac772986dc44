"""The manifests that a start applies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from virtualserver.controlplane import bootstrap, errors
from virtualserver.plan.sites.site import Site, Verb

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest


def test_definitions_come_before_what_may_need_them() -> None:
    kinds = [manifest["kind"] for manifest in bootstrap.load()]
    assert kinds[0] == "Namespace"
    last = len(kinds) - 1 - kinds[::-1].index("CustomResourceDefinition")
    assert last < kinds.index("ClusterRole") < kinds.index("ValidatingAdmissionPolicy")


def test_everything_of_ours_is_among_them() -> None:
    names = {manifest["metadata"]["name"] for manifest in bootstrap.load()}
    assert {
        "virtualservers.virtualservers.coreweave.com",
        "virtualmachines.kubevirt.io",
        "virtualmachineinstances.kubevirt.io",
        "datavolumes.cdi.kubevirt.io",
        "vd-images",
        "virtualserver-system",
        "kubevirt.io:default",
        "virtualserver:operator",
        "virtualserver:node",
    } <= names


def test_no_manifest_is_there_twice() -> None:
    paths = [bootstrap.path_of(manifest) for manifest in bootstrap.load()]
    assert len(paths) == len(set(paths))


def test_every_policy_has_an_example_by_which_one_sees_that_it_is_in_force() -> None:
    policies = [manifest for manifest in bootstrap.load() if manifest["kind"] == "ValidatingAdmissionPolicy"]
    assert policies
    assert all(bootstrap.REFUSED_EXAMPLE in policy["metadata"]["annotations"] for policy in policies)


def test_no_policy_fails_open() -> None:
    """Fault 15: what cannot be judged is refused, and a refusal is more than a warning."""
    manifests = bootstrap.load()
    policies = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [m for m in manifests if m["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {binding["spec"]["policyName"] for binding in bindings} == set(policies)
    assert {policy["spec"]["failurePolicy"] for policy in policies.values()} == {"Fail"}
    assert [binding["spec"] for binding in bindings if binding["spec"]["validationActions"] != ["Deny"]] == []
    assert [binding["spec"] for binding in bindings if "matchResources" in binding["spec"]] == []


def verbs_of(site: Site) -> Manifest:
    (policy,) = (
        manifest
        for manifest in bootstrap.load(site)
        if manifest["metadata"]["name"] == "verbs.virtualservers.coreweave.com" and "variables" in manifest["spec"]
    )
    return policy


def test_the_verbs_of_the_site_stand_in_their_policy_and_in_its_example() -> None:
    asked = verbs_of(Site(verbs=frozenset({Verb.USE_PUBLIC, Verb.DIRECT_ATTACH})))
    listed = "['direct-attach', 'use-public']"
    assert asked["spec"]["variables"][0] == {"name": "asked", "expression": listed}
    example = yaml.safe_load(asked["metadata"]["annotations"][bootstrap.REFUSED_EXAMPLE])
    assert example["metadata"]["annotations"] == {bootstrap.REFUSED_EXAMPLE: f"verbs: {listed}"}
    assert f'"verbs: {listed}"' in asked["spec"]["validations"][0]["expression"]


def test_no_word_of_a_site_is_left_open() -> None:
    assert "$(" not in json.dumps(bootstrap.load())
    assert verbs_of(Site())["spec"]["variables"][0]["expression"] == "[]"


@pytest.mark.parametrize("verb", list(Verb))
def test_each_verb_has_a_role_and_no_other_role_has_it(verb: Verb) -> None:
    """Neither ``edit`` nor ``admin``: Kubernetes gathers their rules by labels."""
    roles = [manifest for manifest in bootstrap.load() if manifest["kind"] in ("ClusterRole", "Role")]
    having = [role["metadata"] for role in roles if any(verb.value in rule["verbs"] for rule in role["rules"])]
    assert having == [{"name": f"virtualserver:{verb.value}"}]


def test_a_kind_that_is_not_applied_is_an_error() -> None:
    with pytest.raises(errors.ControlPlaneError, match="Pod web"):
        bootstrap.path_of({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "x"}})


def test_every_right_is_named() -> None:
    roles = [manifest for manifest in bootstrap.load() if manifest["kind"] in ("ClusterRole", "Role")]
    rules = [(role["metadata"]["name"], rule) for role in roles for rule in role.get("rules") or ()]
    assert rules
    assert [(name, rule) for name, rule in rules if any("*" in words for words in rule.values())] == []
