"""Every check and every test, in the order in which a fault is cheapest to find, with one closing line.

Run by ``tools/setup.sh`` with the Python of an environment that has the dev requirements. The last line is
``N passed, N failed`` (each check counts as one), and the exit status is 1 when anything failed or nothing ran.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
BUILD = CHECKOUT / "build"
PYRIGHT = CHECKOUT / "tools" / "pyright"


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
    environment = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    stamp, lock = PYRIGHT / "node_modules" / ".lock", (PYRIGHT / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        status = subprocess.call(
            [PROGRAMS / "npm", "ci", "--no-audit", "--no-fund", "--prefix", PYRIGHT], env=environment
        )
        if status:
            return status
        stamp.write_text(lock)
    program = PYRIGHT / "node_modules" / "pyright" / "index.js"
    return subprocess.call([PROGRAMS / "node", program, "--pythonpath", sys.executable], env=environment)


def terraform_docs() -> int:
    """The tables of the Terraform module's README."""
    return subprocess.call([sys.executable, CHECKOUT / "tools" / "terraform_docs.py", "--check"])


CHECKS = (ruff_check, ruff_format, import_linter, pyright, terraform_docs)


def run_checks() -> dict[str, bool]:
    """Run every check, also after one failed, and return which passed."""
    results: dict[str, bool] = {}
    for check in CHECKS:
        began = time.monotonic()
        print(f"== {check.__name__}", flush=True)
        results[check.__name__] = check() == 0
        verdict = "passed" if results[check.__name__] else "FAILED"
        print(f"== {check.__name__}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)
    return results


def control_plane() -> str:
    """Return the folder of the control plane's programs, built once and kept in the cache (minutes the first time)."""
    from virtualserver import controlplane
    from virtualserver.installation.installation import Installation

    last = [0.0]

    def progress(waits_for: str, share: float | None) -> None:
        if time.monotonic() - last[0] > 15:
            last[0] = time.monotonic()
            print(f"   {waits_for}" + ("" if share is None else f" ({share:.0%})"), flush=True)

    cache = Installation(root=Path("/var/cache/virtualserver"), run_root=Path("/var/cache/virtualserver/.run"))
    return str(controlplane.obtain(cache, progress=progress).folder)


def run_tests(arguments: list[str]) -> tuple[int, int, int]:
    """Run pytest over everything, and return how many passed, failed and were skipped."""
    report = BUILD / "junit.xml"
    report.unlink(missing_ok=True)
    folders = arguments or [name for name in ("tests/unit", "tests/integration", "tests/e2e") if any_test(name)]
    command = [sys.executable, "-m", "pytest", f"--junitxml={report}", "--durations=15", *folders]
    status = subprocess.call(command)
    if not report.exists():
        print(f"pytest ended with status {status} and wrote no report", flush=True)
        return 0, 1, 0
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    total, failed, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "skipped")
    )
    failed += sum(int(suite.get("errors", 0)) for suite in suites)
    # A session that ended early (interrupted, usage error) has a good report and a bad status.
    return total - failed - skipped, max(failed, 1 if status else 0), skipped


def any_test(folder: str) -> bool:
    """Return whether a folder holds a test module."""
    return any((CHECKOUT / folder).rglob("test_*.py"))


def main() -> int:
    """Run what the command line asks for; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", action="store_true", help="run the checks only")
    parser.add_argument("tests", nargs="*", help="what pytest runs instead of everything")
    options, rest = parser.parse_known_args()
    os.chdir(CHECKOUT)
    BUILD.mkdir(exist_ok=True)
    checks = run_checks() if options.checks or not options.tests else {}
    passed, failed, skipped = sum(checks.values()), len(checks) - sum(checks.values()), 0
    if not options.checks:
        os.environ.setdefault("VS_CONTROLPLANE", control_plane())
        more = run_tests([*options.tests, *rest])
        passed, failed, skipped = passed + more[0], failed + more[1], more[2]
    for name in (name for name, good in checks.items() if not good):
        print(f"failed check: {name}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
