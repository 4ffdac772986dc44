"""Fills an API server with what the project needs in it: namespaces, definitions, roles, policies.

Everything comes from manifests that lie beside the code they belong to; ``$(WORD)`` in one stands for what the site
says. A second start with the same manifests looks only whether every object is still there; what says who may do what
is applied at each start, and after each change of the site, unless nobody has written it since it was applied last.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from importlib import resources
from typing import TYPE_CHECKING, Final

import msgspec
import yaml

from virtualserver.controlplane import errors
from virtualserver.controlplane.rest import Rest, RestError
from virtualserver.host.files import write_atomically
from virtualserver.kube.conditions import condition_of, is_true
from virtualserver.kube.fields import annotations_of
from virtualserver.kube.objects import Manifest, Resource, key_of
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

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
_MARKS_VERSION: Final = 1
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


def apply_all(installation: Installation, url: str, manifests: Iterable[Manifest]) -> None:
    """Apply manifests as the administrator and wait until they are in force.

    Args:
        installation: The installation's files.
        url: The API server's address.
        manifests: What `load` returns.

    Raises:
        ControlPlaneError: A definition is not accepted, or a policy is not in force after a minute.
        RestError: The API server refuses a manifest.
        OSError: It does not answer.
    """
    with Rest.as_administrator(installation, url, timeout_seconds=60) as server:
        apply(server, manifests, installation.rights)


def apply(server: Rest, manifests: Iterable[Manifest], left: Path | None = None) -> None:
    """Apply manifests, in their order, and wait for them; where these very ones were and are all there, only rights.

    Args:
        server: The API server, as the administrator.
        manifests: What is applied.
        left: Where it is recorded how rights were left, so that those which nobody has written since are not applied
            again; None: all of them are.
    """
    wanted = list(manifests)
    rights = {path_of(manifest): manifest for manifest in wanted if manifest["kind"] in _RIGHTS}
    # Rights are looked at in any case, so that a change of the site costs no look at the large definitions.
    fixed = [manifest for manifest in wanted if manifest["kind"] not in _RIGHTS]
    digest = _digest(fixed)
    found = _found(server, wanted, digest)
    before = _marks(left) if left else {}
    if {path_of(manifest) for manifest in fixed} <= found.keys():
        marks = {path: _mark(one, found[path]) for path, one in rights.items() if path in found}
        rest = [manifest for path, manifest in rights.items() if marks.get(path, "") != before.get(path)]
    else:
        marks, rest = {}, list(wanted)
        while rest and rest[0]["kind"] in ("Namespace", "CustomResourceDefinition"):
            write(server, rest.pop(0))
        _wait_established(server, wanted)  # what follows may be of a kind that these define
        rest.append(_record_of(digest))
    marks |= {path_of(manifest): _mark(manifest, write(server, manifest)) for manifest in rest}
    now = {path: marks[path] for path in rights}
    if left and now != before:
        write_atomically(left, json.dumps({"version": _MARKS_VERSION, "marks": now}))
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


def write(server: Rest, manifest: Manifest) -> Manifest:
    """Apply one manifest, so that it is made, or becomes what it says; return what there is then."""
    path = f"{path_of(manifest)}?fieldManager={_FIELD_MANAGER}&force=true"
    return server.call("PATCH", path, manifest, content_type="application/apply-patch+yaml")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _mark(manifest: Manifest, found: Manifest) -> str:
    """Return what is another one once anybody has written an object, or another manifest is to be applied.

    An object is not compared itself: much of what somebody adds to it, applying takes away again (a selector of a
    policy, names of resources in a rule), and other things not; the API server alone knows which.
    """
    metadata = found["metadata"]
    return f"{metadata['uid']}/{metadata['resourceVersion']}/{_digest(manifest)}"


def _marks(path: Path) -> dict[str, str]:
    """Return how rights were left, by path; nothing where that cannot be read, so that all are applied."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Marks)
    except (OSError, msgspec.DecodeError):
        return {}
    return found.marks if found.version == _MARKS_VERSION else {}


class _Marks(msgspec.Struct):
    version: int
    marks: dict[str, str]


def _record_of(digest: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "bootstrap", "namespace": "virtualserver-system"},
        "data": {"digest": digest},
    }


def _found(server: Rest, wanted: list[Manifest], digest: str) -> dict[str, Manifest]:
    """Return the metadata of what there is in the collections of manifests, by path; nothing where others were applied.

    Args:
        server: The API server.
        wanted: The manifests.
        digest: Of those of them that are not rights.
    """
    found: dict[str, Manifest] = {}
    try:
        if server.call("GET", path_of(_record_of("")))["data"]["digest"] != digest:
            return {}
        for collection in dict.fromkeys(path_of(manifest, collection=True) for manifest in wanted):
            answer = server.call("GET", collection, accept=_METADATA_ONLY)
            found |= {f"{collection}/{item['metadata']['name']}": item for item in answer["items"]}
    except RestError as error:
        if error.status == 404:
            return {}
        raise
    return found


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
