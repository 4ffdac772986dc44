"""What came of a pytest process, from its report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Outcome", "indented", "read_report", "slowest"]

_REASONS = 8
"""How many lines of a test's error are told again in the end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts and times of tests.

    Attributes:
        passed: How many passed.
        failed: How many failed, in their set-up and tear-down too; a process that broke off is one.
        skipped: How many were skipped.
        failures: The names of those that failed, each with the lines that say why, indented.
        seconds: Each test's time with its set-up and tear-down, by name.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            (*self.failures, *other.failures),
            {**self.seconds, **other.seconds},
        )


def read_report(path: Path, status: int) -> Outcome:
    """Return what a JUnit report tells.

    Args:
        path: The report.
        status: The exit status of the process that wrote it.
    """
    if not path.exists():
        return Outcome(failed=1, failures=(f"{path.stem}: pytest ended with status {status} and wrote no report",))
    root = ElementTree.parse(path).getroot()
    suites = list(root.iter("testsuite"))
    total, failed, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    failures: list[str] = []
    seconds: dict[str, float] = {}
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        seconds[name] = seconds.get(name, 0) + float(case.get("time", 0))
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(f"{name}{_why(case)}")
    failed += errors
    passed = total - failed - skipped
    if status and not failed:
        # A session that ended early (interrupted, usage error) has a good report and a bad status.
        failed, failures = 1, [f"{path.stem}: pytest ended with status {status}"]
    return Outcome(passed, failed, skipped, tuple(failures), seconds)


def indented(lines: Iterable[str]) -> str:
    """Return lines that stand below the name of what failed."""
    return "".join(f"\n    {line}" for line in lines)


def _why(case: ElementTree.Element) -> str:
    """Return pytest's lines about the error of a test, and where it happened."""
    said = [line for found in (*case.iter("failure"), *case.iter("error")) for line in (found.text or "").splitlines()]
    return indented([*[line for line in said if re.match(r"E\s", line)][:_REASONS], *said[-1:]])


def slowest(seconds: dict[str, float], number: int = 25) -> Iterable[str]:
    """Return a line for each of the slowest tests, the slowest first."""
    for name, time in sorted(seconds.items(), key=lambda item: -item[1])[:number]:
        yield f"{time:7.1f} s  {name}"
