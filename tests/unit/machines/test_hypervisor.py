"""Machines that the node discards while somebody else looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
