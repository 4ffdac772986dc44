"""Which taps a process has open, as it and the kernel tell."""

from __future__ import annotations

import os

import pytest

from virtualserver.machines import taps
from virtualserver.machines.spec import Nic

NICS = [Nic("vst-1", "02:00:00:00:00:01"), Nic("vst-2", "02:00:00:00:00:02")]


def test_the_descriptors_are_those_of_the_command_line() -> None:
    arguments = ["qemu", "-netdev", "tap,id=net0,fd=13", "-device", "x,netdev=net0", "-netdev", "tap,id=net1,fd=14"]
    assert taps.numbers_of(arguments) == {0: 13, 1: 14}
    assert taps.numbers_of(["qemu", "-name", "guest=tap,id=net0,fd=13"]) == {}


@pytest.mark.parametrize(
    ("information", "device"),
    [
        ("pos:\t0\nflags:\t0104002\niff:\tvst-1\n", "vst-1"),
        ("pos:\t0\nflags:\t0104002\niff:\t\n", ""),
        ("pos:\t0\nflags:\t0104002\n", None),
    ],
)
def test_the_kernel_says_which_tap_a_file_is_attached_to(information: str, device: str | None) -> None:
    assert taps.device_of(information) == device


def test_a_process_without_taps_has_none_that_were_deleted() -> None:
    assert taps.opened(os.getpid(), NICS) == {}
    assert taps.deleted(os.getpid(), NICS) == []
