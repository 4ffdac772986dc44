from __future__ import annotations

import pytest

from virtualserver.api.faults import InvalidManifest
from virtualserver.plan import sites
from virtualserver.plan.sites.site import Site


def test_a_profile_is_read() -> None:
    text = "pools: [{name: public}, {name: private-ord1}]\nimageNamespace: images\nstorageClasses: [fast]\n"
    pools = frozenset({"public", "private-ord1"})
    assert sites.load(text) == Site(pools=pools, image_namespace="images", storage_classes=frozenset({"fast"}))


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "pools: null"])
def test_an_empty_profile_has_the_defaults(text: str) -> None:
    assert sites.load(text) == Site()


def test_what_is_written_is_read_as_the_same_site() -> None:
    site = Site(pools=frozenset({"public", "private", "public-ord1"}), storage_classes=frozenset())
    assert sites.load(sites.dump(site)) == site
    assert sites.dump(Site()) == (
        "pools:\n- name: private\n- name: public\nimageNamespace: vd-images\nstorageClasses:\n- local\n"
    )


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(InvalidManifest) as caught:
        sites.load(text)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_every_wrong_type_and_every_unknown_field_is_named_at_once() -> None:
    found = faults_of("pools: [{name: 1}, {nmae: public}]\nstorageclasses: [a]\nimageNamespace: 7\n")
    assert set(found) == {
        "site.pools[0].name",
        "site.pools[1].name",
        "site.pools[1].nmae",
        "site.imageNamespace",
        "site.storageclasses",
    }
    assert found["site.storageclasses"] == "is not known: write one of pools, imageNamespace, storageClasses"


def test_every_pool_has_a_name_of_its_own_that_says_what_it_serves() -> None:
    found = faults_of("pools: [{name: public}, {name: public}, {name: Public-ORD1}, {name: other}]")
    assert list(found) == ["site.pools[1].name", "site.pools[2].name", "site.pools[3].name"]
    assert found["site.pools[1].name"] == "'public' is there twice: remove one"
    assert "-REGION in lower case" in found["site.pools[2].name"]


@pytest.mark.parametrize("text", ["a: [", "- a", "x"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert list(faults_of(text)) == ["site"]
