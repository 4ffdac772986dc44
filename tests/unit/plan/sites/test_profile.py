from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.api.faults import InvalidManifest
from virtualserver.plan import sites
from virtualserver.plan.sites.annotations import AllowedAnnotations
from virtualserver.plan.sites.quotas import AddressQuota, Quotas
from virtualserver.plan.sites.site import BetweenNamespaces, Site, Verb


def test_a_profile_is_read() -> None:
    text = """
pools: [{name: public, namespaces: [team-a]}, {name: private-ord1}]
imageNamespaces: [vd-images, golden]
storageClasses: [fast]
betweenNamespaces: closed
quotas:
  addresses: 16
  namespaces:
    team-a: {addresses: {public: 64}}
disks: {overcommit: 3}
annotations: {machines: [], services: [example.com/*]}
verbs: [use-public, direct-attach]
defaults: {keepDisk: true}
"""
    assert sites.load(text) == Site(
        pools=frozenset({"public", "private-ord1"}),
        open_pools={"public": frozenset({"team-a"})},
        image_namespaces=("vd-images", "golden"),
        storage_classes=frozenset({"fast"}),
        between_namespaces=BetweenNamespaces.CLOSED,
        quotas=Quotas(AddressQuota(each=16), {"team-a": AddressQuota(pools={"public": 64})}),
        disk_overcommit=3.0,
        annotations=AllowedAnnotations((), ("example.com/*",)),
        verbs=frozenset({Verb.USE_PUBLIC, Verb.DIRECT_ATTACH}),
        keep_disk=True,
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "pools: null", "quotas:\ndefaults:\n"])
def test_an_empty_profile_has_the_defaults(text: str) -> None:
    assert sites.load(text) == Site()


def test_where_the_place_decides_about_its_pools_the_text_may_leave_them_out_and_name_no_others() -> None:
    installed = ["public", "private", "public-ord1"]
    assert sites.load("", installed=installed).pools == frozenset(installed)
    assert sites.load("pools: [{name: public}]", installed=installed).pools == frozenset(installed)
    found = faults_of("pools: [{name: public-las1}]", installed=installed)
    assert found == {
        "site.pools[0].name": "'public-las1' is no pool of this place: write one of private, public, public-ord1"
    }


_POOLS = st.frozensets(st.sampled_from(["public", "private", "public-ord1"]), min_size=1)
_KEYS = st.lists(st.sampled_from(["plain", "example.com/a", "example.com/*"]), unique=True)


@given(pools=_POOLS, data=st.data())
def test_what_is_written_is_read_as_the_same_site(pools: frozenset[str], data: st.DataObject) -> None:
    counts = st.integers(0, 300)
    quotas = st.one_of(
        st.builds(AddressQuota, each=st.none() | counts),
        st.builds(AddressQuota, pools=st.dictionaries(st.sampled_from(sorted(pools)), counts)),
    )
    names = st.sampled_from(["a", "team-a", "vd-images"])
    site = Site(
        pools=pools,
        open_pools=data.draw(
            st.dictionaries(st.sampled_from(sorted(pools)), st.frozensets(names | st.just("*"), min_size=1))
        ),
        image_namespaces=tuple(data.draw(st.lists(names, unique=True))),
        storage_classes=data.draw(st.frozensets(st.sampled_from(["local", "fast"]))),
        between_namespaces=data.draw(st.sampled_from(BetweenNamespaces)),
        quotas=Quotas(data.draw(quotas), data.draw(st.dictionaries(names, quotas))),
        disk_overcommit=data.draw(st.floats(min_value=0.001, max_value=1000)),
        annotations=AllowedAnnotations(*(tuple(data.draw(_KEYS)) for _ in range(2))),
        verbs=data.draw(st.frozensets(st.sampled_from(Verb))),
        keep_disk=data.draw(st.booleans()),
    )
    assert sites.load(sites.dump(site)) == site


def faults_of(text: str, *, installed: list[str] | None = None) -> dict[str, str]:
    with pytest.raises(InvalidManifest) as caught:
        sites.load(text, installed=installed)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_every_wrong_type_and_every_unknown_key_is_named_at_once() -> None:
    found = faults_of("""
pools: [{name: 1}, {nmae: public}]
storageclasses: [a]
imageNamespaces: [7]
quotas:
  addresses: {public: many, private: x}
  namespaces: {a: {adresses: 4}, b: 4, no: {}}
betweenNamespaces: shut
defaults: {keepdisk: true, runStrategy: Manual}
anythingElse: 1
""")
    assert set(found) == {
        "site.pools[0].name",
        "site.pools[1].name",
        "site.pools[1].nmae",
        "site.imageNamespaces[0]",
        "site.storageclasses",
        "site.quotas.addresses.public",
        "site.quotas.addresses.private",
        "site.quotas.namespaces.a.adresses",
        "site.quotas.namespaces.b",
        "site.quotas.namespaces.False",
        "site.betweenNamespaces",
        "site.defaults.keepdisk",
        "site.defaults.runStrategy",
        "site.anythingElse",
    }
    assert found["site.storageclasses"].startswith("is not known: did you mean storageClasses? (one of pools, image")
    assert found["site.quotas.namespaces.a.adresses"] == "is not known: did you mean addresses? (one of addresses)"
    assert found["site.defaults.runStrategy"] == "is not known: write one of keepDisk"
    assert found["site.betweenNamespaces"] == "'shut' is not known: write one of open, closed"
    assert found["site.quotas.addresses.public"] == "'many' has the wrong type: expected int, got str"


def test_a_pool_is_open_to_the_namespaces_that_are_named_or_to_all() -> None:
    site = sites.load("pools: [{name: public, namespaces: [a, b]}, {name: private, namespaces: ['*']}]")
    assert site.opened_to("a") == {"public", "private"} and site.opened_to("c") == {"private"}
    assert sites.load("").opened_to("a") == frozenset()
    found = faults_of("pools: [{name: public, namespaces: [a, a, -b]}]")
    assert list(found) == ["site.pools[0].namespaces[1]", "site.pools[0].namespaces[2]"]


def test_every_pool_has_a_name_of_its_own_that_says_what_it_serves() -> None:
    found = faults_of("pools: [{name: public}, {name: public}, {name: Public-ORD1}, {name: other}]")
    assert list(found) == ["site.pools[1].name", "site.pools[2].name", "site.pools[3].name"]
    assert found["site.pools[1].name"] == "'public' is there twice: remove one"
    assert "-REGION in lower case" in found["site.pools[2].name"]


def test_what_a_quota_and_a_list_of_namespaces_cannot_say_is_refused() -> None:
    found = faults_of("""
imageNamespaces: [vd-images, vd-images, VD]
quotas:
  addresses: -1
  namespaces: {a: {addresses: {publik: 1, public: -2}}, -b: {}}
""")
    assert found == {
        "site.imageNamespaces[1]": "'vd-images' is there twice: remove one",
        "site.imageNamespaces[2]": "'VD' is no namespace's name: use at most 63 lower-case letters, digits and dashes, "
        "no dash last",
        "site.quotas.namespaces.-b": "'-b' is no namespace's name: use at most 63 lower-case letters, digits and "
        "dashes, no dash last",
        "site.quotas.addresses": "-1 is less than 0: write 0 for no address, or leave it out for no bound",
        "site.quotas.namespaces.a.addresses.publik": "'publik' is no pool of this place: write one of private, public",
        "site.quotas.namespaces.a.addresses.public": "-2 is less than 0: write 0 for no address, or leave it out "
        "for no bound",
    }


def test_an_annotation_that_is_not_to_be_passed_on_is_named_by_its_place() -> None:
    found = faults_of("annotations: {machines: [a/b, metallb.io/address-pool], services: ['*', a/b, a/b]}")
    assert list(found) == [
        "site.annotations.machines[1]",
        "site.annotations.services[0]",
        "site.annotations.services[2]",
    ]


def test_a_verb_is_one_that_is_known_and_stands_once() -> None:
    found = faults_of("verbs: [use-public, use-private]")
    message = "'use-private' is not known: write one of use-public, direct-attach, request-address"
    assert found == {"site.verbs[1]": message}
    assert faults_of("verbs: [use-public, use-public]") == {"site.verbs[1]": "'use-public' is there twice: remove one"}


def test_there_may_be_no_namespace_of_images() -> None:
    assert sites.load("imageNamespaces: []").image_namespaces == ()


@pytest.mark.parametrize("value", ["0", "-1", "1000.5", ".nan", ".inf"])
def test_how_far_disks_are_overcommitted_is_a_number_above_0(value: str) -> None:
    message = faults_of(f"disks: {{overcommit: {value}}}")["site.disks.overcommit"]
    assert message == f"{value.strip('.')} is no bound: write a number above 0, such as 10, and at most 1000"


@pytest.mark.parametrize("value", ["true", "'10'", "ten", "[10]"])
def test_how_far_disks_are_overcommitted_has_no_other_type(value: str) -> None:
    assert "has the wrong type: expected float" in faults_of(f"disks: {{overcommit: {value}}}")["site.disks.overcommit"]


@pytest.mark.parametrize("text", ["a: [", "- a", "x", "? [a]\n: b", "--- {}\n--- {}", "a: !!int ''", "a: &a [*a]"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert list(faults_of(text)) == ["site"]


def test_a_key_that_is_there_twice_is_refused_since_the_first_would_be_lost() -> None:
    message = faults_of("quotas: {addresses: 1}\npools: []\nquotas: {}\n")["site"]
    assert message == "'quotas' stands in line 1 and in line 3: remove one"
    with pytest.raises(InvalidManifest) as caught:
        sites.load("pools: [{name: a, name: b}]\nquotas:\n  namespaces: {a: {}, a: {}}\n")
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    ("namespace", "pool", "limit"),
    [("a", "public", 1), ("a", "private", 5), ("b", "public", 7), ("b", "private", 7), ("c", "public", 2)],
)
def test_what_is_said_of_a_namespace_wins_pool_by_pool(namespace: str, pool: str, limit: int) -> None:
    quotas = Quotas(
        AddressQuota(each=5, pools={"public": 2}),
        {"a": AddressQuota(pools={"public": 1}), "b": AddressQuota(each=7)},
    )
    assert quotas.of(namespace).of(pool) == limit


def test_without_a_quota_there_is_no_bound() -> None:
    assert Site().quotas.of("a").of("public") is None
    assert yaml.safe_load(sites.dump(Site()))["quotas"] == {"namespaces": {}}
