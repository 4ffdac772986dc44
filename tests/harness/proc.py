"""What the kernel says about a process."""

from __future__ import annotations

from pathlib import Path

__all__ = ["assert_powerless", "status_of"]


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of ``/proc/PID/status``."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def assert_powerless(pid: int, *, user: int) -> None:
    """Check that a process has one user, no capability, no way to gain one, and a filter of system calls."""
    status = status_of(pid)
    assert (status["Uid"].split(), status["Gid"].split()) == ([str(user)] * 4, [str(user)] * 4)
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, capabilities
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
