"""The steps of ``vs up``: their order, how a failure ends the run, and what each does on a second run."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import shutil
import types
from typing import TYPE_CHECKING

import pytest

from harness.reports import Unseen, quiet
from virtualserver import controlplane
from virtualserver.installation import ranges
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import ControlPlaneSettings, RecordedOptions
from virtualserver.local import caller, doctor, images, networks, pools, up
from virtualserver.local.errors import ConflictError, LocalError
from virtualserver.node.allocation.allocations import Allocations, Claimant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from virtualserver.host.progress import Update


def always(value: object) -> Callable[..., object]:
    """Return a function that returns the value, whatever it is called with."""

    def answer(*_: object, **__: object) -> object:
        return value

    return answer


def a_start(root: Path, **asked: object) -> up.Start:
    by = caller.Caller("ada", os.getuid(), os.getgid(), root)
    installation = Installation.below(root, "unit")
    return up.Start(installation=installation, report=Unseen(), by=by, **asked)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "taken", always([]))
    monkeypatch.setattr(networks, "choosing", contextlib.nullcontext)
    monkeypatch.setattr(up, "check_routes", always(None))


def test_the_steps_have_titles_and_remedies_and_the_machine_is_looked_at_first() -> None:
    titles = [step.title for step in up.STEPS]
    assert titles[0] == "This machine"
    assert titles[-1] == "First server"
    assert len(set(titles)) == len(titles)
    assert all(step.remedy for step in up.STEPS)


def test_a_faulty_site_file_is_refused_with_all_its_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = a_start(tmp_path)
    start.installation.state.mkdir(parents=True)
    start.installation.site_file.write_text("quota: {}\ndefaults: {keepdisk: true}\n")
    site_only = doctor.prerequisites(start.installation)
    found = [finding for finding in site_only if finding.subject == "site"]
    monkeypatch.setattr(doctor, "prerequisites", always(found))
    with pytest.raises(LocalError) as caught:
        up.check_machine(start, quiet)
    assert "site.quota: is not known: did you mean quotas?" in str(caught.value)
    assert "site.defaults.keepdisk: is not known: did you mean keepDisk?" in str(caught.value)


def a_machine(monkeypatch: pytest.MonkeyPatch, folder: Path, *, memory: float, disk: float) -> None:
    """Let the doctor see a machine that has all but memory and disk, of which so many GiB are free."""
    meminfo = folder / "meminfo"
    meminfo.write_text(f"MemAvailable: {int(memory * 2**20)} kB\n")
    monkeypatch.setattr(doctor, "_MEMINFO", meminfo)
    fine = doctor.Finding("all else", doctor.Level.OK, "is there")
    for look in ("_root", "_python", "_tun"):
        monkeypatch.setattr(doctor, look, always(fine))
    monkeypatch.setattr(doctor, "programs", always([]))
    usage = types.SimpleNamespace(free=int(disk * 2**30))
    monkeypatch.setattr(shutil, "disk_usage", always(usage))
    monkeypatch.setattr(controlplane, "find", always(controlplane.Programs(folder, "build")))


def was_started(start: up.Start) -> up.Start:
    start.installation.create()
    options = RecordedOptions(["10.96.0.0/16"], "127.0.0.1", ["etcd"])
    with start.installation.changing() as record:
        record.controlplane = ControlPlaneSettings("/nonexistent", options, "0.1.0")
    return start


@pytest.mark.parametrize(("memory", "disk"), [(0.3, 50), (8, 0.9)])
def test_what_guests_may_have_used_up_blocks_the_first_start_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: float, disk: float
) -> None:
    """Servers are stopped and deleted through the API: with it kept down, nobody could free what they have."""
    a_machine(monkeypatch, tmp_path, memory=memory, disk=disk)
    with pytest.raises(LocalError, match=r"(memory|disk): 0\.\d GiB .*, (0\.75|2) GiB are needed"):
        up.check_machine(a_start(tmp_path), quiet)
    up.check_machine(was_started(a_start(tmp_path)), quiet)


def test_an_instance_that_does_not_run_needs_what_etcd_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch, tmp_path, memory=8, disk=0.1)
    start = was_started(a_start(tmp_path))
    with pytest.raises(LocalError, match=r"disk: 102 MiB free in .*, 128 MiB are needed"):
        up.check_machine(start, quiet)
    runs = dataclasses.replace(controlplane.status(start.installation), running=True)
    monkeypatch.setattr(controlplane, "status", always(runs))
    up.check_machine(start, quiet)


def test_programs_that_are_to_be_built_need_their_room_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch, tmp_path, memory=8, disk=6)
    monkeypatch.setattr(controlplane, "find", always(None))
    with pytest.raises(LocalError, match="7 GiB are needed"):
        up.check_machine(was_started(a_start(tmp_path)), quiet)


def test_an_image_is_not_begun_where_it_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch, tmp_path, memory=8, disk=0.9)
    start = was_started(a_start(tmp_path))
    monkeypatch.setattr(up.Start, "kubectl", None)
    monkeypatch.setattr(images, "is_there", always(True))
    up.build_image(start, quiet)
    monkeypatch.setattr(images, "is_there", always(False))
    with pytest.raises(LocalError, match=r"0\.9 GiB free in .*, 1\.5 GiB are needed") as caught:
        up.build_image(start, quiet)
    assert "vs up --no-hello" in caught.value.remedy


@pytest.fixture(autouse=True)
def without_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever networks the machine has that runs the tests."""
    monkeypatch.setattr(networks, "on_links", always({}))


def test_networks_are_kept_from_others_until_the_control_plane_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    @contextlib.contextmanager
    def choosing(_update: object) -> Generator[None]:
        seen.append("held")
        yield
        seen.append("released")

    monkeypatch.setattr(networks, "choosing", choosing)
    steps = {step.title: step for step in up.STEPS}

    def start(_start: up.Start, _update: Update) -> None:
        seen.append("started")

    started = dataclasses.replace(steps["Control plane"], do=start)
    monkeypatch.setattr(up, "STEPS", [steps["Networks"], started])
    up.run(a_start(tmp_path))
    up.run(a_start(tmp_path))
    assert seen == ["held", "started", "released", "started"]


def test_networks_are_chosen_once_and_remembered(tmp_path: Path) -> None:
    up.choose_ranges(a_start(tmp_path), quiet)
    first = a_start(tmp_path).installation.record().ranges
    assert first
    up.choose_ranges(a_start(tmp_path), quiet)
    assert a_start(tmp_path).installation.record().ranges == first
    assert ranges.decode(first).public == {"public": (ipaddress.ip_network("203.0.113.0/24"),)}


def test_pools_that_are_named_are_taken_and_may_be_named_again(tmp_path: Path) -> None:
    pool = (ipaddress.ip_network("192.0.2.0/25"),)
    up.choose_ranges(a_start(tmp_path, public=pool), quiet)
    up.choose_ranges(a_start(tmp_path, public=pool), quiet)
    recorded = a_start(tmp_path).installation.record().ranges
    assert recorded
    assert ranges.decode(recorded).public == {"public": pool}


def test_other_pools_may_be_named_later_and_networks_of_which_addresses_are_held_stay(tmp_path: Path) -> None:
    start = a_start(tmp_path)
    up.choose_ranges(start, quiet)
    new = (ipaddress.ip_network("192.0.2.0/24"),)
    claims = Allocations(start.installation.allocations)
    shop = Claimant("shop", "VirtualServer web")
    claims.take("shop/uid", "load-balancer/public/4", "address", "203.0.113.7", shop)
    claims.close()
    up.choose_ranges(a_start(tmp_path, public=new), quiet)
    recorded = start.installation.record().ranges
    assert recorded
    chosen = ranges.decode(recorded)
    assert chosen.public == {"public": new} and chosen.routed == new
    assert chosen.former == {"public": (ipaddress.ip_network("203.0.113.0/24"),)}
    (one,) = pools.staying(start.installation)
    assert (str(one.address), one.pool, one.holder) == ("203.0.113.7", "public", "VirtualServer shop/web")
    assert one.command == (
        "kubectl -n shop annotate --overwrite service -l virtualservers.coreweave.com/name=web "
        "virtualservers.coreweave.com/leave-address=203.0.113.7"
    )
    narrower = (ipaddress.ip_network("203.0.113.0/28"),)
    up.choose_ranges(a_start(tmp_path, public=narrower), quiet)
    assert not [*pools.staying(start.installation)], "the pool has it still: there is no other network to move to"
    up.choose_ranges(a_start(tmp_path, public=new), quiet)
    claims = Allocations(start.installation.allocations)
    claims.free(claims.all())
    claims.close()
    up.choose_ranges(a_start(tmp_path, public=new), quiet)
    recorded = start.installation.record().ranges
    assert recorded and recorded.former == {}, "nobody has an address of it any more"


def test_a_pool_that_is_something_else_already_is_a_conflict(tmp_path: Path) -> None:
    up.choose_ranges(a_start(tmp_path), quiet)
    with pytest.raises(ConflictError, match=r"--public-pool 10\.42\.7\.0/24: this instance has 10\.42\.0\.0/16"):
        up.choose_ranges(a_start(tmp_path, public=(ipaddress.ip_network("10.42.7.0/24"),)), quiet)


def test_an_uplink_is_a_link_of_this_machine_and_has_a_named_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = (ipaddress.ip_network("192.0.2.0/24"),)
    with pytest.raises(ConflictError, match="this machine has no such link"):
        up.choose_ranges(a_start(tmp_path, public=new, uplink="none-such"), quiet)
    with pytest.raises(ConflictError, match="this machine has no such link"):
        up.choose_ranges(a_start(tmp_path, public=new, uplink="lo"), quiet)
    monkeypatch.setattr(pools, "_LINKS", tmp_path)
    (tmp_path / "eth9").touch()
    with pytest.raises(ConflictError, match="no pool is named"):
        up.choose_ranges(a_start(tmp_path, uplink="eth9"), quiet)
    start = a_start(tmp_path, public=new, uplink="eth9")
    up.choose_ranges(start, quiet)
    up.choose_ranges(a_start(tmp_path), quiet)
    recorded = start.installation.record().ranges
    assert recorded and recorded.uplink == "eth9", "it stays"
    up.choose_ranges(a_start(tmp_path, uplink=""), quiet)
    recorded = start.installation.record().ranges
    assert recorded and recorded.uplink == "" and recorded.public == {"public": ["192.0.2.0/24"]}


def test_fault_52_a_pool_in_the_network_of_a_link_needs_somebody_who_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan, inside = ipaddress.ip_network("192.0.2.0/24"), (ipaddress.ip_network("192.0.2.128/25"),)
    monkeypatch.setattr(networks, "on_links", always({"eth9": [lan]}))
    monkeypatch.setattr(pools, "_LINKS", tmp_path)
    (tmp_path / "eth9").touch()
    with pytest.raises(ConflictError, match=r"--public-pool 192\.0\.2\.128/25: is a part of the network of link eth9"):
        up.choose_ranges(a_start(tmp_path, public=inside), quiet)
    with pytest.raises(ConflictError, match=r"--private-pool 192\.0\.2\.128/25"):
        up.choose_ranges(a_start(tmp_path, private=inside), quiet)
    up.choose_ranges(a_start(tmp_path, public=inside, uplink="eth9"), quiet)


def test_a_pool_in_the_network_of_another_card_than_the_uplink_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan, office = ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("198.51.100.0/24")
    inside = (ipaddress.ip_network("192.0.2.128/25"),)
    monkeypatch.setattr(networks, "on_links", always({"eth8": [office], "eth9": [lan]}))
    monkeypatch.setattr(pools, "_LINKS", tmp_path)
    for link in ("eth8", "eth9"):
        (tmp_path / link).touch()
    with pytest.raises(ConflictError, match=r"network of link eth9, .* since --uplink eth8 is another link") as caught:
        up.choose_ranges(a_start(tmp_path, public=inside, uplink="eth8"), quiet)
    assert "Add --uplink eth9" in caught.value.remedy
    monkeypatch.setattr(networks, "on_links", always({"eth8": [lan], "eth9": [lan]}))
    up.choose_ranges(a_start(tmp_path, public=inside, uplink="eth9"), quiet)


def test_fault_52_it_is_said_from_where_an_address_is_reached() -> None:
    own, routed = ipaddress.ip_address("203.0.113.1"), ipaddress.ip_address("192.0.2.130")
    named = (ipaddress.ip_network("192.0.2.128/25"),)
    assert pools.reach(ranges.choose([]), own) == "this machine only"
    chosen = ranges.choose([], public=named)
    assert pools.reach(chosen, routed) == "this machine, and from where routes to 192.0.2.128/25 lead to it"
    answered = dataclasses.replace(chosen, uplink="eth9")
    assert pools.reach(answered, routed) == "this machine and those on link eth9"


def test_the_machines_own_address_is_a_pool_without_networks_and_excludes_them(tmp_path: Path) -> None:
    start = a_start(tmp_path, public=("host",))
    up.choose_ranges(start, quiet)
    up.choose_ranges(start, quiet)
    recorded = start.installation.record().ranges
    assert recorded and (recorded.public, recorded.host) == ({"public": []}, ["public"])
    up.choose_ranges(a_start(tmp_path), quiet)
    assert start.installation.record().ranges == recorded
    with pytest.raises(ConflictError, match="exclude each other"):
        up.choose_ranges(a_start(tmp_path, public=("host", ipaddress.ip_network("192.0.2.0/24"))), quiet)


def test_a_machine_without_free_networks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [ipaddress.ip_network(f"{first}.0.0.0/8") for first in range(256)]
    monkeypatch.setattr(networks, "taken", always(everything))
    with pytest.raises(LocalError):
        up.choose_ranges(a_start(tmp_path), quiet)
    assert a_start(tmp_path).installation.record().ranges is None


def test_a_failed_step_ends_the_run_and_the_next_run_goes_on_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    broken = True

    def first(start: up.Start, update: Update) -> None:
        start.installation.create()
        done.append("first")

    def second(start: up.Start, update: Update) -> None:
        if broken:
            raise controlplane.ControlPlaneError("port 6443 is in use")
        done.append("second")

    monkeypatch.setattr(up, "STEPS", (up.StartStep("One", first, "a"), up.StartStep("Two", second, "free the port")))
    with pytest.raises(LocalError, match="step 'Two' failed: port 6443 is in use") as raised:
        up.run(a_start(tmp_path))
    assert raised.value.remedy == "free the port"
    broken = False
    up.run(a_start(tmp_path))
    assert done == ["first", "first", "second"]


def test_programs_get_one_folder_for_path(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
        (folder / name).touch(mode=0o755)
    installation = Installation(name="unit", root=tmp_path / "root", run_root=tmp_path / "run")
    programs = controlplane.Programs(folder, "named")
    up.link_programs(installation, programs)
    up.link_programs(installation, programs)
    assert (installation.root / ".bin" / "kubectl").readlink() == folder / "kubectl"
