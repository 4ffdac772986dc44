"""A user with a certificate and Kubernetes' own role ``edit`` in one namespace, and nothing else."""

from __future__ import annotations

import contextlib
import datetime
import secrets
from typing import TYPE_CHECKING, Any

from harness.api_server import connected
from harness.waiting import eventually
from virtualserver.controlplane import pki
from virtualserver.controlplane.rest import Rest, RestError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from harness.control_plane import ControlPlane

__all__ = ["MERGE", "EditUser", "an_edit_user"]

MERGE = "application/merge-patch+json"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_GROUP = "rbac.authorization.k8s.io"


class EditUser:
    """The user, the administrator, and two namespaces: the user has ``edit`` in ``own`` and no right in ``other``."""

    def __init__(self, admin: Rest, user: Rest, name: str) -> None:
        self.admin = admin
        self.user = user
        self.name = f"user-{name}"
        self.own = f"own-{name}"
        self.other = f"other-{name}"

    def bind(self, namespace: str, kind: str, role: str) -> str:
        """Give the user a role in a namespace and return the path of the binding."""
        name = f"{self.name}-{role}"
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": role},
            "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": self.name}],
        }
        path = f"{_RBAC}/namespaces/{namespace}/rolebindings"
        self.admin.call("POST", path, binding)
        return f"{path}/{name}"

    def refusal(self, method: str, path: str, body: Any, *, dry_run: bool = True) -> str:
        """Return why the user may not, ``""`` where the server takes it; a PATCH is a merge patch."""
        kind = MERGE if method == "PATCH" else "application/json"
        try:
            self.user.call(method, f"{path}?dryRun=All" if dry_run else path, body, content_type=kind)
        except RestError as error:
            if error.status != 403:
                raise
            return str(error)
        return ""


@contextlib.contextmanager
def an_edit_user(control_plane: ControlPlane, folder: Path) -> Generator[EditUser]:
    """Yield a new user whose right holds already; the namespaces are removed at the end.

    Args:
        control_plane: Where.
        folder: Gets the key and the certificate.
    """
    name = secrets.token_hex(3)
    authority = pki.Authority(control_plane.installation.pki, "ca", datetime.datetime.now(datetime.UTC))
    authority.issue(pki.Certificate(f"user-{name}", "client"), folder / "key.crt", folder / "key.key", owner=0)
    user = Rest(control_plane.url, authority=control_plane.installation.pki / "ca.crt", client=folder / "key")
    with contextlib.closing(user), connected(control_plane) as admin:
        found = EditUser(admin, user, name)
        for namespace in (found.own, found.other):
            admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        found.bind(found.own, "ClusterRole", "edit")
        claims = f"/api/v1/namespaces/{found.own}/configmaps"
        eventually(
            lambda: not found.refusal("POST", claims, {"metadata": {"name": "any"}}), what="the role edit to hold"
        )
        try:
            yield found
        finally:
            for namespace in (found.own, found.other):
                admin.call("DELETE", f"/api/v1/namespaces/{namespace}")
