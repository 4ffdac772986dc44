from __future__ import annotations

import pytest

from virtualserver.plan.sites.site import PoolChoice, Site

SITE = Site(pools=frozenset({"public", "private", "public-ord1"}))


@pytest.mark.parametrize(
    ("public", "region", "expected"),
    [
        (True, "", PoolChoice("public")),
        (False, "", PoolChoice("private")),
        (True, "ORD1", PoolChoice("public-ord1")),
        (True, "LAS1", PoolChoice("public", region_known=False)),
        (False, "ORD1", PoolChoice("private", region_known=False)),
    ],
)
def test_a_region_uses_its_pool_else_the_default_one_of_its_kind(
    public: bool, region: str, expected: PoolChoice
) -> None:
    assert SITE.pool(public=public, region=region) == expected


def test_a_site_without_regions_is_the_region_that_every_manifest_names() -> None:
    """Published manifests name ORD1, and a server that lacks nothing says so (`FullyApplied`)."""
    assert Site().pool(public=True, region="ORD1") == PoolChoice("public")
