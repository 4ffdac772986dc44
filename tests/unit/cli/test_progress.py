"""What a command says about its steps where nobody watches; the terminal's moving line is rich's own matter."""

from __future__ import annotations

import io
import time

import pytest

from virtualserver.cli import progress


def test_a_short_step_is_one_line() -> None:
    stream = io.StringIO()
    with progress.StepPrinter(stream, clock=lambda: 0.0).step("Networks") as update:
        update("looking for free ones", None)
    assert stream.getvalue() == "  Networks: done (0.0 s)\n"


def test_a_long_step_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.01)
    stream = io.StringIO()
    with progress.StepPrinter(stream, clock=lambda: 0.0).step("Control plane programs") as update:
        update("compiling kube-apiserver", 0.25)
        end = time.monotonic() + 30
        while "\n" not in stream.getvalue() and time.monotonic() < end:
            time.sleep(0.005)
    assert stream.getvalue().splitlines()[0] == "  Control plane programs: 0 s: compiling kube-apiserver (25%)"


def test_a_step_that_fails_is_named_and_the_error_goes_on() -> None:
    stream = io.StringIO()
    with (
        pytest.raises(ValueError, match="disk full"),
        progress.StepPrinter(stream, clock=lambda: 0.0).step("Guest image"),
    ):
        raise ValueError("disk full")
    assert stream.getvalue() == "  Guest image: failed after 0 s\n"


def test_a_repeated_sentence_is_said_once() -> None:
    stream = io.StringIO()
    report = progress.StepPrinter(stream)
    for _ in range(3):
        report.once("process 7 is at work", None)
    assert stream.getvalue() == "process 7 is at work\n"


def test_text_that_looks_like_markup_is_printed_as_it_is() -> None:
    stream = io.StringIO()
    progress.StepPrinter(stream).say("[bold]not bold[/bold] [/x]")
    assert stream.getvalue() == "[bold]not bold[/bold] [/x]\n"
