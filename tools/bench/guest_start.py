"""From apply until port 22 of the tiny image answers, against QEMU started by hand.

Both guests have the same kernel, initial RAM disk, disk, accelerator, memory and processor, and each is asked from a
network namespace that is not the guest's. By hand means: a tap, its DHCP server and the disk's overlay are there
already when the clock starts with QEMU itself; ours starts with the request that applies the manifest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figures import Figure, difference
from e2e.conftest import IMAGE, a_product
from e2e.internet import internet
from e2e.manifests import a_server
from e2e.product import eventually
from harness.guest import image as guest_image
from harness.guest import wire
from virtualserver.kube.client import Client
from virtualserver.operator.kinds import VIRTUAL_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from e2e.product import Product
    from virtualserver import controlplane
    from virtualserver.storage.builds import BuiltImage

__all__ = ["SECONDS", "measure"]

SECONDS = 200
"""About how long `measure` takes."""

_ROUNDS = 7
_MEMORY_MIB = 96
_LIMIT_SECONDS = 180

# A connection attempt every 20 ms, all kept open: a lost first packet must not cost the second that TCP waits.
_KNOCK = r"""
import selectors, socket, sys, time
address, port, end = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
selector = selectors.DefaultSelector()
while time.monotonic() < end:
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((address, port))
    selector.register(s, selectors.EVENT_WRITE)
    next_one = time.monotonic() + 0.02
    while (left := next_one - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            if not key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                print(time.monotonic())
                sys.exit()
            selector.unregister(key.fileobj)
            key.fileobj.close()
sys.exit("no answer")
"""


def measure(programs: controlplane.Programs, say: Callable[[str], None], command: str) -> list[Figure]:
    """Measure, and return the figure."""
    del programs  # the tests' harness finds them as we did
    ours: list[float] = []
    bare: list[float] = []
    with a_product("bench") as product, internet("vsbench") as client, wire.a_wire() as cable:
        accelerator = json.loads(product.vs("status", "-o", "json"))["accelerator"]["name"]
        image = guest_image.build()
        # The first round of each warms caches up and does not count.
        for number in range(_ROUNDS + 1):
            ours.append(_ours(product, f"start-{number}", client.command()))
            bare.append(_by_hand(image, cable, accelerator))
            say(f"applied {ours[-1]:.2f} s, QEMU by hand {bare[-1]:.2f} s ({accelerator})")
    return [
        Figure("apply to port 22, beyond bare QEMU", difference(ours[1:], bare[1:]), "s", 0.5, command),
    ]


def _knock(enter: Sequence[str], address: str) -> float:
    """Ask for port 22 until it answers, and return that moment."""
    line = [*enter, sys.executable, "-c", _KNOCK, address, "22", str(_LIMIT_SECONDS)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, timeout=_LIMIT_SECONDS + 30)
    assert done.returncode == 0, f"port 22 of {address} does not answer"
    return float(done.stdout)


def _ours(product: Product, name: str, enter: Sequence[str]) -> float:
    """Apply a server and return the seconds until it answers; it is deleted again."""
    began, address = asyncio.run(_apply(product, name))
    seconds = _knock(enter, address) - began
    product.delete("vs", name)
    eventually(lambda: not product.objects("vmi"), what="the guest to be gone")
    return seconds


async def _apply(product: Product, name: str) -> tuple[float, str]:
    """Apply a server, and return when that began, and the server's address as soon as it has one."""
    manifest = a_server(name, image=IMAGE, network={"public": True, "tcp": {"ports": [22]}})
    manifest["spec"]["resources"]["memory"] = f"{_MEMORY_MIB}Mi"
    async with Client.from_kubeconfig(product.folder / "kubeconfig", user_agent="bench") as client:
        began = time.monotonic()
        server = await client.apply(VIRTUAL_SERVER, manifest, field_manager="bench")
        watch = client.watch(
            VIRTUAL_SERVER,
            resource_version=server["metadata"]["resourceVersion"],
            namespace="default",
            timeout_seconds=_LIMIT_SECONDS,
            read_seconds=_LIMIT_SECONDS,
        )
        async with contextlib.aclosing(watch):
            async for event in watch:
                status: dict[str, Any] = event.object.get("status") or {}
                address = status.get("network", {}).get("externalIP")
                if address:
                    return began, address
    raise AssertionError(f"{name} got no address")


def _by_hand(image: BuiltImage, cable: wire.Wire, accelerator: str) -> float:
    """Start QEMU and return the seconds until the guest answers; it is ended again."""
    with tempfile.TemporaryDirectory(prefix="vsbench-") as folder:
        disk = Path(folder, "disk.qcow2")
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image.disk), str(disk)]
        subprocess.run(create, check=True)
        tap = cable.open_tap("tap0")
        line = _qemu(image, disk, accelerator, tap)
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            machine = stack.enter_context(
                subprocess.Popen(line, pass_fds=(tap,), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(machine.terminate)
            os.close(tap)
            return _knock(["ip", "netns", "exec", cable.namespace], wire.ADDRESS) - began


def _qemu(image: BuiltImage, disk: Path, accelerator: str, tap: int) -> list[str]:
    """Return QEMU's command line as a person would write it, with what the product takes for this accelerator."""
    speed = ["-accel", "kvm", "-cpu", "host"]
    if accelerator == "tcg":
        speed = ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,svm=off"]
    return [
        *("qemu-system-x86_64", "-machine", "q35", *speed, "-smp", "1", "-m", str(_MEMORY_MIB)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "null"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", image.command_line),
        *("-drive", f"file={disk},if=virtio,format=qcow2"),
        *("-netdev", f"tap,id=net0,fd={tap}", "-device", f"virtio-net-pci,netdev=net0,mac={wire.MAC},romfile="),
    ]
