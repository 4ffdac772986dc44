"""The administrator's file, and what holds; that operator and node follow it is the integration tests' matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from virtualserver.controlplane import site
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import RecordedRanges
from virtualserver.plan import sites
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from pathlib import Path

POOLS = frozenset({"public", "public-ord1", "private"})


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    installation = Installation.below(tmp_path)
    public = {"public": ["203.0.113.0/24"], "public-ord1": ["192.0.2.0/24"]}
    private = {"private": ["198.18.0.0/24"]}
    with installation.changing() as recorded:
        recorded.ranges = RecordedRanges(
            public=public, private=private, guest=[], service=[], link="198.19.0.0/30", routed=[]
        )
    return installation


def what_holds(installation: Installation) -> Site:
    return sites.load(installation.effective_site.read_text())


def test_what_holds_names_the_recorded_pools_and_everybody_can_read_it(installation: Installation) -> None:
    assert site.renew(installation) == site.SiteFound(Site(pools=POOLS))
    assert installation.effective_site.stat().st_mode & 0o777 == 0o644
    assert what_holds(installation) == Site(pools=POOLS)
    assert not installation.site_file.exists(), "the administrator's file is the administrator's alone"


def test_without_recorded_ranges_there_are_the_usual_pools(tmp_path: Path) -> None:
    assert site.look(Installation.below(tmp_path)).site == Site()


def test_what_the_administrator_writes_holds(installation: Installation) -> None:
    installation.site_file.write_text("defaults: {keepDisk: true}\n")
    assert site.renew(installation).site == Site(pools=POOLS, keep_disk=True) == what_holds(installation)
    assert installation.site_file.read_text() == "defaults: {keepDisk: true}\n"
    installation.site_file.unlink()
    assert site.renew(installation).site == Site(pools=POOLS) == what_holds(installation)


def test_what_holds_is_not_written_again_when_nothing_changed(installation: Installation) -> None:
    site.renew(installation)
    before = installation.effective_site.stat()
    installation.site_file.write_text("# nothing is asked for\n")
    site.renew(installation)
    after = installation.effective_site.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_faulty_file_changes_nothing_and_every_fault_is_named(installation: Installation) -> None:
    installation.site_file.write_text("defaults: {keepDisk: true}\n")
    site.renew(installation)
    installation.site_file.write_text("defaults: {keepDisks: 4}\npools: [{name: public-las1}]\nquota: {}\n")
    found = site.renew(installation)
    assert found.site == Site(pools=POOLS, keep_disk=True) == what_holds(installation)
    assert [fault.path for fault in found.faults] == ["site.defaults.keepDisks", "site.quota"]
    assert site.faults(installation) == found.faults
    installation.site_file.write_text("pools: [{name: public-las1}]\n")
    assert [fault.path for fault in site.faults(installation)] == ["site.pools[0].name"]


def test_a_file_that_cannot_be_read_is_a_fault(installation: Installation) -> None:
    installation.site_file.write_bytes(b"\xff\xfe")
    assert "UTF-8" in str(*site.faults(installation))
    installation.site_file.unlink()
    installation.site_file.mkdir()
    assert "Is a directory" in str(*site.faults(installation))


def test_a_faulty_file_at_the_first_start_is_refused_with_all_faults(installation: Installation) -> None:
    installation.site_file.write_text("quota: {}\npols: []\n")
    with pytest.raises(site.SiteUnknown) as caught:
        site.renew(installation)
    assert "site.quota: " in str(caught.value)
    assert "site.pols: " in str(caught.value)
    assert not installation.effective_site.exists()
