"""Fills an API server with what the project needs in it: namespaces, definitions, roles, policies.

Everything comes from manifests that lie beside the code they belong to; ``$(WORD)`` in one stands for what the site
says. A second start with the same manifests looks only whether every object is still there; of what says who may do
what, at each start and after each change of the site, that it says just that, whatever became of it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

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
        apply(server, manifests)


def apply(server: Rest, manifests: Iterable[Manifest]) -> None:
    """Apply manifests, in their order, and wait for them; where these very ones were, only what is not as it was left.

    Of what says who may do what each object is compared, of all others it is enough that they are there.
    """
    wanted = list(manifests)
    rights = [manifest for manifest in wanted if manifest["kind"] in _RIGHTS]
    # Two records, so that a change of the site costs no look at the large definitions.
    fixed = [manifest for manifest in wanted if manifest["kind"] not in _RIGHTS]
    record, recorded = {"digest": _digest(fixed), "rights": _digest(rights)}, _recorded(server)
    found = _found(server, wanted) if recorded.get("digest") == record["digest"] else {}
    if not {path_of(manifest) for manifest in fixed} <= found.keys():
        rest = list(wanted)
        while rest and rest[0]["kind"] in ("Namespace", "CustomResourceDefinition"):
            write(server, rest.pop(0))
        _wait_established(server, wanted)  # what follows may be of a kind that these define
    else:
        as_left = found if recorded.get("rights") == record["rights"] else {}
        rest = [manifest for manifest in rights if not _says(as_left.get(path_of(manifest)), manifest)]
    for manifest in rest:
        write(server, manifest)
    if recorded != record:
        metadata = {"name": "bootstrap", "namespace": "virtualserver-system"}
        write(server, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": record})
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


def _digest(manifests: list[Manifest]) -> str:
    return hashlib.sha256(json.dumps(manifests, sort_keys=True).encode()).hexdigest()


def _recorded(server: Rest) -> dict[str, str]:
    """Return the digests of what was applied last, none before the first time."""
    return _unless_missing(server, _RECORD, _WHOLE).get("data") or {}


def _found(server: Rest, wanted: list[Manifest]) -> dict[str, Manifest]:
    """Return what there is in the collections of these manifests by path; where only that counts, its metadata."""
    found: dict[str, Manifest] = {}
    for collection, one in {path_of(manifest, collection=True): manifest for manifest in wanted}.items():
        kind = {"apiVersion": one["apiVersion"], "kind": one["kind"]}  # which the items of a list do not say
        answer = _unless_missing(server, collection, _WHOLE if one["kind"] in _RIGHTS else _METADATA_ONLY)
        found |= {f"{collection}/{item['metadata']['name']}": {**item, **kind} for item in answer.get("items") or ()}
    return found


def _unless_missing(server: Rest, path: str, accept: str) -> Manifest:
    try:
        return server.call("GET", path, accept=accept)
    except RestError as error:
        if error.status == 404:
            return {}
        raise


def _says(found: Any, wanted: Any) -> bool:
    """Return whether what was found says all of what is wanted: so that applying it once more would change nothing.

    Fields that are only in what was found are defaults, or somebody else's, which stay where a manifest is applied.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        there, fields = cast("Manifest", found), cast("Manifest", wanted)
        return all(_says(there.get(name), value) for name, value in fields.items())
    if isinstance(wanted, list) and isinstance(found, list):
        items, these = cast("list[Any]", found), cast("list[Any]", wanted)
        return len(items) == len(these) and all(map(_says, items, these))
    return found == wanted


_WHOLE: Final = "application/json"
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
