"""How many load balancer addresses a namespace may have: pure.

What an administrator says of one namespace is an annotation of the Namespace: Kubernetes' roles for tenants (admin,
edit, view) give no right to change one. Where it has none, the site's file says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.plan.sites.quotas import AddressQuota

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest
    from virtualserver.plan.sites.quotas import Quotas

__all__ = ["quota_of"]


def quota_of(namespace: Manifest, site: Quotas) -> AddressQuota:
    """Return how many addresses of each pool a namespace may have.

    An annotation that is no number counts as 0: nothing new is granted until it is put right, and what is held stays.

    Args:
        namespace: The Namespace.
        site: What the site's file says.
    """
    value = fields.annotations_of(namespace).get(names.ADDRESS_QUOTA)
    if value is None:
        return site.of(namespace["metadata"]["name"])
    return AddressQuota(int(value) if value.isascii() and value.isdigit() else 0)
