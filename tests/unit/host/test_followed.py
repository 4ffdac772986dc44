from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from virtualserver.host.followed import Followed

if TYPE_CHECKING:
    from pathlib import Path


def a_number(path: Path) -> Followed[int]:
    return Followed(path, lambda: int(path.read_text()) if path.exists() else 0, look_seconds=0.01)


def test_a_file_that_cannot_be_used_at_first_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("one")
    with pytest.raises(ValueError, match="one"):
        a_number(tmp_path / "number")


def test_a_change_is_read_however_it_is_made_and_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "number"

    async def scenario() -> list[object]:
        followed = a_number(path)
        assert followed.value == 0
        changes = followed.changes()
        seen: list[object] = []

        async def after(change: object) -> None:
            del change
            found = await asyncio.wait_for(anext(changes), timeout=30)
            seen.append("refused" if isinstance(found, ValueError) else found)
            seen.append(followed.value)

        await after(path.write_text("1"))
        await after(path.write_text("two"))
        (tmp_path / "new").write_text("3")
        await after((tmp_path / "new").rename(path))
        await after(path.unlink())
        (tmp_path / "aside").write_text("4")
        await after(path.symlink_to(tmp_path / "aside"))
        return seen

    assert asyncio.run(scenario()) == [1, 1, "refused", 1, 3, 3, 0, 0, 4, 4]


def test_a_file_that_is_being_written_is_read_once_it_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "number"
    followed = a_number(path)
    looks = 0

    async def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks <= 5:
            with path.open("a") as file:
                file.write("1")

    async def next_change() -> object:
        return await anext(followed.changes())

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert asyncio.run(next_change()) == 11111
