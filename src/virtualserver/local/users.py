"""Users of a namespace: who beside the administrator may use an installation, with which rights, and for how long.

A user is a ServiceAccount and a Secret in a namespace of ours where no user has rights, and a RoleBinding in the
namespace that the user works in. The token is bound to the Secret: without it the API server refuses the token.
Each function may be killed at any moment; run again, it goes on from what is there.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import TYPE_CHECKING, Any, Final, Literal

from virtualserver import controlplane
from virtualserver.api import names
from virtualserver.controlplane import credentials, site, turns
from virtualserver.kube.fields import annotations_of
from virtualserver.local import namespace_quota, rights, status
from virtualserver.local.errors import LocalError, MissingError
from virtualserver.local.kubectl import Kubectl
from virtualserver.plan.sites.quotas import AddressQuota
from virtualserver.storage import space

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation
    from virtualserver.local.report import Report

__all__ = [
    "ADDRESSES",
    "VALID",
    "Access",
    "Account",
    "KnownUser",
    "Revoked",
    "Role",
    "add",
    "forget",
    "listed",
    "revoke",
]

Role = Literal["edit", "view"]
"""What a user may do in a namespace; Kubernetes' own roles, to which ours are added."""

ADDRESSES: Final = 16
"""So many addresses of each pool may a namespace hold that a user is added to and that has no quota yet."""

VALID: Final = datetime.timedelta(days=365)
"""How long a token is valid unless another time is asked for."""

_SHORTEST: Final = datetime.timedelta(minutes=10)  # kube-apiserver refuses less
_CLOSED: Final = (names.USER_NAMESPACE, "virtualserver-system", "kube-system", "kube-public", "kube-node-lease")
"""Namespaces in which a user's rights would be rights over everybody."""
_TOKENS_ENDING: Final = "end-tokens-of-"


@dataclasses.dataclass(frozen=True, slots=True)
class KnownUser:
    """Who may use the installation.

    Attributes:
        name: As it was given to `add`.
        rights: Everything that any binding gives to the user, sorted by namespace.
        expires: When the last token ends, in RFC 3339; ``""`` where none was ever given, or tokens are refused.
    """

    name: str
    rights: tuple[rights.Right, ...]
    expires: str


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """What a user was given.

    Attributes:
        user: The user's name.
        namespace: Where the user has rights.
        role: Which ones.
        addresses: The namespace's quota of addresses of each pool, as its annotation says it; ``""`` where it has none.
        expires: When the token ends, in RFC 3339.
        server: The API server's address in the kubeconfig.
        kubeconfig: The file's content: JSON, which is YAML too. Who has it is the user.
    """

    user: str
    namespace: str
    role: Role
    addresses: str
    expires: str
    server: str
    kubeconfig: str


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount for which a user could make tokens that outlive the user.

    Attributes:
        namespace: The ServiceAccount's.
        name: Its name.
        roles: What its tokens may do, by the names of roles; empty: nothing.
    """

    namespace: str
    name: str
    roles: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Revoked:
    """What a user without rights leaves.

    Attributes:
        accounts: The ServiceAccounts of every namespace that the user could edit.
        rights: What bindings that `add` did not make give to a user of this name, should there be one again.
    """

    accounts: tuple[Account, ...]
    rights: tuple[rights.Right, ...]


def add(
    installation: Installation,
    name: str,
    *,
    namespace: str,
    role: Role = "edit",
    addresses: int | None = None,
    valid: datetime.timedelta = VALID,
    report: Report,
) -> Access:
    """Give a user rights in a namespace and a kubeconfig; each call makes one more token.

    Args:
        installation: What is to be used.
        name: The user's name: a DNS label.
        namespace: Where the rights hold; made where it is missing.
        role: Which rights; replaces the role that the user had there.
        addresses: How many addresses of each pool the namespace may hold, 0 or more. None: `ADDRESSES` where neither
            the namespace nor site.yaml says it and the user may take addresses, else what they say.
        valid: How long the token is valid, 10 minutes or more.
        report: Told what is made.

    Raises:
        LocalError: A name is none, the namespace is closed to users, or the API server refuses.
        MissingError: There is no such installation.
    """
    status.require(installation)
    _check(name, namespace, valid)
    kubectl = Kubectl(installation)
    with report.step(f"User {name}") as update:
        if addresses is None and role == "edit" and not _has_quota(installation, namespace):
            quota = _ensure_namespace(kubectl, namespace, report, default=ADDRESSES)
        else:
            quota = _ensure_namespace(kubectl, namespace, report, addresses=addresses)
        if role == "edit":
            namespace_quota.ensure(kubectl, namespace, disk_bytes=_disk_bytes(installation))
        expires = (datetime.datetime.now(datetime.UTC) + valid).strftime("%Y-%m-%dT%H:%M:%SZ")
        update(f"making user {name}", None)
        secret = _ensure_identity(kubectl, name, edits=[namespace] if role == "edit" else [], expires=expires)
        update(f"giving {name} the role {role} in namespace {namespace}", None)
        _ensure_binding(kubectl, name, namespace, role)
        update("making a token", None)
        token = _token(kubectl, name, secret, valid)
    server = controlplane.address_of(installation)
    content = credentials.kubeconfig_with(installation, name, {"token": token}, server=server, namespace=namespace)
    return Access(name, namespace, role, quota, expires, server, content)


def listed(installation: Installation) -> list[KnownUser]:
    """Return the users by name, with what they may do and until when.

    Raises:
        LocalError: The API server does not answer.
        MissingError: There is no such installation.
    """
    status.require(installation)
    kubectl = Kubectl(installation)
    found = json.loads(kubectl.run("get", "sa,secret", "-n", names.USER_NAMESPACE, "-l", names.USER, "-o", "json"))
    bindings = rights.bindings(kubectl)
    ends = {
        one["metadata"]["name"]: annotations_of(one).get(names.VALID_UNTIL, "")
        for one in found["items"]
        if one["kind"] == "Secret"
    }
    accounts = sorted(one["metadata"]["name"] for one in found["items"] if one["kind"] == "ServiceAccount")
    return [KnownUser(name, rights.of(bindings, names.USER_NAMESPACE, name), ends.get(name, "")) for name in accounts]


def revoke(installation: Installation, name: str, *, update: Update) -> Revoked:
    """Take a user's rights and end the user's tokens: the API server refuses them within 10 seconds.

    The user is known until `forget`: between the two, nothing is lost of what the user could have left.

    Raises:
        MissingError: There is no such user.
        LocalError: The API server refuses.
    """
    status.require(installation)
    kubectl = Kubectl(installation)
    account = kubectl.get("serviceaccount", name, namespace=names.USER_NAMESPACE)
    secret = kubectl.get("secret", name, namespace=names.USER_NAMESPACE)
    if account is None and secret is None:
        raise MissingError(f"there is no user {name!r}.", remedy="`vs user list` shows who there is.")
    update("ending the tokens of the user", None)
    _delete(kubectl, "secret", name, names.USER_NAMESPACE)
    bindings = rights.bindings(kubectl)
    held = rights.of(bindings, names.USER_NAMESPACE, name)
    for right in held:
        if right.is_ours:
            update(f"taking the rights in namespace {right.namespace}", None)
            _delete(kubectl, "rolebinding", right.binding, right.namespace)
    # After the rights are gone: nothing is added to what is found here.
    accounts = [
        Account(namespace, one, tuple(right.role for right in rights.of(bindings, namespace, one)))
        for namespace in _edits(account or {})
        for one in sorted(found["metadata"]["name"] for found in kubectl.list("serviceaccount", namespace=namespace))
    ]
    return Revoked(tuple(accounts), tuple(right for right in held if not right.is_ours))


def forget(installation: Installation, name: str, *, ending: Sequence[Account] = (), update: Update) -> None:
    """Remove what is left of a user after `revoke`.

    Args:
        installation: What the user could use.
        name: The user's name.
        ending: ServiceAccounts whose tokens are to end too: they are made anew, with the same name and rights.
        update: Told what is done.

    Raises:
        LocalError: The API server refuses.
    """
    kubectl = Kubectl(installation)
    _end_tokens(kubectl, ending, of=name, update=update)
    kubectl.run("delete", turns.KINDS, turns.name_of(name), "--ignore-not-found")
    _delete(kubectl, "serviceaccount", name, names.USER_NAMESPACE)


def _end_tokens(kubectl: Kubectl, accounts: Iterable[Account], *, of: str, update: Update) -> None:
    """Make ServiceAccounts anew, so that the API server refuses every token that was made for them before.

    They are recorded before the first one goes; a call after a killed one makes what is missing.

    Where a killed call left a record, it says which.
    """
    record = _TOKENS_ENDING + of
    kept = kubectl.get("configmap", record, namespace=names.USER_NAMESPACE)
    if kept is None:
        live = [kubectl.get("serviceaccount", one.name, namespace=one.namespace) for one in accounts]
        if not (former := [_former(one) for one in live if one]):
            return
        data = {"accounts": json.dumps(former)}
        metadata = {"name": record, "namespace": names.USER_NAMESPACE}
        kubectl.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}])
    else:
        former = json.loads(kept["data"]["accounts"])
    for manifest in former:
        metadata = manifest["metadata"]
        update(f"ending the tokens of ServiceAccount {metadata['namespace']}/{metadata['name']}", None)
        uid = metadata.pop("uid")
        now = kubectl.get("serviceaccount", metadata["name"], namespace=metadata["namespace"])
        if now and now["metadata"]["uid"] == uid:
            _delete(kubectl, "serviceaccount", metadata["name"], metadata["namespace"])
        if kubectl.get("namespace", metadata["namespace"], namespace=""):
            kubectl.apply([manifest])
    _delete(kubectl, "configmap", record, names.USER_NAMESPACE)


def _check(name: str, namespace: str, valid: datetime.timedelta) -> None:
    for what, value in (("user", name), ("namespace", namespace)):
        if not names.DNS_LABEL.fullmatch(value):
            raise LocalError(
                f"{what} {value!r} is no name.",
                remedy="Use 1 to 63 lower-case letters, digits and dashes between them.",
            )
    if name == "default":
        raise LocalError("user 'default': each namespace has a ServiceAccount of this name.", remedy="Choose another.")
    if namespace in _CLOSED:
        raise LocalError(
            f"namespace {namespace!r} is the installation's own: who may edit it may do everything.",
            remedy="Choose another; it is made where it is missing.",
        )
    if valid < _SHORTEST:
        raise LocalError(f"a token is valid for 10 minutes at least, not for {valid}.", remedy="--valid 365d")


def _has_quota(installation: Installation, namespace: str) -> bool:
    """Return whether the administrator's site.yaml says how many addresses a namespace may hold."""
    quotas = site.look(installation).site.quotas
    return quotas.addresses != AddressQuota() or namespace in quotas.namespaces


def _disk_bytes(installation: Installation) -> int:
    """Return what all disks together may grow to."""
    return int(space.space_of(installation.state).total * site.look(installation).site.disk_overcommit)


def _ensure_namespace(
    kubectl: Kubectl, name: str, report: Report, *, addresses: int | None = None, default: int | None = None
) -> str:
    """Make the namespace and its quota so, and return the quota that its annotation says, ``""`` where it has none.

    Args:
        kubectl: Talks to the API server.
        name: The namespace's.
        report: Told that it is made.
        addresses: Its quota from now on; None: as it is.
        default: Its quota where it has none; None: it stays without.
    """
    live = kubectl.get("namespace", name, namespace="")
    now = annotations_of(live).get(names.ADDRESS_QUOTA, "") if live else ""
    wanted = now if addresses is None else str(addresses)
    if not wanted and default is not None:
        wanted = str(default)
    if live is None:
        report.once(f"There is no namespace {name} yet: making it.")
        annotations = {names.ADDRESS_QUOTA: wanted} if wanted else {}
        kubectl.apply(
            [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}}]
        )
    elif wanted != now:
        kubectl.run("annotate", "--overwrite", "namespace", name, f"{names.ADDRESS_QUOTA}={wanted}")
    return wanted


def _ensure_identity(kubectl: Kubectl, name: str, *, edits: list[str], expires: str) -> str:
    """Make the ServiceAccount and the Secret so, and return the Secret's UID.

    What the user may edit and until when is recorded before it is given.
    """
    account = kubectl.get("serviceaccount", name, namespace=names.USER_NAMESPACE) or {}
    secret = kubectl.get("secret", name, namespace=names.USER_NAMESPACE) or {}
    metadata = {"name": name, "namespace": names.USER_NAMESPACE, "labels": {names.USER: name}}
    edited = sorted({*_edits(account), *edits})
    latest = max(expires, annotations_of(secret).get(names.VALID_UNTIL, ""))
    kubectl.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {**metadata, "annotations": {names.EDITS: ",".join(edited)}},
                "automountServiceAccountToken": False,
            },
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {**metadata, "annotations": {names.VALID_UNTIL: latest}},
                "type": "Opaque",
            },
            *turns.manifests(name, edits=edited),
        ]
    )
    made = kubectl.get("secret", name, namespace=names.USER_NAMESPACE)
    if made is None:
        raise LocalError(f"user {name!r} is being removed by somebody else.", remedy="Run it again.")
    return made["metadata"]["uid"]


def _ensure_binding(kubectl: Kubectl, name: str, namespace: str, role: Role) -> None:
    binding = rights.binding_of(name)
    wanted: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": binding, "namespace": namespace, "labels": {names.USER: name}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": names.USER_NAMESPACE}],
    }
    live = kubectl.get("rolebinding", binding, namespace=namespace)
    if live and live["roleRef"] != wanted["roleRef"]:  # which cannot be changed
        _delete(kubectl, "rolebinding", binding, namespace)
    kubectl.apply([wanted])


def _token(kubectl: Kubectl, name: str, secret: str, valid: datetime.timedelta) -> str:
    bound = ["--bound-object-kind=Secret", f"--bound-object-name={name}", f"--bound-object-uid={secret}"]
    seconds = f"--duration={valid.total_seconds():.0f}s"
    return kubectl.run("create", "token", name, "-n", names.USER_NAMESPACE, *bound, seconds).strip()


def _edits(account: dict[str, Any]) -> list[str]:
    """Return the namespaces that a user could ever edit."""
    return [one for one in annotations_of(account).get(names.EDITS, "").split(",") if one]


def _former(account: dict[str, Any]) -> dict[str, Any]:
    """Return what a ServiceAccount is made anew from, with the UID of the one whose tokens end."""
    metadata = account["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations", "uid") if key in metadata}
    rest = {key: account[key] for key in ("imagePullSecrets", "automountServiceAccountToken") if key in account}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": kept, **rest}


def _delete(kubectl: Kubectl, kind: str, name: str, namespace: str) -> None:
    kubectl.run("delete", kind, name, "-n", namespace, "--ignore-not-found")
