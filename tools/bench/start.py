"""How long ``vs up`` takes where all is there, beyond kube-apiserver's own time until it is ready."""

from __future__ import annotations

import datetime
import statistics
import time
from typing import TYPE_CHECKING

from bench.figures import Figure
from e2e.conftest import a_product
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from virtualserver import controlplane

__all__ = ["SECONDS", "kube_apiserver_seconds", "measure"]

SECONDS = 90
"""About how long `measure` takes."""

_ROUNDS = 5


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figure."""
    del programs  # the tests' harness finds them as we did
    beyond: list[float] = []
    with a_product("start") as product:
        log = Installation.below(product.state, product.installation).log("supervisor")
        for _ in range(_ROUNDS):
            product.vs("down")
            began = time.monotonic()
            product.vs("up", "--no-hello")
            took = time.monotonic() - began
            its_own = kube_apiserver_seconds(log)
            beyond.append(took - its_own)
            say(f"vs up {took:.2f} s, of which kube-apiserver until it is ready {its_own:.2f} s")
    return [Figure("vs up, beyond kube-apiserver's own start", statistics.median(beyond), "s", 1.0, command)]


def kube_apiserver_seconds(log: Path) -> float:
    """Return the seconds from kube-apiserver's last start until it was ready, as the supervisor saw it."""
    moments: dict[str, datetime.datetime] = {}
    for line in log.read_text().splitlines():
        for words in ("started kube-apiserver,", "kube-apiserver is ready"):
            if f"INFO {words}" in line:
                moments[words] = datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")
    started, ready = moments["started kube-apiserver,"], moments["kube-apiserver is ready"]
    return (ready - started).total_seconds()
