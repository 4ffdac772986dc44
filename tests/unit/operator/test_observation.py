from __future__ import annotations

from harness import virtualservers
from harness.virtualservers import owned
from unit.operator.known import MAC_KEY, Known, a_server, an_object
from virtualserver.api import names
from virtualserver.api.mac import unkeyed
from virtualserver.api.virtualserver import decode
from virtualserver.kube import kinds
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.operator.observation import surroundings_of


def test_a_mac_address_belongs_to_the_older_server_until_it_is_gone() -> None:
    known = Known()
    network = {"macAddress": "a2:1f:ee:09:06:5d"}
    older = a_server("older", network=network)
    younger = a_server("younger", created="2026-02-01T00:00:00Z", network={"macAddress": "A2-1F-EE-09-06-5D"})
    known.put(VIRTUAL_SERVER, older)
    known.put(VIRTUAL_SERVER, younger)
    assert surroundings_of(known.cache, decode(younger), MAC_KEY, secrets={}).mac_holder == ("default", "older")
    assert surroundings_of(known.cache, decode(older), MAC_KEY, secrets={}).mac_holder is None
    leaving = {**older, "metadata": {**older["metadata"], "deletionTimestamp": "2026-02-02T00:00:00Z"}}
    known.put(VIRTUAL_SERVER, leaving)
    assert surroundings_of(known.cache, decode(younger), MAC_KEY, secrets={}).mac_holder is None, "it goes by itself"
    known.put(VIRTUAL_SERVER, older)
    assert ("default", "younger") in known.drop(VIRTUAL_SERVER, older)
    assert surroundings_of(known.cache, decode(younger), MAC_KEY, secrets={}).mac_holder is None


def test_nobody_takes_an_address_by_naming_what_an_earlier_version_would_have_derived() -> None:
    """The former address of a server that has a keyed one is nobody's: who names it is in nobody's way."""
    known = Known()
    victim, former = a_server("web"), unkeyed("default/web")
    thief = a_server("thief", created="2025-01-01T00:00:00Z", network={"macAddress": former})
    known.put(VIRTUAL_SERVER, victim)
    known.put(VIRTUAL_SERVER, thief)
    for server in (victim, thief):
        found = surroundings_of(known.cache, decode(server), MAC_KEY, secrets={})
        assert found.mac_holder is None
        assert found.derived_mac != former


def test_the_former_address_of_a_server_stays_its_own() -> None:
    known = Known()
    victim, former = a_server("web"), unkeyed("default/web")
    thief = a_server("thief", created="2025-01-01T00:00:00Z", network={"macAddress": former})
    machine = owned(an_object("VirtualMachine", "web"), uid="uid-of-web")
    machine["spec"]["template"] = {"spec": {"domain": {"devices": {"interfaces": [{"macAddress": former}]}}}}
    known.put(VIRTUAL_SERVER, victim)
    known.put(kinds.VIRTUAL_MACHINE, machine)
    known.put(VIRTUAL_SERVER, thief)
    own = surroundings_of(known.cache, decode(victim), MAC_KEY, secrets={})
    assert (own.derived_mac, own.mac_holder) == (former, None)
    assert surroundings_of(known.cache, decode(thief), MAC_KEY, secrets={}).mac_holder == ("default", "web")


def test_a_floating_service_is_seen_with_who_holds_it_and_what_stands_in_its_way() -> None:
    known = Known()
    web, mail = a_server("web", network={"floatingIPs": ["address", "203.0.113.9"]}), a_server("mail")
    service = an_object("Service", "address")
    service |= {"spec": {"type": "LoadBalancer", "selector": {"app": "x"}}}
    service |= {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}}
    machine = an_object("VirtualMachine", "x")
    machine["spec"] = {"template": {"metadata": {"labels": {"app": "x"}}, "spec": {}}}
    foreign = an_object("EndpointSlice", "by-hand")
    foreign |= {"endpoints": [{"addresses": ["192.0.2.1"]}]}
    foreign["metadata"]["labels"] = {"kubernetes.io/service-name": "address"}
    claim = owned(an_object("EndpointSlice", "address-floating"), name="mail", uid=mail["metadata"]["uid"])
    claim["metadata"] |= {"namespace": "default", "labels": {"kubernetes.io/service-name": "address"}}
    mail["spec"]["network"] = {"floatingIPs": [{"serviceName": "address"}]}
    for resource, manifest in ((VIRTUAL_SERVER, web), (VIRTUAL_SERVER, mail)):
        known.put(resource, manifest)
    both = {("default", "web"), ("default", "mail")}
    assert set(known.put(kinds.SERVICE, service)) == both
    assert set(known.put(kinds.VIRTUAL_MACHINE, machine)) == both, "its selector matches it"
    assert set(known.put(kinds.ENDPOINT_SLICE, foreign)) == both
    assert set(known.put(kinds.ENDPOINT_SLICE, claim)) == both
    found = surroundings_of(known.cache, decode(web), MAC_KEY, secrets={})
    assert found.holders == {"203.0.113.9": "address"}
    there = found.floating["address"]
    assert there.service is not None and there.claim is not None
    assert (there.holder, there.server) == ("mail", None)
    assert there.selected == ("VirtualMachine x",) and there.foreign == ("by-hand",)
    assert set(known.drop(kinds.SERVICE, service)) == both


def test_a_claim_of_a_server_that_does_not_name_the_service_counts_for_nothing_and_its_server_is_looked_at() -> None:
    known = Known()
    web, mail = a_server("web", network={"floatingIPs": ["address"]}), a_server("mail")
    forged = owned(an_object("EndpointSlice", "address-floating"), name="mail", uid=mail["metadata"]["uid"])
    forged["metadata"] |= {"namespace": "default", "labels": {"kubernetes.io/service-name": "address"}}
    for resource, manifest in ((VIRTUAL_SERVER, web), (VIRTUAL_SERVER, mail)):
        known.put(resource, manifest)
    known.put(kinds.SERVICE, an_object("Service", "address"))
    assert set(known.put(kinds.ENDPOINT_SLICE, forged)) == {("default", "web"), ("default", "mail")}
    assert surroundings_of(known.cache, decode(web), MAC_KEY, secrets={}).floating["address"].holder is None


def test_an_image_whose_maker_was_killed_is_none() -> None:
    known, server = Known(), a_server("web")
    image = virtualservers.an_image("debian-12")
    for marks, is_there in (
        ({names.IMAGE_PROGRESS: "45% installing"}, True),
        ({names.IMAGE_PROGRESS: names.IMAGE_ABANDONED}, False),
        ({names.IMAGE: "sha256:00"}, True),
    ):
        known.put(kinds.PERSISTENT_VOLUME_CLAIM, {**image, "metadata": {**image["metadata"], "annotations": marks}})
        found = surroundings_of(known.cache, decode(server), MAC_KEY, secrets={})
        assert (found.source is not None, bool(found.images)) == (is_there, names.IMAGE in marks)
