from __future__ import annotations

from unit.operator.known import Known, a_server
from virtualserver.api.virtualserver import decode
from virtualserver.operator.kinds import VIRTUAL_SERVER
from virtualserver.operator.observation import surroundings_of


def test_a_mac_address_belongs_to_the_older_server_until_it_is_gone() -> None:
    known = Known()
    network = {"macAddress": "a2:1f:ee:09:06:5d"}
    older = a_server("older", network=network)
    younger = a_server("younger", created="2026-02-01T00:00:00Z", network={"macAddress": "A2-1F-EE-09-06-5D"})
    known.put(VIRTUAL_SERVER, older)
    known.put(VIRTUAL_SERVER, younger)
    assert surroundings_of(known.cache, decode(younger), secrets={}).mac_holder == ("default", "older")
    assert surroundings_of(known.cache, decode(older), secrets={}).mac_holder is None
    assert ("default", "younger") in known.drop(VIRTUAL_SERVER, older)
    assert surroundings_of(known.cache, decode(younger), secrets={}).mac_holder is None
