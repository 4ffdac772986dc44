"""What bindings give to one ServiceAccount, whoever made them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from virtualserver.api import names
from virtualserver.kube.fields import items, mapping

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.local.kubectl import Kubectl

__all__ = ["Right", "binding_of", "bindings", "of"]


@dataclasses.dataclass(frozen=True, slots=True)
class Right:
    """What a binding gives to a user.

    Attributes:
        namespace: Where it holds; ``""``: everywhere.
        role: The name of the role.
        binding: The RoleBinding's or ClusterRoleBinding's name.
        is_ours: Whether `add` made the binding.
    """

    namespace: str
    role: str
    binding: str
    is_ours: bool


def binding_of(name: str) -> str:
    """Return the name of the RoleBindings that give a user rights by `local.users`."""
    return f"vs-user-{name}"


def bindings(kubectl: Kubectl) -> list[dict[str, Any]]:
    """Return all RoleBindings and ClusterRoleBindings."""
    return json.loads(kubectl.run("get", "rolebindings,clusterrolebindings", "-A", "-o", "json"))["items"]


def of(bound: Iterable[dict[str, Any]], namespace: str, name: str) -> tuple[Right, ...]:
    """Return what bindings give to one ServiceAccount; groups that all have are left out."""
    subjects = (
        ("ServiceAccount", namespace, name),
        ("Group", "", f"system:serviceaccounts:{namespace}"),
        ("User", "", f"system:serviceaccount:{namespace}:{name}"),
    )
    found = [
        Right(
            one["metadata"].get("namespace", ""),
            mapping(one, "roleRef").get("name", ""),
            one["metadata"]["name"],
            one["metadata"]["name"] == binding_of(name) and names.USER in one["metadata"].get("labels", {}),
        )
        for one in bound
        for subject in items(one, "subjects")
        if (subject.get("kind"), subject.get("namespace", ""), subject.get("name")) in subjects
    ]
    return tuple(sorted(found, key=lambda right: (right.namespace, right.role)))
