"""`vs ui` as somebody runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from virtualserver.kube.kubeconfig import load_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from harness.control_plane import ControlPlane


def test_vs_ui_prints_a_link_that_opens_the_servers_and_ends_by_ctrl_c(
    page: Page, control_plane: ControlPlane, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "virtualserver.cli", "ui", "--kubeconfig", str(control_plane.kubeconfig)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ, VS_STATE=str(tmp_path))
    )
    assert process.stdout and process.stderr
    try:
        told = process.stderr.readline()
        assert f"The console for {load_kubeconfig(control_plane.kubeconfig).server} is served by this command" in told
        assert "since no console of instance" in told and "name it with VS_STATE" in told
        page.goto(process.stdout.readline().strip())
        expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    finally:
        page.goto("about:blank")
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(timeout=15) == 0
        process.stderr.close()
