"""Every check and every test, side by side, with one closing line.

Run by ``tools/setup.sh`` with the Python of an environment that has the dev requirements. The last line is
``N passed, N failed`` (each check counts as one), and the exit status is 1 when anything failed or nothing ran.
With arguments, one pytest process gets them and its words are shown as they come.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from suite.jobs import Job, files_of_jobs
from suite.outcome import Outcome, indented, read_report, slowest
from suite.side_by_side import Runner, tests_command

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
BUILD = CHECKOUT / "build"
LOGS = BUILD / "suite"
PYRIGHT = CHECKOUT / "tools" / "pyright"
WEB = CHECKOUT / "web"
END_OF_CHECK = 30
"""How many lines of a check that failed are told again in the end."""


def ruff_check() -> int:
    """Lint."""
    return subprocess.call([PROGRAMS / "ruff", "check", "."])


def ruff_format() -> int:
    """Formatting."""
    return subprocess.call([PROGRAMS / "ruff", "format", "--check", "--quiet", "."])


def import_linter() -> int:
    """The arrows between the parts."""
    environment = {**os.environ, "PYTHONPATH": "src"}
    return subprocess.call([PROGRAMS / "lint-imports", "--no-cache"], env=environment)


def pyright() -> int:
    """Types, strict; the checker itself is pinned by a package lock and needs no Node.js on the machine."""
    program = PYRIGHT / "node_modules" / "pyright" / "index.js"
    return _installed(PYRIGHT) or _node(program, "--pythonpath", sys.executable, folder=CHECKOUT)


def pages() -> int:
    """The console's pages: types, accessibility as far as a compiler sees it, and their tests without a browser."""
    modules = WEB / "node_modules"
    return (
        _installed(WEB)
        or _node(modules / "svelte-check/bin/svelte-check", "--fail-on-warnings", folder=WEB)
        or _node(modules / "vitest/vitest.mjs", "run", folder=WEB)
    )


def _installed(folder: Path) -> int:
    """Install what a folder's package lock names, where that is not there; return npm's status."""
    stamp, lock = folder / "node_modules" / ".lock", (folder / "package-lock.json").read_text()
    if stamp.exists() and stamp.read_text() == lock:
        return 0
    command = [PROGRAMS / "npm", "ci", "--no-audit", "--no-fund", "--prefix", folder]
    status = subprocess.call(command, env=_environment())
    if not status:
        stamp.write_text(lock)
    return status


def _node(*argv: str | Path, folder: Path) -> int:
    return subprocess.call([PROGRAMS / "node", *argv], env=_environment(), cwd=folder)


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}


def terraform_docs() -> int:
    """The tables of the Terraform module's README."""
    return subprocess.call([sys.executable, CHECKOUT / "tools" / "terraform_docs.py", "--check"])


def support_docs() -> int:
    """What docs/support.md says of each field."""
    return subprocess.call([sys.executable, CHECKOUT / "tools" / "support_docs.py", "--check"])


CHECKS = (ruff_check, ruff_format, import_linter, pyright, pages, terraform_docs, support_docs)


def run_checks() -> Outcome:
    """Run every check, also after one failed."""
    failures: list[str] = []
    for check in CHECKS:
        began = time.monotonic()
        print(f"== {check.__name__}", flush=True)
        good = check() == 0
        print(f"== {check.__name__}: {'passed' if good else 'FAILED'} ({time.monotonic() - began:.1f} s)", flush=True)
        if not good:
            failures.append(f"check {check.__name__}")
    return Outcome(len(CHECKS) - len(failures), len(failures), failures=tuple(failures))


def control_plane() -> str:
    """Return the folder of the control plane's programs, built once and kept in the cache (minutes the first time)."""
    from virtualserver import controlplane

    last = [0.0]

    def progress(waits_for: str, share: float | None) -> None:
        if time.monotonic() - last[0] > 15:
            last[0] = time.monotonic()
            print(f"   {waits_for}" + ("" if share is None else f" ({share:.0%})"), flush=True)

    return str(controlplane.obtain(_cache(), progress=progress).folder)


def control_plane_is_built() -> bool:
    """Return whether `control_plane` has nothing to build."""
    from virtualserver import controlplane

    return "VS_CONTROLPLANE" in os.environ or controlplane.find(_cache()) is not None


def _cache() -> Installation:
    from virtualserver.installation.installation import Installation

    return Installation(root=Path("/var/cache/virtualserver"), run_root=Path("/var/cache/virtualserver/.run"))


def run_everything() -> Outcome:
    """Run the checks and all tests side by side; what needs no control plane runs while that is built."""
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in LOGS.iterdir():
        old.unlink()
    files = [str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "tests").rglob("test_*.py")]
    jobs = files_of_jobs(files)
    # kube-apiserver then takes 29 % less processor time for 150 MB more (400 objects applied, read 60 times).
    os.environ.setdefault("GOGC", "400")
    early = [] if control_plane_is_built() else [job for job in jobs if not job.needs_control_plane]
    with Runner(LOGS) as runner:

        def start(job: Job) -> None:
            command = tests_command(LOGS / f"{job.name}.xml", ["-p", "no:cacheprovider", *jobs[job]])
            runner.start(job.name, command)

        runner.start("checks", [sys.executable, __file__, "--checks"])
        for job in early:
            start(job)
        os.environ.setdefault("VS_CONTROLPLANE", control_plane())
        for job in jobs:
            if job not in early:
                start(job)
        finished = runner.finish()
    total = Outcome()
    for job in finished:
        total += read_checks(job.log) if job.name == "checks" else read_report(LOGS / f"{job.name}.xml", job.status)
    return total


def read_checks(log: Path) -> Outcome:
    """Return what came of the checks, whose words end with the same line as ours.

    Each that failed is named with the end of what it said: of a continuous integration one often sees only the end.
    """
    *said, last = log.read_text(errors="replace").splitlines() or [""]
    found = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
    if found is None:
        return Outcome(failed=1, failures=(f"checks broke off{indented([*said, last][-END_OF_CHECK:])}",))
    failures: list[str] = []
    begin = 0
    for at, line in enumerate(said):
        if re.fullmatch(r"== \w+", line):
            begin = at + 1
        elif failure := re.fullmatch(r"== (\w+): FAILED .*", line):
            failures.append(f"check {failure[1]}{indented(said[begin:at][-END_OF_CHECK:])}")
    return Outcome(int(found[1]), int(found[2]), failures=tuple(failures))


def run_part(arguments: list[str]) -> Outcome:
    """Run what the arguments name, in one process."""
    os.environ.setdefault("VS_CONTROLPLANE", control_plane())
    report = BUILD / "junit.xml"
    report.unlink(missing_ok=True)
    status = subprocess.call(tests_command(report, arguments))
    return read_report(report, status)


def main() -> int:
    """Run what the command line asks for; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", action="store_true", help="run the checks only")
    parser.add_argument("tests", nargs="*", help="what pytest runs instead of everything")
    options, rest = parser.parse_known_args()
    os.chdir(CHECKOUT)
    BUILD.mkdir(exist_ok=True)
    if options.checks:
        outcome = run_checks()
    elif options.tests or rest:
        outcome = run_part([*options.tests, *rest])
    else:
        outcome = run_everything()
    if outcome.seconds:
        print("slowest tests:", *slowest(outcome.seconds), sep="\n")
    for failure in outcome.failures:
        print(f"failed: {failure}")
    counts = f"{outcome.passed} passed, {outcome.failed} failed"
    print(counts + (f", {outcome.skipped} skipped" if outcome.skipped else ""), flush=True)
    return 1 if outcome.failed or not outcome.passed else 0


if __name__ == "__main__":
    sys.exit(main())
