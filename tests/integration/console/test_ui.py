"""`vs ui` as somebody runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from harness.control_plane import ControlPlane


def test_vs_ui_prints_a_link_that_opens_the_servers_and_ends_by_ctrl_c(page: Page, control_plane: ControlPlane) -> None:
    command = [sys.executable, "-m", "virtualserver.cli", "ui", "--kubeconfig", str(control_plane.kubeconfig)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout
    try:
        page.goto(process.stdout.readline().strip())
        expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    finally:
        page.goto("about:blank")
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(timeout=15) == 0
