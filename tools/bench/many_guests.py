"""How long ``vs down`` and ``vs up`` take together with 20 guests, until the control plane is ready."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from bench.figures import Figure
from e2e.conftest import IMAGE, a_product
from e2e.manifests import a_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver import controlplane

__all__ = ["SECONDS", "measure"]

SECONDS = 300
"""About how long `measure` takes."""

_GUESTS = 20
_ROUNDS = 2


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figure."""
    del programs  # the tests' harness finds them as we did
    together: list[float] = []
    with a_product("many") as product:
        names = [f"guest-{number}" for number in range(_GUESTS)]
        product.apply(*(a_server(name, image=IMAGE, network={"public": False}) for name in names))
        for _ in range(_ROUNDS):
            for name in names:
                product.wait_ready(name, seconds=600)
            began = time.monotonic()
            product.vs("down")
            down = time.monotonic() - began
            product.vs("up", "--no-hello")
            together.append(time.monotonic() - began)
            say(f"{_GUESTS} guests: vs down {down:.2f} s, vs up {together[-1] - down:.2f} s")
    return [Figure(f"vs down and vs up with {_GUESTS} guests", statistics.median(together), "s", 10.0, command)]
