"""The kinds that the operator follows."""

from __future__ import annotations

from typing import Final

from virtualserver.api import names
from virtualserver.kube.kinds import PERSISTENT_VOLUME_CLAIM, VIRTUAL_MACHINE_INSTANCE
from virtualserver.kube.objects import Resource
from virtualserver.plan.objects.table import KINDS
from virtualserver.plan.ownership import VIRTUAL_SERVER

__all__ = ["BY_KIND", "VIRTUAL_SERVER", "WAIT"]

WAIT: Final = Resource(names.GROUP, names.VERSION, names.WAIT_PLURAL, names.WAIT_KIND)

BY_KIND: Final = {
    **{kind.resource.kind: kind.resource for kind in KINDS},
    **{resource.kind: resource for resource in (VIRTUAL_MACHINE_INSTANCE, PERSISTENT_VOLUME_CLAIM)},
}
"""What is made for a server, and what others make from it, by the manifests' ``kind``."""
