"""What is said of KVM without a guest, and for how long an answer is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from virtualserver.host.process import boot_id
from virtualserver.machines import accelerator
from virtualserver.machines.accelerator import Accelerator

if TYPE_CHECKING:
    from pathlib import Path


async def test_without_qemu_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = await accelerator.probe()
    assert found.name == "tcg"
    assert "not on PATH" in found.reason


async def test_the_answer_of_this_boot_is_kept(tmp_path: Path) -> None:
    cache = tmp_path / "accelerator.json"
    content = {"formatVersion": 1, "boot": boot_id(), "name": "kvm", "reason": "kept"}
    cache.write_text(json.dumps(content))
    assert await accelerator.probe(cache=cache) == Accelerator("kvm", "kept")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"formatVersion": 1, "boot": "earlier", "name": "kvm"}'])
async def test_no_other_answer_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    cache = tmp_path / "accelerator.json"
    cache.write_text(content)
    assert (await accelerator.probe(cache=cache)).name == "tcg"
    assert json.loads(cache.read_text())["boot"] == boot_id()
