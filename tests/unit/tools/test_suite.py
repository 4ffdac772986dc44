"""Which tests share a process, and what is told of them in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from run_test import read_checks
from suite.jobs import JOBS, files_of_jobs
from suite.outcome import Outcome, read_report, slowest

CHECKOUT = Path(__file__).parents[3]
REPORT = """<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1">
<testcase classname="a" name="good" time="1.5"/>
<testcase classname="a" name="bad" time="2"><failure message="no">def bad():
&gt;       assert f() == 2
E       assert 1 == 2
E        +  where 1 = f()

test_a.py:7: AssertionError</failure></testcase>
<testcase classname="a" name="unclean" time="3"/>
<testcase classname="a" name="unclean" time="0.5"><error message="in tear-down"/></testcase>
<testcase classname="a" name="left out" time="0"><skipped/></testcase>
</testsuite></testsuites>"""


def test_every_test_file_has_a_job_and_every_path_of_a_job_is_there() -> None:
    files = [str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "tests").rglob("test_*.py")]
    jobs = files_of_jobs(files)
    assert sorted(file for taken in jobs.values() for file in taken) == sorted(files)
    assert list(jobs) == list(JOBS), "each job has a file"
    assert [path for job in JOBS for path in job.paths if not (CHECKOUT / path).exists()] == []


def test_a_file_belongs_to_the_job_that_names_it_else_to_that_of_the_nearest_folder() -> None:
    e2e, node = "tests/e2e", "tests/integration/node"
    files = [f"{e2e}/new.py", f"{e2e}/test_power.py", f"{node}/vm/new.py"]
    assert {job.name: taken for job, taken in files_of_jobs(files).items()} == {
        "product": [f"{e2e}/new.py"],
        "power": [f"{e2e}/test_power.py"],
        "node": [f"{node}/vm/new.py"],
    }
    with pytest.raises(LookupError, match=r"elsewhere/new\.py: no job takes it"):
        files_of_jobs(["elsewhere/new.py"])


def test_a_report_is_counted_with_the_names_of_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "job.xml"
    path.write_text(REPORT)
    outcome = read_report(path, 1)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (2, 2, 1)
    why = ("E       assert 1 == 2", "E        +  where 1 = f()", "test_a.py:7: AssertionError")
    assert outcome.failures == ("\n    ".join(("a::bad", *why)), "a::unclean")
    assert next(iter(slowest(outcome.seconds))).split(maxsplit=2) == ["3.5", "s", "a::unclean"]


def test_a_process_that_broke_off_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "job.xml"
    assert read_report(path, -9).failures == ("job: pytest ended with status -9 and wrote no report",)
    path.write_text('<testsuites><testsuite tests="1" failures="0" errors="0" skipped="0"/></testsuites>')
    assert read_report(path, 2) == Outcome(passed=1, failed=1, failures=("job: pytest ended with status 2",))


def test_what_came_of_several_processes_adds_up() -> None:
    both = Outcome(1, 2, 3, ("a",), {"a": 1.0}) + Outcome(4, 5, 6, ("b",), {"b": 2.0})
    assert both == Outcome(5, 7, 9, ("a", "b"), {"a": 1.0, "b": 2.0})


def test_a_check_that_failed_is_named_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    log = tmp_path / "checks.log"
    pages = [f"line {number}" for number in range(40)]
    said = [
        "== ruff_check",
        "All fine",
        "== ruff_check: passed (0.1 s)",
        "== pages",
        *pages,
        "== pages: FAILED (3.0 s)",
    ]
    log.write_text("\n".join([*said, "1 passed, 1 failed"]))
    assert read_checks(log) == Outcome(1, 1, failures=("\n    ".join(("check pages", *pages[-30:])),))
    log.write_text("== ruff_check\nKilled")
    assert read_checks(log) == Outcome(0, 1, failures=("checks broke off\n    == ruff_check\n    Killed",))
