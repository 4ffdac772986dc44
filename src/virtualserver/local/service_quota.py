"""How many Services a namespace of users may have, so that no user takes every address that Services have among them.

A Service's own address (ClusterIP) comes from one network for all, which has 65,534. Once they are used up, nobody
makes such a Service, or a server with ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.kube import fields

if TYPE_CHECKING:
    from virtualserver.local.kubectl import Kubectl

__all__ = ["SERVICES", "ensure"]

SERVICES: Final = 2000
"""So many Services may a namespace have that a user is added to and that has no quota of them yet."""
_NAME: Final = "virtualserver-services"
_COUNTED: Final = frozenset({"services", "count/services"})


def ensure(kubectl: Kubectl, namespace: str) -> None:
    """Give a namespace a quota of Services, unless one says how many it may have, and wait until it counts.

    Until then kube-apiserver would refuse every Service of the namespace.

    Raises:
        LocalError: The API server refuses, or nothing counts within half a minute.
    """
    quotas = kubectl.list("resourcequota", namespace=namespace)
    if any(_COUNTED & fields.mapping(quota, "spec", "hard").keys() for quota in quotas):
        return
    kubectl.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": _NAME, "namespace": namespace},
                "spec": {"hard": {"services": str(SERVICES)}},
            }
        ]
    )
    kubectl.run(
        "wait", f"resourcequota/{_NAME}", "-n", namespace, "--for=jsonpath={.status.used.services}", "--timeout=30s"
    )
