"""What the guest of a server is told, as its plan has it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.virtualserver import VirtualServer

__all__ = ["planned_seed"]


def planned_seed(server: VirtualServer, *, mac: str, vpc_macs: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of the Secret that a server's seed is made from, by their keys.

    Args:
        server: Whose plan has a Secret.
        mac: Of its card on the cluster network.
        vpc_macs: Those of its other cards, by the names of their VPCs.
    """
    plan = planning.plan(server, Children.of([]), Surroundings(derived_mac=mac, vpc_macs=vpc_macs), Site())
    (secret,) = (apply.manifest for stage in plan.stages for apply in stage if apply.key[0] == "Secret")
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
