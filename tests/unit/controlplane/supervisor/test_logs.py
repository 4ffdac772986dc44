"""Logs are quoted."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from virtualserver.controlplane.supervisor import logs

if TYPE_CHECKING:
    from pathlib import Path


def test_the_last_line_that_says_something_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    assert logs.last_line(path) == ""
    path.write_bytes(b"one\n" * 5000 + b"the last\n\n")
    assert logs.last_line(path) == "the last"


def test_of_an_exception_group_the_reason_is_quoted_and_not_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.log"
    try:
        raise ExceptionGroup("unhandled errors in a TaskGroup", [TypeError("no such thing")])
    except ExceptionGroup:
        path.write_text(traceback.format_exc())
    assert path.read_text().endswith("-----\n")
    assert logs.last_line(path) == "TypeError: no such thing"
