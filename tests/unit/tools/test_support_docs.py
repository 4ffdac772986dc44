"""The page on fields says what the tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parents[3] / "tools" / "support_docs.py"


def load() -> Any:
    specification = importlib.util.spec_from_file_location("support_docs", PROGRAM)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


docs = load()


def test_the_committed_page_is_current() -> None:
    assert docs.PAGE.read_text() == docs.page()


def test_a_line_has_what_becomes_of_its_field_what_to_know_and_what_is_refused() -> None:
    lines = docs.page().splitlines()
    assert "| `spec.resources.cpu.count` | next start | refused: less than 1 |" in lines
    assert "| `spec.os.definition` | named | there is one; `a` asks for nothing |" in lines
    (told,) = [line for line in lines if line.startswith("| `spec.network.macAddress`")]
    assert "| no effect: with `disableK8sNetworking`; refused: what is no local unicast address" in told
    (told,) = [line for line in lines if line.startswith("| `spec.storage.root.accessMode`")]
    assert "| named | `ReadWriteOnce` asks for nothing; refused: unknown words |" in told
    (told,) = [line for line in lines if line.startswith("| `spec.livenessProbe.tcpSocket`")]
    assert "no effect: `spec.livenessProbe.tcpSocket.host` (the guest itself is asked)" in told
