"""Terraform as a user has it: the program on PATH, and the provider from a registry or a mirror, or a stand-in for it.

What is missing is found out once, in bounded time. The tests that need it are skipped with one reason, which is a
failure where ``REQUIRE_TERRAFORM=1``.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["EXAMPLES", "MODULE", "Terraform", "blocks_of_a_lost_answer", "program", "real_provider", "standin"]

MODULE: Final = Path(__file__).parents[2] / "terraform"
EXAMPLES: Final = sorted(folder.name for folder in (MODULE / "examples").iterdir() if folder.is_dir())

_PROBE_SECONDS: Final = 90
"""A provider of 30 MB has to be downloaded in this time."""


class Terraform:
    """Terraform in one folder.

    Attributes:
        folder: The root module's folder.
        environment: The environment of every command.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Name the folder; nothing is run."""
        self.folder = folder
        self.environment = dict(environment)

    def attempt(self, *arguments: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        """Run a command and return what it did, whatever it was; both outputs are in ``stdout``."""
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def run(self, *arguments: str, timeout: float = 280) -> str:
        """Run a command, which must succeed, and return what it printed."""
        done = self.attempt(*arguments, timeout=timeout)
        assert done.returncode == 0, f"terraform {' '.join(arguments)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def init(self) -> str:
        """Initialise the folder."""
        return self.run("init", "-no-color", "-input=false")

    def apply(self, *arguments: str) -> str:
        """Apply, which must succeed, and return what it printed."""
        return self.run("apply", "-no-color", "-input=false", "-auto-approve", *arguments)

    def refused(self, *arguments: str) -> str:
        """Run a command that must fail, and return its words on one line, without the frame around them."""
        done = self.attempt(*arguments, "-no-color", "-input=false")
        assert done.returncode == 1, f"terraform {' '.join(arguments)}: {done.returncode}\n{done.stdout}"
        return " ".join(done.stdout.replace("│", " ").split())

    def assert_plan_is_empty(self, *arguments: str) -> str:
        """Plan, see that there is nothing to do, no output included, and return what was printed."""
        done = self.attempt("plan", "-no-color", "-input=false", "-detailed-exitcode", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def destroy(self) -> str:
        """Destroy everything."""
        return self.run("destroy", "-no-color", "-input=false", "-auto-approve")

    def outputs(self) -> dict[str, Any]:
        """Return the outputs' values."""
        return {name: one["value"] for name, one in json.loads(self.run("output", "-no-color", "-json")).items()}


def blocks_of_a_lost_answer() -> str:
    """Return the blocks of the documentation by which an apply takes over what the state lacks."""
    page = (MODULE.parent / "docs" / "terraform.md").read_text()
    (blocks,) = re.findall(r"```hcl\n(data \"kubernetes_resources\" \"made_before\".*?)```", page, re.DOTALL)
    return blocks


def real_provider() -> dict[str, str]:
    """Return the environment in which Terraform finds the real provider; skip the test where it does not."""
    environment, missing = _probe()
    if missing:
        _without(missing)
    return environment


def program() -> str:
    """Return where Terraform is; skip the test where it is not."""
    found = shutil.which("terraform")
    if not found:
        _without(_NO_TERRAFORM)
    return found or ""


@contextlib.contextmanager
def standin() -> Generator[dict[str, str]]:
    """Give the environment in which the stand-in takes the provider's place, while the context lasts."""
    command = [sys.executable, str(Path(__file__).with_name("terraform_standin.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        reattach = process.stdout.readline()
        assert reattach, "the stand-in did not start"
        try:
            yield {**_environment(), "TF_REATTACH_PROVIDERS": reattach}
        finally:
            process.stdin.close()


_NO_TERRAFORM: Final = "terraform is not on PATH: its tests are skipped (docs/terraform.md says what they need)"


def _without(reason: str) -> None:
    if os.environ.get("REQUIRE_TERRAFORM") == "1":
        pytest.fail(f"REQUIRE_TERRAFORM=1, and {reason}", pytrace=False)
    pytest.skip(reason)


def _environment() -> dict[str, str]:
    """Return our environment without what would make Terraform ask, report, or read a file that is not there."""
    result = {name: value for name, value in os.environ.items() if not name.startswith(("TF_VAR_", "KUBE"))}
    if not Path(result.get("TF_CLI_CONFIG_FILE") or "/dev/null").exists():
        del result["TF_CLI_CONFIG_FILE"]
    quick = {"TF_REGISTRY_DISCOVERY_RETRY": "0", "TF_REGISTRY_CLIENT_TIMEOUT": "10"}
    return {**result, **quick, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


@functools.cache
def _probe() -> tuple[dict[str, str], str]:
    """Return the environment for the real provider, and what is missing, ``""`` for nothing."""
    environment = _environment()
    if not shutil.which("terraform"):
        return environment, _NO_TERRAFORM
    with tempfile.TemporaryDirectory(prefix="vs-terraform-") as folder:
        shutil.copy(MODULE / "versions.tf", folder)
        terraform = Terraform(Path(folder), environment)
        try:
            done = terraform.attempt("init", "-no-color", "-input=false", timeout=_PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            said = f"terraform init took more than {_PROBE_SECONDS} s"
        else:
            if done.returncode == 0:
                return environment, ""
            said = " ".join(done.stdout.replace("│", " ").partition("Error:")[2].split())[:200]
    return environment, (
        "no registry and no mirror gives Terraform the provider hashicorp/kubernetes, so its tests are skipped and the "
        f"module's logic is tested on a stand-in ({said})"
    )
