"""How many load balancer addresses a namespace may have: pure.

The one place that says it is an annotation of the Namespace, which only administrators can write: Kubernetes' roles for
tenants (admin, edit, view) give no right to change a Namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import names
from virtualserver.kube import fields

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = ["quota_of"]


def quota_of(namespace: Manifest, *, default: int | None) -> int | None:
    """Return how many addresses of each pool a namespace may have, None for as many as there are.

    A value that is no number counts as 0: nothing new is granted until it is put right, and what is held stays.

    Args:
        namespace: The Namespace.
        default: The quota of a namespace without the annotation.
    """
    value = fields.annotations_of(namespace).get(names.ADDRESS_QUOTA)
    if value is None:
        return default
    return int(value) if value.isascii() and value.isdigit() else 0
