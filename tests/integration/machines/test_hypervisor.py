"""Machines with a real QEMU: started, found again, ended in every way."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import proc
from harness.guest import image as guest_image
from harness.guest.machines import Bench, a_bench, guest_of, no_tap
from virtualserver.machines import cgroup, launch
from virtualserver.machines.files import Files
from virtualserver.machines.hypervisor import HypervisorError
from virtualserver.machines.machine import Ended, EndReason, Machine, Running
from virtualserver.machines.seed import write_seed
from virtualserver.machines.spec import Disk, Nic, decode_spec, encode_spec
from virtualserver.storage.disks import DiskStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from virtualserver.storage.builds import BuiltImage

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starting machines needs root")


@pytest.fixture(scope="module")
def tiny() -> BuiltImage:
    return guest_image.build()


@pytest.fixture
async def bench(tiny: BuiltImage) -> AsyncIterator[Bench]:
    async with a_bench(tiny) as bench:
        yield bench


async def end_of(machine: Machine, *, seconds: float = 60) -> Ended:
    async with asyncio.timeout(seconds):
        async for state in machine.changes():
            if isinstance(state, Ended):
                return state
    raise AssertionError("the changes ended without an end")


def the_pid(machine: Machine) -> int:
    assert machine.pid is not None
    return machine.pid


async def test_a_machine_boots_and_powers_off_at_the_button(bench: Bench) -> None:
    machine = await bench.launch()
    assert isinstance(machine.state, Running)
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    assert await asyncio.to_thread(guest.run, "uname -s") == "Linux"
    # What Linux assumes of a processor that does not tell; Debian 13 mounts nothing then.
    sizes = await asyncio.to_thread(guest.run, "grep -m 1 'address sizes' /proc/cpuinfo")
    assert "36 bits physical" not in sizes, sizes
    await machine.power_down()
    end = await end_of(machine)
    assert end.reason is EndReason.GUEST_SHUTDOWN
    assert machine.pid is None


async def test_a_machine_has_no_rights_and_no_network_of_the_host(bench: Bench) -> None:
    spec = bench.spec()
    machine = await bench.hypervisor.launch(spec, open_tap=no_tap)
    pid = the_pid(machine)
    status = proc.status_of(pid)
    proc.assert_powerless(pid, user=spec.user)
    assert status["Groups"] == ""
    for namespace in ("net", "mnt", "pid", "ipc"):
        assert os.stat(f"/proc/{pid}/ns/{namespace}").st_ino != os.stat(f"/proc/self/ns/{namespace}").st_ino, namespace
    assert status["NSpid"].split()[-2:] == [str(pid), "1"]
    seen = [entry.name for entry in Path(f"/proc/{pid}/root/proc").iterdir() if entry.name.isdecimal()]
    assert seen == ["1"], "it sees no process but itself"
    mounts = Path(f"/proc/{pid}/mounts").read_text().splitlines()
    assert [line for line in mounts if line.split()[1].startswith("/run/netns/")] == []
    links = [line.split(":")[0].strip() for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]]
    assert links == ["lo"]
    folder = machine.console.parent.stat()
    assert (folder.st_mode & 0o777, folder.st_uid) == (0o700, spec.user)
    assert "default/one" in Path(f"/proc/{pid}/cmdline").read_text()
    assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text())
    assert os.getsid(pid) == pid


async def test_a_machine_has_a_cgroup_of_its_own_which_goes_with_it(bench: Bench) -> None:
    root = cgroup.cgroup_root()
    if root is None:
        pytest.skip("this machine has no cgroup v2 that we may write")
    machine = await bench.launch()
    group = root / f"virtualserver-{bench.installation}" / "one"
    assert group.joinpath("cgroup.procs").read_text().split() == [str(the_pid(machine))]
    await machine.quit()
    await bench.hypervisor.discard("one")
    assert not group.parent.exists()
    group.mkdir(parents=True)  # as a node that is killed in that moment leaves it
    await bench.hypervisor.adopt()
    assert not group.parent.exists()


async def test_a_machine_outlives_a_killed_launcher_and_is_found_again(bench: Bench, tmp_path: Path) -> None:
    spec_file = tmp_path / "spec.json"
    spec_file.write_bytes(encode_spec(bench.spec()))
    script = textwrap.dedent(
        f"""
        import asyncio, pathlib
        from virtualserver.machines import hypervisor
        from virtualserver.machines.spec import decode_spec
        async def main():
            path = pathlib.Path({str(spec_file)!r})
            spec = decode_spec(path.read_bytes(), path=path)
            folders = dict(machines=pathlib.Path({str(bench.machines)!r}), run=pathlib.Path({str(bench.run)!r}))
            machines = hypervisor.Hypervisor(installation={bench.installation!r}, **folders)
            machine = await machines.launch(spec, open_tap=None)
            print(machine.pid, flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
        """
    )
    launcher = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    try:
        assert launcher.stdout is not None
        pid = int(await asyncio.wait_for(launcher.stdout.readline(), 60))
    finally:
        launcher.kill()
        await launcher.communicate()
    found = await bench.hypervisor.adopt()
    assert list(found) == ["one"]
    assert (found["one"].pid, found["one"].state) == (pid, Running())
    assert found["one"].spec == decode_spec(spec_file.read_bytes(), path=spec_file)
    guest = await asyncio.to_thread(guest_of(found["one"]).wait_ready)
    assert await asyncio.to_thread(guest.run, "echo there") == "there"


async def test_a_guest_that_ended_unwatched_is_known_to_have_wanted_it(bench: Bench) -> None:
    machine = await bench.launch()
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    await bench.hypervisor.close()
    await asyncio.to_thread(guest.attempt, "(sleep 1; poweroff -f) &")
    await asyncio.sleep(2)
    found = (await bench.another_hypervisor().adopt())["one"]
    assert (await end_of(found)).reason is EndReason.GUEST_SHUTDOWN


@pytest.mark.parametrize("watched", [True, False])
async def test_a_killed_qemu_is_a_crash(bench: Bench, watched: bool) -> None:
    machine = await bench.launch()
    pid = the_pid(machine)
    if not watched:
        await bench.hypervisor.close()
    os.kill(pid, signal.SIGKILL)
    if not watched:
        machine = (await bench.another_hypervisor().adopt())["one"]
    end = await end_of(machine)
    assert end.reason is EndReason.CRASH
    assert "died unexpectedly" in end.message


@pytest.mark.parametrize("watched", [True, False])
async def test_a_qemu_that_is_asked_to_end_is_no_crash(bench: Bench, watched: bool) -> None:
    machine = await bench.launch()
    pid = the_pid(machine)
    if not watched:
        await bench.hypervisor.close()
    os.kill(pid, signal.SIGTERM)
    if not watched:
        machine = (await bench.another_hypervisor().adopt())["one"]
    assert (await end_of(machine)).reason is EndReason.QUIT


@pytest.mark.parametrize("how", ["the guest's own power off", "quit", "a kill"])
async def test_the_end_of_a_dismissed_machine_is_ours_however_it_comes_about(bench: Bench, how: str) -> None:
    machine = await bench.launch()
    pid = the_pid(machine)
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    machine.dismiss()
    await bench.hypervisor.close()  # whoever dismissed it is killed here
    if how == "a kill":
        os.kill(pid, signal.SIGKILL)
    elif how == "quit":
        os.kill(pid, signal.SIGTERM)
    else:
        await asyncio.to_thread(guest.attempt, "(sleep 1; poweroff -f) &")
    found = (await bench.another_hypervisor().adopt())["one"]
    assert (await end_of(found)).reason is EndReason.DISMISSED


async def test_a_machine_that_is_retained_ends_by_its_own_will_again(bench: Bench) -> None:
    machine = await bench.launch()
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    machine.dismiss()
    assert machine.is_dismissed
    machine.retain()
    assert not machine.is_dismissed
    await asyncio.to_thread(guest.attempt, "(sleep 1; poweroff -f) &")
    assert (await end_of(machine)).reason is EndReason.GUEST_SHUTDOWN


async def test_a_machine_that_starts_again_is_not_dismissed_any_more(bench: Bench) -> None:
    machine = await bench.launch()
    machine.dismiss()
    await machine.quit()
    assert not (await bench.launch()).is_dismissed


async def test_machines_whose_state_folder_was_lost_are_ended_and_no_others(bench: Bench) -> None:
    lost, kept = await bench.launch("lost"), await bench.launch("kept")
    pid = the_pid(lost)
    await bench.hypervisor.close()
    shutil.rmtree(bench.machines / "lost")
    again = bench.another_hypervisor()
    assert await again.end_orphans() == [pid]
    assert not Path(f"/proc/{pid}/exe").exists()
    assert await again.end_orphans() == []
    assert (await again.adopt())["kept"].pid == the_pid(kept)
    await again.close()


async def test_a_machine_whose_description_is_lost_keeps_no_other_from_being_found_and_ends_when_it_is_over(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """One file that could not be read ended each start of the node, for all guests."""
    broken, kept = await bench.launch("broken"), await bench.launch("kept")
    pid, description = the_pid(broken), bench.machines / "broken" / "spec.json"
    await bench.hypervisor.close()
    description.write_bytes(b"")
    again = bench.another_hypervisor()
    (found,) = (await again.adopt()).values()
    assert found.pid == the_pid(kept) and f"{description}: no description of a machine" in caplog.text
    assert again.is_left_out("broken") and [*again.look()] == ["kept"]
    with pytest.raises(HypervisorError, match=r"it runs, and cannot be looked after: .*no description of a machine"):
        await again.launch(bench.spec("broken"), open_tap=no_tap)
    assert Path(f"/proc/{pid}/exe").exists(), "nobody ends it unasked"
    await again.discard("broken")
    assert not Path(f"/proc/{pid}/exe").exists() and not description.parent.exists()
    await again.launch(bench.spec("broken"), open_tap=no_tap)
    await again.close()


async def test_quit_returns_when_the_process_is_gone(bench: Bench) -> None:
    machine = await bench.launch()
    pid = the_pid(machine)
    await machine.quit()
    assert machine.state == Ended(EndReason.QUIT, "QEMU was told to end")
    with contextlib.suppress(FileNotFoundError):
        assert proc.status_of(pid)["State"].startswith("Z")
    await machine.quit()
    await machine.power_down()


async def test_an_end_is_remembered_until_the_machine_is_discarded(bench: Bench) -> None:
    machine = await bench.launch()
    await machine.quit()
    again = bench.another_hypervisor()
    assert (await again.adopt())["one"].state == machine.state
    await again.discard("one")
    assert await again.adopt() == {}
    await again.discard("one")
    assert list(bench.machines.iterdir()) + list(bench.run.iterdir()) == []


async def test_the_guests_own_reboot_is_no_end(bench: Bench) -> None:
    machine = await bench.launch()
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    before = machine.pid
    await asyncio.to_thread(guest.run, "touch /tmp/mark; (sleep 0.5; reboot -f) &")
    await asyncio.sleep(1)
    await asyncio.to_thread(guest.wait_ready)
    assert (await asyncio.to_thread(guest.attempt, "test -e /tmp/mark")).status == 1
    assert (machine.pid, machine.state) == (before, Running())


async def test_reset_starts_the_guest_again_in_the_same_process(bench: Bench) -> None:
    machine = await bench.launch()
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    before = machine.pid
    await asyncio.to_thread(guest.run, "touch /tmp/mark")
    await machine.reset()
    await asyncio.to_thread(guest.wait_ready)
    assert (await asyncio.to_thread(guest.attempt, "test -e /tmp/mark")).status == 1
    assert machine.pid == before


async def test_a_machine_is_never_started_twice(bench: Bench) -> None:
    machine = await bench.launch()
    for other in (bench.hypervisor, bench.another_hypervisor()):
        with pytest.raises(HypervisorError, match="runs already"):
            await other.launch(bench.spec(), open_tap=no_tap)
        with pytest.raises(HypervisorError, match="runs"):
            await other.discard("one")
    assert machine.state == Running()
    assert proc.status_of(the_pid(machine))["State"][0] in "RS"


async def test_two_machines_never_write_one_disk(bench: Bench) -> None:
    users = {"user": 64_001}
    disk = DiskStore(bench.folder / "d").create("shared", base=None, size_bytes=1 << 20, **users)
    disks = (Disk(path=disk, format="qcow2", name="root"),)
    machine = await bench.launch("one", disks=disks, **users)
    with pytest.raises(HypervisorError, match=r"default/two: QEMU did not start: .*lock"):
        await bench.launch("two", disks=disks, **users)
    assert machine.state == Running()
    assert [folder.name for folder in bench.machines.iterdir()] == ["one"]


async def test_two_machines_run_and_end_apart(bench: Bench) -> None:
    one, two = await asyncio.gather(bench.launch("one"), bench.launch("two"))
    assert one.pid != two.pid
    assert proc.status_of(the_pid(one))["Uid"] != proc.status_of(the_pid(two))["Uid"]
    await one.quit()
    assert two.state == Running()


async def test_a_machine_of_an_earlier_boot_has_crashed_and_no_stranger_is_taken_for_it(bench: Bench) -> None:
    machine = await bench.launch()
    await machine.quit()
    files = Files(machine=bench.machines / "one", run=bench.run / "one")
    files.end.unlink()
    _, stat = files.process.read_text().splitlines()[:2]
    ours = Path("/proc/self/stat").read_text()
    files.process.write_text(f"00000000-0000-0000-0000-000000000000\n{ours}")
    found = (await bench.another_hypervisor().adopt())["one"]
    assert found.state == Ended(EndReason.CRASH, "the host was started again")
    files.end.unlink()
    recycled = re.sub(r"^\d+", str(os.getpid()), stat)
    files.process.write_text(f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}\n{recycled}\n")
    found = (await bench.another_hypervisor().adopt())["one"]
    assert isinstance(found.state, Ended)


async def test_a_start_that_was_interrupted_before_qemu_is_found_as_such(bench: Bench) -> None:
    folder = bench.machines / "one"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_bytes(encode_spec(bench.spec()))
    found = (await bench.hypervisor.adopt())["one"]
    assert found.state == Ended(EndReason.CRASH, "the start was interrupted before QEMU ran")
    assert (await bench.launch()).state == Running()


async def test_without_qemu_the_error_names_the_package(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(HypervisorError, match=r"apt-get install .*qemu-system-x86"):
        await bench.launch()
    assert not bench.machines.exists()


async def test_a_qemu_that_fails_at_once_is_quoted_and_leaves_nothing(bench: Bench) -> None:
    missing = Disk(path=bench.folder / "nowhere.qcow2", format="qcow2", name="root")
    with pytest.raises(HypervisorError, match=r"nowhere\.qcow2.*No such file"):
        await bench.launch(disks=(missing,))
    assert list(bench.machines.iterdir()) + list(bench.run.iterdir()) == []


async def test_a_tap_that_cannot_be_opened_is_named_and_leaves_nothing(bench: Bench) -> None:
    def busy(device: str) -> int:
        raise OSError(errno.EBUSY, "Device or resource busy", device)

    spec = bench.spec(nics=(Nic("tap7", "02:00:00:00:00:07"),))
    with pytest.raises(HypervisorError, match=r"default/one: .*busy: 'tap7'"):
        await bench.hypervisor.launch(spec, open_tap=busy)
    assert list(bench.machines.iterdir()) + list(bench.run.iterdir()) == []


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.01, 0.02, 0.04])
async def test_a_launch_that_is_cancelled_leaves_nothing(bench: Bench, seconds: float) -> None:
    task = asyncio.create_task(bench.launch())
    while not bench.machines.exists():
        await asyncio.sleep(0)
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(bench.machines.iterdir()) + list(bench.run.iterdir()) == []
    root = cgroup.cgroup_root()
    assert root is None or not (root / f"virtualserver-{bench.installation}").exists()
    assert str(bench.folder) not in await asyncio.to_thread(subprocess.getoutput, "ps -e -o args")


async def test_what_a_guest_writes_stays_over_a_restart_and_never_reaches_the_image(bench: Bench) -> None:
    store = DiskStore(bench.folder / "d")
    base = store.create("base", base=None, size_bytes=4 << 20, user=0)
    base.chmod(0o444)
    before = base.read_bytes()
    spec = bench.spec(user=64_002)
    root = store.create("root", base=base, size_bytes=8 << 20, user=spec.user)
    changed = bench.spec(user=64_002, disks=(Disk(path=root, format="qcow2", name="root", serial="abc"),))
    machine = await bench.hypervisor.launch(changed, open_tap=no_tap)
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    assert await asyncio.to_thread(guest.run, "cat /sys/block/vda/size") == str((8 << 20) // 512)
    assert await asyncio.to_thread(guest.run, "cat /sys/block/vda/serial") == "abc"
    await asyncio.to_thread(guest.run, "echo kept | dd of=/dev/vda bs=512 seek=100 conv=fsync")
    await machine.quit()
    assert store.grow("root", 16 << 20, base=base)
    machine = await bench.hypervisor.launch(changed, open_tap=no_tap)
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    read = "dd if=/dev/vda bs=512 skip=100 count=1 2>/dev/null | head -c 4"
    assert await asyncio.to_thread(guest.run, read) == "kept"
    assert await asyncio.to_thread(guest.run, "cat /sys/block/vda/size") == str((16 << 20) // 512)
    assert base.read_bytes() == before


async def test_an_ephemeral_disk_starts_anew_each_time(bench: Bench) -> None:
    base = DiskStore(bench.folder / "d").create("base", base=None, size_bytes=4 << 20, user=0)
    base.chmod(0o444)
    before = base.read_bytes()
    disks = (Disk(path=base, format="qcow2", name="root", ephemeral=True),)
    read = "dd if=/dev/vda bs=512 skip=100 count=1 2>/dev/null | tr -d '\\000' | head -c 4"
    for _ in range(2):
        machine = await bench.launch(disks=disks)
        guest = await asyncio.to_thread(guest_of(machine).wait_ready)
        assert await asyncio.to_thread(guest.run, read) == ""
        await asyncio.to_thread(guest.run, "echo lost | dd of=/dev/vda bs=512 seek=100 conv=fsync")
        assert await asyncio.to_thread(guest.run, read) == "lost"
        await machine.quit()
    assert base.read_bytes() == before


async def test_the_seed_names_the_guest(bench: Bench) -> None:
    seed = bench.folder / "seed.iso"
    meta_data = "instance-id: i-1\nlocal-hostname: hello-42\n"
    write_seed(seed, user_data="#cloud-config\n{}\n", meta_data=meta_data, network_config=None, user=64_003)
    machine = await bench.launch(seed=seed, user=64_003)
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    assert await asyncio.to_thread(guest.run, "hostname") == "hello-42"
    assert await asyncio.to_thread(guest.run, "cat /seed/meta-data") == meta_data.strip()
    assert await asyncio.to_thread(guest.run, "cat /seed/user-data") == "#cloud-config\n{}"


async def test_uuid_serial_and_old_virtio_reach_the_guest(bench: Bench) -> None:
    uuid = "5d307ca9-b3ef-428c-8861-06e72d69f223"
    machine = await bench.launch(uuid=uuid, serial="s,1", virtio_transitional=True, cpus=2)
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    assert await asyncio.to_thread(guest.run, "cat /sys/class/dmi/id/product_uuid") == uuid
    assert await asyncio.to_thread(guest.run, "cat /sys/class/dmi/id/product_serial") == "s,1"
    assert await asyncio.to_thread(guest.run, "nproc") == "2"
    # 0x1005 is the random number generator's identity before virtio 1.0, 0x1044 the one since.
    identities = await asyncio.to_thread(guest.run, "cat /sys/bus/pci/devices/*/device")
    assert "0x1005" in identities and "0x1044" not in identities


async def test_uefi_starts_the_guest_where_it_is_installed(bench: Bench) -> None:
    if not launch.UEFI_CODE.exists():
        pytest.skip("the package ovmf is not installed")
    machine = await bench.launch(uefi=True, kernel=None, memory_bytes=256 << 20)
    assert machine.state == Running()
    reader, writer = await asyncio.open_unix_connection(str(machine.console))
    try:
        async with asyncio.timeout(90):
            assert await reader.readuntil(b"BdsDxe")
    finally:
        writer.close()


async def test_uefi_without_its_firmware_names_the_package(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "UEFI_CODE", bench.folder / "nowhere.fd")
    with pytest.raises(HypervisorError, match=r"enableUEFIBoot.*ovmf"):
        await bench.launch(uefi=True)


async def test_uefi_refuses_a_kernel_that_it_cannot_start(bench: Bench) -> None:
    if not launch.UEFI_CODE.exists():
        pytest.skip("the package ovmf is not installed")
    with pytest.raises(HypervisorError, match="enableUEFIBoot: the image brings a kernel"):
        await bench.launch(uefi=True)
    assert list(bench.machines.iterdir()) == []


async def test_the_graphical_console_answers(bench: Bench) -> None:
    machine = await bench.launch()
    reader, writer = await asyncio.open_unix_connection(str(machine.vnc))
    try:
        assert await asyncio.wait_for(reader.readexactly(4), 20) == b"RFB "
    finally:
        writer.close()


async def test_looking_disturbs_neither_a_machine_nor_who_watches_it(bench: Bench) -> None:
    machine = await bench.launch()
    (seen,) = bench.another_hypervisor().look().values()
    assert (seen.pid, seen.state, seen.spec.name) == (machine.pid, Running(), "default/one")
    await seen.close()
    assert await machine.power_down()
    await machine.quit()
    (seen,) = bench.another_hypervisor().look().values()
    assert seen.state == machine.state
    await seen.close()


async def test_a_guest_waits_for_space_instead_of_losing_what_it_writes(bench: Bench) -> None:
    folder = bench.folder / "full"
    folder.mkdir()
    await asyncio.to_thread(subprocess.run, ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], check=True)
    try:
        path = DiskStore(folder / "d").create("one", base=None, size_bytes=64 << 20, user=64_005)
        machine = await bench.launch(disks=(Disk(path=path, format="qcow2", name="root"),), user=64_005)
        guest = await asyncio.to_thread(guest_of(machine).wait_ready)
        write = "(dd if=/dev/urandom of=/dev/vda bs=64k count=128 conv=fsync; echo $? >/tmp/done) >/dev/null 2>&1 &"
        await asyncio.to_thread(guest.run, write)
        async with asyncio.timeout(60):
            async for state in machine.changes():
                if state != Running():
                    break
        assert isinstance(machine.state, Running)
        assert "no room" in machine.state.message
        await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=64m", str(folder)], check=True)
        await asyncio.to_thread(guest.wait_ready)
        waited = "while ! [ -e /tmp/done ]; do sleep 0.1; done; cat /tmp/done"
        assert await asyncio.to_thread(guest.run, waited, seconds=60) == "0"
        async with asyncio.timeout(30):
            while machine.state != Running():
                await asyncio.sleep(0.05)
        await machine.quit()
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(folder)], check=True)


async def test_a_frozen_guest_stands_still_for_whoever_finds_it_until_it_is_thawed(bench: Bench) -> None:
    machine = await bench.launch()
    guest = await asyncio.to_thread(guest_of(machine).wait_ready)
    await asyncio.to_thread(guest.run, "(while :; do echo x >>/tmp/ticks; sleep 0.05; done) >/dev/null 2>&1 &")
    await machine.freeze("paused: no room")
    assert machine.state == Running("paused: no room")
    await bench.hypervisor.close()  # QMP serves one at a time
    (found,) = (await bench.another_hypervisor().adopt()).values()
    try:
        assert (found.state, found.is_frozen) == (Running("paused: no room"), True)
        await found.thaw()
        assert (found.state, found.is_frozen) == (Running(), False)
    finally:
        await found.close()
    ticks = int(await asyncio.to_thread(guest.run, "wc -l </tmp/ticks"))
    await asyncio.to_thread(guest.run, f"while [ $(wc -l </tmp/ticks) -le {ticks} ]; do sleep 0.05; done")
