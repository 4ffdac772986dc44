"""Memory is promised once, and what QEMU itself needs is promised with it."""

from __future__ import annotations

import os
import re

import pytest

from virtualserver.machines import memory
from virtualserver.machines.memory import OVERHEAD_BYTES, RESERVE_BYTES, Footprint
from virtualserver.machines.spec import MachineSpec

GIB = 1 << 30


def a_spec(accelerator: str) -> MachineSpec:
    """Return a machine of 1 GiB."""
    assert accelerator in ("kvm", "tcg")
    return MachineSpec("uid", "ns/one", cpus=1, memory_bytes=GIB, accelerator=accelerator, user=1)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
def test_a_machine_fits_into_what_is_free_less_the_reserve_and_its_qemu(accelerator: str) -> None:
    spec = a_spec(accelerator)
    available = GIB + OVERHEAD_BYTES[accelerator] + RESERVE_BYTES

    def fault(available: int) -> str | None:
        return memory.fault("one", GIB, accelerator=spec.accelerator, available=available, admitted=[])

    assert fault(available) is None
    assert fault(available - 1) is not None


def test_a_translating_qemu_needs_more_than_one_with_kvm() -> None:
    assert OVERHEAD_BYTES["tcg"] > OVERHEAD_BYTES["kvm"]
    kvm, tcg = (memory.footprint_of(a_spec(name), pid=None) for name in ("kvm", "tcg"))
    assert kvm == Footprint(GIB + OVERHEAD_BYTES["kvm"], 0)
    assert tcg == Footprint(GIB + OVERHEAD_BYTES["tcg"], 0)


def test_what_a_running_machine_may_still_touch_is_not_free() -> None:
    running = Footprint(needed_bytes=4 * GIB, resident_bytes=GIB)
    assert memory.fault("one", GIB, accelerator="kvm", available=4 * GIB, admitted=[running]) is not None
    assert memory.fault("one", GIB, accelerator="kvm", available=6 * GIB, admitted=[running]) is None


def test_a_machine_that_uses_all_of_its_memory_promises_nothing_more() -> None:
    running = Footprint(needed_bytes=4 * GIB, resident_bytes=5 * GIB)
    assert memory.fault("one", GIB, accelerator="kvm", available=2 * GIB, admitted=[running]) is None


def test_attack_the_message_says_what_is_needed_and_what_to_do_and_not_what_others_leave() -> None:
    message = memory.fault("Server ns/one", 8 * GIB, accelerator="kvm", available=3 * GIB, admitted=[])
    assert message is not None
    assert "Server ns/one needs 8Gi of memory and 64Mi for QEMU, for which there is no room now" in message
    assert re.findall(r"\d+", message) == ["8", "64"]
    assert "stop another server (vs stop NAME)" in message


def test_what_exceeds_the_machine_is_told_from_what_others_use() -> None:
    def excess(wanted: int) -> str | None:
        return memory.excess("Server ns/one", wanted, accelerator="kvm", total=4 * GIB)

    most = 4 * GIB - RESERVE_BYTES - OVERHEAD_BYTES["kvm"]
    assert excess(most) is None
    assert excess(most + 1) is not None
    assert "asks for 900Gi of memory, and this machine could give 3.7Gi if no other ran" in str(excess(900 * GIB))


def test_what_a_process_uses_leaves_out_pages_of_files() -> None:
    own = memory.resident_bytes(os.getpid())
    with open("/proc/self/status") as file:
        whole = next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS:"))
    assert 0 < own < whole


def test_a_process_that_is_gone_uses_nothing() -> None:
    assert memory.resident_bytes(None) == 0
    assert memory.resident_bytes(1 << 22) == 0
