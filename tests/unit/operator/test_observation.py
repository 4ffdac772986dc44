from __future__ import annotations

from harness.virtualservers import owned
from unit.operator.known import MAC_KEY, Known, a_server, an_object
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
