"""The kinds of the Kubernetes API that the operator reads or writes."""

from __future__ import annotations

from typing import Final

from virtualserver.api import names
from virtualserver.kube.objects import Resource

__all__ = [
    "BY_KIND",
    "DATA_VOLUME",
    "PERSISTENT_VOLUME_CLAIM",
    "SECRET",
    "SERVICE",
    "VIRTUAL_MACHINE",
    "VIRTUAL_MACHINE_INSTANCE",
    "VIRTUAL_SERVER",
]

VIRTUAL_SERVER: Final = Resource(names.GROUP, names.VERSION, names.PLURAL, names.KIND)
VIRTUAL_MACHINE: Final = Resource("kubevirt.io", "v1", "virtualmachines", "VirtualMachine")
VIRTUAL_MACHINE_INSTANCE: Final = Resource("kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance")
DATA_VOLUME: Final = Resource("cdi.kubevirt.io", "v1beta1", "datavolumes", "DataVolume")
SERVICE: Final = Resource("", "v1", "services", "Service")
SECRET: Final = Resource("", "v1", "secrets", "Secret")
PERSISTENT_VOLUME_CLAIM: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")

BY_KIND: Final = {resource.kind: resource for resource in (VIRTUAL_MACHINE, DATA_VOLUME, SERVICE, SECRET)}
"""What a plan may apply or remove, by the manifests' ``kind``."""
