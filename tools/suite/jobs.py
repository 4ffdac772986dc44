"""Which test files share a process, and in which order the processes start.

A job is one pytest process: its session fixtures (a product, a node, a control plane) are made once and end with it.
Files with the same surroundings therefore share a job, and a job is long enough (1 to 5 minutes) to be worth them.
A file that no job names belongs to the job of its folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["JOBS", "Job", "files_of_jobs"]


@dataclass(frozen=True, slots=True)
class Job:
    """Test files that one process runs.

    Attributes:
        name: Of its log and its report.
        paths: Files, and folders whose other files it takes; relative to the checkout.
        needs_control_plane: Whether it has to wait until the control plane's programs are there.
    """

    name: str
    paths: tuple[str, ...]
    needs_control_plane: bool = True


JOBS = (
    Job("control-plane", ("tests/integration",)),
    Job("node", ("tests/integration/node",)),
    Job("product", ("tests/e2e",)),
    Job(
        "power",
        (
            "tests/e2e/test_builds.py",
            "tests/e2e/test_power.py",
            "tests/e2e/test_probes.py",
            "tests/e2e/test_survival.py",
        ),
    ),
    Job("fabric", ("tests/integration/fabric",), needs_control_plane=False),
    Job("newcomer", ("tests/e2e/test_make.py",)),
    Job("installations", ("tests/e2e/test_life.py", "tests/e2e/test_sudo.py")),
    Job(
        "node-life",
        (
            "tests/integration/node/test_agent.py",
            "tests/integration/node/test_interrupted_stop.py",
            "tests/integration/node/test_reboot.py",
        ),
    ),
    Job(
        "network",
        (
            "tests/e2e/test_direct_attach.py",
            "tests/e2e/test_dns.py",
            "tests/e2e/test_guard.py",
            "tests/e2e/test_headless.py",
            "tests/e2e/test_mac_addresses.py",
            "tests/e2e/test_mutations.py",
            "tests/e2e/test_ports.py",
            "tests/e2e/test_user_services.py",
        ),
    ),
    Job("console", ("tests/integration/console",)),
    Job("starting", ("tests/e2e/test_starting.py", "tests/e2e/test_pools.py")),
    Job("machines", ("tests/integration/machines", "tests/integration/storage"), needs_control_plane=False),
    Job("unit", ("tests/unit",), needs_control_plane=False),
)
"""In the order in which they start: the long ones first, so that none is left alone at the end."""


def files_of_jobs(files: Iterable[str]) -> dict[Job, list[str]]:
    """Return each job's files, in the jobs' order; a job without files is left out.

    Args:
        files: All test files, relative to the checkout.

    Raises:
        LookupError: No job takes a file.
    """
    found: dict[Job, list[str]] = {job: [] for job in JOBS}
    for file in sorted(files):
        found[_job_of(file)].append(file)
    return {job: taken for job, taken in found.items() if taken}


def _job_of(file: str) -> Job:
    """Return the job whose path is the nearest: the file itself, else the closest folder above it."""
    nearness = {job: len(path) for job in JOBS for path in job.paths if file == path or file.startswith(f"{path}/")}
    if not nearness:
        raise LookupError(f"{file}: no job takes it: name its folder in tools/suite/jobs.py")
    return max(nearness, key=lambda job: nearness[job])
