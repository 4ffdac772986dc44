"""What a namespace of users may have of what is there for all, so that no user takes all of it: Services and disks.

A Service's own address (ClusterIP) comes from one network for all, which has 65,534. Once they are used up, nobody
makes such a Service, or a server with ports.

So it is with node ports: kube-apiserver gives one to each port of a user's LoadBalancer Service, though none leads
anywhere here, from 65,535 for all; servers' own Services have none.

Disks are promised more room than there is (`disks.overcommit` of site.yaml), up to a bound for all of them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.kube import fields

if TYPE_CHECKING:
    from virtualserver.local.kubectl import Kubectl

__all__ = ["SERVICES", "ensure", "share_gib"]

SERVICES: Final = 2000
"""So many Services, and node ports, may a namespace have that a user is added to and that has no quota of them yet."""
_NAME: Final = "virtualserver-services"
_NODE_PORTS: Final = "services.nodeports"
_SHARE: Final = 4
"""A namespace's disks may have this part of what all disks may grow to, at most."""
_COUNTED: Final = frozenset({"services", "count/services"})


def ensure(kubectl: Kubectl, namespace: str, *, disk_bytes: int) -> None:
    """Give a namespace a quota, unless one says how many Services it may have, and wait until it counts.

    Until then kube-apiserver would refuse every Service of the namespace. The quota that an earlier version made gets
    node ports, and keeps what an administrator made of it; how much its disks have was never said there.

    Args:
        kubectl: Talks to the API server.
        namespace: The namespace's name.
        disk_bytes: What all disks together may grow to.

    Raises:
        LocalError: The API server refuses, or nothing counts within half a minute.
    """
    found = {one["metadata"]["name"]: one for one in kubectl.list("resourcequota", namespace=namespace)}
    hard = {name: fields.mapping(quota, "spec", "hard") for name, quota in found.items()}
    own = hard.get(_NAME, {})
    if _NODE_PORTS in own or any(_COUNTED & one.keys() for name, one in hard.items() if name != _NAME):
        return
    new = {"services": str(SERVICES), "requests.storage": f"{share_gib(disk_bytes)}Gi"}
    wanted = {**(own or new), _NODE_PORTS: str(SERVICES)}
    kubectl.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": _NAME, "namespace": namespace},
                "spec": {"hard": wanted},
            }
        ]
    )
    counted = r"--for=jsonpath={.status.used.services\.nodeports}"
    kubectl.run("wait", f"resourcequota/{_NAME}", "-n", namespace, counted, "--timeout=30s")


def share_gib(disk_bytes: int) -> int:
    """Return how many GiB a namespace's disks may ask for: pure.

    A power of two, since whoever may read the quota could tell the size of the machine's disk from a part of it.

    Args:
        disk_bytes: What all disks together may grow to.
    """
    return 1 << max((disk_bytes // _SHARE >> 30).bit_length() - 1, 0)
