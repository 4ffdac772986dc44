"""QEMU's command line."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from virtualserver.machines import launch
from virtualserver.machines.files import Files
from virtualserver.machines.spec import (
    Disk,
    Kernel,
    MachineSpec,
    Nic,
    SpecError,
)

FILES = Files(machine=Path("/state/m/one"), run=Path("/run/m/one"))


def a_spec(**changes: object) -> MachineSpec:
    spec = MachineSpec(
        identifier="one", name="default/one", cpus=2, memory_bytes=96 << 20, accelerator="tcg", user=64_000
    )
    return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]


def arguments_of(spec: MachineSpec, *, taps: tuple[int, ...] = ()) -> list[str]:
    return launch.qemu_arguments(spec, FILES, emulator="qemu", taps=taps)


def values_of(arguments: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(arguments) if name == option]


def test_a_guest_that_powers_off_leaves_qemu_to_tell_it() -> None:
    arguments = arguments_of(a_spec())
    assert "-no-shutdown" in arguments
    assert "-no-reboot" not in arguments
    assert "-daemonize" not in arguments


def test_the_whole_sandbox_is_on() -> None:
    expected = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    assert values_of(arguments_of(a_spec()), "-sandbox") == [expected]


def test_the_first_disk_boots_and_its_format_is_never_guessed() -> None:
    root = Disk(path=Path("/d/a,b.qcow2"), format="qcow2", name="root", serial="x,y")
    data = Disk(path=Path("/d/data.raw"), format="raw", name="data", read_only=True)
    arguments = arguments_of(a_spec(disks=(root, data)))
    first, second = (json.loads(value) for value in values_of(arguments, "-blockdev"))
    assert (first["driver"], first["read-only"], first["file"]["filename"]) == ("qcow2", False, "/d/a,b.qcow2")
    assert (second["driver"], second["read-only"]) == ("raw", True)
    devices = [value for value in values_of(arguments, "-device") if "blk" in value]
    assert "bootindex=1" in devices[0] and "serial=x,,y" in devices[0]
    assert "bootindex=2" in devices[1] and "serial" not in devices[1]


def test_an_ephemeral_disk_is_written_beside_the_machine() -> None:
    disk = Disk(path=Path("/d/root.qcow2"), format="qcow2", name="root", ephemeral=True)
    (value,) = values_of(arguments_of(a_spec(disks=(disk,))), "-blockdev")
    assert json.loads(value)["file"]["filename"] == "/state/m/one/root.qcow2"


def test_the_seed_is_read_only_and_after_the_disks() -> None:
    disk = Disk(path=Path("/d/root.qcow2"), format="qcow2", name="root")
    arguments = arguments_of(a_spec(disks=(disk,), seed=Path("/s/seed.iso")))
    seed = json.loads(values_of(arguments, "-blockdev")[1])
    assert (seed["node-name"], seed["read-only"], seed["driver"]) == ("seed", True, "raw")


def test_each_nic_takes_its_open_tap() -> None:
    nics = (Nic("tap0", "02:00:00:00:00:01"), Nic("nic1", "02:00:00:00:00:02", mtu=9000))
    arguments = arguments_of(a_spec(nics=nics), taps=(7, 9))
    assert values_of(arguments, "-netdev") == ["tap,id=net0,fd=7", "tap,id=net1,fd=9"]
    cards = [value for value in values_of(arguments, "-device") if "net-pci" in value]
    assert ["mac=02:00:00:00:00:01" in cards[0], "mac=02:00:00:00:00:02" in cards[1]] == [True, True]
    assert ["host_mtu=9000" in card for card in cards] == [False, True]


def test_a_nic_without_its_tap_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        arguments_of(a_spec(nics=(Nic("tap0", "02:00:00:00:00:01"),)))


@pytest.mark.parametrize(("transitional", "word"), [(True, "-transitional"), (False, "-non-transitional")])
def test_every_virtio_device_is_of_the_wanted_kind(transitional: bool, word: str) -> None:
    spec = a_spec(
        virtio_transitional=transitional,
        disks=(Disk(path=Path("/d"), format="raw", name="root"),),
        nics=(Nic("tap0", "02:00:00:00:00:01"),),
        seed=Path("/s"),
    )
    devices = values_of(arguments_of(spec, taps=(5,)), "-device")
    assert len(devices) == 4
    assert all(device.split(",")[0].endswith("pci" + word) for device in devices)


def test_a_kernel_is_booted_directly_only_where_there_is_one() -> None:
    assert not values_of(arguments_of(a_spec()), "-kernel")
    arguments = arguments_of(a_spec(kernel=Kernel(Path("/i/kernel"), Path("/i/initrd"), "console=ttyS0 quiet")))
    assert values_of(arguments, "-kernel") == ["/i/kernel"]
    assert values_of(arguments, "-initrd") == ["/i/initrd"]
    assert values_of(arguments, "-append") == ["console=ttyS0 quiet"]


def test_uefi_brings_firmware_and_variables_of_its_own() -> None:
    assert "pflash0" not in " ".join(arguments_of(a_spec()))
    text = " ".join(arguments_of(a_spec(uefi=True)))
    assert "pflash0=uefi-code,pflash1=uefi-variables" in text
    assert "/state/m/one/uefi-variables.fd" in text


def test_kvm_shows_the_guest_the_hosts_processor() -> None:
    arguments = arguments_of(a_spec(accelerator="kvm"))
    assert (values_of(arguments, "-accel"), values_of(arguments, "-cpu")) == (["kvm"], ["host"])


def test_a_folder_too_long_for_sockets_is_refused_with_the_way_out() -> None:
    files = Files(machine=Path("/m"), run=Path("/" + "x" * 100))
    with pytest.raises(SpecError, match=r"serial\.sock: longer than the 107 bytes .* VS_STATE"):
        launch.qemu_arguments(a_spec(), files, emulator="qemu", taps=())


def test_what_starts_qemu_takes_every_right_away() -> None:
    wrapped = launch.wrapped(["qemu"], process=Path("/p"), group=None, user=64_000, supplementary=None)
    assert wrapped[:2] == ["setsid", "--fork"]
    unshared = wrapped[wrapped.index("unshare") : wrapped.index("sh")]
    assert {"--mount", "--pid", "--ipc", "--net"} <= set(unshared)
    assert {"--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"} <= set(wrapped)
    assert wrapped[-2:] == ["--", "qemu"]
    assert wrapped[wrapped.index("--reuid") + 1] == "64000"


def test_qemu_gets_kvms_group_and_no_other() -> None:
    wrapped = launch.wrapped(["qemu"], process=Path("/p"), group=None, user=64_000, supplementary=106)
    assert wrapped[wrapped.index("--groups") + 1] == "106"
    assert "--clear-groups" not in wrapped


def test_qemu_sees_nothing_of_our_environment() -> None:
    assert launch.environment({"PATH": "/bin", "SECRET": "x"}) == {"PATH": "/bin", "LC_ALL": "C.UTF-8"}
