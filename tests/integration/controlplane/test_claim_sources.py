"""Whose disks and images a user of one namespace can have: asked of the user, at the API, whoever carries it out later.

The users are real ones, with a certificate and Kubernetes' own role `edit` in one namespace and nothing else.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from harness import virtualservers
from harness.api_server import SERVERS
from harness.edit_user import MERGE, EditUser, an_edit_user
from harness.waiting import eventually
from virtualserver.controlplane.rest import Rest, RestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.control_plane import ControlPlane

RBAC = "/apis/rbac.authorization.k8s.io/v1"
RIGHT = "create datavolumes/source (cdi.kubevirt.io)"


def source(namespace: str, name: str = "disk") -> dict[str, Any]:
    return {"pvc": {"namespace": namespace, "name": name}}


def a_volume(name: str, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": name},
        "spec": {"source": given, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
    }


def a_machine(name: str, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name},
        "spec": {
            "runStrategy": "Halted",
            "dataVolumeTemplates": [{"metadata": {"name": name}, "spec": a_volume(name, given)["spec"]}],
            "template": {"spec": {"domain": {"devices": {}}}},
        },
    }


def a_server(name: str, given: dict[str, Any]) -> dict[str, Any]:
    manifest = virtualservers.a_manifest(name)
    manifest["spec"]["storage"]["root"]["source"] = given
    manifest["metadata"].pop("namespace", None)
    return manifest


PATHS = {
    "VirtualServer": SERVERS,
    "DataVolume": "/apis/cdi.kubevirt.io/v1beta1/namespaces/{namespace}/datavolumes",
    "VirtualMachine": "/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines",
}
MAKERS = {"VirtualServer": a_server, "DataVolume": a_volume, "VirtualMachine": a_machine}
FIELDS = {
    "VirtualServer": "spec.storage.root.source.pvc",
    "DataVolume": "spec.source.pvc",
    "VirtualMachine": "spec.dataVolumeTemplates[].spec.source.pvc",
}


class Tenants(EditUser):
    """A user of one namespace among the disks of others."""

    def path(self, kind: str, namespace: str = "") -> str:
        """Return the path of a kind, in the user's own namespace unless another one is named."""
        return PATHS[kind].format(namespace=namespace or self.own)

    def grant(self, namespace: str, claim: str) -> None:
        """Give the user the right to clone one claim of a namespace."""
        role = {
            "metadata": {"name": claim},
            "rules": [
                {
                    "apiGroups": ["cdi.kubevirt.io"],
                    "resources": ["datavolumes/source"],
                    "resourceNames": [claim],
                    "verbs": ["create"],
                }
            ],
        }
        self.admin.call("POST", f"{RBAC}/namespaces/{namespace}/roles", role)
        self.bind(namespace, "Role", claim)

    def is_taken(self, kind: str, given: dict[str, Any]) -> bool:
        """Return whether the user may make an object of a kind with this source; nothing is stored."""
        try:
            self.user.call("POST", f"{self.path(kind)}?dryRun=All", MAKERS[kind]("fresh", given))
        except RestError as error:
            if error.status != 403:
                raise
            return False
        return True


@pytest.fixture(scope="module")
def tenants(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with an_edit_user(control_plane, tmp_path_factory.mktemp("user")) as found:
        yield Tenants(found.admin, found.user, found.name.removeprefix("user-"))


KINDS = pytest.mark.parametrize("kind", list(PATHS))


@KINDS
def test_a_claim_of_another_namespace_needs_the_right_to_clone_it(tenants: Tenants, kind: str) -> None:
    with pytest.raises(RestError) as refused:
        tenants.user.call("POST", tenants.path(kind), MAKERS[kind]("thief", source(tenants.other)))
    assert refused.value.status == 403
    for words in (FIELDS[kind], f"{tenants.other}/disk", tenants.name, RIGHT):
        assert words in str(refused.value)


@KINDS
def test_images_and_own_claims_are_cloned_as_ever(tenants: Tenants, kind: str) -> None:
    assert tenants.is_taken(kind, source("vd-images", "debian"))
    assert tenants.is_taken(kind, source(tenants.own))
    assert not tenants.is_taken(kind, source("kube-system"))


@KINDS
def test_the_right_is_to_one_claim_or_to_a_namespace(tenants: Tenants, kind: str) -> None:
    shared = f"shared-{kind.lower()}"
    tenants.grant(tenants.other, shared)
    eventually(lambda: tenants.is_taken(kind, source(tenants.other, shared)), what="the right to hold")
    assert not tenants.is_taken(kind, source(tenants.other))


@KINDS
def test_what_is_there_goes_on_and_only_its_source_is_fixed(tenants: Tenants, kind: str) -> None:
    """An object from before the rule, made here by the administrator, may be changed by its user in all else."""
    manifest = MAKERS[kind]("old", source(tenants.other))
    tenants.admin.call("POST", tenants.path(kind), manifest)
    path = f"{tenants.path(kind)}/old"
    tenants.user.call("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    changed = {"spec": MAKERS[kind]("old", source(tenants.other, "second"))["spec"]}
    with pytest.raises(RestError) as refused:
        tenants.user.call("PATCH", path, changed, content_type=MERGE)
    assert "second" in str(refused.value)
    assert RIGHT in str(refused.value)
    tenants.user.call("DELETE", path)


def test_the_namespaces_of_images_are_those_of_site_yaml_while_the_api_server_runs(
    tenants: Tenants, control_plane: ControlPlane
) -> None:
    """What somebody else gave in a namespace stays, and so does the namespace; what is ours goes."""
    file, kind = control_plane.installation.site_file, "DataVolume"
    made, shared = f"golden-{tenants.own}", source(tenants.other, "image")
    role = f"{RBAC}/namespaces/{tenants.own}/roles"
    theirs: dict[str, Any] = {"metadata": {"name": "virtualserver:image-sources"}, "rules": []}
    assert not tenants.is_taken(kind, shared)
    tenants.admin.call("POST", role, theirs)
    try:
        file.write_text(f"imageNamespaces: [{tenants.other}, {made}]\n")
        eventually(lambda: tenants.is_taken(kind, shared), seconds=300, what="the images to be everybody's")
        eventually(
            lambda: tenants.is_taken(kind, source(made)), seconds=300, what="a namespace that was missing to be made"
        )
        eventually(
            lambda: not tenants.is_taken(kind, source("vd-images")),
            seconds=300,
            what="the default to be nobody's any more",
        )
        words = f"or use an image of {tenants.other} or {made}"
        thief = a_volume("thief", source("vd-images"))
        eventually(
            lambda: words in tenants.refusal("POST", tenants.path(kind), thief), seconds=300, what="the new words"
        )
    finally:
        file.unlink()
    eventually(lambda: tenants.is_taken(kind, source("vd-images")), seconds=300, what="the default to hold again")
    eventually(
        lambda: not tenants.is_taken(kind, shared), seconds=300, what="the images to be their namespace's own again"
    )
    assert tenants.admin.call("GET", f"{role}/virtualserver:image-sources")["metadata"]["name"]
    tenants.admin.call("DELETE", f"/api/v1/namespaces/{made}")


def test_what_the_operator_makes_was_asked_of_the_user(tenants: Tenants, control_plane: ControlPlane) -> None:
    """Its key clones what a server names, which the policy has judged by then: the user's rights count, once."""
    made = tenants.admin.call("POST", tenants.path("VirtualServer"), a_server("asked", source(tenants.other)))
    labels = {
        "virtualservers.coreweave.com/name": "asked",
        "virtualservers.coreweave.com/uid": made["metadata"]["uid"],
    }
    volume = a_volume("asked", source(tenants.other))
    volume["metadata"]["labels"] = labels
    installation = control_plane.installation
    key = Rest(control_plane.url, authority=installation.pki / "ca.crt", client=installation.pki / "clients/operator")
    with contextlib.closing(key):
        key.call("POST", f"{tenants.path('DataVolume')}?dryRun=All", volume)


@pytest.mark.parametrize("annotation", ["image", "base-image", "alias-of", "image-progress"])
def test_no_claim_of_a_user_is_made_an_image(tenants: Tenants, annotation: str) -> None:
    """By a digest alone: the disk of an image, or the kernel that a disk boots, would be any that the machine has."""
    claims = f"/api/v1/namespaces/{tenants.own}/persistentvolumeclaims"
    key = f"virtualservers.coreweave.com/{annotation}"
    claim = {
        "metadata": {"name": f"fake-{annotation}", "annotations": {key: "sha256:00"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    with pytest.raises(RestError, match="an image is named by who may create persistentvolumeclaims"):
        tenants.user.call("POST", claims, claim)
    # Later, by an update, is no other way; what was there before may stay while all else changes.
    plain = {**claim, "metadata": {"name": f"plain-{annotation}"}}
    tenants.user.call("POST", claims, plain)
    patch: dict[str, Any] = {"metadata": {"annotations": {key: "sha256:00"}}}
    with pytest.raises(RestError, match=key):
        tenants.user.call("PATCH", f"{claims}/plain-{annotation}", patch, content_type=MERGE)
    tenants.admin.call("POST", claims, claim)
    patch = {"metadata": {"labels": {"a": "b"}}}
    tenants.user.call("PATCH", f"{claims}/fake-{annotation}", patch, content_type=MERGE)


MARKS: list[dict[str, Any]] = [
    {"annotations": {"virtualservers.coreweave.com/kept-for": mark}} for mark in ("{own}/web", "{own}/web/1", "x/y/z")
] + [{"labels": {"virtualservers.coreweave.com/uid": "1"}}]


def marked(metadata: dict[str, Any], tenants: Tenants) -> dict[str, Any]:
    """Return metadata with the user's own namespace in it."""
    return json.loads(json.dumps(metadata).replace("{own}", tenants.own))


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_fault_47_no_user_says_for_whom_a_disk_is_kept(
    tenants: Tenants, control_plane: ControlPlane, mark: dict[str, Any]
) -> None:
    """Made with a mark, given one later, or one of another server: neither by the user nor by the node for the user."""
    told, path = marked(mark, tenants), tenants.path("DataVolume")
    forged = a_volume("forged", source(tenants.own))
    forged["metadata"] |= told
    assert "verb keep on datavolumes" in tenants.refusal("POST", path, forged)
    name = f"disk-{MARKS.index(mark)}"
    tenants.admin.call("POST", path, a_volume(name, source(tenants.own)))
    assert "says for which servers a disk is kept" in tenants.refusal("PATCH", f"{path}/{name}", {"metadata": told})
    tenants.admin.call("PATCH", f"{path}/{name}", {"metadata": told}, content_type=MERGE)
    others = {part: dict.fromkeys(pairs, f"{tenants.own}/db/2") for part, pairs in told.items() if part != "labels"}
    assert not others or "annotations" in tenants.refusal("PATCH", f"{path}/{name}", {"metadata": others})
    taken_off: dict[str, Any] = {part: dict.fromkeys(pairs) for part, pairs in told.items()}
    for change in ({"labels": {"a": "b"}}, taken_off):
        assert not tenants.refusal("PATCH", f"{path}/{name}", {"metadata": change}, dry_run=False)
    # What the node makes of a machine's templates, a user wrote: orphaned, it would be anybody's.
    machine = tenants.admin.call("POST", tenants.path("VirtualMachine"), a_machine(name, source(tenants.own)))
    owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "controller": True}
    owner |= {key: machine["metadata"][key] for key in ("name", "uid")}
    forged["metadata"]["ownerReferences"] = [owner]
    installation = control_plane.installation
    key = Rest(control_plane.url, authority=installation.pki / "ca.crt", client=installation.pki / "clients/node")
    with contextlib.closing(key):
        with pytest.raises(RestError, match="verb keep on datavolumes"):
            key.call("POST", f"{path}?dryRun=All", forged)
        for part in told:
            del forged["metadata"][part]
        key.call("POST", f"{path}?dryRun=All", forged)
