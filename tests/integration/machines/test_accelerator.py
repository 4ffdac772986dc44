"""KVM is believed only when a guest ran with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from virtualserver.machines import accelerator, hypervisor

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="taking rights away needs root")


async def test_the_guest_of_one_boot_sector_really_runs() -> None:
    assert await accelerator.run_boot_sector("tcg", limit_seconds=60) == 99


async def test_a_guest_that_does_not_come_back_in_time_is_ended() -> None:
    assert await accelerator.run_boot_sector("tcg", limit_seconds=0.001) is None


async def test_an_accelerator_that_is_not_there_fails() -> None:
    status = await accelerator.run_boot_sector("vs-none", limit_seconds=60)
    assert status not in {None, 99}


async def test_the_answer_fits_this_machine() -> None:
    found = await accelerator.probe(limit_seconds=5)
    if found.name == "kvm":
        assert await accelerator.run_boot_sector("kvm", limit_seconds=5, group=hypervisor.kvm_group()) == 99
    else:
        assert "/dev/kvm" in found.reason


async def test_the_answer_is_written_where_it_is_to_be_kept(tmp_path: Path) -> None:
    cache = tmp_path / "accelerator.json"
    first = await accelerator.probe(cache=cache)
    assert cache.exists()
    assert await accelerator.probe(cache=cache, limit_seconds=0.0) == first
