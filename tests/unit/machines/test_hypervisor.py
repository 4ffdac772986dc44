"""Machines that the node discards while somebody else looks, or that it could not discard to their end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from virtualserver.host import locks
from virtualserver.machines.hypervisor import Hypervisor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_description_that_goes_away_while_it_is_read_is_of_no_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "machines" / "0f").mkdir(parents=True)

    def there(_: Path) -> bool:
        return True

    monkeypatch.setattr(type(tmp_path), "exists", there)
    machines = Hypervisor(machines=tmp_path / "machines", run=tmp_path / "run", installation="t")

    assert machines.look() == {}


async def test_what_a_killed_node_has_left_of_machines_goes_with_the_next_one(tmp_path: Path) -> None:
    """One that was removing a machine, or about to make one: no description told of it, so it stayed for ever."""
    state, run = tmp_path / "machines", tmp_path / "run"
    for path in (run / "removed/vnc.sock", state / "begun/lock", run / "begun/pid", state / "half/qemu.log"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for kept in (state / "unread", run / "unread", state / "held"):
        kept.mkdir()
    (state / "unread/spec.json").write_text("{")
    lock = locks.take(state / "held/lock")
    assert lock is not None
    try:
        assert await Hypervisor(machines=state, run=run, installation="t").adopt() == {}
    finally:
        os.close(lock)
    assert sorted(path.name for path in state.iterdir()) == ["held", "unread"]
    assert [path.name for path in run.iterdir()] == ["unread"]
