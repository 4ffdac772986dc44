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
    *before, last = said.splitlines()
    assert last == f"virtualserver.virtualservers.coreweave.com/{path.stem} created (server dry run)"
    assert all(line.startswith("service/") and line.endswith(" created (server dry run)") for line in before)


def test_there_is_an_example_for_every_network_mode() -> None:
    servers = {path.stem: list(yaml.safe_load_all(path.read_text()))[-1] for path in EXAMPLES}
    networks = {name: server["spec"]["network"] for name, server in servers.items()}
    modes = {
        (bool(n["public"]), bool(n.get("directAttachLoadBalancerIP")), bool(n.get("tcp") or n.get("udp")))
        for n in networks.values()
    }
    wanted = {(True, False, True), (False, False, True), (True, True, False), (False, True, False)}
    assert wanted | {(False, False, False)} <= modes
    assert any("floatingIPs" in n for n in networks.values())
    assert any("macAddress" in n for n in networks.values())
    assert any("dnsConfig" in n for n in networks.values())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_example_has_a_password(path: Path) -> None:
    assert "password" not in path.read_text()
