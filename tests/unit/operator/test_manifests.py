from __future__ import annotations

from unit.operator.known import MAC_KEY, a_server
from virtualserver.api.mac import unkeyed
from virtualserver.operator.manifests import server_mac, server_macs, source_claim


def test_a_server_without_a_cluster_nic_claims_no_mac_address() -> None:
    assert server_macs(a_server("web", network={"disableK8sNetworking": True}), MAC_KEY) == ()


def test_what_has_another_shape_than_the_schema_says_counts_as_absent() -> None:
    server = a_server("web", network="none", storage={"root": {"source": {"pvc": ["no", "object"]}}})
    assert server_macs(server, MAC_KEY) == server_macs(a_server("web"), MAC_KEY)
    assert source_claim(server) is None


def test_a_server_claims_the_address_that_its_own_machine_has_from_an_earlier_version() -> None:
    server = a_server("web")
    former, keyed = unkeyed("default/web"), server_mac(server, None, MAC_KEY)
    assert server_mac(server, former, MAC_KEY) == former != keyed
    assert server_mac(server, "a2:1f:ee:09:06:5d", MAC_KEY) == keyed, "that one was named once"
    assert server_macs(server, MAC_KEY) == (keyed, former)
    named = a_server("web", network={"macAddress": "A2-1F-EE-09-06-5D"})
    assert server_mac(named, former, MAC_KEY) == "a2:1f:ee:09:06:5d"
    assert server_macs(named, MAC_KEY) == ("a2:1f:ee:09:06:5d",)
