"""KubeVirt's subresources of a machine, and ours of a server, as the API addresses them."""

from __future__ import annotations

from typing import Final

from virtualserver.api import names
from virtualserver.kube.objects import Resource

__all__ = ["INSTANCE", "MACHINE", "PATH"]

_GROUP: Final = "subresources.kubevirt.io"

MACHINE: Final = Resource(_GROUP, "v1", "virtualmachines", "VirtualMachine")
INSTANCE: Final = Resource(_GROUP, "v1", "virtualmachineinstances", "VirtualMachineInstance")
PATH: Final = Resource(names.NETWORK_GROUP, names.VERSION, names.PLURAL, "NetworkPath")
"""Of a server, by its subresource `path`."""
