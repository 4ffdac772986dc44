"""What kube-apiserver logs of who did what."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["policy"]


def policy(*, components: str) -> str:
    """Return kube-apiserver's audit policy: who did what to which object and when, never the object's content.

    What people read is left out but for Secrets, tokens and guests' consoles and ports: with one loop of reads somebody
    could roll over in minutes what others did.

    Args:
        components: The group of our own components, whose reads are left in: by them one sees which rights are used.

    Source: https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/ (levels, stages).
    """
    content: dict[str, Any] = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/openapi*", "/api*"]},
            # Leases are renewed every few seconds and say nothing.
            {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
            {"level": "Metadata", "userGroups": [components]},
            {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}]},
            {"level": "Metadata", "resources": [{"group": "subresources.kubevirt.io"}]},
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "Metadata"},
        ],
    }
    return json.dumps(content, indent=2)
