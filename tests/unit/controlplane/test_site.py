from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.controlplane import site
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import Record, RecordedRanges
from virtualserver.plan import sites
from virtualserver.plan.sites.site import Site

if TYPE_CHECKING:
    from pathlib import Path


def test_the_profile_names_the_recorded_pools_and_everybody_can_read_it(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path)
    public = {"public": ["203.0.113.0/24"], "public-ord1": ["192.0.2.0/24"]}
    private = {"private": ["198.18.0.0/24"]}
    with installation.changing() as recorded:
        recorded.ranges = RecordedRanges(
            public=public, private=private, guest=[], service=[], link="198.19.0.0/30", routed=[]
        )
    site.write(installation)
    assert installation.site_profile.stat().st_mode & 0o777 == 0o644
    assert sites.load(installation.site_profile.read_text()) == Site(
        pools=frozenset({"public", "public-ord1", "private"})
    )


def test_without_recorded_ranges_there_are_the_usual_pools() -> None:
    assert site.site_of(Record()) == Site()
