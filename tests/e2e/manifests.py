"""VirtualServer manifests for the tests' tiny image."""

from __future__ import annotations

from typing import Any

__all__ = ["a_floating_service", "a_server"]


_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA someone"


def a_server(
    name: str, *, namespace: str = "default", running: bool = True, image: str = "tiny", **changes: Any
) -> dict[str, Any]:
    """Return a small server; what is given as ``network`` or any other field of the spec replaces the default.

    Args:
        name: The server's name.
        namespace: Its namespace.
        running: ``initializeRunning``.
        image: The image's name in ``vd-images``.
        **changes: Fields of the spec.
    """
    return {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "region": "ORD1",
            "os": {"type": "linux"},
            "resources": {"cpu": {"count": 1}, "memory": "96Mi"},
            "storage": {
                "root": {
                    "size": "128Mi",
                    "storageClassName": "block-nvme-ord1",
                    "source": {"pvc": {"namespace": "vd-images", "name": image}},
                }
            },
            "users": [
                {
                    "username": "someone",
                    "sshpublickey": _KEY,
                }
            ],
            "network": {"public": True},
            "initializeRunning": running,
            "runStrategy": "Always",
        }
        | changes,
    }


def a_floating_service(name: str, **spec: Any) -> dict[str, Any]:
    """Return a floating Service as published examples make it: one port, no selector."""
    ports = [{"name": "address", "port": 1, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": ports, **spec},
    }
