"""What is done once for the aliases of an earlier version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from virtualserver.api import names
from virtualserver.installation.installation import Installation
from virtualserver.local import aliases

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.local.kubectl import Kubectl


class Claims:
    """A kubectl that knows claims, and counts how often it is asked for them."""

    def __init__(self, *claims: dict[str, Any]) -> None:
        self.claims = claims
        self.asked = 0
        self.applied: list[dict[str, Any]] = []

    def list(self, kind: str) -> list[dict[str, Any]]:
        """Return the claims."""
        assert kind == "pvc"
        self.asked += 1
        return [*self.claims]

    def apply(self, manifests: list[dict[str, Any]]) -> None:
        """Remember what is applied."""
        self.applied += manifests


def a_claim(namespace: str, **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "debian", "namespace": namespace, "annotations": annotations}}


def test_aliases_of_an_earlier_version_are_let_to_everybody_once(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path, "one")
    installation.create()
    alias = a_claim("coreweave", **{names.ALIAS_OF: "vd-images/debian"})
    kubectl = Claims(alias, a_claim("team-a"))
    for _ in range(3):
        aliases.grant_aliases(installation, cast("Kubectl", kubectl))
    assert kubectl.asked == 1
    assert kubectl.applied == aliases.grants("debian", namespace="coreweave")
