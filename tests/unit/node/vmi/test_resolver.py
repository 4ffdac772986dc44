"""Resolvers as pods have them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from virtualserver.host.resolv_conf import ResolvConf
from virtualserver.node.vmi.resolver import left_out, resolver_of

HOST = ResolvConf((ipaddress.ip_address("192.0.2.1"),), ("corp.test",))
CLUSTER = ["169.254.1.1"]
SEARCHES = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"]


def resolved(host: ResolvConf = HOST, **spec: Any) -> tuple[list[str], list[str]]:
    found = resolver_of(spec, namespace="ns", host=host)
    return [str(address) for address in found.nameservers], list(found.searches)


@pytest.mark.parametrize("spec", [{}, {"dnsPolicy": "ClusterFirst"}, {"dnsPolicy": "ClusterFirstWithHostNet"}])
def test_cluster_first_is_the_default(spec: dict[str, Any]) -> None:
    assert resolved(**spec) == (CLUSTER, SEARCHES)


def test_default_is_the_hosts_own() -> None:
    assert resolved(dnsPolicy="Default") == (["192.0.2.1"], ["corp.test"])


def test_default_on_a_host_with_a_resolver_of_its_own_goes_through_the_clusters() -> None:
    assert resolved(ResolvConf((), ("corp.test",)), dnsPolicy="Default") == (CLUSTER, ["corp.test"])


def test_none_is_the_configuration_alone() -> None:
    config = {"nameservers": ["192.0.2.53"], "searches": ["a.test."]}
    assert resolved(dnsPolicy="None", dnsConfig=config) == (["192.0.2.53"], ["a.test"])


def test_a_configuration_is_appended_without_repeats() -> None:
    config = {"nameservers": ["192.0.2.53", "169.254.1.1"], "searches": ["cluster.local", "a.test"]}
    assert resolved(dnsConfig=config) == ([*CLUSTER, "192.0.2.53"], [*SEARCHES, "a.test"])


def test_what_is_no_address_or_domain_name_is_left_out_for_a_machine_that_runs_already() -> None:
    config = {"nameservers": ["x", "192.0.2.53\n192.0.2.54", "fe80::1%x", "192.0.2.53"], "searches": ["a,b", ".", "c."]}
    assert resolved(dnsPolicy="None", dnsConfig=config) == (["192.0.2.53"], ["c"])


@pytest.mark.parametrize("search", ["DHCP", "HABANA-LABS.COM", "114.114.114.114", "-x", "a_b.test", "x" * 64, "a..b"])
def test_whatever_the_hosts_resolver_searches_no_machine_is_held_up(search: str) -> None:
    """kubevirt/kubevirt#3187, kubevirt/kubevirt#4541 and kubevirt/kubevirt#12615: its launcher ended with a panic."""
    host = ResolvConf(HOST.nameservers, (search, "corp.test"))
    nameservers, searches = resolved(host, dnsPolicy="Default")
    assert nameservers == ["192.0.2.1"] and searches[-1] == "corp.test"
    assert resolved(host) == (CLUSTER, SEARCHES)


def test_a_guest_is_told_every_domain_that_a_pod_searches() -> None:
    """kubevirt/kubevirt#11165: the guest had the first one only."""
    config = {"searches": ["corp.test", "lab.test"]}
    assert resolved(dnsConfig=config)[1] == [*SEARCHES, "corp.test", "lab.test"]


def test_what_dhcp_has_no_room_for_is_named_with_its_field() -> None:
    config = {"nameservers": [f"192.0.2.{n}" for n in range(1, 63)], "searches": [f"{n}{'x' * 60}" for n in range(9)]}
    told = left_out(resolver_of({"dnsPolicy": "None", "dnsConfig": config}, namespace="ns", host=HOST))
    assert "dnsConfig.nameservers: DHCP has room for the first 13 of 62, and the guest is not told 192.0.2.14" in told
    assert f"dnsConfig.searches: DHCP has room for the first 4 of 9, and the guest is not told 4{'x' * 60}" in told
    assert left_out(resolver_of({}, namespace="ns", host=HOST)) == ""
    # More than the 32 searches and 2,048 characters that a pod may have.
    config = {"nameservers": ["192.0.2.53"], "searches": [f"{number:02}.{'x' * 60}.test" for number in range(40)]}
    told = left_out(resolver_of({"dnsPolicy": "None", "dnsConfig": config}, namespace="ns", host=HOST))
    assert "dnsConfig.searches: DHCP has room for the first 13 of 40, and the guest is not told 13.xx" in told
    assert told.endswith(".test and 22 more: leave some out, or write them into the guest by cloud-init")
