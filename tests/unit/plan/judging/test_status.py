"""What the table of situations cannot show: manifests that are no manifests, and writes that were refused."""

from __future__ import annotations

import msgspec

from harness import virtualservers
from virtualserver.api import names
from virtualserver.api.conditions import Condition, ConditionType, in_full
from virtualserver.api.faults import Fault
from virtualserver.api.reasons import Reason
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.judging import status
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import FailedWrite, Surroundings


def test_every_condition_of_a_manifest_that_cannot_be_read_says_why() -> None:
    manifest = {"metadata": {"name": "web", "generation": 3, "annotations": {names.REVISION: "7"}}}
    told = status.invalid(manifest, [Fault("spec.os", "is required: add it"), Fault("spec.a", "b")])
    assert told.observed_revision == "7"
    assert [condition.type for condition in told.conditions] == list(ConditionType)
    for condition in told.conditions:
        assert (condition.status, condition.reason, condition.observed_generation) == ("False", Reason.INVALID_SPEC, 3)
        assert condition.message == "spec.os: is required: add it; spec.a: b"


def test_a_status_without_a_revision_does_not_name_one_and_a_condition_has_no_time_yet() -> None:
    encoded = msgspec.to_builtins(status.invalid({"metadata": {"generation": 1}}, [Fault("a", "b")]))
    assert list(encoded) == ["network", "conditions"]
    assert set(encoded["conditions"][0]) == {"type", "status", "reason", "message", "observedGeneration"}


def test_what_the_api_server_refused_is_told_in_its_words() -> None:
    failures = (FailedWrite("Service", "web-tcp", "exceeded quota"), FailedWrite("Secret", "s", "too large"))
    surroundings = Surroundings(source=virtualservers.an_image(), failures=failures)
    plan = planning.plan(virtualservers.a_server(), Children(), surroundings, Site())
    ready = plan.status.condition(ConditionType.READY)
    assert ready and ready.reason == Reason.ERROR
    applied = plan.status.condition(ConditionType.FULLY_APPLIED)
    assert applied and applied.message.endswith("tried again: Service web-tcp: exceeded quota; Secret s: too large")


def test_what_a_server_asks_for_and_has_not_is_not_said_to_be_honoured() -> None:
    """``Ready`` said ``ImageNotFound``, and ``FullyApplied`` the same text with True, and that all else is honoured."""
    plan = planning.plan(virtualservers.a_server(), Children(), Surroundings(), Site())
    ready, applied = map(plan.status.condition, (ConditionType.READY, ConditionType.FULLY_APPLIED))
    assert ready and applied
    assert (applied.status, applied.reason) == ("False", ready.reason) == ("False", Reason.IMAGE_NOT_FOUND)
    assert "honoured" not in applied.message
    assert in_full(msgspec.to_builtins(plan.status)["conditions"]) == applied.message


def test_numbers_that_no_machine_can_have_are_named_with_their_fields() -> None:
    server = virtualservers.a_server(
        resources={"cpu": {"count": 2_000_000_000}, "memory": "1n"},
        storage={
            "root": {
                "size": "1n",
                "source": {"pvc": {"namespace": "vd-images", "name": "tiny"}},
                "storageClassName": "x",
            }
        },
    )
    plan = planning.plan(server, Children(), Surroundings(source=virtualservers.an_image()), Site())
    ready = plan.status.condition(ConditionType.READY)
    assert ready and ready.reason == Reason.INVALID_SPEC
    for words in (
        "spec.resources.cpu.count: 2000000000 processors are asked for, 255 are allowed: ask for fewer",
        "spec.resources.memory: '1n' is less than the 16Mi that a guest needs: write an amount such as 8Gi",
        "spec.storage.root.size: '1n' is less than a byte: write a size such as 40Gi",
    ):
        assert words in in_full(msgspec.to_builtins(plan.status)["conditions"])


def test_fault_18_what_earlier_versions_let_pass_is_refused_of_new_servers_only() -> None:
    server = virtualservers.a_server(cloudInit="runcmd: [a]\nruncmd: [b]\n")
    surroundings = Surroundings(source=virtualservers.an_image())
    new = planning.plan(server, Children(), surroundings, Site())
    ready = new.status.condition(ConditionType.READY)
    assert ready and ready.reason == Reason.INVALID_CLOUD_INIT and not new.stages
    before = planning.plan(virtualservers.a_server(), Children(), surroundings, Site())
    made = [{**one.manifest, "metadata": {**one.manifest["metadata"], "uid": "m"}} for s in before.stages for one in s]
    old = planning.plan(server, Children.of(made), surroundings, Site())
    applied = old.status.condition(ConditionType.FULLY_APPLIED)
    assert applied and applied.reason == Reason.PARTLY_APPLIED and old.stages
    assert "spec.cloudInit: has the key 'runcmd' twice, in lines 1 and 2" in applied.message


def test_a_server_has_ten_floating_addresses_at_most() -> None:
    def ready(count: int) -> Condition:
        floating = [f"address-{number}" for number in range(count)] + ["address-0"]
        server = virtualservers.a_server(network={"floatingIPs": floating})
        plan = planning.plan(server, Children(), Surroundings(source=virtualservers.an_image()), Site())
        found = plan.status.condition(ConditionType.READY)
        assert found
        return found

    assert ready(10).reason != Reason.INVALID_SPEC
    assert ready(11).reason == Reason.INVALID_SPEC
    assert "spec.network.floatingIPs: 11 are given, 10 are allowed: remove some" in ready(11).message
