"""Who gets which annotation of a server: by an allow-list, and never a key of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.api import names
from virtualserver.plan.sites.annotations import AllowedAnnotations, faults, kept_back

HOSTNAME = "external-dns.alpha.kubernetes.io/hostname"
POOLS = "cni.projectcalico.org/ipv4pools"


def test_each_annotation_goes_to_the_one_place_it_is_meant_for() -> None:
    asked = {HOSTNAME: "web.example.com", POOLS: '["burst"]', "example.com/other": "x", "plain": "y", "empty": ""}
    assert AllowedAnnotations().of_services(asked) == {HOSTNAME: "web.example.com"}
    assert AllowedAnnotations().of_machine(asked) == {POOLS: '["burst"]'}


def test_a_whole_domain_is_allowed_without_those_below_it() -> None:
    allowed = AllowedAnnotations(services=("example.com/*", "plain"))
    asked = {"example.com/a": "1", "sub.example.com/b": "2", "example.com.evil/c": "3", "plain": "4", "other": "5"}
    assert allowed.of_services(asked) == {"example.com/a": "1", "plain": "4"}


@pytest.mark.parametrize(
    "key",
    [
        names.UID,
        names.ATTACH_LOAD_BALANCER,
        names.METALLB_ADDRESS_POOL,
        names.METALLB_LOAD_BALANCER_IPS,
        "metallb.universe.tf/loadBalancerIPs",
        "kubevirt.io/vm-generation",
        "x.kubevirt.io/y",
        "metallb.io/*",
        f"{names.DOMAIN}/*",
        "kubectl.kubernetes.io/last-applied-configuration",
    ],
)
def test_a_key_that_we_write_ourselves_can_neither_be_allowed_nor_be_passed_on(key: str) -> None:
    ((index, message),) = faults(["example.com/a", key])
    assert index == 1 and message == f"{key!r} is a key that operator and node write themselves: leave it out"
    asked = {key: "theirs", key.replace("*", "anything"): "theirs"}
    assert AllowedAnnotations(machines=(key,), services=(key,)).of_services(asked) == {}
    assert AllowedAnnotations(machines=(key,), services=(key,)).of_machine(asked) == {}


@pytest.mark.parametrize(
    "key", ["", "*", "a/b/c", "*/b", "Example.com/a", "a/", "/a", "a b", "a/*b", "-a", "ä/b", "a\n"]
)
def test_what_is_no_key_is_refused(key: str) -> None:
    assert [message for _, message in faults([key])] == [
        f"{key!r} is no annotation's key: write DOMAIN/NAME, or DOMAIN/* for all of a domain"
    ]


def test_a_key_that_is_there_twice_is_refused() -> None:
    assert list(faults(["a/b", "a/*", "c", "a/b"])) == [(3, "'a/b' is there twice: remove one")]


def test_what_is_meant_for_a_service_or_a_machine_and_reaches_none_is_named() -> None:
    asked = {
        HOSTNAME: "web.example.com",
        "metallb.io/loadBalancerIPs": "203.0.113.1",
        "cni.projectcalico.org/ipAddrs": "[]",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "example.com/note": "x",
        "k8s.v1.cni.cncf.io/networks": "",
    }
    assert kept_back(asked, AllowedAnnotations()) == ["cni.projectcalico.org/ipAddrs", "metallb.io/loadBalancerIPs"]
    assert kept_back(asked, AllowedAnnotations(services=("cni.projectcalico.org/*",))) == [
        HOSTNAME,
        "metallb.io/loadBalancerIPs",
    ]


@given(st.dictionaries(st.text(max_size=30), st.text(min_size=1, max_size=3)), st.lists(st.text(max_size=30)))
def test_nothing_is_passed_on_that_no_list_has(asked: dict[str, str], allowed: list[str]) -> None:
    passed = AllowedAnnotations(services=tuple(allowed)).of_services(asked)
    assert passed.items() <= asked.items()
    assert all(key in allowed or f"{key.rpartition('/')[0]}/*" in allowed for key in passed)
