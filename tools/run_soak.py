"""Live long lives of the state machines among the tests, and mutate objects in the whole product.

Run by ``tools/setup.sh`` with pytest's Python. The suite lives short ones; this goes on with one seed after another
until the time is over, says each seed before it is used, and ends at the first that fails: the same seed fails again.
The lives of a seed (addresses, the store, the queue) take a minute or two, and up to five more where one fails, until
the shortest that does so is found; its objects (only root can run the product) take three minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHECKOUT = Path(__file__).resolve().parent.parent

__all__ = ["FILES", "main"]

FILES = (
    "tests/unit/node/allocation/test_stateful.py",
    "tests/unit/kube/test_store.py",
    "tests/unit/kube/test_queue.py",
)
_OBJECTS = ("tests/e2e/test_mutations.py", "--seconds=120")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the time is over or something fails, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make soak", description="Live long lives, and mutate objects.")
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no further seed after so long (30)")
    parser.add_argument("--seed", type=int, help="live with this seed only")
    options = parser.parse_args(arguments)
    ends, lives = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < ends:
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
        print(f"seed {seed}: make soak ARGS='--seed {seed}' does the same again", flush=True)
        for command in _commands(seed):
            if status := subprocess.run(command, cwd=CHECKOUT, env=_environment()).returncode:
                return status
        if options.seed is not None:
            return 0
        lives += 1
    print(f"{lives} seeds, nothing found", flush=True)
    return 0


def _commands(seed: int) -> Iterator[list[str]]:
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    hypothesis = ["--hypothesis-profile=soak", f"--hypothesis-seed={seed}"]
    yield [*pytest, *hypothesis, "-k", "Life or Rules", *FILES]
    if os.geteuid() == 0:
        yield [*pytest, f"--seed={seed}", *_OBJECTS]
    else:
        print("objects are mutated by root only, who can run the product", flush=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT / 'tests'}"}


if __name__ == "__main__":
    sys.exit(main())
