"""The one core/v1 Node, named after the host, so that `kubectl get nodes` and capacities mean something."""

from __future__ import annotations

import os
import platform
import re
import socket
import time
from typing import TYPE_CHECKING, Any

from virtualserver import __version__
from virtualserver.api import names
from virtualserver.kube import fields, kinds
from virtualserver.kube.conditions import with_conditions
from virtualserver.kube.errors import NotFound
from virtualserver.kube.patch import merge_patch
from virtualserver.machines import memory

if TYPE_CHECKING:
    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest

__all__ = ["node_name", "status_of", "write"]


def node_name() -> str:
    """Return the host's name in the form that Kubernetes asks for."""
    name = re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower()).strip("-.")
    return name[:253] or "localhost"


def status_of(live: Manifest, *, cpus: int, memory_bytes: int, accelerator: str, now: float) -> dict[str, Any]:
    """Return the Node's status: pure.

    Args:
        live: The Node as it is.
        cpus: Of the host.
        memory_bytes: Of the host.
        accelerator: ``kvm`` or ``tcg``.
        now: Seconds since the epoch.
    """
    allocatable = max(0, memory_bytes - memory.RESERVE_BYTES)
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "NodeReady",
        "message": f"virtualserver {__version__} runs guests with {accelerator}",
        # Nobody beats: the API shows the field all the same.
        "lastHeartbeatTime": None,
    }
    return {
        "capacity": {"cpu": str(cpus), "memory": f"{memory_bytes >> 10}Ki"},
        "allocatable": {"cpu": str(cpus), "memory": f"{allocatable >> 10}Ki"},
        "conditions": with_conditions(live, [ready], now=now, owned={"Ready"}),
        "nodeInfo": {
            **fields.mapping(live, "status", "nodeInfo"),
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "",
            "kernelVersion": platform.release(),
            "kubeletVersion": f"virtualserver-{__version__}",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "",
            "systemUUID": "",
        },
    }


async def write(client: Client, *, name: str, accelerator: str) -> Manifest:
    """Make the Node say what the host has; nothing is written where it does already."""
    try:
        live = await client.get(kinds.NODE, name)
    except NotFound:
        labels = {"kubernetes.io/hostname": name, "kubevirt.io/schedulable": "true", "kubernetes.io/os": "linux"}
        live = await client.create(
            kinds.NODE,
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}},
            field_manager=names.NODE_MANAGER,
        )
    status = status_of(
        live,
        cpus=os.cpu_count() or 1,
        memory_bytes=memory.total_bytes(),
        accelerator=accelerator,
        now=time.time(),
    )
    changes = merge_patch(fields.status_of(live), status, partial=True)
    if not changes:
        return live
    return await client.patch(
        kinds.NODE, name, {"status": changes}, subresource="status", field_manager=names.NODE_MANAGER
    )
