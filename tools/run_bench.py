"""Measure the figures of ``docs/measurements.md``, print them, and write ``build/bench.json``.

Run by ``tools/setup.sh`` as ``run_test.py`` is. Everything runs in instances of its own below /tmp, which are removed
in the end. The exit status is 0 where every goal is met, 1 where one is missed or could not be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.append(str(CHECKOUT / "tests"))

from bench import (  # noqa: E402 - found in tests' folder
    address,
    figures,
    guest_start,
    idle,
    many_guests,
    neighbour,
    published_port,
    reconcile,
    start,
    throughput,
)
from run_test import BUILD, control_plane  # noqa: E402
from virtualserver.controlplane import Programs  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES = {
    "published-port": published_port,
    "throughput": throughput,
    "neighbour": neighbour,
    "address": address,
    "reconcile": reconcile,
    "start": start,
    "guest-start": guest_start,
    "many-guests": many_guests,
}
_ALONE = ("start", "many-guests")
"""Measured before the idle instance is started: what takes all processors for seconds minds any other process."""
_SECONDS = {"idle": idle.SECONDS, **{name: module.SECONDS for name, module in _MODULES.items()}}


def announce(names: Sequence[str]) -> None:
    """Say how long it will take; the idle instance rests while most others are measured."""
    alone = sum(_SECONDS[name] for name in names if name in _ALONE)
    others = sum(_SECONDS[name] for name in names if name not in ("idle", *_ALONE))
    seconds = alone + max(others, idle.SECONDS if "idle" in names else 0) + 60
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"Measuring {', '.join(names)}: about {seconds // 60 + 1} minutes on two processors.", flush=True)
    if float(load) > 0.5:
        print(f"The machine is busy (load {load}): times will be longer than they need be.", flush=True)


def measure(names: Sequence[str], programs: Programs) -> tuple[list[figures.Figure], list[str]]:
    """Measure, and return the figures and the names of what could not be measured."""
    began = time.monotonic()
    found: list[figures.Figure] = []
    failed: list[str] = []

    def say(text: str) -> None:
        print(f"  {time.monotonic() - began:4.0f} s  {text}", flush=True)

    def take(name: str) -> None:
        say(f"{name}: about {_SECONDS[name]} s")
        try:
            found.extend(_MODULES[name].measure(programs, say, command_of(name)))
        except Exception:
            traceback.print_exc()
            failed.append(name)

    for name in (name for name in names if name in _ALONE):
        take(name)
    with contextlib.ExitStack() as stack:
        resting: idle.Rest | None = None
        if "idle" in names:
            say("idle: starting an instance with stopped servers")
            resting = stack.enter_context(idle.at_rest(say))
        for name in (name for name in names if name not in ("idle", *_ALONE)):
            take(name)
        if resting:
            found.extend(resting.measure(say, command_of("idle")))
    return found, failed


def command_of(name: str) -> str:
    """Return the command that measures one figure."""
    return f'make bench ARGS="--only {name}"'


def main() -> int:
    """Measure what the command line asks for; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(_SECONDS), action="append", help="measure this one; may be repeated")
    options = parser.parse_args()
    os.chdir(CHECKOUT)
    BUILD.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("VS_CONTROLPLANE", control_plane())
    names = options.only or list(_SECONDS)
    announce(names)
    try:
        found, failed = measure(names, Programs(Path(os.environ["VS_CONTROLPLANE"]), "named"))
    except KeyboardInterrupt:
        print("interrupted; everything that was started is gone", flush=True)
        return 130
    (BUILD / "bench.json").write_text(figures.as_json(found) + "\n")
    print(f"\n{figures.table(found)}\nwritten to build/bench.json", flush=True)
    for name in failed:
        print(f"not measured: {name}")
    return 1 if failed or not all(figure.met for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
