"""Runs the upstream control plane of one machine: etcd, kube-apiserver, kube-controller-manager, and our own processes.

`find` or `obtain` the programs, then `start`; `status` and `stop` work whether or not it runs. All calls block.
"""

from __future__ import annotations

from virtualserver.controlplane.components import ETCD_VERSION, KUBERNETES_VERSION
from virtualserver.controlplane.credentials import passing
from virtualserver.controlplane.errors import ControlPlaneError
from virtualserver.controlplane.lifecycle import (
    ComponentStatus,
    ControlPlaneStatus,
    address_of,
    start,
    status,
    stop,
)
from virtualserver.controlplane.options import Options
from virtualserver.controlplane.programs import Programs, find, obtain, plan_of

__all__ = [
    "ETCD_VERSION",
    "KUBERNETES_VERSION",
    "ComponentStatus",
    "ControlPlaneError",
    "ControlPlaneStatus",
    "Options",
    "Programs",
    "address_of",
    "find",
    "obtain",
    "passing",
    "plan_of",
    "start",
    "status",
    "stop",
]
