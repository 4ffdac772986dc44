"""What people are shown before anything is made; what is made then, is in the golden files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from virtualserver.api import virtualserver
from virtualserver.plan import sites
from virtualserver.plan.preview import preview

_EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


def shown(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    manifest = next(one for one in yaml.safe_load_all(path.read_text()) if one["kind"] == "VirtualServer")
    manifest["metadata"] |= {"uid": "0" * 8, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    objects = preview(virtualserver.decode(manifest), sites.load("{}"))
    return {(one["kind"], one["metadata"]["name"]): dict(one) for one in objects}


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_shown_without_what_its_guest_is_told(path: Path) -> None:
    kinds = {kind for kind, _ in shown(path)}
    assert "VirtualMachine" in kinds and "Secret" not in kinds


def test_ports_show_their_services_and_the_pool_of_their_address() -> None:
    objects = shown(next(path for path in _EXAMPLES if path.stem == "public-ports"))
    service = objects["Service", "public-ports-tcp"]
    assert [port["port"] for port in service["spec"]["ports"]] == [22, 443]
    assert service["metadata"]["annotations"]["metallb.io/address-pool"] == "public"
