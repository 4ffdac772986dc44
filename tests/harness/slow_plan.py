"""A component that has a pulse and a controller as the operator has them, and a stand-in for its plan.

``python -m harness.slow_plan FOLDER``: the stand-in never comes to an end for the key ``slow``, for the others it
writes that it looked at them. Given ``mended``, a file in the folder, the object of ``slow`` has changed, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from virtualserver.host.files import write_atomically
from virtualserver.host.pulse import Pulse
from virtualserver.kube.aside import Aside
from virtualserver.kube.controller import Controller, Oversight, Subject
from virtualserver.kube.queue import Queue

if TYPE_CHECKING:
    from virtualserver.kube.objects import Key, Manifest
    from virtualserver.kube.trouble import Trouble


async def main(folder: Path) -> None:
    """Work until killed."""
    queue: Queue[Key] = Queue()
    mended = folder / "mended"

    def find(key: Key) -> Manifest:
        return {"metadata": {"name": key[1], "namespace": key[0], "uid": key[1]}, "spec": {"mended": mended.exists()}}

    async def tell(key: Key, trouble: Trouble) -> None:
        write_atomically(folder / f"told-{key[1]}", f"{trouble.reason}: {trouble.message}")

    async def reconcile(key: Key) -> float | None:
        if key[1] == "slow":
            a_plan_that_never_ends(mended)
        write_atomically(folder / f"looked-at-{key[1]}", f"{os.getpid()}")
        return 0.1

    pulse = Pulse(folder / "pulse")
    controller = Controller(
        name="servers",
        reconcile=reconcile,
        queue=queue,
        subject=Subject(find, tell),
        oversight=Oversight(pulse, Aside(folder)),
    )
    async with pulse.beating():
        write_atomically(folder / "ready", f"{os.getpid()}\n")
        queue.add(("m", "other"))
        queue.add(("m", "slow"), after=0.2)
        task = asyncio.create_task(controller.run())
        while True:
            await asyncio.sleep(0.2)
            if mended.exists():
                queue.add(("m", "slow"))
            if task.done():
                task.result()


def a_plan_that_never_ends(mended: Path) -> None:
    """Stand in for a plan whose fault nobody knows yet."""
    while not mended.exists():
        pass


if __name__ == "__main__":
    faulthandler.enable()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1])))
