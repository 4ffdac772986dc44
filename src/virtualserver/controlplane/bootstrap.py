"""Fills an API server with what the project needs in it: namespaces, definitions, roles, policies.

Everything comes from manifests that lie beside the code they belong to; ``$(WORD)`` in one stands for what the site
says. A second start with the same manifests looks only whether every object is still there; what says who may do what
is applied at each start, and after each change of the site, whatever became of it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from importlib import resources
from typing import TYPE_CHECKING, Final

import yaml

from virtualserver.controlplane import errors
from virtualserver.controlplane.rest import Rest, RestError
from virtualserver.kube.conditions import condition_of, is_true
from virtualserver.kube.fields import annotations_of
from virtualserver.kube.objects import Manifest, Resource, key_of
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from importlib.resources.abc import Traversable

    from virtualserver.installation.installation import Installation

__all__ = [
    "REFUSED_EXAMPLE",
    "REFUSED_EXAMPLE_BY",
    "apply",
    "apply_all",
    "load",
    "path_of",
    "refusal_of_example",
    "write",
]

REFUSED_EXAMPLE: Final = "virtualservers.coreweave.com/refused-example"
"""Annotation of a ValidatingAdmissionPolicy: a manifest that it must refuse, by which one sees that it is in force."""

REFUSED_EXAMPLE_BY: Final = "virtualservers.coreweave.com/refused-example-by"
"""Annotation of a ValidatingAdmissionPolicy: the user to whom it must refuse the example; none: the administrator."""

_USUAL: Final = Site()
_FIELD_MANAGER: Final = "virtualserver"
_RECORD: Final = "/api/v1/namespaces/virtualserver-system/configmaps/bootstrap"
_LIMIT_SECONDS: Final = 60.0

# Kind -> (plural, whether it has a namespace), in the order in which kinds must be there.
_KINDS: Final = {
    "Namespace": ("namespaces", False),
    "CustomResourceDefinition": ("customresourcedefinitions", False),
    "ClusterRole": ("clusterroles", False),
    "ClusterRoleBinding": ("clusterrolebindings", False),
    "Role": ("roles", True),
    "RoleBinding": ("rolebindings", True),
    "ValidatingAdmissionPolicy": ("validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": ("validatingadmissionpolicybindings", False),
    "PriorityLevelConfiguration": ("prioritylevelconfigurations", False),
    "FlowSchema": ("flowschemas", False),
    "ConfigMap": ("configmaps", True),
    "Service": ("services", True),
    "APIService": ("apiservices", False),
    "StorageClass": ("storageclasses", False),
}

_RIGHTS: Final = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "PriorityLevelConfiguration",
        "FlowSchema",
    }
)


def load(site: Site = _USUAL) -> list[Manifest]:
    """Return every manifest of the package as a site has it, in the order in which they are applied."""
    words = {"verbs": sorted(site.verbs), "imageNamespaces": site.image_namespaces}
    found: list[Manifest] = []
    for part in ("api", "node", "controlplane"):
        folder = resources.files("virtualserver").joinpath(part, "manifests")
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
                found += _documents(file, words)
    order = list(_KINDS)
    return sorted(found, key=lambda manifest: order.index(manifest["kind"]))


def path_of(manifest: Manifest, *, collection: bool = False) -> str:
    """Return the path of an object, or of the collection that it is in.

    Raises:
        ControlPlaneError: It is of a kind that is not applied at a start.
    """
    kind, version = manifest["kind"], manifest["apiVersion"]
    if kind not in _KINDS:
        raise errors.ControlPlaneError(f"{kind} {manifest['metadata']['name']}: manifests of this kind are not applied")
    plural, namespaced = _KINDS[kind]
    group, _, version = version.rpartition("/")
    resource = Resource(group, version, plural, kind, namespaced)
    namespace, name = key_of(manifest)
    return resource.path(namespace=namespace, name=None if collection else name)


def apply_all(installation: Installation, url: str, site: Site) -> None:
    """Apply the package's manifests as the administrator and wait until they are in force.

    Args:
        installation: The installation's files.
        url: The API server's address.
        site: What the administrator says of this place.

    Raises:
        ControlPlaneError: A definition is not accepted, or a policy is not in force after a minute.
        RestError: The API server refuses a manifest.
        OSError: It does not answer.
    """
    with Rest.as_administrator(installation, url, timeout_seconds=60) as server:
        apply(server, load(site))


def apply(server: Rest, manifests: Iterable[Manifest]) -> None:
    """Apply manifests, in their order, and wait for them; where these very ones were and are all there, only rights."""
    wanted = list(manifests)
    rights = [manifest for manifest in wanted if manifest["kind"] in _RIGHTS]
    # Rights are written in any case, so that a change of the site costs no look at the large definitions.
    fixed = [manifest for manifest in wanted if manifest["kind"] not in _RIGHTS]
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
    if not _is_applied(server, wanted, digest):
        rest = list(wanted)
        while rest and rest[0]["kind"] in ("Namespace", "CustomResourceDefinition"):
            write(server, rest.pop(0))
        _wait_established(server, wanted)  # what follows may be of a kind that these define
        for manifest in rest:
            write(server, manifest)
        write(
            server,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "bootstrap", "namespace": "virtualserver-system"},
                "data": {"digest": digest},
            },
        )
    else:
        for manifest in rights:
            write(server, manifest)
    _wait_established(server, wanted)
    for manifest in wanted:
        if manifest["kind"] == "ValidatingAdmissionPolicy":
            _wait_in_force(server, manifest)


def _documents(file: Traversable, words: Mapping[str, Iterable[str]]) -> list[Manifest]:
    """Return what a file holds, with each ``$(WORD)`` in it as the items of a list in CEL; they need no escape."""
    if not file.name.endswith(".yaml"):
        return []
    text = file.read_text()
    for word, items in words.items():
        text = text.replace(f"$({word})", ", ".join(f"'{item}'" for item in items))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast: our CRDs are large
    return [document for document in yaml.load_all(text, Loader=loader) if document]


def write(server: Rest, manifest: Manifest) -> None:
    """Apply one manifest: it is made, or becomes what it says."""
    path = f"{path_of(manifest)}?fieldManager={_FIELD_MANAGER}&force=true"
    server.call("PATCH", path, manifest, content_type="application/apply-patch+yaml")


def _is_applied(server: Rest, wanted: list[Manifest], digest: str) -> bool:
    try:
        if server.call("GET", _RECORD)["data"]["digest"] != digest:
            return False
        for collection in dict.fromkeys(path_of(manifest, collection=True) for manifest in wanted):
            names = {
                manifest["metadata"]["name"] for manifest in wanted if collection == path_of(manifest, collection=True)
            }
            if not names <= _names(server, collection):
                return False
    except RestError as error:
        if error.status == 404:
            return False
        raise
    return True


def _names(server: Rest, collection: str) -> set[str]:
    answer = server.call("GET", collection, accept=_METADATA_ONLY)
    return {item["metadata"]["name"] for item in answer["items"]}


_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def _wait_established(server: Rest, wanted: list[Manifest]) -> None:
    for manifest in wanted:
        if manifest["kind"] == "CustomResourceDefinition":
            _poll(
                functools.partial(_is_established, server, manifest), f"the definition {manifest['metadata']['name']}"
            )


def _is_established(server: Rest, manifest: Manifest) -> str:
    """Return why a definition is not in force, ``""`` once it is."""
    live = server.call("GET", path_of(manifest))
    names = condition_of(live, "NamesAccepted")
    if names and names["status"] == "False":
        return names["message"]
    return "" if is_true(live, "Established") else "it is not established yet"


def refusal_of_example(server: Rest, policy: Manifest) -> str:
    """Return why the API server refuses the example of a policy, ``""`` where it takes it; nothing is stored."""
    annotations = annotations_of(policy)
    manifest = yaml.safe_load(annotations[REFUSED_EXAMPLE])
    plural = policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"][0]
    group, _, version = manifest["apiVersion"].rpartition("/")
    path = Resource(group, version, plural, manifest["kind"]).path(namespace=manifest["metadata"]["namespace"])
    try:
        server.call("POST", f"{path}?dryRun=All", manifest, user=annotations.get(REFUSED_EXAMPLE_BY))
    except RestError as error:
        return str(error)
    return ""


def _wait_in_force(server: Rest, policy: Manifest) -> None:
    """Wait until a policy refuses its example: it takes a second or two from its creation."""
    name = policy["metadata"]["name"]
    if REFUSED_EXAMPLE not in annotations_of(policy):
        return

    def fault() -> str:
        refusal = refusal_of_example(server, policy)
        if name in refusal:
            return ""
        # Just after its creation: who may post the example is not known everywhere yet either.
        return f"its example is refused for another reason: {refusal}" if refusal else "it does not refuse its example"

    _poll(fault, f"the policy {name}")


def _poll(fault: Callable[[], str], what: str) -> None:
    end = time.monotonic() + _LIMIT_SECONDS
    while message := fault():
        if time.monotonic() > end:
            raise errors.ControlPlaneError(f"{what} is not in force after {_LIMIT_SECONDS:.0f} s: {message}")
        time.sleep(0.05)
