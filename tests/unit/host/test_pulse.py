from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.host import pulse
from virtualserver.host.pulse import Pulse, read

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pulse_counts_while_the_loop_turns(tmp_path: Path) -> None:
    async def body() -> None:
        async with Pulse(tmp_path / "pulse").beating():
            await asyncio.sleep(0)
            found = read(tmp_path / "pulse")
            assert found and (found.pid, found.count, found.work) == (os.getpid(), 1, "")

    asyncio.run(body())


def test_a_step_is_named_while_it_is_taken_and_nothing_else_is(tmp_path: Path) -> None:
    seen: list[Any] = []

    def look() -> None:
        found = read(tmp_path / "pulse")
        seen.append(found and found.work)

    async def work() -> str:
        look()
        await asyncio.sleep(0.001)
        look()
        return "done"

    async def body() -> str:
        mine = Pulse(tmp_path / "pulse")
        asyncio.get_running_loop().call_soon(look)
        return await mine.during("virtualserver m/ü", work())

    assert asyncio.run(body()) == "done"
    assert seen == ["virtualserver m/ü", "", "virtualserver m/ü"]


def test_what_a_step_raises_and_what_ends_it_goes_through(tmp_path: Path) -> None:
    async def body() -> None:
        mine = Pulse(tmp_path / "pulse")

        async def fail() -> None:
            await asyncio.sleep(0)
            raise LookupError

        with pytest.raises(LookupError):
            await mine.during("a", fail())

        async def clean_up() -> str:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                return "cleaned up"
            return "never"

        task = asyncio.ensure_future(mine.during("a", clean_up()))
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "cleaned up"

    asyncio.run(body())


def test_a_slow_step_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "SLOW_SECONDS", -1.0)

    async def quick() -> None:
        return

    async def body() -> None:
        await Pulse(tmp_path / "pulse").during("virtualserver m/x", quick())

    asyncio.run(body())
    assert "virtualserver m/x: one step took" in caplog.text


@pytest.mark.parametrize("kind", ["missing", "fifo", "folder", "link", "empty", "foreign", "long"])
def test_what_is_no_pulse_is_none_and_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pulse"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        Pulse(tmp_path / "other")
        path.symlink_to(tmp_path / "other")
    elif kind == "empty":
        path.touch()
    elif kind in ("foreign", "long"):
        path.write_bytes(b"x" * (30 if kind == "foreign" else 100_000))
    assert read(path) is None


def test_a_name_that_would_write_to_the_terminal_is_shown_escaped(tmp_path: Path) -> None:
    async def look() -> str:
        found = read(tmp_path / "pulse")
        return found.work if found else ""

    async def body() -> str:
        return await Pulse(tmp_path / "pulse").during("\x1b[2J", look())

    assert asyncio.run(body()) == "'\\x1b[2J'"
