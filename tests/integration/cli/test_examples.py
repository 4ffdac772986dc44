"""Every example is accepted by a real API server, and says what it claims to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from harness.control_plane import ControlPlane

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_server_accepts_the_example(control_plane: ControlPlane, path: Path) -> None:
    said = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))
    assert said.splitlines() and all(line.endswith(" created (server dry run)") for line in said.splitlines())
    assert f"virtualserver.virtualservers.coreweave.com/{path.stem} created (server dry run)" in said


def test_there_is_an_example_for_every_network_mode() -> None:
    documents = [one for path in EXAMPLES for one in yaml.safe_load_all(path.read_text())]
    networks = {one["metadata"]["name"]: one["spec"]["network"] for one in documents if one["kind"] == "VirtualServer"}
    modes = {
        (bool(n.get("public", True)), bool(n.get("directAttachLoadBalancerIP")), bool(n.get("tcp") or n.get("udp")))
        for n in networks.values()
    }
    wanted = {(True, False, True), (False, False, True), (True, True, False), (False, True, False)}
    assert wanted | {(False, False, False)} <= modes
    assert any("floatingIPs" in n for n in networks.values())
    assert any("macAddress" in n for n in networks.values())
    assert any("dnsConfig" in n for n in networks.values())
    assert any("vpcs" in n and not n.get("disableK8sNetworking") for n in networks.values())
    assert any("vpcs" in n and n.get("disableK8sNetworking") for n in networks.values())
    assert any("vpcs" not in n and n.get("disableK8sNetworking") for n in networks.values())
    assert any(n.get("headless") and n.get("tcp") for n in networks.values())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_example_has_a_password(path: Path) -> None:
    assert "password" not in path.read_text()
