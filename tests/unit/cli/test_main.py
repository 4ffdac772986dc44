"""The command line's promises: names, exit statuses, and that standard output is the result alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from virtualserver.cli import main, version
from virtualserver.controlplane import ControlPlaneError
from virtualserver.local.errors import ConflictError, LocalError, MissingError, TimedOutError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VS_STATE", str(tmp_path))
    monkeypatch.setenv("VS_INSTANCE", "unit")


def run(*arguments: str) -> int:
    """Run the command line as the installed program does, and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        main.main([*arguments])
    code = ended.value.code
    return code if isinstance(code, int) else 0


@pytest.mark.parametrize(
    "name",
    [
        "up",
        "down",
        "status",
        "stop",
        "show",
        "path",
        "console",
        "logs",
        "ssh",
        "doctor",
        "image",
        "user",
        "version",
        "completion",
    ],
)
def test_every_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(main.vs, [name, "--help"])
    assert done.exit_code == 0
    assert f"Usage: vs {name}" in done.output


def test_every_command_that_prints_something_can_print_json() -> None:
    silent = {"completion", "console", "forward", "kubectl", "image", "logs", "ssh", "user"}
    context = click.Context(main.vs)
    for name in main.vs.list_commands(context):
        command = main.vs.get_command(context, name)
        assert command is not None
        assert command.name == name
        if name not in silent:
            assert "form" in {parameter.name for parameter in command.params}, name


def test_what_a_command_does_not_need_is_not_read() -> None:
    """Every command read all of the program, which took `vs show`, and each press of Tab behind it, half a second."""
    looks = "from virtualserver.cli import main; main.vs.get_command(None, 'show'); import sys; print(*sys.modules)"
    read = subprocess.run([sys.executable, "-c", looks], check=True, capture_output=True, text=True).stdout.split()
    rooms = ("controlplane", "local", "node", "machines", "storage", "fabric.kernel", "fabric.dataplane")
    assert [room for room in rooms if f"virtualserver.{room}" in read] == []


def test_version_as_json_names_what_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    main.vs.main(["version", "-o", "json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["kubernetes"] == "v1.36.3"


def test_a_usage_error_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("up", "--public-pool", "nonsense") == 2
    assert "write it as 192.0.2.0/24" in capsys.readouterr().err


def test_an_installation_that_is_not_there_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Start it with `vs up`" in captured.err


def test_a_name_that_is_no_installation_ends_with_1_and_says_which_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VS_INSTANCE", "Not A Name")
    assert run("version") == 1
    assert "VS_INSTANCE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LocalError("x"), 1),
        (ControlPlaneError("x"), 1),
        (MissingError("x"), 3),
        (ConflictError("x"), 4),
        (TimedOutError("x"), 5),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_each_end_has_its_status(error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(version.command, "callback", fail)
    assert run("version") == status


def test_what_is_roots_alone_is_said_with_the_command_that_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(version.command, "callback", fail)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run("version") == 1
    assert "sudo env PATH=$PATH vs version" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(shell: str) -> None:
    assert "_VS_COMPLETE" in CliRunner().invoke(main.vs, ["completion", shell]).output


def test_the_kubectl_plugin_completes_command_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-vs", "stat"])
    main.complete_plugin()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["status", ":4"]


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "virtualserver.cli", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("vs, version ")


def test_a_command_that_needs_neither_loads_no_client_of_the_api_and_no_moving_lines() -> None:
    """Together they take as long as all else of a command's start."""
    script = "import sys, virtualserver.cli.main; print({'aiohttp', 'rich'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert loaded == "set()\n"


def test_a_release_is_debians_and_one_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("image", "build", "busybox", "--release", "trixie") == 2
    assert "--release is for debian" in capsys.readouterr().err
    assert run("image", "build", "debian", "--release", "sid") == 2
    assert "'bookworm', 'trixie'" in capsys.readouterr().err
