"""The scripts of the tiny image, run by this machine's shell."""

from __future__ import annotations

import os
import subprocess
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from virtualserver.storage import builds

if TYPE_CHECKING:
    from pathlib import Path

WGET = str(resources.files(builds).joinpath("busybox.wget"))


@pytest.mark.parametrize(
    ("words", "run"),
    [
        ("-T 3 -O - http://a/", "timeout 3 busybox wget -O - http://a/"),
        ("-q -O - -T5 http://a/", "timeout 5 busybox wget -q -O - http://a/"),
        ("-O - http://a/", "busybox wget -O - http://a/"),
        ("", "busybox wget"),
    ],
)
def test_wgets_time_out_is_not_busyboxs_which_it_would_not_survive(tmp_path: Path, words: str, run: str) -> None:
    """Fault 46: `wget -T 3 ADDRESS` ended with a segmentation fault."""
    for name in ("busybox", "timeout"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name}${{*:+ $*}}"\n')
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", WGET, *words.split()], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{run}\n"
