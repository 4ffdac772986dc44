"""Whatever the API accepts can be planned, the same each time, and only for objects that are the server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness import virtualservers
from harness.kubevirt_schema import assert_valid_data_volume, assert_valid_virtual_machine
from virtualserver.api import validation
from virtualserver.api.conditions import ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.api.virtualserver import VirtualServer, decode
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from virtualserver.plan.outcome import Plan

SITE = Site(pools=frozenset({"public", "private", "public-ord1", "private-ord1"}))

texts = st.text(max_size=20)
ports = st.lists(st.integers(1, 65535), unique=True, max_size=10)
macs = st.from_regex(r"[0-9A-Fa-f][26aeAE](-[0-9A-Fa-f]{2}){5}", fullmatch=True)
_options: st.SearchStrategy[Any] = st.fixed_dictionaries({"name": texts}, optional={"value": texts})
dns_configs: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "nameservers": st.lists(st.just("192.0.2.53"), max_size=3),
        "searches": st.lists(st.just("example.com"), max_size=2),
        "options": st.lists(_options, max_size=3),
    },
)
networks: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "public": st.booleans(),
        "directAttachLoadBalancerIP": st.booleans(),
        "tcp": st.fixed_dictionaries({}, optional={"ports": ports}),
        "udp": st.fixed_dictionaries({}, optional={"ports": ports}),
        "headless": st.booleans(),
        "macAddress": macs,
        "dnsPolicy": st.sampled_from(["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
        "dnsConfig": dns_configs,
        "vpcs": st.lists(st.just({"name": "vpc0"}), max_size=1),
        "floatingIPs": st.lists(st.sampled_from(["svc", "240.141.77.141", {"serviceName": "svc"}]), max_size=2),
        "disableK8sNetworking": st.booleans(),
    },
)
users: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"username": st.sampled_from(["alice", "bob"])},
        optional={"password": texts, "sshpublickey": texts, "sshPublicKeysSecretRef": st.just({"name": "keys"})},
    ),
    max_size=2,
)
specs: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"network": networks},
    optional={
        "region": st.sampled_from(["", "ORD1", "LAS1"]),
        "users": users,
        "cloudInit": st.one_of(
            texts, st.sampled_from(["users: [default]", "users: alice", "runcmd: [a]", "{}", "- a"])
        ),
        "runStrategy": st.sampled_from(["Always", "RerunOnFailure", "Manual", "Halted"]),
        "initializeRunning": st.booleans(),
        "useVirtioTransitional": st.booleans(),
        "terminationGracePeriodSeconds": st.integers(0, 3600),
        "readinessProbe": st.sampled_from([{}, {"httpGet": {"port": 80}}, {"exec": {"command": ["true"]}}]),
        "affinity": st.just({}),
    },
)


@st.composite
def servers(draw: st.DrawFn) -> VirtualServer:
    """A server that the API would accept."""
    manifest = virtualservers.a_manifest(**draw(specs))
    manifest["metadata"] |= {"uid": virtualservers.UID, "generation": 1}
    server = decode(manifest)
    assume(not validation.validate(server))
    return server


def _foreign(kind: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"foreign-{name}"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {}}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Children, Surroundings]:
    """What may exist of a server's names: nothing, its own objects, or somebody else's."""
    word = draw(st.sampled_from(["", "Stopped", "Starting", "Running", "Stopping", "ErrorUnschedulable"]))
    strategy = draw(st.sampled_from(["Always", "Halted", "Manual", "RerunOnFailure"]))
    own: list[dict[str, Any]] = [
        virtualservers.a_machine(word, strategy=strategy),
        virtualservers.a_disk(draw(st.sampled_from(["", "Succeeded"]))),
        virtualservers.owned({"kind": "Secret", "metadata": {"name": "web-cloud-init", "namespace": "default"}}),
    ]
    own += [
        virtualservers.a_service(name, address=draw(st.sampled_from([None, "203.0.113.7"])))
        for name in ("web-tcp", "web-udp", "web")
    ]
    found = [draw(st.sampled_from([None, item, _foreign(item["kind"], item["metadata"]["name"])])) for item in own]
    return Children.of(found), Surroundings(
        secrets=draw(st.sampled_from([{}, {"keys": virtualservers.a_secret("keys", authorized_keys="k")}])),
        source=draw(st.sampled_from([None, virtualservers.an_image()])),
        derived_mac="02:00:00:00:00:01",
        vpc_macs={"vpc0": "02:00:00:00:00:02"},
        mac_holder=draw(st.sampled_from([None, ("default", "older"), ("tenant", "older")])),
    )


def _bytes(plan: Plan) -> bytes:
    return msgspec.json.encode([plan.stages, plan.removals, plan.status])


@settings(max_examples=200, deadline=None)
@given(servers(), worlds())
def test_an_accepted_server_is_planned_without_an_error_and_the_same_each_time(
    server: VirtualServer, world: tuple[Children, Surroundings]
) -> None:
    first = planning.plan(server, *world, SITE)
    again = planning.plan(decode(msgspec.to_builtins(server)), *world, SITE)
    assert _bytes(first) == _bytes(again)


@settings(max_examples=200, deadline=None)
@given(servers(), worlds())
def test_nothing_is_planned_for_an_object_that_is_not_the_servers_own(
    server: VirtualServer, world: tuple[Children, Surroundings]
) -> None:
    plan = planning.plan(server, *world, SITE)
    for kind, name in (apply.key for stage in plan.stages for apply in stage):
        found = world[0].get(kind, name)
        assert found is None or not found["metadata"]["uid"].startswith("foreign")
    assert not any(removal.uid.startswith("foreign") for removal in plan.removals)


@settings(max_examples=200, deadline=None)
@given(servers(), worlds())
def test_a_status_has_all_conditions_in_their_order_and_all_addresses_as_text(
    server: VirtualServer, world: tuple[Children, Surroundings]
) -> None:
    status = msgspec.to_builtins(planning.plan(server, *world, SITE).status)
    assert [item["type"] for item in status["conditions"]] == list(ConditionType)
    assert {item["status"] for item in status["conditions"]} <= {"True", "False", "Unknown"}
    assert all(item["reason"] in set(Reason) and item["message"] for item in status["conditions"])
    network = status["network"]
    assert all(isinstance(network[field], str) for field in ("internalIP", "externalIP", "serviceIP"))
    assert isinstance(network["floatingIPs"], dict)


@settings(max_examples=100, deadline=None)
@given(servers())
def test_planned_machines_and_disks_are_valid_by_upstreams_schemas(server: VirtualServer) -> None:
    surroundings = Surroundings(
        source=virtualservers.an_image(),
        secrets={"keys": virtualservers.a_secret("keys", authorized_keys="k")},
        derived_mac="02:00:00:00:00:01",
        vpc_macs={"vpc0": "02:00:00:00:00:02"},
    )
    for stage in planning.plan(server, Children(), surroundings, SITE).stages:
        for apply in stage:
            if apply.manifest["kind"] == "VirtualMachine":
                spec = {**apply.manifest["spec"], **apply.locked["spec"]}
                assert_valid_virtual_machine({**apply.manifest, "spec": spec})
            if apply.manifest["kind"] == "DataVolume":
                assert_valid_data_volume(apply.manifest)


@settings(max_examples=100, deadline=None)
@given(servers(), worlds())
def test_a_server_is_ready_only_if_its_machine_runs(
    server: VirtualServer, world: tuple[Children, Surroundings]
) -> None:
    ready = planning.plan(server, *world, SITE).status.condition(ConditionType.READY)
    assert ready and ready.status != "True", "no world here has an instance whose addresses are in the data plane"
