from __future__ import annotations

import json

from virtualserver.controlplane import audit


def test_the_audit_policy_never_asks_for_contents() -> None:
    levels = {rule["level"] for rule in json.loads(audit.policy(components="ours"))["rules"]}
    assert levels == {"None", "Metadata"}
