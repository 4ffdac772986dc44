"""Our own validation and the real API server accept and refuse the same servers.

Generated values lie at the edges of every rule. What only the server looks at (the inside of pass-through types) is
left out; what only we look at (cloudInit as YAML) is no part of ``validate``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.manifests import a_virtual_server
from virtualserver.api.faults import InvalidManifest
from virtualserver.api.validation import validate
from virtualserver.api.virtualserver import decode

if TYPE_CHECKING:
    from harness.api_server import Server

Strategy = st.SearchStrategy[Any]
EXAMPLES = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
UUID = "5d307ca9-b3ef-428c-8861-06e72d69f223"
SECRET = {"name": "s"}
NAME_EDGES = ["A", "a.b", "a..b", "a" * 253, "a" * 254, "a\n"]


class Field(NamedTuple):
    """One field: values that are sound by themselves, and values at the edges of its rule."""

    path: str
    usual: Strategy
    edges: list[Any]


def one_of(*values: Any) -> Strategy:
    return st.sampled_from(values)


def ports(path: str) -> Field:
    edges = [[], [0], [1, 65535], [65536], [22, 22], [-1], list(range(1, 11)), list(range(1, 12)), ["a"]]
    return Field(path, st.lists(st.integers(1, 65535), max_size=3, unique=True), edges)


def amount(path: str) -> Field:
    usual = one_of("1Gi", "1.5G", "1500M", "2e9", "+1Gi", ".5Gi", 2**30)
    return Field(path, usual, ["8GB", "0", "-1Gi", 0, -1, "", "1K", True, "1e"])


def secret(path: str) -> Field:
    names: list[Any] = [
        {"name": name} for name in ("", "A", "a.b", "a..b", "-a", "a/b", "a" * 253, "a" * 254, "a\n", "ä")
    ]
    keys: list[Any] = [{"name": "s", "key": key} for key in ("", "a b", "A_.-9", "a/b", "k" * 253, "k" * 254, "k\n")]
    return Field(path, one_of(SECRET, SECRET | {"key": "k"}), [*names, *keys, {"key": "k"}])


FLOATING_EDGES: list[Any] = [
    *("5", "::", "a" * 63, "1.2.3", "a" * 64, "-a", "a.b", "", "01.2.3.4", "::ffff:1.2.3.4", "fe80::1%1", "1:2"),
    *(7, None, True, [], {}, {"serviceName": ""}, {"serviceName": 1}, {"serviceName": "A"}, {"service": "a"}),
    {"serviceName": "a", "x": "y"},
]
FIELDS = [
    Field("network.public", st.booleans(), ["yes"]),
    Field("network.directAttachLoadBalancerIP", st.booleans(), []),
    ports("network.tcp.ports"),
    ports("network.udp.ports"),
    Field(
        "network.floatingIPs",
        st.lists(one_of("svc", "a-b", {"serviceName": "svc"}, "240.141.77.141", "2001:db8::1"), max_size=2),
        [[item] for item in FLOATING_EDGES],
    ),
    Field(
        "network.macAddress",
        one_of("", "a2:1f:ee:09:06:5d", "A2-1F-EE-09-06-5D", "0E:1f:EE:09:06:5d"),
        ["a2:1f", "A2-1F-EE-09:06:5D", "a2:1f:ee:09:06:5d\n", "a21fee09065d", "g2:1f:ee:09:06:5d", " a2:1f:ee:09:06:5d"]
        + [f"{first}{second}:1f:ee:09:06:5d" for first in "0F" for second in "0123456789abcdefABCDEF"],
    ),
    Field("network.dnsPolicy", one_of("ClusterFirst", "Default", "None"), ["none", "None"]),
    Field("network.dnsConfig.nameservers", one_of([], ["192.0.2.1"]), []),
    Field("network.headless", st.booleans(), []),
    Field(
        "network.vpcs",
        one_of([], [{"name": "a"}, {"name": "b"}]),
        [[{"name": "a"}] * 2, [{"name": ""}], [{}]]
        + [[{"name": str(index)} for index in range(count)] for count in (10, 11)],
    ),
    Field("network.disableK8sNetworking", st.booleans(), []),
    Field("resources.cpu.count", st.integers(1, 4), [0, "2"]),
    Field("resources.cpu.type", one_of("", "epyc"), []),
    Field("resources.gpu.count", st.just(1), [0]),
    Field("resources.gpu.type", one_of("", "A40"), []),
    amount("resources.memory"),
    amount("storage.root.size"),
    amount("storage.swap"),
    Field("storage.root.accessMode", one_of("ReadWriteOnce", "ReadWriteMany"), ["", "readwriteonce", None, "X"]),
    Field("storage.root.volumeMode", one_of("Block", "Filesystem"), ["", "block", "X"]),
    Field("storage.root.ephemeral", st.booleans(), []),
    Field(
        "storage.root.source",
        one_of({}, {"pvc": None, "blank": {}}),
        [{"blank": {}}, {"pvc": None}]
        + [{"pvc": {"name": name}} for name in ("", "$(id)", *NAME_EDGES)]
        + [{"pvc": {"namespace": name}} for name in ("", "$(id)", "a" * 63, "a" * 64, *NAME_EDGES)],
    ),
    Field(
        "users",
        st.just([{"username": "u", "password": "p"}, {"username": "v", "passwordSecretRef": SECRET}]),
        [[{"username": ""}], [{"password": "p"}], [{"username": "u", "sshPublicKeysSecretRef": {"name": ""}}]]
        + [[{"username": "u", "password": word, "passwordSecretRef": SECRET}] for word in ("", "p")],
    ),
    Field("cloudInit", one_of("", "a: b"), []),
    secret("cloudInitSecretRef"),
    Field("firmware.uuid", one_of("", UUID), [UUID.upper(), "x", UUID + "\n"]),
    Field("firmware.serial", one_of("", UUID), [UUID.upper(), "x"]),
    Field("runStrategy", one_of("Always", "Halted"), ["Once"]),
    Field("terminationGracePeriodSeconds", st.integers(0, 9), [-1, "60"]),
]
EDGES = [{field.path: value} for field in FIELDS for value in field.edges]
# Most combinations are of sound values, so that the rules between fields decide.
COMBINATIONS = st.fixed_dictionaries({}, optional={field.path: field.usual for field in FIELDS})


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """Return the spec in which each path has its value."""
    spec: dict[str, Any] = {}
    for path, value in values.items():
        for step in reversed(path.split(".")):
            value = {step: value}
        spec = overlaid(spec, value)
    return spec


def overlaid(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = base.keys() & other.keys()
    return {**base, **other, **{key: overlaid(base[key], other[key]) for key in both}}


def our_faults(manifest: dict[str, Any]) -> list[str]:
    try:
        return [str(fault) for fault in validate(decode(manifest))]
    except InvalidManifest as error:
        return [str(fault) for fault in error.faults]


def disagreement(server: Server, spec: dict[str, Any], name: str = "web") -> str:
    manifest = a_virtual_server(spec, name=name)
    ours, theirs = our_faults(manifest), server.refusal_of(manifest)
    return "" if bool(ours) == bool(theirs) else f"{spec}: ours: {ours}; the server's: {theirs or 'accepted'}"


def test_we_and_the_server_agree_at_the_edges_of_every_field(server: Server) -> None:
    found = [disagreement(server, nested(edge)) for edge in EDGES]
    assert [difference for difference in found if difference] == []


@pytest.mark.parametrize("name", ["a" * 59, "a" * 60, "1a", "a.b"])
def test_we_and_the_server_agree_on_names(server: Server, name: str) -> None:
    assert disagreement(server, {}, name) == ""


def test_we_and_the_server_agree_on_combinations(server: Server) -> None:
    refused = 0

    @EXAMPLES
    @given(COMBINATIONS)
    def agree(values: dict[str, Any]) -> None:
        nonlocal refused
        spec = nested(values)
        assert disagreement(server, spec) == ""
        refused += bool(our_faults(a_virtual_server(spec)))

    agree()
    assert 20 < refused < 190, f"{refused} of the combinations are refused: they show too little"


def test_we_and_the_server_agree_on_the_size_of_a_disk(server: Server) -> None:
    old = a_virtual_server({"storage": {"root": {"size": "1500M"}}}, name="sized")
    server.create(old)

    @settings(EXAMPLES, max_examples=30)
    @given(amount("").usual | st.sampled_from(amount("").edges))
    def agree(size: Any) -> None:
        new = a_virtual_server({"storage": {"root": {"size": size}}}, name="sized")
        theirs = server.refusal_of_patch("sized", {"spec": {"storage": {"root": {"size": size}}}})
        try:
            ours = validate(decode(new), old=decode(old))
        except InvalidManifest as error:
            ours = list(error.faults)
        assert bool(ours) == bool(theirs), f"{size!r}: ours: {ours}; the server's: {theirs or 'accepted'}"

    agree()
