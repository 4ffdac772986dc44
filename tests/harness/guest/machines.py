"""Machines for tests: a hypervisor in folders of its own, and all that it started gone in the end."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.guest.driver import Guest
from virtualserver.machines.hypervisor import Hypervisor
from virtualserver.machines.spec import Kernel, MachineSpec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from virtualserver.machines.machine import Machine
    from virtualserver.storage.builds import BuiltImage

__all__ = ["Bench", "a_bench", "guest_of", "no_tap"]

_USERS = itertools.count(64_100)


def no_tap(device: str) -> int:
    """Open no tap: for machines without network cards."""
    raise AssertionError(f"nobody asked for {device}")


class Bench:
    """A hypervisor of its own, with the tests' image.

    Attributes:
        folder: Everything lies below it; its path is short, for the sockets.
        image: The tests' image.
        instance: The instance's name.
    """

    def __init__(self, folder: Path, image: BuiltImage) -> None:
        self.folder = folder
        self.image = image
        self.installation = f"t-{secrets.token_hex(3)}"
        self.hypervisor = self.another_hypervisor()

    def another_hypervisor(self) -> Hypervisor:
        """Return a second hypervisor on the same folders, as the next process would have."""
        return Hypervisor(machines=self.machines, run=self.run, installation=self.installation)

    @property
    def machines(self) -> Path:
        """The folder of the machines' descriptions."""
        return self.folder / "m"

    @property
    def run(self) -> Path:
        """The folder of the machines' sockets."""
        return self.folder / "r"

    def spec(self, identifier: str = "one", **changes: Any) -> MachineSpec:
        """Return a small machine that boots the tests' image."""
        assert self.image.kernel is not None
        values: dict[str, Any] = {
            "identifier": identifier,
            "name": f"default/{identifier}",
            "cpus": 1,
            "memory_bytes": 96 << 20,
            "accelerator": "tcg",
            "user": next(_USERS),
            "kernel": Kernel(self.image.kernel, self.image.initrd, self.image.command_line),
        }
        return MachineSpec(**(values | changes))

    async def launch(self, identifier: str = "one", **changes: Any) -> Machine:
        """Launch a small machine without network cards."""
        return await self.hypervisor.launch(self.spec(identifier, **changes), open_tap=no_tap)


@contextlib.asynccontextmanager
async def a_bench(image: BuiltImage) -> AsyncGenerator[Bench, None]:
    """Make a bench; in the end all its machines are gone, whoever watches them."""
    folder = Path(tempfile.mkdtemp(prefix="vsm-"))
    folder.chmod(0o755)
    bench = Bench(folder, image)
    try:
        yield bench
    finally:
        await bench.hypervisor.close()
        cleaner = bench.another_hypervisor()
        for identifier, machine in (await cleaner.adopt()).items():
            await machine.quit()
            await cleaner.discard(identifier)
        await cleaner.close()
        shutil.rmtree(folder)


def guest_of(machine: Machine) -> Guest:
    """Return the shell inside a machine."""
    return Guest(machine.console)
