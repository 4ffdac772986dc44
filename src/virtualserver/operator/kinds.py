"""The kinds that the operator follows."""

from __future__ import annotations

from typing import Final

from virtualserver.kube.kinds import PERSISTENT_VOLUME_CLAIM, VIRTUAL_MACHINE_INSTANCE
from virtualserver.plan.objects.table import KINDS
from virtualserver.plan.ownership import VIRTUAL_SERVER

__all__ = ["BY_KIND", "VIRTUAL_SERVER"]

BY_KIND: Final = {
    **{kind.resource.kind: kind.resource for kind in KINDS},
    **{resource.kind: resource for resource in (VIRTUAL_MACHINE_INSTANCE, PERSISTENT_VOLUME_CLAIM)},
}
"""What is made for a server, and what others make from it, by the manifests' ``kind``."""
