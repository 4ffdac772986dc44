"""What kube-apiserver logs of who did what."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["policy"]


def policy() -> str:
    """Return kube-apiserver's audit policy: who did what to which object and when, never the object's content.

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
            {"level": "Metadata"},
        ],
    }
    return json.dumps(content, indent=2)
