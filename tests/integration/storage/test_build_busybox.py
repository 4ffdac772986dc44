"""The tiny image: what is in it, and what it does on a network."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from harness.guest import image as guest_image
from harness.guest import wire
from harness.guest.machines import Bench, a_bench, guest_of
from harness.guest.wire import a_wire
from virtualserver.machines.spec import Disk, Nic
from virtualserver.storage.builds import ImageBuildError, busybox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from harness.guest.driver import Guest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starting machines needs root")


@pytest.fixture
async def bench() -> AsyncGenerator[Bench, None]:
    async with a_bench(await asyncio.to_thread(guest_image.build)) as bench:
        yield bench


async def told(guest: Guest, script: str) -> str:
    return await asyncio.to_thread(guest.run, script)


async def test_a_second_build_returns_the_first_ones_files() -> None:
    steps: list[str] = []
    first = await busybox.build(guest_image.CACHE, progress=lambda step, _done: steps.append(step))
    before = first.kernel.stat().st_ino if first.kernel else 0
    second = await busybox.build(guest_image.CACHE, progress=lambda step, _done: steps.append(step))
    assert first == second
    assert second.kernel is not None and second.kernel.stat().st_ino == before


async def test_two_builds_in_different_folders_give_the_same_bytes(tmp_path: Path) -> None:
    one = await busybox.build(guest_image.CACHE, progress=lambda _step, _done: None)
    two = await busybox.build(tmp_path, progress=lambda _step, _done: None)
    for first, second in ((one.kernel, two.kernel), (one.initrd, two.initrd), (one.disk, two.disk)):
        assert first is not None and second is not None
        assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [two.disk.parent.name]


async def test_without_lz4_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ImageBuildError, match=r"not on PATH: .*lz4.*apt-get install"):
        await busybox.build(tmp_path, progress=lambda _step, _done: None)


async def test_the_guest_does_what_dhcp_says(bench: Bench) -> None:
    with a_wire() as cable:
        spec = bench.spec(nics=(Nic("tap0", wire.MAC),))
        machine = await bench.hypervisor.launch(spec, open_tap=cable.open_tap)
        guest = await asyncio.to_thread(guest_of(machine).wait_ready)
        assert await asyncio.to_thread(guest.address) == wire.ADDRESS
        assert await told(guest, "until [ -e /etc/resolv.conf ]; do sleep 0.1; done; cat /etc/resolv.conf") == (
            f"search a.test cluster.test\nnameserver {wire.GATEWAY}\nnameserver 192.0.2.53"
        )
        routes = await told(guest, "ip route")
        assert f"default via {wire.GATEWAY} dev eth0" in routes
        assert "10.42.0.0" not in routes
        assert "mtu 1400" in await told(guest, "ip link show eth0")
        assert await told(guest, "cat /sys/class/net/eth0/address") == wire.MAC
        page = await asyncio.to_thread(
            cable.run, "python3", "-c", f"import urllib.request as u; print(u.urlopen('http://{wire.ADDRESS}').read())"
        )
        assert "Hello from busybox" in page.stdout, page.stderr


async def test_the_tests_agent_serves_probes_and_sniffs(bench: Bench) -> None:
    with a_wire() as cable:
        spec = bench.spec(nics=(Nic("tap0", wire.MAC),))
        machine = await bench.hypervisor.launch(spec, open_tap=cable.open_tap)
        guest = await asyncio.to_thread(guest_of(machine).wait_ready)
        await told(guest, f"ip addr replace {wire.ADDRESS}/32 dev eth0; ip route replace {wire.GATEWAY} dev eth0")
        await asyncio.to_thread(guest.serve, "udp", 3389)
        await asyncio.to_thread(guest.start_sniffing)
        script = (
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10);"
            f"s.sendto(b'hello', ('{wire.ADDRESS}', 3389)); print(s.recv(999).decode());"
            f"print(socket.create_connection(('{wire.ADDRESS}', 22), 10).recv(999).decode())"
        )
        seen = await asyncio.to_thread(cable.run, "python3", "-c", script)
        assert f"peer={wire.GATEWAY} port=3389 host=busybox\nhello" in seen.stdout, seen.stderr
        assert f"peer={wire.GATEWAY} port=22 host=busybox" in seen.stdout
        assert any(b"hello" in frame for frame in await asyncio.to_thread(guest.sniffed))
        refused = await asyncio.to_thread(guest.probe, "tcp", wire.GATEWAY, 1)
        assert refused.result == "refused"
        local = await asyncio.to_thread(guest.probe, "tcp", wire.ADDRESS, 22)
        assert (local.result, local.own) == ("open", wire.ADDRESS)


async def test_a_machine_without_a_kernel_boots_from_its_first_disk(bench: Bench) -> None:
    # Writes "V" to the first serial port for ever: mov dx, 0x3f8; mov al, 'V'; out dx, al; jmp back.
    sector = bytes.fromhex("baf803b056eeebfb").ljust(510, b"\0") + b"\x55\xaa"
    path = bench.folder / "boot.raw"
    path.write_bytes(sector.ljust(1 << 20, b"\0"))
    os.chown(path, 64_004, 64_004)
    disks = (Disk(path=path, format="raw", name="root"),)
    machine = await bench.launch(kernel=None, disks=disks, user=64_004)
    reader, writer = await asyncio.open_unix_connection(str(machine.console))
    try:
        async with asyncio.timeout(60):
            assert await reader.readuntil(b"VVVV")
    finally:
        writer.close()
