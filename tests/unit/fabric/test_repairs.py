"""The record of what was put back."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

from virtualserver.fabric import repairs
from virtualserver.fabric.desired.contest import Contest
from virtualserver.fabric.desired.repair import Repair

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime(2026, 11, 26, 3, 4, 5, tzinfo=datetime.UTC)


def test_the_last_twenty_are_kept_with_their_time(tmp_path: Path) -> None:
    for number in range(25):
        repairs.record(tmp_path, [Repair(f"route to {number}", "host")], NOW)
    kept = repairs.read(tmp_path)
    assert [repair.what for repair in kept] == [f"route to {number}" for number in range(5, 25)]
    assert {(repair.time, repair.where) for repair in kept} == {("2026-11-26T03:04:05Z", "host")}
    assert json.loads((tmp_path / repairs.FILE).read_text())["version"] == 1


def test_a_fight_is_one_line_and_nothing_is_none(tmp_path: Path) -> None:
    repairs.record(tmp_path, [], NOW)
    assert not (tmp_path / repairs.FILE).exists()
    repairs.record(tmp_path, [Contest("nftables rules of the host", "host")], NOW)
    (line,) = repairs.read(tmp_path)
    assert (line.what, line.where) == ("nftables rules of the host, again and again", "host")


def test_what_cannot_be_read_is_no_repair(tmp_path: Path) -> None:
    assert repairs.read(tmp_path) == []
    (tmp_path / repairs.FILE).write_text("half a li")
    assert repairs.read(tmp_path) == []
