"""Whether a machine's memory fits into what the host has free: pure, and the two readings it needs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.machines.spec import MachineSpec

__all__ = [
    "OVERHEAD_BYTES",
    "RESERVE_BYTES",
    "Footprint",
    "available_bytes",
    "excess",
    "fault",
    "footprint_of",
    "resident_bytes",
    "total_bytes",
]

OVERHEAD_BYTES: Final = {"kvm": 64 << 20, "tcg": 640 << 20}
"""What QEMU comes to need besides the guest's memory, by accelerator; measured in docs/guests.md."""

RESERVE_BYTES: Final = 256 << 20
"""What is never given to guests, so that the host itself goes on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Footprint:
    """A machine that was admitted.

    Attributes:
        needed_bytes: What its QEMU may come to use, the guest's memory included.
        resident_bytes: What it uses now, which the host's free memory lacks already.
    """

    needed_bytes: int
    resident_bytes: int


def footprint_of(spec: MachineSpec, *, pid: int | None) -> Footprint:
    """Return what a machine takes; its PID is None while it has no process."""
    return Footprint(spec.memory_bytes + OVERHEAD_BYTES[spec.accelerator], resident_bytes(pid))


def fault(
    name: str,
    memory_bytes: int,
    *,
    accelerator: Literal["kvm", "tcg"],
    available: int,
    admitted: Iterable[Footprint],
) -> str | None:
    """Return why a machine does not fit, None where it does; how much is free, and others have, administrators know.

    What running guests have not touched yet is counted as theirs, since they may touch it at any time.

    Args:
        name: The machine, for the message.
        memory_bytes: Of its guest.
        accelerator: How it would run.
        available: The host's available memory in bytes.
        admitted: The machines that run or are being started.
    """
    promised = sum(max(0, one.needed_bytes - one.resident_bytes) for one in admitted)
    free = max(0, available - promised - RESERVE_BYTES)
    overhead = OVERHEAD_BYTES[accelerator]
    if memory_bytes + overhead <= free:
        return None
    return (
        f"{name} needs {_size(memory_bytes)} of memory and {_size(overhead)} for QEMU, for which there is no room now: "
        "stop another server (vs stop NAME), or ask for less; it starts by itself once there is room"
    )


def excess(name: str, memory_bytes: int, *, accelerator: Literal["kvm", "tcg"], total: int) -> str | None:
    """Return why a machine could never run here, whatever else is stopped; None where it could.

    Args:
        name: The machine, for the message.
        memory_bytes: Of its guest.
        accelerator: How it would run.
        total: The host's memory in bytes.
    """
    most = max(0, total - RESERVE_BYTES - OVERHEAD_BYTES[accelerator])
    if memory_bytes <= most:
        return None
    return (
        f"{name} asks for {_size(memory_bytes)} of memory, and this machine could give {_size(most)} "
        "if no other ran: ask for less"
    )


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f}Gi".replace(".0Gi", "Gi") if count >= 1 << 30 else f"{count >> 20}Mi"


def _field(path: Path, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB$", path.read_text(), re.MULTILINE)
    return int(match[1]) << 10 if match else 0


def available_bytes() -> int:
    """Return how much memory the host can give without swapping."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def total_bytes() -> int:
    """Return how much memory the host has."""
    return _field(Path("/proc/meminfo"), "MemTotal")


def resident_bytes(pid: int | None) -> int:
    """Return how much memory a process uses now that the host cannot take back, 0 where it is gone.

    Pages of files (programs, the guest's kernel) are not counted: they count as available memory too.
    """
    status = Path(f"/proc/{pid}/status")
    try:
        return _field(status, "RssAnon") + _field(status, "RssShmem")
    except OSError:
        return 0
