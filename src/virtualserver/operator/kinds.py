"""The kinds that only the operator knows: the VirtualServer, and what a plan may apply or remove."""

from __future__ import annotations

from typing import Final

from virtualserver.api import names
from virtualserver.kube.kinds import DATA_VOLUME, SECRET, SERVICE, VIRTUAL_MACHINE
from virtualserver.kube.objects import Resource

__all__ = ["BY_KIND", "VIRTUAL_SERVER"]

VIRTUAL_SERVER: Final = Resource(names.GROUP, names.VERSION, names.PLURAL, names.KIND)

BY_KIND: Final = {resource.kind: resource for resource in (VIRTUAL_MACHINE, DATA_VOLUME, SERVICE, SECRET)}
"""What a plan may apply or remove, by the manifests' ``kind``."""
