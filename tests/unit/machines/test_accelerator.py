"""What is said of KVM without a guest, and for how long an answer is kept."""

from __future__ import annotations

import grp
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from virtualserver.host.process import boot_id
from virtualserver.machines import accelerator
from virtualserver.machines.accelerator import Accelerator

if TYPE_CHECKING:
    from pathlib import Path


def found(_program: str) -> str:
    return "/usr/bin/qemu-system-x86_64"


async def test_without_qemu_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = await accelerator.probe()
    assert found.name == "tcg"
    assert "not on PATH" in found.reason


async def test_the_answer_of_this_boot_is_kept_until_the_device_becomes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, device = tmp_path / "accelerator.json", tmp_path / "kvm"
    monkeypatch.setattr(accelerator, "_DEVICE", device)
    monkeypatch.setattr(shutil, "which", found)
    device.touch(mode=0o600)
    first = await accelerator.probe(cache=cache)
    assert "is for root alone" in first.reason
    cache.write_text(json.dumps({**json.loads(cache.read_bytes()), "name": "kvm", "reason": "kept"}))
    assert await accelerator.probe(cache=cache) == Accelerator("kvm", "kept")
    device.chmod(0o620)
    assert await accelerator.probe(cache=cache) == first, "it was looked at again"
    device.unlink()
    assert "has no" in (await accelerator.probe(cache=cache)).reason


@pytest.mark.parametrize(("groups", "first"), [(["kvm"], "chgrp kvm"), ([], "groupadd --system kvm && chgrp kvm")])
async def test_the_remedy_names_no_group_that_this_machine_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: list[str], first: str
) -> None:
    monkeypatch.setattr(accelerator, "_DEVICE", tmp_path / "kvm")
    monkeypatch.setattr(shutil, "which", found)
    monkeypatch.setattr(grp, "getgrnam", {name: name for name in groups}.__getitem__)
    (tmp_path / "kvm").touch(mode=0o600)
    assert f"`{first} " in (await accelerator.probe()).reason


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"formatVersion": 1, "boot": "earlier", "name": "kvm"}'])
async def test_no_other_answer_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    cache = tmp_path / "accelerator.json"
    cache.write_text(content)
    assert (await accelerator.probe(cache=cache)).name == "tcg"
    assert json.loads(cache.read_text())["boot"] == boot_id()
