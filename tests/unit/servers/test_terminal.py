"""A terminal is as it was before, whatever ended what used it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import termios
from typing import TYPE_CHECKING

import pytest

from virtualserver.servers import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def descriptor() -> Iterator[int]:
    """The side of a new terminal that programs use."""
    other, ours = pty.openpty()
    yield ours
    os.close(ours)
    os.close(other)


def is_raw(descriptor: int) -> bool:
    return not termios.tcgetattr(descriptor)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)


async def test_it_is_given_back_after_an_error(descriptor: int) -> None:
    before = termios.tcgetattr(descriptor)
    with contextlib.suppress(ValueError), terminal.raw(descriptor, ends=lambda: None):
        assert is_raw(descriptor)
        raise ValueError("any")
    assert termios.tcgetattr(descriptor) == before


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_gives_it_back_first(descriptor: int, how: signal.Signals) -> None:
    before, seen = termios.tcgetattr(descriptor), asyncio.Event()
    with terminal.raw(descriptor, ends=seen.set):
        os.kill(os.getpid(), how)
        await seen.wait()
    assert termios.tcgetattr(descriptor) == before


async def test_what_is_no_terminal_is_left_alone() -> None:
    reads, writes = os.pipe()
    with terminal.raw(reads, ends=lambda: None):
        terminal.write(writes, b"typed")
        os.close(writes)
        keys = terminal.Keys(reads)
        assert [await keys.read(), await keys.read()] == [b"typed", b""]
    os.close(reads)
