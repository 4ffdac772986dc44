"""The committed definitions are what the generator makes of the committed sources."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

GENERATOR = Path(__file__).parents[3] / "tools" / "schemas" / "generate.py"


def load() -> Any:
    specification = importlib.util.spec_from_file_location("generate", GENERATOR)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


generate = load()


@pytest.mark.parametrize("name", generate.MANIFESTS)
def test_generating_gives_the_committed_bytes(name: str) -> None:
    assert generate.MANIFESTS[name].read_text() == generate.generate(name)


def test_upstreams_prose_is_not_committed() -> None:
    assert '"description": "' not in generate.UPSTREAM.read_text()
