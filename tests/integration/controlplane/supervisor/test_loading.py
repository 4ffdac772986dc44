"""Processes that load while kube-apiserver does, and begin their work when they are told to."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from virtualserver.controlplane.components import Component, FileProbe
from virtualserver.controlplane.supervisor import processes

if TYPE_CHECKING:
    from pathlib import Path

_LOADS = "import sys; print('loaded', flush=True); sys.stdin.read(); print('works', flush=True)"


def test_a_component_that_loads_early_begins_when_it_is_released(tmp_path: Path) -> None:
    component = Component(
        "operator", "1", (sys.executable, "-c", _LOADS), {}, os.geteuid(), FileProbe(tmp_path), loads_after=("etcd",)
    )
    log = tmp_path / "log"
    with processes.spawn(component, processes.Records(tmp_path / "records"), log) as child:
        assert child.stdin is not None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=3)
        assert "works" not in log.read_text()
        child.stdin.close()
        assert child.wait(timeout=60) == 0
    assert log.read_text() == "loaded\nworks\n"


def test_the_operator_does_nothing_before_it_is_released() -> None:
    """What the node does is told in ``tests/integration/node/test_agent.py``."""
    flags = ["--kubeconfig=none", "--site=none", "--mac-key=none", "--ready-file=none/ready", "--identity=none"]
    line = [sys.executable, "-m", "virtualserver.operator", *flags, "--wait"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=3)
        child.stdin.close()
        assert child.wait(timeout=60) != 0, "there is no such API server"
