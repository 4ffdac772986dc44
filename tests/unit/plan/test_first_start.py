"""What of a manifest a guest that has started does not hear of (fault 17)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from harness import virtualservers
from virtualserver.api import names
from virtualserver.api.conditions import ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from virtualserver.plan.outcome import Plan

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIvHPWvnG3cPrUNsyuGAaRxlrM4w1nwFC33DB7KEfMBp one@example"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEPqQ2vWuh2TwvUuBUuHPNJDuGBsYrDoDGTXaQXrFhn two@example"
SPEC: dict[str, Any] = {
    "users": [{"username": "ada", "sshpublickey": KEY, "password": "one"}, {"username": "bob", "sshpublickey": KEY}],
    "cloudInit": "packages: [nginx]\nbootcmd: [one]\nruncmd: [date]\n",
}


def plan_of(spec: dict[str, Any], secret: dict[str, Any] | None, *, phase: str = "Running", **secrets: Any) -> Plan:
    """Plan a server whose Secret exists, and whose machine runs."""
    surroundings = Surroundings(source=virtualservers.an_image(), secrets=secrets)
    server = virtualservers.a_server(**spec)
    instance = virtualservers.an_instance({"metadata": {}, "spec": {}}, phase=phase)
    found = [secret, virtualservers.a_machine(), virtualservers.a_disk(), *([instance] if phase else [])]
    return planning.plan(server, Children.of(one for one in found if one), surroundings, Site())


def secret_of(plan: Plan) -> dict[str, Any]:
    """Return the Secret that a plan applies, as it exists then."""
    return next(dict(apply.manifest) for stage in plan.stages for apply in stage if apply.key[0] == "Secret")


def started() -> dict[str, Any]:
    """Return the Secret of a server that has started with `SPEC`."""
    return secret_of(plan_of(SPEC, secret_of(plan_of(SPEC, None, phase=""))))


def unheard(spec: dict[str, Any], secret: dict[str, Any], **secrets: Any) -> str:
    """Return which fields are named, ``""`` for none."""
    told = plan_of(spec, secret, **secrets).status.condition(ConditionType.FULLY_APPLIED)
    assert told
    if told.reason != Reason.FIRST_START_ONLY:
        return ""
    assert "change it in the guest too, or make the server anew" in told.message
    return told.message.partition(": the guest")[0]


def changed(**spec: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SPEC), **spec}


def test_before_the_first_start_every_change_is_heard_of() -> None:
    secret = secret_of(plan_of(SPEC, None, phase=""))
    assert names.FIRST_START not in secret["metadata"].get("annotations", {})
    for phase in ("", "Pending", "Scheduled"):
        plan = plan_of(changed(users=[]), secret, phase=phase)
        assert names.FIRST_START not in secret_of(plan)["metadata"].get("annotations", {})


def test_what_was_told_is_kept_through_changes_stops_and_starts() -> None:
    secret = started()
    kept = secret["metadata"]["annotations"][names.FIRST_START]
    for phase in ("", "Pending", "Running", "Succeeded"):
        secret = secret_of(plan_of(changed(users=[]), secret, phase=phase))
        assert secret["metadata"]["annotations"][names.FIRST_START] == kept
    assert "nginx" not in kept and KEY not in kept


def test_a_server_of_an_earlier_version_was_told_what_its_secret_says() -> None:
    secret = secret_of(plan_of(SPEC, None, phase=""))
    assert unheard(SPEC, secret) == ""
    assert unheard(changed(users=SPEC["users"][:1]), secret) == "spec.users (without bob)"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, ""),
        ({"users": [SPEC["users"][0], {"username": "bob", "sshpublickey": OTHER}]}, "spec.users[1].sshpublickey"),
        ({"users": [{**SPEC["users"][0], "password": "two"}, SPEC["users"][1]]}, "spec.users[0].password"),
        ({"users": [SPEC["users"][0], {**SPEC["users"][1], "password": "new"}]}, "spec.users[1].password"),
        ({"users": [SPEC["users"][0], {"username": "bob"}]}, "spec.users[1].sshpublickey"),
        ({"users": [*SPEC["users"], {"username": "eve"}]}, "spec.users[2]"),
        ({"users": [SPEC["users"][1], SPEC["users"][0]]}, ""),
        ({"users": SPEC["users"][1:]}, "spec.users (without ada)"),
        ({"cloudInit": "packages: [nginx, vim]\nbootcmd: [one]\nruncmd: [date]"}, "spec.cloudInit (packages)"),
        ({"cloudInit": "packages: [nginx]\nbootcmd: [two]\nruncmd: [date]"}, ""),
        (
            {"cloudInit": "packages: [nginx]\nbootcmd: [one]\nruncmd: [date]\ntimezone: UTC"},
            "spec.cloudInit (timezone)",
        ),
        ({"cloudInit": SPEC["cloudInit"] + "users: [{name: eve}]"}, "spec.cloudInit (users)"),
        ({"cloudInit": ""}, "spec.cloudInit"),
        ({"network": {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}}}, "spec.network.dnsConfig.options"),
        ({"resources": {"cpu": {"count": 2}, "memory": "1Gi"}}, ""),
    ],
)
def test_each_change_is_named_by_its_field(change: dict[str, Any], fields: str) -> None:
    assert unheard(changed(**change), started()) == fields


def test_what_stands_in_a_secret_is_not_named() -> None:
    setup = virtualservers.a_secret("setup", config="private_name: 1")
    spec = changed(cloudInit="", cloudInitSecretRef={"name": "setup", "key": "config"})
    assert unheard(spec, started(), setup=setup) == "spec.cloudInitSecretRef"
    assert unheard({**spec, "users": []}, started(), setup=setup) == "spec.users, spec.cloudInitSecretRef"


def test_a_disk_that_forgets_is_told_at_every_start() -> None:
    root = {
        "size": "4Gi",
        "storageClassName": "local",
        "source": {"pvc": {"namespace": "vd-images", "name": "debian-12"}},
        "ephemeral": True,
    }
    assert unheard(changed(users=[], storage={"root": root}), started()) == ""


def test_more_keys_than_an_annotation_holds_are_one() -> None:
    many = "\n".join(f"key{number}: 1" for number in range(2000))
    secret = secret_of(plan_of(changed(cloudInit=many), secret_of(plan_of(changed(cloudInit=many), None, phase=""))))
    assert len(secret["metadata"]["annotations"][names.FIRST_START]) < 1000
    assert unheard(changed(cloudInit=f"{many}\nlast: 1"), secret) == "spec.cloudInit"


def test_an_annotation_that_somebody_broke_counts_as_none() -> None:
    secret = started()
    for broken in ("{", "[]", '{"all": 1}', ""):
        secret["metadata"]["annotations"][names.FIRST_START] = broken
        assert unheard(SPEC, secret) == ""


def test_a_script_beside_the_users_is_named_as_cloud_init_and_the_users_are_not() -> None:
    told = started()
    script = "#!/bin/sh\necho\n"
    assert unheard({"users": SPEC["users"], "cloudInit": script}, told) == "spec.cloudInit"
    spec = {"users": SPEC["users"], "cloudInit": script}
    told = secret_of(plan_of(spec, secret_of(plan_of(spec, None, phase=""))))
    assert unheard(spec, told) == ""
    assert unheard({**spec, "cloudInit": f"{script}date\n"}, told) == "spec.cloudInit"
    assert unheard({**spec, "users": SPEC["users"][:1]}, told) == "spec.users (without bob)"


def test_a_change_of_cloud_init_is_named_and_begins_nothing_anew() -> None:
    """canonical/lxd#17063: each change gave another instance-id, and cloud-init did all of it again."""
    told = started()
    changes = changed(cloudInit="packages: [nginx, curl]")
    assert unheard(changes, told) == "spec.cloudInit (packages)"
    before, after = plan_of(SPEC, told), plan_of(changes, told)
    templates = [
        next(apply.manifest for stage in plan.stages for apply in stage if apply.key[0] == "VirtualMachine")["spec"]
        for plan in (before, after)
    ]
    assert templates[0] == templates[1]


def test_a_file_that_waits_for_its_owner_is_no_change() -> None:
    """An earlier version left to cloud-init when it writes a file."""
    file = "write_files: [{path: /srv/a, owner: ada%s}]"
    spec = changed(cloudInit=file % ", defer: false")
    told = secret_of(plan_of(spec, secret_of(plan_of(spec, None, phase=""))))
    assert unheard(changed(cloudInit=file % ""), told) == "spec.cloudInit (write_files)"
    spec = changed(cloudInit=file % ", defer: true")
    told = secret_of(plan_of(spec, secret_of(plan_of(spec, None, phase=""))))
    assert unheard(changed(cloudInit=file % ""), told) == ""
