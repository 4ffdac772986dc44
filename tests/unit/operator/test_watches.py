from __future__ import annotations

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
