from __future__ import annotations

from typing import Any

from harness import virtualservers
from unit.operator.known import Known, a_server, an_object
from virtualserver.kube import kinds
from virtualserver.operator.kinds import VIRTUAL_SERVER


def test_objects_of_a_servers_names_concern_it_whoever_they_belong_to() -> None:
    known = Known()
    known.put(VIRTUAL_SERVER, a_server("web"))
    web = [("default", "web")]
    assert known.put(kinds.SERVICE, an_object("Service", "web-tcp")) == web
    assert known.put(kinds.SERVICE, an_object("Service", "web")) == web
    assert known.put(kinds.SECRET, an_object("Secret", "web-cloud-init")) == web
    assert known.put(kinds.VIRTUAL_MACHINE, an_object("VirtualMachine", "web")) == web
    assert known.put(kinds.SERVICE, an_object("Service", "other")) == []
    assert known.put(kinds.SERVICE, an_object("Service", "web-tcp", "elsewhere")) == []


def test_fault_23_a_secret_concerns_the_servers_that_refer_to_it() -> None:
    known = Known()
    users = [{"username": "a", "passwordSecretRef": {"name": "p"}}, {"username": "b"}]
    known.put(VIRTUAL_SERVER, a_server("one", users=users, cloudInitSecretRef={"name": "c"}))
    keys = [{"username": "a", "sshPublicKeysSecretRef": {"name": "p"}}]
    known.put(VIRTUAL_SERVER, a_server("two", users=keys))
    secret = an_object("PartialObjectMetadata", "p")
    assert known.put(kinds.SECRET_METADATA, secret) == [("default", "one"), ("default", "two")]
    assert known.drop(kinds.SECRET_METADATA, secret) == [("default", "one"), ("default", "two")]
    assert known.put(kinds.SECRET_METADATA, an_object("PartialObjectMetadata", "c")) == [("default", "one")]
    assert known.put(kinds.SECRET_METADATA, an_object("PartialObjectMetadata", "p", "elsewhere")) == []


def test_an_event_of_our_own_write_concerns_nobody() -> None:
    known = Known()
    known.put(VIRTUAL_SERVER, a_server("web"))
    written = an_object("Service", "web-tcp")
    written["metadata"] |= {"resourceVersion": "2", "uid": "u"}
    known.cache.remember(kinds.SERVICE, written)
    assert known.put(kinds.SERVICE, written) == []
    assert known.put(kinds.SERVICE, an_object("Service", "web-tcp")) == [("default", "web")]


def test_an_images_arrival_concerns_who_waits_for_it_and_who_waits_for_another() -> None:
    known = Known()
    known.put(VIRTUAL_SERVER, a_server("web"))
    assert known.put(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("debian-12")) == [("default", "web")]
    assert known.put(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("other")) == []
    known.drop(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("debian-12"))
    assert known.put(kinds.PERSISTENT_VOLUME_CLAIM, virtualservers.an_image("third")) == [("default", "web")]


def test_servers_that_claim_one_mac_address_are_concerned_by_each_others_machines() -> None:
    known = Known()
    network = {"macAddress": "a2:1f:ee:09:06:5d"}
    known.put(VIRTUAL_SERVER, a_server("one", network=network))
    known.put(VIRTUAL_SERVER, a_server("two", network=network))
    machine = an_object("VirtualMachine", "one")
    machine["spec"]["template"] = {"spec": {"domain": {"devices": {"interfaces": [network]}}}}
    assert known.put(kinds.VIRTUAL_MACHINE, machine) == [("default", "one"), ("default", "two")]


def a_quota(hard: str, used: str | None) -> dict[str, Any]:
    """Return a quota of Services, and of memory, of which there is always room; used: None before it has counted."""
    bounds = {"services": hard, "requests.memory": "1Gi"}
    counted = {"requests.memory": "512Mi"} if used is None else {"services": used, "requests.memory": "512Mi"}
    return {
        **an_object("ResourceQuota", "few"),
        "spec": {"hard": bounds},
        "status": {"hard": bounds, "used": counted},
    }


def test_servers_of_which_an_object_was_refused_are_tried_again_when_a_quota_leaves_more_room() -> None:
    known = Known()
    refused = a_server("refused")
    refused["status"] = {"conditions": [{"type": "Ready", "status": "False", "reason": "Error"}]}
    for server in (refused, a_server("well")):
        known.put(VIRTUAL_SERVER, server)
    again = [("default", "refused")]
    assert known.put(kinds.RESOURCE_QUOTA, a_quota("1", None)) == []
    assert known.put(kinds.RESOURCE_QUOTA, a_quota("1", "0")) == again, "nothing passes before it has counted"
    assert known.put(kinds.RESOURCE_QUOTA, a_quota("1", "1")) == [], "our own object, or another's"
    assert known.put(kinds.RESOURCE_QUOTA, a_quota("2", "1")) == again
    assert known.put(kinds.RESOURCE_QUOTA, a_quota("2", "2")) == []
    assert known.put(kinds.RESOURCE_QUOTA, a_quota("2", "1")) == again
    no_longer_bounded = a_quota("2", "1")
    del no_longer_bounded["spec"]["hard"]["services"]
    assert known.put(kinds.RESOURCE_QUOTA, no_longer_bounded) == again
    assert known.drop(kinds.RESOURCE_QUOTA, no_longer_bounded) == again
