"""KubeVirt's subresources of a machine, as the API addresses them."""

from __future__ import annotations

from typing import Final

from virtualserver.kube.objects import Resource

__all__ = ["INSTANCE", "MACHINE"]

_GROUP: Final = "subresources.kubevirt.io"

MACHINE: Final = Resource(_GROUP, "v1", "virtualmachines", "VirtualMachine")
INSTANCE: Final = Resource(_GROUP, "v1", "virtualmachineinstances", "VirtualMachineInstance")
